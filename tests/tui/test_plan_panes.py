"""The panes of the Plan as plain rows: what they say at each size, and that none is wider than it may be."""

from __future__ import annotations

import builders as b
import builders_plan as bp
import pytest
from builders_plan import made

from speedtui.engine.config.settings import Scalar
from speedtui.engine.events import AnyEvent
from speedtui.engine.state import fold
from speedtui.tui.draft.draft import Value
from speedtui.tui.draft.next_run import NextRun
from speedtui.tui.drawing.text import Row, plain, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.plan_costs import FREQUENCY, SCHEDULE, draw_offers, frequency_offers, schedule_offers
from speedtui.tui.panes.plan_diff import draw_diff, draw_short
from speedtui.tui.panes.plan_fields import draw_fields
from speedtui.tui.panes.plan_profiles import draw_profiles
from speedtui.tui.panes.plan_result import draw_result

SIZES = [(40, 4), (60, 8), (78, 7), (80, 24), (138, 12), (200, 40)]


def frame_of(log: list[AnyEvent]) -> Frame:
    run = fold(log)
    return Frame(run=run, study=run, clock=run.now)


def text(rows: list[Row]) -> str:
    return "\n".join(plain(line) for line in rows)


def drawn(shown: NextRun, log: list[AnyEvent], width: int, height: int) -> list[list[Row]]:
    """Every pane at a size, its cursor on some row."""
    return [
        draw_profiles(shown, frame_of(log), 1, 1, width, height),
        draw_fields(shown, 2, 2, width, height),
        draw_offers(shown, (), FREQUENCY, frequency_offers(shown), 1, width, height),
        draw_offers(shown, (), SCHEDULE, schedule_offers(shown), None, width, height),
        draw_result(shown, width, height),
        draw_diff(shown.draft.diff(), 0, width, height, training=True),
        draw_short(shown.draft.diff(), width, 2, training=False),
    ]


EDITS: list[dict[str, Scalar | None]] = [
    {},
    {"schedule.eval_every": "7 steps", "schedule.fast_eval_every": "3 steps", "data.eval_rows": 17},
    {"train.micro_batch_size": 16, "data.max_length": 4096},
    {"train.max_steps": 400_000, "schedule.save_only_best": True, "window.margin": "2h"},
    {"window.length": None, "window.deadline": "2020-01-01 00:00"},
]


@pytest.mark.parametrize(("width", "height"), SIZES)
@pytest.mark.parametrize("edits", EDITS)
def test_no_row_is_wider_than_its_pane(edits: dict[str, Value], width: int, height: int) -> None:
    for log in (bp.training(), bp.planned_log(), bp.with_config(b.study_log(), data={"eval": "/e"})):
        shown = made(log, edits)
        for rows in drawn(shown, log, width, height):
            assert len(rows) <= height and max(map(width_of, rows), default=0) <= width


def test_the_run_and_the_plan_stand_side_by_side() -> None:
    rows = text(draw_profiles(made(bp.planned_log()), frame_of(bp.planned_log()), None, 0, 138, 9)).splitlines()
    fast = next(line for line in rows if "fast" in line)
    for figure in (
        "412 ms",
        "39.8k",
        "48.8 GiB",
        "39 %",
        "14.2 s",
        "3.8 s",
        "2h 08m",
        "02:09",
        "02:17",
        "yes",
        "measured",
    ):
        assert figure in fast, figure
    late = next(line for line in rows if "quality" in line)
    assert "✗ late" in late and "model" in late and "~6h 11m" in late


def test_a_narrow_table_keeps_what_matters_most() -> None:
    rows = text(draw_profiles(made(bp.planned_log()), frame_of(bp.planned_log()), None, 0, 44, 7))
    assert "! tight" in rows and "2h 56m" in rows and "39.8k" not in rows


def test_the_study_s_trials_can_be_taken() -> None:
    names = [line.option.name for line in made(b.study_log(finished=True)).lines]
    assert names[0] == "as it is" and "#7 mb8 ga2 +bf16" in names and not any(name.startswith("#4") for name in names)


def test_an_edit_moves_every_choice() -> None:
    before, after = made(bp.planned_log()), made(bp.planned_log(), {"train.max_steps": 9000})
    for one, other in zip(before.lines, after.lines, strict=True):
        if one.estimate is not None and other.estimate is not None:
            assert other.estimate.terms["steps"] == pytest.approx(one.estimate.terms["steps"] / 2)
    assert sum(line.estimate is not None for line in after.lines) == 4


def test_a_setting_says_what_it_costs() -> None:
    rows = text(draw_fields(made(bp.training()), None, 0, 70, 16)).splitlines()
    line = {name: next(row for row in rows if name in row) for name in ("steps", "eval every", "ckpt every", "margin")}
    assert "most that fit" in line["steps"]
    assert "15 × 14.2 s" in line["eval every"] and "2.8 %" in line["eval every"]
    assert "8 × 3.8 s" in line["ckpt every"] and "safe" in line["margin"]


def test_a_changed_setting_is_marked_by_a_sign() -> None:
    rows = text(draw_fields(made(bp.training(), {"schedule.eval_every": "600 steps"}), None, 0, 70, 16))
    assert "±eval every" in rows and rows.count("±") == 1


def test_the_cost_table_says_how_long_one_is_blind_and_what_a_kill_loses() -> None:
    shown = made(bp.training())
    rows = text(draw_offers(shown, (), FREQUENCY, frequency_offers(shown), None, 76, 24)).splitlines()
    present = next(row for row in rows if "eval 1200" in row)
    assert "●" in present and "15" in present and "3m 33s" in present and "8m 3" in present
    checkpoint = next(row for row in rows if "ckpt 2400" in row)
    assert "●" in checkpoint and "17m" in checkpoint


def test_the_three_schedules_say_what_is_still_seen() -> None:
    shown = made(bp.training())
    rows = text(draw_offers(shown, (), SCHEDULE, schedule_offers(shown), 2, 138, 10))
    for words in (
        "full",
        "fast",
        "ultra fast",
        "training loss, evaluation loss",
        "no checkpoint before the final model",
    ):
        assert words in rows, words


@pytest.mark.parametrize(
    ("edits", "verdict"),
    [
        ({}, "ON TRACK"), ({"train.max_steps": 24_000}, "TIGHT"), ({"train.max_steps": 40_000}, "LATE by"),
        ({"train.micro_batch_size": 16}, "NEEDS A TRIAL"), ({"schedule.generate": True}, "NOT KNOWN"),
        ({"window.length": None, "window.deadline": "2020-01-01 00:00"}, "✗ window.deadline"),
        ({"window.length": None, "window.margin": "0s"}, "finish 03:01"),
    ],
)  # fmt: skip
def test_the_verdict_stands_at_every_size(edits: dict[str, Value], verdict: str) -> None:
    shown = made(bp.training(), edits)
    for width, height in ((40, 3), (60, 4), (80, 4), (138, 6)):
        assert verdict in text(draw_result(shown, width, height)), (width, height)


def test_a_profile_that_does_not_fit_the_memory_is_said_to() -> None:
    assert "DOES NOT FIT THE MEMORY" in text(draw_result(made(bp.planned_log(), profile="memory-efficient"), 80, 4))


def test_room_that_is_left_is_named_in_steps_evaluations_and_step_time() -> None:
    rows = text(draw_result(made(bp.training()), 138, 6))
    assert "room for +" in rows and "eval every" in rows and "slower step" in rows


def test_the_diff_says_before_after_and_what_can_change_now() -> None:
    diff = made(
        bp.training(), {"schedule.eval_every": "600 steps", "train.epochs": 2.0, "train.max_steps": None}
    ).draft.diff()
    rows = text(draw_diff(diff, 0, 100, 9, training=True)).splitlines()
    live = next(row for row in rows if "schedule.eval_every" in row)
    assert "1200 steps  →  600 steps" in live and live.rstrip(" │").endswith("S")
    gone = next(row for row in rows if "train.max_steps" in row)
    assert "18000  →  not set" in gone and not gone.rstrip(" │").endswith("S")


def test_nothing_known_names_the_next_key() -> None:
    log: list[AnyEvent] = [b.run_started(job="tune"), b.model_loaded()]
    shown = made(log)
    assert "R" in text(draw_offers(shown, (), FREQUENCY, [], None, 60, 8)) and shown.missing == "nothing"
    assert "R measures or predicts" in text(draw_result(shown, 80, 4))
    assert "not known" in text(draw_profiles(shown, frame_of(log), None, 0, 80, 7))
