from __future__ import annotations

from datetime import datetime

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.plan_types import Advice
from speedtui.tui.commands import words
from speedtui.tui.commands.words import Words
from tests.engine.events_of_a_run import started, step, training

NOON = datetime(2026, 5, 28, 12, 0).timestamp()


@pytest.fixture(autouse=True)
def _always_due(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every line is due: how often they come is another test's."""
    monkeypatch.setattr(words, "STEP_LINE_SECONDS", 0.0)
    monkeypatch.setattr(words, "PROGRESS_LINE_SECONDS", 0.0)


def lines(*events: e.AnyEvent) -> list[str]:
    told = Words()
    beginning = [started("train", started_at=NOON), training(total=1200)]
    for event in beginning:
        told.text(event)
    return [text for event in events if (text := told.text(event)) is not None]


def eta(
    t: float, p50: float | None, verdict: e.Verdict | None = "on_track", spare: float | None = 1620.0
) -> e.EtaUpdated:
    return e.EtaUpdated(
        t=t, p50_seconds=p50, p90_seconds=p50, verdict=verdict, spare_seconds=spare, steps_per_hour=3010.4
    )


LEVER = Advice(
    kind="too_slow", evidence="20 evaluations still to come", lever="evaluate every 3 epochs instead of every 1 epoch",
    changes={"schedule.eval_every": "3 epochs"}, gain_seconds=2880.0,
)  # fmt: skip


def test_a_step_line_says_how_far_how_fast_and_when_it_is_done() -> None:
    found = lines(eta(290.0, 1160.0), step(240, t=291.0, seconds=1.21, loss=2.1344))
    assert found[-1] == (
        "step 240/1200 20%  loss 2.134  1.2 s/step  3,010 steps/h  elapsed 4m 51s  remaining 19m 19s  done 12:24  "
        "ON TRACK, 27m 00s to spare"
    )


def test_without_a_window_there_is_no_verdict_and_without_an_estimate_no_finish() -> None:
    assert lines(eta(290.0, 1160.0, None, None), step(240, t=291.0))[-1].endswith("done 12:24")
    assert lines(step(240, t=291.0, seconds=1.2))[-1] == (
        "step 240/1200 20%  loss 2.000  1.2 s/step  3,000 steps/h  elapsed 4m 51s"
    )
    assert lines(eta(290.0, None, "measuring", None), step(240, t=291.0))[-1].endswith("elapsed 4m 51s")


def test_a_finish_on_another_day_says_which() -> None:
    assert "done Fri 00:04" in lines(eta(290.0, 43200.0), step(240, t=291.0))[-1]


def test_a_flip_of_the_verdict_has_a_line_of_its_own_at_once() -> None:
    found = lines(
        eta(10.0, None, "measuring", None), eta(30.0, 1000.0), eta(31.0, 999.0), eta(60.0, 1000.0, "tight", 60.0),
        eta(90.0, 5000.0, "late", -720.0),
    )  # fmt: skip
    assert found == [
        "now ON TRACK, 27m 00s to spare, done 12:17",
        "warning: now TIGHT, 1m 00s to spare, done 12:17",
        "warning: now LATE by 12m 00s, done 13:24",
    ]


def test_a_late_run_names_the_best_lever_and_what_it_gains() -> None:
    levers = e.LeversFound(t=91.0, levers=[LEVER], short_seconds=720.0)
    found = lines(eta(90.0, 5000.0, "late", -720.0), levers, step(240, t=92.0))
    assert found[-1].endswith("LATE by 12m 00s: evaluate every 3 epochs instead of every 1 epoch saves 48m 00s")
    gone = lines(
        eta(90.0, 5000.0, "late", -720.0), levers, e.LeversFound(t=93.0, levers=[], short_seconds=0.0), step(241)
    )
    assert gone[-1].endswith("LATE by 12m 00s")


def test_an_evaluation_says_how_far_it_is_between_the_steps() -> None:
    progress = e.ProgressMade(t=300.0, what="evaluating", done=90, total=200)
    assert lines(step(240, t=291.0), eta(299.0, 1000.0), progress)[-1] == (
        "step 240/1200 20%  evaluating: 45% of 200  elapsed 5m 00s  remaining 16m 39s  done 12:21  "
        "ON TRACK, 27m 00s to spare"
    )
    assert lines(e.ProgressMade(t=3.0, what="tokenizing", done=1, total=4))[-1] == "tokenizing: 25% of 4"


def test_a_loss_that_is_not_finite_and_a_probe_of_a_trial() -> None:
    assert "loss not finite" in lines(step(3, loss=None, nonfinite=True))[-1]
    assert lines(step(3, trial=1, probe="throughput")) == []


def test_fewer_steps_set_on_the_way_count_in_the_next_line() -> None:
    change = e.SettingsChanged(t=20.0, step=3, reason="command", values={"train.max_steps": 480})
    assert lines(step(3), change, step(240))[-1].startswith("step 240/480 50%")


def test_lines_come_only_so_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(words, "STEP_LINE_SECONDS", 3600.0)
    assert len(lines(*(step(n) for n in range(1, 50)))) == 1


def test_quiet_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    told = Words(quiet=True)
    for event in (started("train"), training(), step(1)):
        told.write(b"", event)
    assert capsys.readouterr().out == ""


def test_the_same_lever_is_warned_of_once_until_the_shortage_is_another() -> None:
    def found(t: float, short: float) -> e.LeversFound:
        gain = LEVER.gain_seconds or 0.0
        return e.LeversFound(
            t=t, levers=[msgspec.structs.replace(LEVER, gain_seconds=gain + 9 * t)], short_seconds=short
        )

    wandering = [found(10.0 * n, short) for n, short in enumerate((100.0, 130.0, 90.0, 120.0, 70.0, 110.0, 95.0))]
    told = lines(
        *wandering, found(80.0, 400.0), e.LeversFound(t=90.0, levers=[], short_seconds=0.0), found(100.0, 400.0)
    )
    assert [line.partition(":")[0] for line in told] == ["warning"] * 3
    assert [line.partition("late by ")[2].partition(":")[0] for line in told] == ["1m 40s", "6m 40s", "6m 40s"]


def test_what_gets_no_further_is_told_again_after_a_while_only(monkeypatch: pytest.MonkeyPatch) -> None:
    still = [e.ProgressMade(t=t, what="predicting memory", done=0, total=2) for t in range(9)]
    further = e.ProgressMade(t=9.0, what="predicting memory", done=1, total=2)
    assert lines(*still, further, further) == ["predicting memory: 0% of 2", "predicting memory: 50% of 2"]
    monkeypatch.setattr(words, "STILL_LINE_SECONDS", 0.0)
    assert len(lines(*still)) == len(still)


@pytest.mark.parametrize(
    ("largest", "effective", "end"),
    [
        (8, 16, ", at most mb8 fits"),
        (16, 16, ", even mb16 fits, which is the whole effective batch"),
        (16, None, ", at most mb16 fits"),
        (None, 16, ""),
    ],
)
def test_the_effective_batch_is_not_told_as_a_limit_of_memory(
    largest: int | None, effective: int | None, end: str
) -> None:
    predicted = e.MemoryPredicted(
        t=1.0, label="checkpointing off", micro_batch_size=1, predicted_bytes=1024**3,
        largest_micro_batch_size=largest, effective_batch_size=effective,
    )  # fmt: skip
    assert lines(predicted) == [f"checkpointing off: memory ~1.0 GiB{end}"]
