"""What decides over a run that may have to survive: budgets, restarts, locks, lines in a torn log."""

from __future__ import annotations

import errno
import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
from torch.utils.data import DataLoader, Dataset

from speedtui.engine import events as e
from speedtui.engine.config.settings import Scalar
from speedtui.engine.context.order import COMMAND_LINE, read_order, write_order
from speedtui.engine.errors import JobError
from speedtui.engine.jobs.loaders import loader_death
from speedtui.engine.locks import hold_lock
from speedtui.engine.log.tail import EventTail
from speedtui.engine.log.writer import append_event
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.attached import AttachedSession
from speedtui.engine.session.process import ProcessSession
from speedtui.engine.session.restarts import Restarts
from speedtui.engine.session.stall import StallBudgets, StallWatch
from tests.engine.session.survival_run import SlowTraining, wait_for

# -- stalls ----------------------------------------------------------------------------------------


def started(job: e.Job = "train") -> e.RunStarted:
    return e.RunStarted(t=0, run="r", job=job, started_at=0, host="h", pid=1, devices=[], versions={}, config={})


def training(first_step: int = 0) -> e.TrainingStarted:
    return e.TrainingStarted(
        t=0, total_steps=99, epochs=1, micro_batch_size=1, grad_accum_steps=1, label="x", first_step=first_step
    )


def step(seconds: float, steps: int = 1) -> e.StepCompleted:
    return e.StepCompleted(t=0, step=1, steps=steps, micro_steps=1, samples=1, seconds=seconds, phases={})


def books(**phases: float) -> e.BooksUpdated:
    return e.BooksUpdated(t=0, books=e.Books(wall=sum(phases.values()), phases=phases, unaccounted=0))


def evaluated(seconds: float) -> e.EvaluationCompleted:
    return e.EvaluationCompleted(t=0, step=1, loss=1.0, seconds=seconds, rows=1)


def saved(seconds: float = 1.0, at: int = 1) -> e.CheckpointSaved:
    return e.CheckpointSaved(t=0, step=at, path="p", bytes=1, seconds=seconds)


def watching(*events: e.AnyEvent) -> StallWatch:
    """A watch that read these at 0."""
    watch = StallWatch()
    for event in (started(), training(), *events):
        watch.observe(event, 0.0)
    return watch


@pytest.mark.parametrize(
    ("seen", "phase", "budget"),
    [
        ([], "training", 900),  # the first step may compile
        ([step(0.1)], "training", 90),
        ([step(20), step(40), step(30)], "training", 240),
        ([step(40, steps=20)], "training", 90),  # twenty steps in one line
        ([step(500)], "training", 900),
        ([step(1), books(forward=5), books(forward=6, eval=9)], "eval", 1800),
        ([evaluated(10), step(1), books(forward=5), books(forward=6, generate=4, metric=5)], "eval", 300),
        ([evaluated(100), step(1), books(forward=5), books(forward=6, eval=9)], "eval", 600),
        ([evaluated(100), step(1), books(forward=5, eval=9), books(forward=14, eval=10)], "training", 90),
        ([step(1), books(forward=5), books(forward=6, write=9)], "checkpoint", 1800),
        ([saved(100), step(1), books(forward=5), books(forward=6, write=9)], "checkpoint", 600),
    ],
)
def test_the_budget_is_that_of_what_the_books_show_the_worker_at(
    seen: Sequence[e.AnyEvent], phase: str, budget: float
) -> None:
    watch = watching(*seen)
    assert watch.stall(budget - 0.1) is None
    stall = watch.stall(budget)
    assert stall is not None
    assert (stall.phase, stall.budget_seconds, stall.seconds) == (phase, budget, budget)


def test_loading_has_a_budget_before_the_training_begins() -> None:
    watch = StallWatch()
    watch.observe(started(), 0.0)
    assert watch.stall(1799) is None
    stall = watch.stall(1800)
    assert stall is not None and stall.phase == "load"
    watch.observe(e.ProgressMade(t=0, what="tokenizing", done=1), 1800.0)
    assert watch.stall(1801) is None


def test_what_other_threads_write_is_no_sign_of_life() -> None:
    watch = watching(step(1))
    watch.observe(books(forward=80), 80.0)
    watch.observe(e.HardwareSampled(t=0, devices=[], host=e.HostSample()), 89.0)
    watch.observe(e.EtaUpdated(t=0, p50_seconds=1, p90_seconds=1, verdict=None), 89.0)
    assert watch.stall(90) is not None


def test_a_stall_is_told_once_until_the_next_sign_of_life() -> None:
    watch = watching(step(1))
    assert watch.stall(90) is not None
    watch.told()
    assert watch.stall(500) is None
    watch.observe(step(1), 600.0)
    assert watch.stall(689) is None
    assert watch.stall(690) is not None
    watch.observe(e.Stalled(t=0, phase="training", seconds=90, budget_seconds=90), 690.0)
    assert watch.stall(700) is None, "another session has told it"


@pytest.mark.parametrize(
    "event",
    [
        e.Paused(t=0),
        e.TrainingFinished(t=0, steps=1, seconds=1, first_loss=1, last_loss=1, model_path="p"),
        e.WorkerLost(t=0, reason="x", restarting=False),
        started("tune"),
    ],
)
def test_nothing_is_expected_of_a_run_that_waits_or_is_over(event: e.AnyEvent) -> None:
    assert watching(step(1), event).stall(1e6) is None


def test_a_resumed_training_is_watched_again() -> None:
    watch = watching(step(1), e.Paused(t=0))
    watch.observe(e.Resumed(t=0), 100.0)
    assert watch.stall(190) is not None


def test_what_the_reader_slept_through_is_no_stall_of_the_worker() -> None:
    watch = watching(
        e.TrainingStarted(t=0.0, total_steps=9, epochs=1.0, micro_batch_size=1, grad_accum_steps=1, label="")
    )
    watch.observe(step(1.0), 10.0)
    watch.excuse(3600.0)
    assert watch.stall(3650.0) is None
    assert watch.stall(3610.0 + 91.0) is not None


def test_a_stopped_worker_does_not_stall_until_it_goes_on() -> None:
    watch = watching(
        e.TrainingStarted(t=0.0, total_steps=9, epochs=1.0, micro_batch_size=1, grad_accum_steps=1, label="")
    )
    watch.observe(step(1.0), 10.0)
    watch.observe(e.WorkerSuspended(t=1.0, pid=1), 13.0)
    assert watch.stall(10_000.0) is None
    watch.observe(e.ClockMoved(t=1.0, seconds=9_990.0, cause="suspended"), 10_000.0)
    assert watch.stall(10_050.0) is None
    assert watch.stall(10_091.0) is not None


def test_budgets_can_be_others() -> None:
    watch = StallWatch(StallBudgets(factor=2, step_least=0.5, step_most=9))
    for event in (started(), training(), step(1)):
        watch.observe(event, 0.0)
    assert watch.stall(1.9) is None
    assert watch.stall(2.0) is not None


# -- restarts --------------------------------------------------------------------------------------


def lost(restarts: Restarts, *events: e.AnyEvent) -> bool:
    """Whether a worker that did this and died is replaced."""
    for event in (started(), *events):
        restarts.observe(event)
    return restarts.another()


def test_fruitless_restarts_come_to_an_end() -> None:
    restarts = Restarts(2)
    assert [lost(restarts, training(10), step(1)) for _ in range(4)] == [True, True, False, False]


def test_a_checkpoint_further_on_than_the_one_it_began_with_makes_up_for_earlier_restarts() -> None:
    restarts = Restarts(1)
    assert lost(restarts, training(0))
    assert lost(restarts, training(0), saved(at=10))
    assert not lost(restarts, training(10), saved(at=10))


def test_a_worker_that_dies_while_it_loads_has_led_nowhere() -> None:
    restarts = Restarts(1)
    assert lost(restarts, training(0), saved(at=10))
    assert not lost(restarts)


def test_without_restarts_there_are_none() -> None:
    assert not Restarts(0).wanted
    assert not lost(Restarts(0), training(0), saved(at=10))


def test_settings_typed_with_a_resume_wait_for_a_worker_that_takes_them_up(tmp_path: Path) -> None:
    folder = SlowTraining(tmp_path).create()
    rate: dict[str, Scalar] = {"train.learning_rate": 0.01}
    write_order(folder, msgspec.structs.replace(read_order(folder), resume=True, changes=rate))
    session = ProcessSession(folder, restarts=2)
    append_event(folder.events, started())
    for told, left in ((False, rate), (True, {})):
        if told:
            append_event(folder.events, e.SettingsChanged(t=1, step=4, values=rate, reason=COMMAND_LINE))
        session._take_in(None, 0.0)
        session._order_to_go_on()
        assert read_order(folder).changes == left


# -- locks -----------------------------------------------------------------------------------------


def test_many_who_look_neither_see_each_other_nor_keep_a_worker_out(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.worker_lock.touch()
    code = (
        "import sys, time; from pathlib import Path; from speedtui.engine.runs import RunFolder\n"
        "folder, end, seen = RunFolder(Path(sys.argv[1])), time.monotonic() + 1.0, 0\n"
        "print('ready', flush=True)\n"
        "while time.monotonic() < end: seen += folder.worker_alive()\n"
        "print(seen)"
    )
    looking = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for process in looking:
        assert process.stdout is not None
        process.stdout.readline()
    for _ in range(200):
        with hold_lock(folder.stall_lock):
            pass
    assert not folder.worker_alive()
    assert [process.communicate()[0].strip() for process in looking] == ["0", "0"]


def test_a_lock_is_got_while_others_look_at_it(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.worker_lock.touch()
    code = (
        "import sys, time; from pathlib import Path; from speedtui.engine.runs import RunFolder\n"
        "folder = RunFolder(Path(sys.argv[1]))\n"
        "while not folder.path.joinpath('enough').exists(): folder.worker_alive(); time.sleep(0.001)\n"
    )
    looking = [subprocess.Popen([sys.executable, "-c", code, str(tmp_path)]) for _ in range(2)]
    try:
        for _ in range(100):
            with hold_lock(folder.worker_lock):
                assert folder.worker_alive()
    finally:
        (tmp_path / "enough").touch()
        for process in looking:
            process.wait()


def _wait_for_a_line(pipe: int) -> None:
    os.read(pipe, 1)


def test_a_lock_goes_with_its_process_whatever_children_are_left(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    read, write = os.pipe()
    child = multiprocessing.get_context("fork").Process(target=_wait_for_a_line, args=(read,), daemon=True)
    with hold_lock(folder.worker_lock):
        child.start()
        assert folder.worker_alive()
    wait_for(lambda: not folder.worker_alive(), 10)
    assert child.is_alive()
    os.write(write, b"x")
    child.join()


def test_a_lock_that_is_held_is_refused(tmp_path: Path) -> None:
    with hold_lock(tmp_path / "lock"), pytest.raises(BlockingIOError), hold_lock(tmp_path / "lock"):
        pass


# -- the log ---------------------------------------------------------------------------------------


def test_an_event_after_half_a_line_stands_on_its_own(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    append_event(path, step(1))
    with path.open("ab") as file:
        file.write(e.encode(step(2))[:20])
    append_event(path, step(3))
    append_event(path, step(4))
    tail = EventTail(path)
    assert [event.seconds for _, event in tail.read() if isinstance(event, e.StepCompleted)] == [1, 3, 4]
    assert tail.passed_over.lines == 1


def test_a_run_whose_worker_is_gone_says_how_to_go_on(tmp_path: Path) -> None:
    folder = SlowTraining(tmp_path).create()
    append_event(folder.events, started())
    with pytest.raises(JobError, match="is gone and did not end it") as raised:
        AttachedSession(folder).run()
    assert raised.value.hint == f"It has no checkpoint yet; start it again: speedtui train --resume {folder.id}"
    (folder.checkpoints / "checkpoint-10").mkdir(parents=True)
    with pytest.raises(JobError) as raised:
        AttachedSession(folder).run()
    assert raised.value.hint == f"Go on from the last checkpoint: speedtui train --resume {folder.id}"


# -- loader processes ------------------------------------------------------------------------------


class Dying(Dataset[int]):
    """Whose loader process dies as it is told."""

    def __init__(self, number: int, when: Path = Path("/")) -> None:
        """`when`: not before this is there."""
        self.number, self.when = number, when

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> int:
        wait_for(self.when.exists)
        if self.number:
            os.kill(os.getpid(), self.number)
        os._exit(3)


@pytest.mark.parametrize(
    ("number", "reason", "hint"),
    [
        (9, "was killed by SIGKILL, as the kernel does where memory runs out", "fewer train.loader_workers"),
        (7, "was killed by SIGBUS: the shared memory in /dev/shm is full", "--shm-size"),
        (0, "ended with exit code 3", "train.loader_workers = 0"),
    ],
)
def test_the_death_of_a_loader_process_is_one_line(number: int, reason: str, hint: str) -> None:
    with pytest.raises(RuntimeError) as raised:
        list(DataLoader(Dying(number), num_workers=1))
    death = loader_death(raised.value)
    assert death is not None
    assert death.reason.startswith("a loader process (pid ") and death.reason.endswith(reason)
    assert hint in death.hint
    assert loader_death(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None


def test_a_batch_that_breaks_off_before_its_process_counts_as_dead_is_its_death(tmp_path: Path) -> None:
    def _try_get_data() -> None:
        """Named as torch's, which passes on what the pipe of a process says that is being killed."""
        raise ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))

    waiting = iter(DataLoader(Dying(9, when=tmp_path / "now"), num_workers=1))
    handler = signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # else torch raises here and now
    try:
        with pytest.raises(ConnectionResetError) as raised:
            _try_get_data()
        (tmp_path / "now").touch()
        death = loader_death(raised.value)
    finally:
        signal.signal(signal.SIGCHLD, handler)
        del waiting
    assert death is not None and "was killed by SIGKILL" in death.reason
    assert loader_death(ConnectionResetError()) is None, "no batch of a loader's was read by it"
