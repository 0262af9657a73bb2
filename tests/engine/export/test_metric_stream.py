from __future__ import annotations

from collections.abc import Iterable

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.export.metrics import ETA_SECONDS, MetricPoint, MetricStream
from tests.engine import events_of_a_run as a
from tests.engine.export.recorded_run import (
    ESTIMATE,
    STARTED_AT,
    eta,
    evaluation,
    run_started,
    study_events,
    training_events,
    training_finished,
)  # fmt: skip


def points_of(events: Iterable[e.AnyEvent], **about: float | bool) -> list[MetricPoint]:
    stream = MetricStream(**about)  # type: ignore[arg-type]
    return [point for event in events for point in stream.take(event)]


def series(points: list[MetricPoint], name: str) -> list[tuple[int, float]]:
    return [(point.step, point.values[name]) for point in points if name in point.values]


def test_a_training_gives_every_name_a_tracker_is_promised() -> None:
    points = points_of(training_events(), estimated_seconds=ESTIMATE.p50_seconds)
    names = {name for point in points for name in point.values}
    assert names == {
        "train/loss", "train/nonfinite_steps", "train/learning_rate", "train/tokens_per_second",
        "phases/forward", "phases/backward",
        "phases/other", "memory/peak_allocated_bytes", "memory/peak_reserved_bytes", "eval/loss", "eval/accuracy",
        "training/elapsed_hours", "training/remaining_hours", "training/on_track", "optimization/estimated_hours",
        "optimization/actual_hours", "optimization/time_accuracy",
    }  # fmt: skip
    assert series(points, "eval/accuracy") == [(2, 0.25), (4, 0.5)]
    assert series(points, "eval/loss") == [(2, 1.8), (4, 1.6)]
    assert series(points, "train/tokens_per_second")[0] == (1, pytest.approx(2000))
    assert points[1].time == pytest.approx(STARTED_AT + 10.4)


def test_a_loss_that_is_not_finite_is_no_point() -> None:
    points = points_of(training_events())
    assert series(points, "train/loss") == [(1, 2.0), (2, 1.5), (3, 1.25)]
    assert series(points, "train/learning_rate")[-1] == (4, 0.0)
    strange = points_of([run_started(), a.training(), evaluation(1, 2.0, None, accuracy=float("nan"), bleu=0.5)])
    assert [point.values for point in strange] == [{"eval/bleu": 0.5}]


def test_time_accuracy_is_the_estimate_over_what_it_took() -> None:
    points = points_of(training_events(), estimated_seconds=3600.0)
    assert series(points, "optimization/estimated_hours") == [(0, 1.0), (4, 1.0)]
    assert series(points, "optimization/actual_hours") == [(4, pytest.approx(4000 / 3600))]
    assert series(points, "optimization/time_accuracy") == [(4, pytest.approx(0.9))]


@pytest.mark.parametrize("reason", ["deadline", "patience", "stop"])
def test_a_training_that_ended_early_says_nothing_of_its_estimate(reason: e.EndReason) -> None:
    events = [*training_events()[:-2], training_finished(1000.0, 2, reason)]
    assert series(points_of(events, estimated_seconds=3600.0), "optimization/time_accuracy") == []


def test_a_training_with_an_interruption_says_nothing_of_its_estimate() -> None:
    again = run_started(restarts=1)
    events = [*training_events()[:-2], again, training_finished(4000.0, 4)]
    points = points_of(events, estimated_seconds=3600.0)
    assert series(points, "optimization/time_accuracy") == []
    assert len(series(points, "optimization/actual_hours")) == 1


def test_on_track_is_one_until_the_likely_finish_is_past_the_deadline() -> None:
    verdicts: list[e.Verdict | None] = ["measuring", "on_track", "tight", "late", None]
    events = [eta(100.0 * i, 50.0, verdict) for i, verdict in enumerate(verdicts)]
    points = points_of([run_started(), a.training(), *events])
    assert [value for _, value in series(points, "training/on_track")] == [1.0, 1.0, 0.0]
    assert [value for _, value in series(points, "training/elapsed_hours")] == pytest.approx(
        [0.0, 100 / 3600, 200 / 3600, 300 / 3600, 400 / 3600]
    )


def test_estimates_come_now_and_then_and_at_once_when_the_verdict_changes() -> None:
    every_second = [eta(float(t), 50.0, "on_track" if t < 25 else "late") for t in range(40)]
    points = points_of([run_started(), a.training(), *every_second])
    times = [round(value * 3600) for _, value in series(points, "training/elapsed_hours")]
    assert times == [0, 10, 20, 25, 35]
    assert ETA_SECONDS == 10


def test_steps_that_are_done_again_after_a_restart_are_told_once() -> None:
    first = [a.step(number) for number in (1, 2, 3, 4)]
    again = [a.step(number, loss=9.0) for number in (3, 4, 5)]
    points = points_of([run_started(), a.training(), *first, run_started(restarts=1), *again])
    assert [step for step, _ in series(points, "train/loss")] == [1, 2, 3, 4, 5]
    later = points_of([a.training(), *again], told_step=4)
    assert [step for step, _ in series(later, "train/loss")] == [5]


def test_a_line_of_many_steps_gives_seconds_a_step() -> None:
    line = a.step(10, seconds=2.0, steps=5, device_phases={"forward": 1.0})
    (point,) = points_of([line])
    assert point.values["phases/forward"] == pytest.approx(0.12)
    assert point.values["device_phases/forward"] == pytest.approx(0.2)


def test_a_phase_that_a_line_leaves_out_took_no_time() -> None:
    lines = [a.step(1), msgspec.structs.replace(a.step(2), phases={"forward": 0.4})]
    points = points_of(lines)
    assert series(points, "phases/backward") == [(1, pytest.approx(0.24)), (2, 0.0)]


def test_steps_of_trials_are_no_training() -> None:
    assert points_of(study_events()) == []


def test_a_training_in_one_run_with_its_study_counts_from_its_own_start() -> None:
    result = msgspec.structs.replace(
        a.ok(8.0), estimate=msgspec.structs.replace(ESTIMATE, terms={"load": 600.0, "steps": 3000.0})
    )
    events = [
        run_started("demo"), a.study(0), a.finished(0, result), a.training(trial=0),
        eta(10 + 36.0, 72.0), training_finished(10 + 1500.0, 4),
    ]  # fmt: skip
    points = points_of(events)
    assert series(points, "optimization/estimated_hours")[0] == (0, pytest.approx(3000 / 3600))
    assert series(points, "training/elapsed_hours")[0] == (0, pytest.approx(0.01))
    assert series(points, "optimization/time_accuracy") == [(4, pytest.approx(2.0))]
