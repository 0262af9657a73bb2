"""Records the runs that pictures and tests are made from: real ones, made here and now by the real program.

python -m tests.data.record OUT_DIR [demo|deadline|study|failed ...]

Four runs of about a minute each, one after the other. They want a machine to themselves, since what they measure is
what is shown. Names of this machine, its folders and its host are written over in the logs; no figure is.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from speedtui.engine import events as e
from speedtui.engine.config.load import dump_settings
from speedtui.engine.demo.prepare import prepare
from speedtui.engine.log.tail import EventTail
from speedtui.engine.runs import RunFolder, list_runs
from speedtui.engine.workload.base import silent
from tests.examples.text_to_sql.material import write_config, write_example

REPOSITORY = Path(__file__).parents[2]
POINTER_GENERATOR = REPOSITORY / "tests" / "examples" / "pointer_generator"
SPEEDTUI = str(Path(sys.executable).with_name("speedtui"))
SHOWN_FOLDER, SHOWN_HOST = "/srv/finetune", "workstation"
"""What the logs name instead of this machine's folder and host."""
LOOK_SECONDS = 0.2
PATIENCE_SECONDS = 600.0
"""A run that hangs fails its recording."""

WINDOW, MARGIN = "130s", "10s"
"""More than twice as long as the deadline's training takes with its first schedule, and too short for the second."""
DEARER_FROM = 0.25
"""The share of its steps after which somebody wants an evaluation far more often, which makes it late."""
LATE_SECONDS = 15.0
"""It goes on being late for so long before the first of the levers is taken."""

CANDIDATES: list[dict[str, object]] = [
    {"train.micro_batch_size": micro, **({"train.gradient_checkpointing": True} if saves else {})}
    for saves in (False, True)
    for micro in (1, 2, 4, 8, 16)
] + [{"train.micro_batch_size": 4, "train.loader_workers": 2}, {"train.micro_batch_size": 2, "train.method": "lora"}]
"""Among them those that the limit of the study has no room for."""
STUDY_MEMORY = "90MiB"

VANISHING_RECIPE = '''"""The summariser, whose data lies on a disk that goes away in the fifth epoch."""

import errno

from recipe import build as whole


class Vanishing:
    def __init__(self, data):
        self.data, self.reads = data, 0

    def __len__(self):
        return len(self.data)

    def __getitem__(self, row):
        self.reads += 1
        if self.reads > 5 * len(self.data):  # once over while it is loaded
            raise OSError(errno.EIO, "Input/output error", "scenes.txt")
        return self.data[row]


def build(**knobs):
    made = whole(**knobs)
    made.train_dataset = Vanishing(made.train_dataset)
    return made
'''


class Running:
    """`speedtui ... --json` in a folder, and the log that it writes."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self._folder = folder
        self._process = subprocess.Popen(
            [SPEEDTUI, *arguments, "--json"], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._tail: EventTail | None = None
        self.seen: list[e.AnyEvent] = []

    @property
    def run(self) -> RunFolder:
        """Its folder, once it has one."""
        return list_runs(self._folder / "runs")[0]

    def wait_for(self, wanted: Callable[[list[e.AnyEvent]], bool]) -> bool:
        """Whether that came to be before the run ended."""
        give_up = time.monotonic() + PATIENCE_SECONDS
        self._look()
        while not wanted(self.seen):
            ended = self._process.poll() is not None
            self._look()
            if ended:
                return wanted(self.seen)
            if time.monotonic() > give_up:
                self._process.kill()
                raise TimeoutError(f"{self._folder.name}: waited {PATIENCE_SECONDS:g} s in vain")
            time.sleep(LOOK_SECONDS)
        return True

    def _look(self) -> None:
        if self._tail is None and list_runs(self._folder / "runs"):
            self._tail = EventTail(self.run.events)
        if self._tail is not None:
            self.seen += [event for _, event in self._tail.read()]

    def send(self, *words: str) -> None:
        """A command, as a person would send it; a refusal is told and changes nothing."""
        subprocess.run([SPEEDTUI, "send", self.run.id, *words], cwd=self._folder, stdout=sys.stderr, check=False)

    def end(self) -> Path:
        """The log of the run that is over."""
        self.wait_for(lambda _: self._process.poll() is not None)
        said = self._process.communicate()[1].strip().splitlines()
        print(f"  exit code {self._process.returncode}", *said[-2:], sep="\n  ", file=sys.stderr)
        return self.run.events


def record_demo(folder: Path) -> Path:
    """The built-in job: study, plan, training."""
    return Running(folder, "demo").end()


def record_deadline(folder: Path) -> Path:
    """Text to SQL in time, then late because it is asked to evaluate more often, then helped by a lever."""
    write_example(folder, train_rows=320, eval_rows=48, links=150_000)
    write_config(folder, {
        "train": {"epochs": 20.0},
        "schedule": {"eval_every": "4 epochs", "fast_eval_every": "1 epoch", "checkpoint_every": "2 epochs"},
        "window": {"length": WINDOW, "margin": MARGIN},
    })  # fmt: skip
    running = Running(folder, "train")
    if running.wait_for(lambda seen: _share_done(seen) >= DEARER_FROM):
        running.send("set", "eval_every=4 steps", "fast_eval_every=never")
    if running.wait_for(lambda seen: bool(_levers(seen))):
        time.sleep(LATE_SECONDS)
        lever = _levers(running.seen)[0]
        running.send("set", *(f"{path}={_typed(value)}" for path, value in lever.changes.items()))
    return running.end()


def _share_done(seen: list[e.AnyEvent]) -> float:
    total = next((event.total_steps for event in seen if isinstance(event, e.TrainingStarted)), None)
    last = next((event.step for event in reversed(seen) if isinstance(event, e.StepCompleted)), 0)
    return last / total if total else 0.0


def _levers(seen: list[e.AnyEvent]) -> list[e.Advice]:
    return next((event.levers for event in reversed(seen) if isinstance(event, e.LeversFound)), [])


def _typed(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def record_study(folder: Path) -> Path:
    """Candidates of one's own, each measured in full; a limit on memory has no room for some of them."""
    settings = prepare(Path(os.environ["XDG_CACHE_HOME"]) / "speedtui" / "demo", silent)
    whole = msgspec.structs.replace(settings, search=msgspec.structs.replace(settings.search, early_stop=False))
    (folder / "speedtui.toml").write_text(dump_settings(whole), encoding="utf-8")
    (folder / "candidates.json").write_text(json.dumps(CANDIDATES), encoding="utf-8")
    return Running(folder, "tune", "--configs", "candidates.json", "--memory-limit", STUDY_MEMORY).end()


def record_failed(folder: Path) -> Path:
    """A training whose data can no longer be read."""
    for file in POINTER_GENERATOR.glob("*.py"):
        shutil.copy(file, folder)
    (folder / "vanishing.py").write_text(VANISHING_RECIPE, encoding="utf-8")
    (folder / "speedtui.toml").write_text(
        '[model]\nkind = "python"\nrecipe = "vanishing.py:build"\n'
        "[recipe]\nrows = 160\neval_rows = 16\nvocabulary = 400\n"
        '[train]\nmethod = "full"\nepochs = 8.0\neffective_batch_size = 16\nmicro_batch_size = 8\n'
        "learning_rate = 0.01\nlr_warmup_steps = 2\n"
        '[schedule]\neval_every = "1 epoch"\ncheckpoint_every = "2 epochs"\n'
        'generate = true\nmax_new_tokens = 20\nmetric = "overlap.py:rouge_1"\n'
        '[window]\nlength = "10m"\nmargin = "1m"\n',
        encoding="utf-8",
    )
    return Running(folder, "train").end()


RECORDINGS: dict[str, Callable[[Path], Path]] = {
    "demo": record_demo, "deadline": record_deadline, "study": record_study, "failed": record_failed,
}  # fmt: skip


def without_names(log: bytes, folder: Path) -> bytes:
    """The log with other names for what is of this machine alone."""
    for own, shown in (
        (str(folder), SHOWN_FOLDER), (str(REPOSITORY), f"{SHOWN_FOLDER}/speedtui"), (str(Path.home()), SHOWN_FOLDER),
        (socket.gethostname(), SHOWN_HOST),
    ):  # fmt: skip
        log = log.replace(own.encode(), shown.encode())
    return log


def main(arguments: list[str]) -> int:
    """Records what is asked for, by default everything."""
    if not arguments:
        print(__doc__, file=sys.stderr)
        return 2
    out, names = Path(arguments[0]), arguments[1:] or list(RECORDINGS)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="speedtui-recordings-") as made:
        root = Path(made).resolve()
        # what this machine remembers of earlier runs, and a person's own profiles, must not show
        os.environ.update({f"XDG_{kind}_HOME": str(root / kind.lower()) for kind in ("CACHE", "DATA", "CONFIG")})
        for name in names:
            folder = root / name
            folder.mkdir()
            print(f"{name} ...", file=sys.stderr)
            log = without_names(RECORDINGS[name](folder).read_bytes(), root)
            (out / f"{name}.jsonl").write_bytes(log)
            print(f"{name}: {len(log) / 1024:.0f} KiB", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
