"""The Plan's figures: what a plan computed, what nobody measured, and three schedules against the engine's own."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import builders_plan as bp
import msgspec
import pytest
from builders_plan import made

from speedtui.engine import events as e
from speedtui.engine.config.paths import value_at
from speedtui.engine.log.tail import read_events
from speedtui.engine.plan_types import Plan, Saving
from speedtui.engine.state import fold
from speedtui.tui.draft.draft import Value
from speedtui.tui.draft.next_run import NextRun, NextRunRow
from speedtui.tui.draft.schedule_edit import settings_now
from speedtui.tui.drawing.text import Row, plain
from speedtui.tui.frame import Frame
from speedtui.tui.panes.plan_costs import FREQUENCY, SCHEDULE, draw_offers, frequency_offers, schedule_offers
from speedtui.tui.panes.plan_profiles import draw_profiles, folded_choices
from speedtui.tui.panes.plan_result import draw_result

DEADLINE = Path(__file__).parents[1] / "data" / "recordings" / "deadline.jsonl"
GROUP, LENGTH = "train.group_by_length", "data.max_length"
GROUPED: dict[str, Value] = {GROUP: True}


def planned(**plan: Any) -> list[e.AnyEvent]:
    """A plan for `fast`, with other fields."""
    changed = msgspec.structs.replace(bp.plan(), **plan)
    return [msgspec.structs.replace(one, plan=changed) if isinstance(one, e.PlanMade) else one
            for one in bp.planned_log()]  # fmt: skip


def with_saving() -> list[e.AnyEvent]:
    """Samples of a length together save a quarter of the time in steps."""
    saving = Saving(lever="group_by_length", seconds=1854.0, share=0.25, padding_before=0.3, padding_after=0.05,
                    values={GROUP: True})  # fmt: skip
    return planned(savings=[saving])


def line(shown: NextRun, name: str) -> NextRunRow:
    return next(one for one in shown.lines if one.option.name == name)


def text(rows: list[Row]) -> str:
    return "\n".join(plain(row) for row in rows)


def words(rows: list[Row]) -> str:
    """What stands in a frame, its lines joined."""
    return " ".join(text(rows).replace("│", " ").split())


def profiles(shown: NextRun, log: list[e.AnyEvent], width: int = 138) -> str:
    run = fold(log)
    return text(draw_profiles(shown, Frame(run=run, study=run, clock=run.now), None, 0, width, 12))


def row_of(table: str, name: str) -> str:
    return next(row for row in table.splitlines() if f" {name} " in row)


# --- what a plan computed without running it ---


def test_what_a_plan_computed_is_an_answer_that_is_marked_as_a_guess() -> None:
    log = with_saving()
    before, after = made(log, profile="fast"), made(log, GROUPED, profile="fast")
    assert before.measured and not after.measured and after.missing == ""
    assert before.estimate is not None and after.estimate is not None
    assert after.estimate.p50_seconds == pytest.approx(before.estimate.p50_seconds - 1854.0)
    assert "ON TRACK" in text(draw_result(after, 140, 6)) and "total ~1h 37m" in text(draw_result(after, 140, 6))
    fast = row_of(profiles(after, log), "fast")
    assert "~1h 37m" in fast and "~309 ms" in fast and "~53.1k" in fast and "computed" in fast and "GiB" not in fast


def test_what_was_measured_counts_more_than_what_was_computed() -> None:
    grouped = bp.profile_row("grouped", 8, 9000.0, 48.8)
    grouped = msgspec.structs.replace(grouped, values={**grouped.values, GROUP: True})
    saving = with_saving()
    log = planned(savings=_plan(saving).savings, profiles=[*_plan(saving).profiles, grouped])
    shown = made(log, GROUPED, profile="fast")
    assert shown.measured and shown.estimate is not None and shown.estimate.terms["steps"] == 9000.0


def test_it_holds_only_for_the_steps_that_it_was_computed_for() -> None:
    shown = made(with_saving(), GROUPED, profile="balanced")
    assert shown.estimate is None and shown.missing == "another step"


def _plan(log: list[e.AnyEvent]) -> Plan:
    return next(one.plan for one in log if isinstance(one, e.PlanMade))


# --- edits of which nothing is known ---


def test_an_edit_that_nobody_measured_leaves_the_profiles_their_own_totals() -> None:
    log = bp.planned_log()
    before, after = made(log), made(log, {LENGTH: 4096, "schedule.eval_every": "600 steps"})
    assert after.estimate is None
    evals = made(log, {"schedule.eval_every": "600 steps"})
    for name in ("fast", "balanced", "quality", "memory-efficient"):
        kept, expected = line(after, name), line(evals, name)
        assert kept.left_out and kept.estimate == expected.estimate and kept.estimate is not None
        assert not line(before, name).left_out
    table = profiles(after, log)
    assert "without edits that nobody measured" in table and "2h 11m" in row_of(table, "fast")


@pytest.mark.parametrize("width", [78, 98, 138])
def test_why_there_is_no_result_is_said_in_whole_sentences(width: int) -> None:
    said = words(draw_result(made(bp.training(), {LENGTH: 4096}), width, 4))
    assert "? NEEDS A TRIAL. No run was measured with these steps: take a profile, try them (2, then a)" in said
    assert "or u undoes." in said


# --- what is not known yet ---


def test_profiles_of_which_nothing_is_known_share_a_row() -> None:
    log = bp.training()
    shown = made(log)
    table = profiles(shown, log, 78)
    assert (
        "fast, balanced, quality, memory-efficient: not known yet" in table
        and len(folded_choices(shown.lines).shown) == 1
    )
    taken = made(log, profile="quality")
    assert [one.option.name for one in folded_choices(taken.lines).shown] == ["this run", "quality"]
    assert "4 profiles: not known yet" in profiles(shown, log, 40)


def test_a_predicted_profile_does_not_look_measured() -> None:
    log = bp.planned_log()
    run = fold(log)
    rows = draw_profiles(made(log), Frame(run=run, study=run, clock=run.now), None, 0, 138, 12)
    predicted = next(row for row in rows if "quality" in plain(row))
    figures = [span for span in predicted if "6h 11m" in span.text or "1.2 s" in span.text]
    assert figures and all(span.text.strip().startswith("~") and "dim" in span.style for span in figures)


# --- what has no price ---


def unpriced() -> list[e.AnyEvent]:
    """A plan whose evaluations and checkpoints nobody measured."""
    fast = bp.profile_row("fast", 8, 7416.0, 48.8)
    assert fast.estimate is not None
    terms = {**fast.estimate.terms, "evals": 0.0, "saves": 0.0}
    estimate = msgspec.structs.replace(fast.estimate, terms=terms, p50_seconds=7461.0, p90_seconds=7900.0)
    row = msgspec.structs.replace(fast, estimate=estimate, eval_seconds=None, save_seconds=None)
    return planned(profiles=[row])


def test_a_total_without_what_nobody_measured_says_so() -> None:
    shown = made(unpriced(), profile="fast")
    result = text(draw_result(shown, 138, 6))
    assert "total ≥2h 04m" in result and "without evaluations and checkpoints: not measured" in result
    assert "? NOT KNOWN" in result and "ON TRACK" not in result
    assert "finish ≥" in result and "spare" not in result
    fast = row_of(profiles(shown, unpriced()), "fast")
    assert "≥2h 04m" in fast and "yes" not in fast and " ? " in fast


def test_nothing_is_said_to_fit_while_evaluations_have_no_price() -> None:
    shown = made(unpriced(), profile="fast")
    assert shown.goals == ()
    table = text(draw_offers(shown, (), FREQUENCY, frequency_offers(shown), None, 138, 24))
    assert "≥" in row_of(table, "eval 300") and "yes" not in row_of(table, "eval 300")


def test_what_is_measured_is_complete() -> None:
    assert made(bp.training()).unpriced == () and "≥" not in text(draw_result(made(bp.training()), 138, 6))


# --- three schedules ---


def test_schedules_of_a_training_that_generates_are_what_its_own_events_add_up_to() -> None:
    log = list(read_events(DEADLINE))
    shown = made(log)
    done = [one for one in log if isinstance(one, e.EvaluationCompleted)]
    saves = [one.seconds for one in log if isinstance(one, e.CheckpointSaved) and not one.final]
    steps = fold(log).training
    assert steps is not None
    step = steps.step_totals.seconds / steps.step_totals.count
    phases = {name: math.fsum(one.phases.get(name, 0.0) for one in done) for name in ("generate", "metric")}
    full = [one for one in done if one.phases.get("generate")]
    loss = (math.fsum(one.seconds for one in done) - sum(phases.values())) / len(done)
    answers = sum(phases.values()) / len(full)
    by_name = {row.name: row for row in shown.schedules}
    assert list(by_name) == ["full", "fast", "ultra fast"]
    save = math.fsum(saves) / len(saves)
    for row in by_name.values():
        assert row.epoch_seconds == pytest.approx(20 * step, rel=1e-3)
    assert by_name["full"].gap_seconds == pytest.approx((20 * (loss + answers) + 19 * save) / 20, rel=0.02)
    assert by_name["fast"].gap_seconds == pytest.approx((20 * loss + 10 * answers) / 20, rel=0.05)
    assert by_name["ultra fast"].gap_seconds == pytest.approx(loss / 4 / 20, rel=0.05)
    for row in by_name.values():
        rest = row.total_seconds - 20 * (row.epoch_seconds + row.gap_seconds)
        assert 0 < rest < 10  # to load the model and to save it
    assert by_name["full"].total_seconds > by_name["fast"].total_seconds > by_name["ultra fast"].total_seconds
    assert value_at(settings_now(fold(log)), "schedule.metric") != ""


def test_the_table_of_schedules_holds_epoch_gap_total_and_what_is_seen() -> None:
    shown = made(list(read_events(DEADLINE)))
    table = text(draw_offers(shown, (), SCHEDULE, schedule_offers(shown), None, 78, 8))
    heading = table.splitlines()[1]
    assert [word for word in ("epoch", "between", "total", "loss", "answers", "ckpt") if word in heading] == [
        "epoch", "between", "total", "loss", "answers", "ckpt",
    ]  # fmt: skip
    fast = row_of(table, "fast")
    assert "1 epoch" in fast and "2 epochs" in fast and "best, 30m" in fast
    ultra = row_of(table, "ultra fast")
    assert "at end" in ultra and "never" in ultra
    rows = draw_offers(shown, (), SCHEDULE, schedule_offers(shown), None, 78, 8)
    assert "full, still monitored: training loss, evaluation loss, answers and metric every epoch" in words(rows)


@pytest.mark.parametrize("height", [4, 6])
def test_every_letter_of_the_bar_is_named_beside_it_or_below_it(height: int) -> None:
    drawn = text(draw_result(made(bp.training()), 80, height)).splitlines()
    letters = set(drawn[1]) & set("SEC")
    named = {"S": "S start", "E": "E eval", "C": "C ckpt"}
    assert letters and all(named[letter] in " ".join(drawn[:1] + drawn[2:]) for letter in letters)
