from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import struct
import termios

import msgspec
import pytest

from speedtui.engine.output import WIDTH
from speedtui.engine.plan.render import render_plan
from speedtui.engine.plan.report import plan_document
from speedtui.engine.plan.tables import checkpoint_frequencies
from speedtui.engine.plan_types import Goal, Plan
from tests.engine.plan.estimators import STEPS_PER_EPOCH, estimator, settings
from tests.engine.plan.plans import MADE_AT, WINDOW, plan, row

VERSIONS = {"torch": "2.13.0", "transformers": "5.23.0"}


def part(text: str, start: str) -> str:
    """The paragraph that begins so."""
    return next(paragraph for paragraph in text.split("\n\n") if paragraph.lstrip().startswith(start))


def test_the_head_says_what_is_planned_for_which_device_and_time() -> None:
    head = render_plan(plan(), WINDOW).split("\n\n")[0]
    assert head.splitlines() == [
        "device    NVIDIA H100 80GB HBM3, 80.0 GiB",
        "data      8000 rows, 500 tokens each, 4.0M in all, the longest 1024",
        "window    3h 20m left, until 18:40, 20m 00s margin: safe until 18:20",
        "choice    balanced, 3 epochs, max length 2048: 8000 rows lie between 5000 and 15000; as planned here",
        "          4 epochs, max length 1024",
    ]


def test_the_profiles_stand_side_by_side() -> None:
    table = part(render_plan(plan(), WINDOW), "profile")
    assert table.splitlines() == [
        "   profile           epochs   tok/s       peak    total  finish    p90     spare  fits    source",
        "   fast                   4   40.4k   48.9 GiB   2h 06m   17:26  17:32  +54m 00s  yes     measured",
        "*  balanced               4   39.8k   48.8 GiB   2h 08m   17:28  17:34  +52m 00s  yes     measured",
        "   quality                4   26.8k  ~22.4 GiB   3h 08m   18:28  18:37   -8m 00s  tight   2 days old",
        "   memory-efficient       4  ~13.4k  ~77.0 GiB  ~6h 10m   21:30  21:48   -3h 10m  no      model",
        "   huge                   4       –  ~96.0 GiB        –       –      –         –  memory  model",
        "  * mb8 ga2 r16, 400 steps: load 40s, steps 2h 04m, evals 3m 00s, saves 15s, final 5s",
        "  memory-efficient: not probed: it would take 4 minutes",
    ]


def test_what_was_given_up_is_said_with_what_it_saves() -> None:
    text = " ".join(part(render_plan(plan(), WINDOW), "changed").split())
    assert text == (
        "changed so that it fits "
        "balanced: train.micro_batch_size 16 → 8, 16 need 91.0 GiB; saves 42.0 GiB; gives up nothing in quality "
        "balanced: train.epochs 5 → 4, 5 epochs end 24 minutes late; saves 38m 00s; gives up: an epoch of training"
    )


def test_the_tables_mark_the_present_spacing_and_the_recommended_checkpoint() -> None:
    text = render_plan(plan(), WINDOW)
    evaluations = part(text, "evaluations").splitlines()
    assert evaluations[1:3] == [
        "   every              count    cost   share    total  finish  fits",
        "   0.25 epochs           16  8m 00s  49.5 %  16m 10s   15:36  yes",
    ]
    assert [line.split()[1:3] for line in evaluations if line.startswith("*")] == [["1", "epoch"]]
    checkpoints = part(text, "checkpoints")
    assert "*  1m            7  35.0 s   6.0 %   9m 40s   15:29  yes         1m 00s" in checkpoints.splitlines()
    assert checkpoints.splitlines()[-1] == "  recommended: every 2m, the most often within 3.5 % of the run"


def test_the_rest_follows_and_the_last_line_says_what_to_do_next() -> None:
    text = render_plan(plan(), WINDOW, next_step="Train as planned: sh train.sh")
    starts = [paragraph.lstrip().split()[0] for paragraph in text.split("\n\n")]
    assert starts == [
        "device", "profile", "changed", "evaluations,", "checkpoints,", "schedule", "the", "computed", "advice",
        "next:",
    ]  # fmt: skip
    assert "  packing: costs 3m 10s, 6 % of the steps; padding 38 % → 1 %" in text
    assert text.splitlines()[-1] == "next: Train as planned: sh train.sh"
    assert "next:" not in render_plan(plan(), WINDOW)


def test_no_line_is_wider_than_a_hundred_columns() -> None:
    long = plan(
        device="a device with a name that somebody thought about for much too long " * 2,
        profiles=[row("a-profile-of-somebodys-own", 400_000.0, step_seconds=1.2, tokens_per_second=1.0, source="model",
                      peak_bytes=1023 * 1024**2, note="word " * 60)],
        selected="a-profile-of-somebodys-own",
    )  # fmt: skip
    for made in (plan(), long):
        assert max(len(line) for line in render_plan(made, WINDOW).splitlines()) <= WIDTH
    table = part(render_plan(long, WINDOW), "profile")
    assert "step" not in table.splitlines()[0] and "finish" in table.splitlines()[0]


@pytest.mark.parametrize(("columns", "widest"), [(80, 80), (200, WIDTH)])
def test_on_a_narrow_terminal_no_line_of_a_plan_is_broken_by_it(
    columns: int, widest: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    main, sub = pty.openpty()
    fcntl.ioctl(sub, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    with os.fdopen(main, "rb"), os.fdopen(sub, "w") as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        long = Goal(
            what="evals", value=125, text="an evaluation after each of the 125 steps: " + "word " * 20, values={}
        )
        lines = render_plan(plan(goals=[long]), WINDOW).splitlines()
    assert widest - 20 < max(map(len, lines)) <= widest
    assert any(line.split()[:3] == ["profile", "epochs", "peak"] for line in lines) == (columns == 80)


def test_a_finish_on_another_day_names_it() -> None:
    made = plan(profiles=[row("fast", 12 * 3600.0), row("balanced", 10 * 86400.0)])
    text = render_plan(made, WINDOW)
    assert re.search(r"fast .*Sat 03:20", text)
    assert re.search(r"balanced .*2026-05-11 15:20", text)


def test_a_plan_without_window_or_figures_is_dashes_and_not_zeros() -> None:
    bare = plan(
        profiles=[row("balanced", None, fit="unknown", source="model", finish_p50=None)], frequencies=[], schedules=[],
        goals=[], savings=[], advice=[], mean_tokens=None, longest_tokens=None, total_tokens=None, limit_bytes=None,
    )  # fmt: skip
    text = render_plan(bare, None)
    assert "window    none: set window.length or window.deadline to see what fits" in text
    assert "data      8000 rows\n" in text
    assert part(text, "profile").splitlines()[1].split() == ["*", "balanced", "4", *["–"] * 8, "model"]
    assert text.count("\n\n") == 1


def test_a_cost_that_was_not_measured_is_a_dash() -> None:
    unmeasured = [msgspec.structs.replace(r, cost_seconds=0.0, share=0.0) for r in plan().frequencies]
    line = part(render_plan(plan(frequencies=unmeasured), WINDOW), "evaluations").splitlines()[2]
    assert line.split()[2:5] == ["16", "–", "–"]


def test_sources_and_targets_are_told_apart() -> None:
    pairs = plan(mean_tokens=50.5, longest_tokens=29, longest_target_tokens=64, mean_target_tokens=30.0)
    head = render_plan(pairs, WINDOW).split("\n\n")[0]
    assert "50.5 tokens each, 4.0M in all, sources longest 29, mean 20; targets longest 64, mean 30" in " ".join(
        head.split()
    )


def test_where_only_the_best_is_saved_no_interval_in_epochs_is_named() -> None:
    asked = settings()
    asked = msgspec.structs.replace(asked, schedule=msgspec.structs.replace(asked.schedule, save_only_best=True))
    rows = checkpoint_frequencies(asked, estimator(), WINDOW, MADE_AT, STEPS_PER_EPOCH)
    table = part(render_plan(plan(frequencies=rows), WINDOW), "checkpoints")
    assert re.search(r"^\*  the best ", table, re.MULTILINE)
    assert "epoch " not in table
    assert "the best: after each evaluation that is the best so far; steps and epochs are not kept" in table


def document(made: Plan) -> dict[str, object]:
    encoded: dict[str, object] = json.loads(msgspec.json.encode(plan_document(made, "plan-1", WINDOW, VERSIONS)))
    return encoded


def test_the_report_holds_the_estimate_the_verdict_and_every_row() -> None:
    report = document(plan())
    assert report["profile"] == "balanced"
    assert report["estimate"] == {
        "hours": 2.1333, "p50_seconds": 7680.0, "p90_seconds": 8064.0,
        "terms": {"load": 40.0, "steps": 7440.0, "evals": 180.0, "saves": 15.0, "final": 5.0},
        "total_steps": 400, "evals": 4, "saves": 3, "source": "measured",
    }  # fmt: skip
    assert (report["verdict"], report["fits_in_window"], report["fits_in_memory"]) == ("on_track", True, True)
    assert (report["run"], report["versions"]) == ("plan-1", VERSIONS)
    assert report["dataset"] == {
        "train_rows": 8000, "mean_tokens": 500.0, "longest_tokens": 1024, "total_tokens": 4_000_000,
        "mean_target_tokens": None, "longest_target_tokens": None, "held_out_rows": 0, "cut_rows": 0,
        "dropped_rows": 0, "eval_cut_rows": 0, "eval_dropped_rows": 0,
    }  # fmt: skip
    back = {name: report[name] for name in ("profiles", "frequencies", "schedules", "goals", "savings", "advice")}
    again = msgspec.convert(msgspec.to_builtins(plan()) | back, Plan)
    assert again == plan()


@pytest.mark.parametrize(
    ("selected", "verdict", "fits"),
    [("quality", "tight", False), ("memory-efficient", "late", False), ("huge", "no_memory", False), ("x", None, None)],
)
def test_the_report_says_why_it_does_not_fit(selected: str, verdict: str | None, fits: bool | None) -> None:
    report = document(plan(selected=selected))
    assert (report["verdict"], report["fits_in_window"]) == (verdict, fits)


def test_times_in_the_report_have_their_zone() -> None:
    report = plan_document(plan(made_at=MADE_AT), "plan-1", None, {})
    assert report["time"].endswith("+00:00")
    assert report["window"] is None
    assert report["finish"]["p50"].endswith("+00:00")


def test_the_choice_says_what_runs_where_that_is_not_what_the_data_asks_for() -> None:
    def chosen(**fields: float) -> str:
        rows = [msgspec.structs.replace(r, **fields) if r.profile == "balanced" else r for r in plan().profiles]
        head = render_plan(plan(profiles=rows), WINDOW).split("\n\n")[0]
        return " ".join(head.split("choice")[1].split())

    asked = "balanced, 3 epochs, max length 2048: 8000 rows lie between 5000 and 15000"
    assert chosen(epochs=3.0, max_length=2048) == asked
    assert chosen(epochs=3.0, max_length=512) == f"{asked}; as planned here max length 512"
    assert chosen(epochs=0.25, max_length=2048) == f"{asked}; as planned here 0.25 epochs"
    assert chosen(epochs=0.25, max_length=512) == f"{asked}; as planned here 0.25 epochs, max length 512"
