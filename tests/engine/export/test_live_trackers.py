from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext, JobStopped
from speedtui.engine.context.order import Order
from speedtui.engine.errors import ExitCode
from speedtui.engine.export import live
from speedtui.engine.export.live import LiveTrackers, tracking
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState, fold
from tests.engine import events_of_a_run as a
from tests.engine.export.recorded_run import ESTIMATE, RUN, STARTED_AT, tracked, training_events
from tests.engine.export.wandb_double import Service

EVENTS = training_events()[1:-1]
"""What a worker emits once its run has started."""


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    service = Service()
    monkeypatch.setitem(sys.modules, "wandb", service.module())
    monkeypatch.delitem(sys.modules, "speedtui.engine.export.wandb", raising=False)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    yield service
    service.answers.set()
    sys.modules.pop("speedtui.engine.export.wandb", None)


NewContext = Callable[..., JobContext]


@pytest.fixture
def new_context(tmp_path: Path) -> Iterator[NewContext]:
    """Makes contexts of one run, worker after worker; their logs are closed afterwards."""
    made: list[JobContext] = []

    def make(settings: Settings, before: RunState | None = None) -> JobContext:
        folder = RunFolder(tmp_path / RUN)
        folder.path.mkdir(exist_ok=True)
        order = Order(job="train", started_at=STARTED_AT)
        log = EventLog(folder.events, RunClock(STARTED_AT))
        made.append(JobContext(folder, settings, order, log, before or RunState(), frozenset()))
        return made[-1]

    yield make
    for context in made:
        context.log.close()


@pytest.fixture
def context(new_context: NewContext) -> JobContext:
    return new_context(tracked("wandb"))


def emit_all(context: JobContext) -> None:
    for event in EVENTS:
        context.emit(event)


def notices(context: JobContext) -> list[e.Notice]:
    context.log.flush()
    return [event for event in read_events(context.folder.events) if isinstance(event, e.Notice)]


def wait_for(service: Service, rows: int) -> None:
    until = time.monotonic() + 30
    while len(service.rows) < rows:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_tracker_gets_what_the_log_got_and_is_finished(context: JobContext, service: Service) -> None:
    with tracking(context, estimate=ESTIMATE):
        emit_all(context)
    assert service.finished
    told = {name for _, values in service.rows for name in values}
    assert {"train/loss", "eval/loss", "training/on_track", "optimization/time_accuracy"} <= told
    assert [step for step, values in service.rows if "train/loss" in values] == [1, 2, 3]
    assert service.rows[0][1]["_timestamp"] == pytest.approx(STARTED_AT + 10.0)
    assert [step for step, _ in service.rows] == sorted(step for step, _ in service.rows)
    assert [notice.level for notice in notices(context)] == ["info"]


def test_no_tracker_is_called_in_the_thread_that_trains_or_writes(context: JobContext, service: Service) -> None:
    with tracking(context):
        emit_all(context)
    assert service.threads == {"tracker-wandb"}


def test_the_run_is_known_there_by_its_id_and_can_go_on(new_context: NewContext, service: Service) -> None:
    settings = tracked("wandb", project="p", name="n")
    with tracking(new_context(settings)):
        pass
    assert {key: service.begun[key] for key in ("id", "project", "name", "resume")} == {
        "id": RUN, "project": "p", "name": "n", "resume": None,
    }  # fmt: skip
    before = fold([*training_events()[:5], e.WorkerLost(t=30.0, reason="killed", restarting=True)])
    again = new_context(settings, before)
    with tracking(again):
        again.emit(a.step(2, loss=7.0))
        again.emit(a.step(3, loss=1.0))
    assert service.begun["resume"] == "allow"
    assert [step for step, values in service.rows if "train/loss" in values] == [3]


def test_without_trackers_no_thread_is_begun(new_context: NewContext) -> None:
    context = new_context(Settings())
    with tracking(context):
        emit_all(context)
        assert not any(thread.name.startswith("tracker-") for thread in threading.enumerate())


def test_a_job_that_is_stopped_finishes_its_trackers(context: JobContext, service: Service) -> None:
    def job() -> None:
        with tracking(context):
            context.emit(EVENTS[0])
            context.emit(a.step(1))
            raise JobStopped(ExitCode.TERMINATED, save=True)

    with pytest.raises(JobStopped):
        job()
    assert service.finished
    assert [step for step, values in service.rows if "train/loss" in values] == [1]


@pytest.mark.parametrize("when", ["init_error", "log_error"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), SystemExit(1)], ids=["full", "exit"])
def test_a_tracker_that_fails_is_one_notice_and_the_run_goes_on(
    context: JobContext, service: Service, when: str, error: BaseException
) -> None:
    setattr(service, when, error)
    with tracking(context):
        emit_all(context)
        context.log.flush()
    (warning,) = [notice for notice in notices(context) if notice.level == "warning"]
    assert warning.text.startswith("wandb is left out: ")
    assert warning.hint == f"After the run: speedtui export {RUN} --to wandb"
    assert len([event for event in read_events(context.folder.events) if isinstance(event, e.StepCompleted)]) == 4


def test_a_tracker_that_is_not_installed_says_how_to_install_it(
    context: JobContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as an import finds no such package
    monkeypatch.delitem(sys.modules, "speedtui.engine.export.wandb", raising=False)
    with tracking(context):
        emit_all(context)
    (warning,) = notices(context)
    assert warning.text == "not tracked by wandb: wandb is not installed"
    assert "pip install 'speedtui[trackers]'" in warning.hint


def test_a_server_that_does_not_answer_holds_up_neither_the_log_nor_the_end(
    context: JobContext, service: Service
) -> None:
    service.answers.clear()
    trackers = LiveTrackers(context)
    context.log.subscribe(trackers.take)
    emit_all(context)
    context.log.unsubscribe(trackers.take)
    written = [event for event in read_events(context.folder.events) if isinstance(event, e.StepCompleted)]
    assert [event.step for event in written] == [1, 2, 3, 4]
    trackers.stop(seconds=0.2)
    assert not service.finished
    (warning,) = notices(context)
    assert warning.text == "wandb has not taken everything in time and is left behind"
    service.answers.set()  # it comes back to life when nobody listens any more


def test_points_that_do_not_fit_are_dropped_and_that_is_said_once(
    context: JobContext, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "CAPACITY", 5)
    service.answers.clear()
    trackers = LiveTrackers(context)
    for number in range(1, 50):
        trackers.take([a.step(number)])
    assert [notice.level for notice in notices(context)] == ["warning"]
    service.answers.set()
    wait_for(service, 5)
    trackers.take([a.step(60)])
    trackers.stop()
    steps = [step for step, _ in service.rows]
    assert steps[:5] == [1, 2, 3, 4, 5]
    assert steps[-1] == 60
    assert len([notice for notice in notices(context) if notice.level == "warning"]) == 1


def test_one_tracker_that_fails_does_not_keep_another_from_working(
    new_context: NewContext, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = new_context(tracked("tensorboard", "wandb"))
    monkeypatch.setitem(sys.modules, "tensorboard", None)  # one that fails at once
    monkeypatch.setitem(sys.modules, "tensorboard.compat", None)
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto.event_pb2", None)
    monkeypatch.delitem(sys.modules, "speedtui.engine.export.tensorboard", raising=False)
    with tracking(context):
        emit_all(context)
    assert service.finished
    assert sorted(notice.level for notice in notices(context)) == ["info", "warning"]


def test_the_configuration_goes_with_the_run(context: JobContext, service: Service) -> None:
    with tracking(context):
        pass
    assert msgspec.convert(service.begun["config"], Settings).track.to == ["wandb"]
