"""State stays small and exact however long a run is, and however often it begins anew."""

from __future__ import annotations

import pickle
from itertools import pairwise

import pytest

from speedtui.engine import events as e
from speedtui.engine.state import RunState, StateReducer, Totals, fold
from speedtui.engine.state.series import GrowingSeries, ThinnedList
from tests.engine.events_of_a_run import started, step, training


def evaluation(step: int, *, loss: float = 2.0, seconds: float = 3.0, **changes: object) -> e.EvaluationCompleted:
    return e.EvaluationCompleted(t=10.0 + step, step=step, loss=loss, seconds=seconds, rows=8, **changes)  # type: ignore[arg-type]


def saved(step: int, *, seconds: float = 1.5, write_seconds: float | None = 1.0) -> e.CheckpointSaved:
    return e.CheckpointSaved(
        t=10.5 + step, step=step, path=f"checkpoint-{step}", bytes=1 << 20, seconds=seconds, write_seconds=write_seconds
    )


def of_training(*events: e.AnyEvent) -> RunState:
    return fold([started("train"), training(total=100_000), *events])


def test_totals_stay_exact_while_the_lists_are_thinned() -> None:
    events: list[e.AnyEvent] = []
    for n in range(1, 3001):
        events += [
            evaluation(n, kind="full" if n % 10 == 0 else "loss"),
            saved(n),
            e.SpanCompleted(t=1.0 * n, phase="gap", seconds=2.0),
        ]
    found = of_training(*events, evaluation(3001, seconds=9.0)).training
    assert found is not None
    assert len(found.evaluations) <= 520 and len(found.checkpoints) <= 128 and len(found.gaps) <= 100
    assert found.full_evaluations == Totals(count=301, seconds=909.0, largest_seconds=9.0)
    assert found.loss_evaluations == Totals(count=2700, seconds=8100.0, largest_seconds=3.0)
    assert (found.checkpoint_totals.count, found.checkpoint_totals.seconds) == (3000, 4500.0)
    assert found.write_totals.seconds == 3000.0
    assert (found.gap_totals.count, found.gap_totals.mean_seconds) == (3000, 2.0)


def test_thinning_keeps_full_evaluations_beside_many_of_the_loss_alone() -> None:
    events = [evaluation(n, kind="full" if n % 100 == 0 else "loss") for n in range(1, 5001)]
    found = of_training(*events).training
    assert found is not None
    assert [done.step for done in found.evaluations if done.kind == "full"] == list(range(100, 5001, 100))


def test_the_best_and_the_last_evaluation_are_always_kept() -> None:
    events = [evaluation(n, loss=1.0 if n == 777 else 2.0, best=n == 777) for n in range(1, 4002)]
    found = of_training(*events).training
    assert found is not None
    assert found.best is not None and found.best.step == 777
    assert 777 in [done.step for done in found.evaluations]
    assert found.evaluations[-1].step == 4001
    assert [done.step for done in found.evaluations] == sorted(done.step for done in found.evaluations)


def test_a_resumed_training_goes_back_to_the_step_it_resumes_from() -> None:
    before = [
        *(step(n, loss=float(n)) for n in range(1, 31)),
        evaluation(20, best=True),
        saved(20),
        evaluation(30, best=True),
    ]
    state = of_training(*before, started("train", t=60.0, restarts=1), training(total=100_000, t=61.0, first_step=20))
    found = state.training
    assert found is not None
    assert (found.step, found.started_at, found.resumes) == (20, 10.0, 1)
    assert found.losses[-1] == (20, 20.0) and found.step_history[-1][0] == 20
    assert [done.step for done in found.evaluations] == [20]
    assert found.best is not None and found.best.step == 20
    assert found.full_evaluations.count == 2, "the time was spent"
    assert found.step_totals.count == 30


def test_steps_done_again_are_shown_once() -> None:
    first = [step(n, loss=5.0) for n in range(1, 31)]
    again = [step(n, loss=3.0) for n in range(21, 41)]
    found = of_training(*first, training(total=100_000, first_step=20), *again).training
    assert found is not None
    assert [x for x, _ in found.losses] == list(range(1, 41))
    assert [y for x, y in found.losses if x > 20] == [3.0] * 20


def test_a_training_that_begins_again_from_nothing_drops_all_it_showed() -> None:
    found = of_training(
        *(step(n) for n in range(1, 10)), saved(5), training(total=100_000), step(1, loss=1.25)
    ).training
    assert found is not None
    assert found.losses == ((1, 1.25),)
    assert found.checkpoints == () and found.checkpoint_totals.count == 1


def test_a_training_ended_by_its_deadline_goes_on_in_the_same_series() -> None:
    end = e.TrainingFinished(
        t=50.0,
        steps=30,
        seconds=20.0,
        first_loss=2.0,
        last_loss=2.0,
        model_path="m",
        reason="deadline",
        total_steps=100,
    )
    resumed = [started("train", t=70.0, restarts=1), training(t=71.0, first_step=30), step(31)]
    found = of_training(*(step(n) for n in range(1, 31)), end, *resumed).training
    assert found is not None
    assert found.finished is None
    assert [x for x, _ in found.losses] == list(range(1, 32))


def test_the_books_of_a_run_that_ended_stay_when_it_goes_on() -> None:
    books = e.Books(wall=40.0, phases={"load": 40.0}, unaccounted=0.0)
    end = e.RunFinished(t=40.0, outcome="stopped", exit_code=0, books=books)
    assert of_training(end, started("train", t=60.0, restarts=1)).books == books


def test_the_schedule_shows_what_was_changed_and_the_rest_as_configured() -> None:
    config = {"schedule": {"eval_every": "1 epoch", "metric": "m.py:f", "beams": 4}}
    change = e.SettingsChanged(
        t=20.0, step=3, reason="command",
        values={"schedule.eval_every": "3 epochs", "schedule.metric": "", "train.micro_batch_size": 4},
    )  # fmt: skip
    state = fold([started("train", config=config), training(), change])
    assert state.schedule == {"eval_every": "3 epochs", "metric": "", "beams": 4}
    assert fold([started("train", config=config)]).schedule == config["schedule"]
    assert RunState().schedule == {}


def test_fewer_steps_set_on_the_way_move_the_end() -> None:
    change = e.SettingsChanged(t=20.0, step=3, reason="command", values={"train.max_steps": 400})
    found = of_training(step(100), change).training
    assert found is not None and (found.total_steps, found.progress) == (400, 0.25)


STALL = e.Stalled(t=500.0, phase="eval", seconds=90.0, budget_seconds=60.0)


@pytest.mark.parametrize(
    "sign",
    [
        step(5), evaluation(5), saved(5), e.ProgressMade(t=510.0, what="evaluating", done=3, total=9),
        e.CommandReceived(t=510.0, id="a", command="pause"), e.WorkerLost(t=510.0, reason="killed", restarting=False),
    ],
    ids=lambda event: type(event).__name__,
)  # fmt: skip
def test_any_sign_of_life_ends_a_stall(sign: e.AnyEvent) -> None:
    assert of_training(STALL).stalled == STALL
    state = of_training(STALL, sign)
    assert state.stalled is None
    assert state.stalls == (STALL,)


@pytest.mark.parametrize(
    "other",
    [
        e.BooksUpdated(t=505.0, books=e.Books(wall=505.0, phases={}, unaccounted=505.0)),
        e.EtaUpdated(t=505.0, p50_seconds=5.0, p90_seconds=6.0, verdict=None),
        e.Notice(t=505.0, level="info", text="the tracker answers again"),
    ],
    ids=lambda event: type(event).__name__,
)
def test_what_other_threads_say_does_not_end_a_stall(other: e.AnyEvent) -> None:
    assert of_training(STALL, other).stalled == STALL


def test_a_stall_lasts_from_the_last_sign_of_life_to_the_next() -> None:
    longer = e.Stalled(t=560.0, phase="eval", seconds=150.0, budget_seconds=60.0)
    state = of_training(STALL, longer, evaluation(590))  # at t = 600; silent since 410
    assert state.stall_totals == Totals(count=1, seconds=190.0, largest_seconds=190.0)
    assert state.stalls == (longer,)
    assert of_training(STALL, longer).stall_totals.seconds == 150.0


def test_a_command_is_pending_until_it_is_answered() -> None:
    received = [e.CommandReceived(t=1.0, id="a", command="evaluate"), e.CommandReceived(t=1.1, id="b", command="set")]
    assert of_training(*received).pending_commands == ("evaluate", "set")
    answered = of_training(*received, e.CommandApplied(t=2.0, id="a", command="evaluate"))
    assert answered.pending_commands == ("set",)
    assert of_training(*received, e.CommandRefused(t=2.0, id="b", command="set", reason="no")).pending_commands == (
        "evaluate",
    )
    assert of_training(*received, e.WorkerLost(t=2.0, reason="killed", restarting=True)).pending_commands == ()


def test_the_first_steady_estimate_is_kept() -> None:
    def eta(t: float, p50: float | None) -> e.EtaUpdated:
        return e.EtaUpdated(t=t, p50_seconds=p50, p90_seconds=p50, verdict=None)

    found = of_training(
        step(3), eta(20.0, 900.0), step(25), eta(30.0, None), eta(31.0, 800.0), step(60), eta(60.0, 5.0)
    ).training
    assert found is not None and found.first_eta is not None and found.eta is not None
    assert (found.first_eta.p50_seconds, found.first_eta_step, found.eta.p50_seconds) == (800.0, 25, 5.0)


def test_a_series_goes_back_and_grows_again() -> None:
    series = GrowingSeries(capacity=8)
    for x in range(1, 101):
        series.add(x, 1.0)
    series.rewind(40)
    assert all(x <= 40 for x, _ in series.points())
    for x in range(41, 61):
        series.add(x, 2.0)
    points = series.points()
    assert [x for x, _ in points] == sorted({x for x, _ in points}) and points[-1][0] == 60
    assert points[0][1] == 1.0 and points[-1][1] == 2.0


def test_a_thinned_list_is_spread_over_all_that_came() -> None:
    thinned: ThinnedList[int] = ThinnedList(16)
    for number in range(1001):
        thinned.add(number)
    kept = thinned.items()
    assert len(kept) <= 17 and kept[0] == 0 and kept[-1] == 1000
    gaps = [b - a for a, b in pairwise(kept[:-1])]
    assert len(set(gaps)) == 1, "evenly"
    thinned.keep(lambda number: number <= 500)
    assert max(thinned.items()) <= 500


def test_a_longer_run_holds_no_more() -> None:
    folder = StateReducer()
    for event in (started("train"), training(total=1_000_000)):
        folder.apply(event)

    def go_on(first: int, last: int) -> int:
        for n in range(first, last + 1):
            folder.apply(step(n, loss=2.0 + n % 7))
            if n % 20 == 0:
                folder.apply(evaluation(n, best=n % 500 == 0, kind="full" if n % 60 == 0 else "loss"))
                folder.apply(saved(n))
                folder.apply(e.CommandReceived(t=1.0 * n, id=str(n), command="evaluate"))
                folder.apply(e.CommandApplied(t=1.0 * n, id=str(n), command="evaluate"))
        folder.snapshot()
        return len(pickle.dumps(folder))

    early, late = go_on(1, 10_000), go_on(10_001, 50_000)
    assert late < 1.3 * early, f"{early:,} bytes after 10,000 steps, {late:,} after 50,000"
