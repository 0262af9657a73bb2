"""`speedtui run -- COMMAND`: a person's own training program, metered, and none the wiser."""

from __future__ import annotations

import ast
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import psutil
import pytest

from speedtui.engine import events as e
from speedtui.engine.log.read import read_state
from speedtui.engine.log.tail import read_events
from speedtui.engine.program.inside import CARRIED
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.attached import AttachedSession
from tests.cli.program import Ended, Place, wait_for, wait_for_event

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "examples" / "programs" / "trainer_subclass.py"
STEPS = 25
"""Of one epoch."""
QUIET = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "TRANSFORMERS_VERBOSITY": "error"}


def training(folder: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(SCRIPT), str(folder / "output"), *arguments]


@dataclass(frozen=True)
class Trained:
    """The same program without us and with us."""

    bare: Ended
    metered: Ended
    folder: RunFolder

    def printed(self, name: str) -> str:
        """What the program says under this name at its end."""
        (line,) = [line for line in self.bare.out.splitlines() if line.startswith(name)]
        return line.removeprefix(name).strip()


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    alone, place = tmp_path_factory.mktemp("alone"), Place(tmp_path_factory.mktemp("metered"))
    bare = subprocess.run(
        training(alone, "1", "7"), cwd=alone, env={**os.environ, **QUIET}, capture_output=True, text=True, check=False
    )
    metered = place.run("run", "-q", "--", *training(place.folder, "1", "7"), env=QUIET)
    return Trained(Ended(bare.returncode, bare.stdout, bare.stderr), metered, place.run_folder)


def told(folder: RunFolder, kind: type[e.AnyEvent]) -> list[e.AnyEvent]:
    return [event for event in read_events(folder.events) if isinstance(event, kind)]


# -- a training -------------------------------------------------------------------------------------


def without_speed(text: str) -> list[str]:
    return [line for line in text.splitlines() if "_runtime" not in line]


def test_every_loss_weight_and_word_is_the_one_without_us(trained: Trained) -> None:
    assert trained.bare.code == trained.metered.code == 7
    assert "SmoothedTrainer 25 steps" in trained.bare.out
    assert without_speed(trained.metered.out) == without_speed(trained.bare.out)


def test_what_was_found_is_said_in_one_line(trained: Trained) -> None:
    texts = [event.text for event in read_events(trained.folder.events) if isinstance(event, e.Notice)]
    assert "transformers.Trainer (SmoothedTrainer), 25 steps, evaluates every 10 steps, saves every 12 steps" in texts


def test_steps_evaluations_and_checkpoints_are_those_of_the_program(trained: Trained) -> None:
    events = list(read_events(trained.folder.events))
    lines = [event for event in events if isinstance(event, e.StepCompleted)]
    evaluations = [event for event in events if isinstance(event, e.EvaluationCompleted)]
    saves = [event for event in events if isinstance(event, e.CheckpointSaved)]
    (finished,) = (event for event in events if isinstance(event, e.TrainingFinished))
    assert sum(line.steps for line in lines) == finished.steps == finished.total_steps == STEPS
    assert sum(line.samples for line in lines) == 200
    assert sum(line.tokens or 0 for line in lines) == 200 * 16
    assert [event.step for event in evaluations] == [10, 20, STEPS]
    assert [event.loss for event in evaluations] == ast.literal_eval(trained.printed("evaluations"))
    assert [event.rows for event in evaluations] == [20, 20, 20]
    assert [event.step for event in saves] == [12, 24, 25]
    assert all(event.bytes > 0 and Path(event.path).is_dir() for event in saves)


def test_the_losses_of_the_log_are_those_that_the_program_prints(trained: Trained) -> None:
    printed = ast.literal_eval(trained.printed("losses"))
    lines = [event for event in read_events(trained.folder.events) if isinstance(event, e.StepCompleted)]
    mean = sum((line.loss or 0.0) * line.steps for line in lines) / STEPS
    assert mean == pytest.approx(sum(printed) / STEPS, rel=1e-5)


def test_the_books_add_up_to_the_whole_program(trained: Trained) -> None:
    state = read_state(trained.folder.events)
    books = state.books
    assert books is not None
    assert sum(books.phases.values()) == pytest.approx(books.wall, rel=0.01)
    assert {"load", "data", "forward", "backward", "optimizer", "eval", "checkpoint", "other"} <= books.phases.keys()
    assert "away" not in books.phases
    assert (state.outcome, state.exit_code) == ("failed", 7)
    assert state.reason == "the program ended with exit status 7"


def test_the_log_says_what_ran(trained: Trained) -> None:
    *_, started = told(trained.folder, e.RunStarted)
    assert isinstance(started, e.RunStarted)
    train, schedule = started.config["train"], started.config["schedule"]
    assert (train["micro_batch_size"], train["effective_batch_size"], train["method"]) == (4, 8, "full")
    assert (schedule["eval_every"], schedule["checkpoint_every"]) == ("10 steps", "12 steps")
    assert {"python", "torch", "transformers"} <= started.versions.keys()


def test_a_training_pauses_saves_and_stops_where_it_is_told_to(tmp_path: Path) -> None:
    place = Place(tmp_path)
    program = place.start("run", "--json", "--", *training(tmp_path, "400"), env=QUIET)
    wait_for_event(place, e.StepCompleted)
    run = place.run_folder
    for command, answer in (("pause", "done"), ("resume", "done"), ("eval", "after this step"), ("stop", "after")):
        assert answer in place.run("send", run.id, command).out
    refused = place.run("send", run.id, "set", "eval_every=5")
    ended = program.end()
    (finished,) = told(run, e.TrainingFinished)
    assert isinstance(finished, e.TrainingFinished)
    assert (ended.code, refused.code, finished.reason) == (0, 1, "stop")
    assert finished.steps < 400 * STEPS
    assert [event.step for event in told(run, e.CheckpointSaved)][-1] == finished.steps
    assert {line["type"] for line in ended.lines()} >= {"run_started", "training_started", "run_finished"}
    assert "SmoothedTrainer" in run.worker_log.read_text()


# -- any program ------------------------------------------------------------------------------------

SEEN = "import os, sys; print(sys.argv[1:], sys.stdin.read(), os.getcwd(), os.umask(0o22), sep='|')"


def test_arguments_input_folder_and_umask_are_the_programs_own(tmp_path: Path) -> None:
    command = [sys.executable, "-c", SEEN, "--", "-v", "--json", "é"]
    outputs = [
        subprocess.run(
            [*before, *command], cwd=tmp_path, input="typed", capture_output=True, text=True, check=True, umask=0o027
        ).stdout
        for before in ([], [sys.executable, "-m", "speedtui.tui.cli", "run", "-q", "--"])
    ]
    assert outputs[0] == outputs[1] != ""


def test_a_sitecustomize_of_the_persons_own_is_still_imported(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.write("sitecustomize.py", "import sys\nsys.mine = __name__, __file__")
    ended = place.run(
        "run", "-q", "--", sys.executable, "-c", "import sitecustomize, sys; print(*sys.mine, sitecustomize.__file__)",
        env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert ended.out == f"sitecustomize {tmp_path}/sitecustomize.py {tmp_path}/sitecustomize.py\n"


def test_a_fault_of_ours_is_told_and_the_program_goes_on(tmp_path: Path) -> None:
    place = Place(tmp_path)
    package = tmp_path / "transformers"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "trainer.py").write_text("class Trainer: pass")
    ended = place.run(
        "run", "--", sys.executable, "-c", "import transformers.trainer; print('trains')",
        env={"PYTHONPATH": str(tmp_path)},
    )  # fmt: skip
    assert (ended.code, ended.out) == (0, "trains\n")
    assert "a training was not metered: ImportError" in ended.err


@pytest.mark.parametrize(
    ("command", "code", "words"),
    [
        (["sh", "-c", "exit 7"], 7, "nothing was metered"),
        (["sh", "-c", "kill -9 $$"], 137, "killed by SIGKILL"),
        (["nonesuch"], 2, "nonesuch: there is no such program"),
        ([], 2, "there is no program to run"),
        (["./data"], 2, "there is no such program"),
    ],
)
def test_an_end_of_any_kind_is_told_with_its_exit_code(
    tmp_path: Path, command: list[str], code: int, words: str
) -> None:
    place = Place(tmp_path)
    place.write("data", "no program")
    ended = place.run("run", "--", *command)
    assert ended.code == code
    assert words in ended.err
    assert ended.out == ""


WAITS = """
import pathlib, sys, time
pathlib.Path("begun").touch()
try:
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
except KeyboardInterrupt:
    print("left early")
    sys.exit(5)
print("went on")
sys.exit(3)
"""


def waiting() -> list[psutil.Process]:
    """Programs of that kind that are there."""
    return [process for process in psutil.process_iter(["cmdline"]) if WAITS in (process.info["cmdline"] or [])]


def test_ctrl_c_is_the_programs_own(tmp_path: Path) -> None:
    place = Place(tmp_path)
    program = place.start("run", "-q", "--", sys.executable, "-c", WAITS)
    wait_for((tmp_path / "begun").exists)
    program.signal(signal.SIGINT)
    ended = program.end()
    assert (ended.code, ended.out) == (5, "left early\n")
    assert "speedtui: passed on to the program; once more to kill it" in ended.err


def test_the_program_outlives_whoever_looks_on(tmp_path: Path) -> None:
    place = Place(tmp_path)
    program = place.start("run", "--json", "--", sys.executable, "-c", WAITS)
    wait_for((tmp_path / "begun").exists)
    program.signal(signal.SIGKILL)
    program.process.wait()
    run = place.run_folder
    (tmp_path / "go").touch()
    wait_for(lambda: not run.worker_alive())
    (finished,) = told(run, e.RunFinished)
    assert isinstance(finished, e.RunFinished)
    assert (finished.exit_code, finished.outcome) == (3, "failed")
    assert run.worker_log.read_text() == "went on\n"
    wait_for(lambda: not waiting())


def test_a_second_screen_kills_it_with_all_that_it_started(tmp_path: Path) -> None:
    place = Place(tmp_path)
    program = place.start("run", "--json", "--", "sh", "-c", f"{sys.executable} -c '{WAITS}'; exit 4")
    wait_for((tmp_path / "begun").exists)
    looking_on = AttachedSession(place.run_folder)
    thread = Thread(target=looking_on.run)
    thread.start()
    wait_for(lambda: looking_on.snapshot().pid is not None)
    looking_on.kill()
    ended = program.end()
    thread.join()
    assert (ended.code, looking_on.snapshot().reason) == (130, "its worker was killed on request")
    wait_for(lambda: not waiting())


IMPORTED = """
import sys, torch, transformers.trainer
before = set(sys.modules)
import speedtui.engine.program.trainers
new = {name.partition(".")[0] for name in sys.modules.keys() - before} - sys.stdlib_module_names
there = {name.partition(".")[0] for name in before}
print(*sorted(new - there))
"""


def test_what_the_program_may_not_have_is_brought_along(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", IMPORTED], capture_output=True, text=True, check=True)
    assert set(ended.stdout.split()) <= set(CARRIED)


def test_processes_that_train_together_are_metered_once_and_stopped_by_none_of_them(tmp_path: Path) -> None:
    place = Place(tmp_path)
    together = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    program = place.start("run", "-q", "--", *together, *training(tmp_path, "20")[1:], env=QUIET)
    wait_for_event(place, e.StepCompleted)
    run = place.run_folder
    refused = [place.run("send", run.id, name) for name in ("stop", "pause")]
    ended = program.end()
    (finished,) = told(run, e.TrainingFinished)
    assert isinstance(finished, e.TrainingFinished)
    assert ended.code == 0  # what both print goes through one pipe, in pieces
    assert [(one.code, "several processes train together" in one.err) for one in refused] == [(1, True)] * 2
    assert (finished.steps, finished.total_steps, finished.reason) == (260, 260, "steps")
    steps = [event for event in told(run, e.StepCompleted) if isinstance(event, e.StepCompleted)]
    assert [step.step for step in steps] == sorted({step.step for step in steps})
