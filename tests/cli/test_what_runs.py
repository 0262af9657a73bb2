"""Whatever a training is started with: its label, its config.toml, its log and the trainer's own values agree."""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from transformers import TrainingArguments

from speedtui.engine import events as e
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.order import Order, read_order
from speedtui.engine.errors import ExitCode
from speedtui.engine.log.tail import read_events
from speedtui.engine.report.present import present_settings
from speedtui.engine.runs import RunFolder, list_runs
from speedtui.engine.session.base import Session
from speedtui.tui.cli import main
from speedtui.tui.commands.options import Common
from speedtui.tui.commands.screen import trainer
from speedtui.tui.options import TrainingStart
from tests.cli.program import Place, pairs

CANDIDATES = [
    {"train.micro_batch_size": 1, "train.learning_rate": 1e-3},
    {"train.micro_batch_size": 4, "train.lora.r": 2, "train.epochs": 2.0},
]


class Made:
    """A study and a plan of one configuration, made in this process."""

    def __init__(self, place: Place) -> None:
        self.place = place
        runs = list_runs(place.folder / "runs")
        self.study = next(run for run in runs if read_order(run).job == "tune")
        self.plan = next(run for run in runs if read_order(run).job == "plan")


def call(place: Place, *arguments: str) -> RunFolder:
    """Calls the program here; returns the newest run."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place.folder)
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
    assert ended.value.code in (ExitCode.DONE, ExitCode.LATE), arguments
    return place.run_folder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    place = Place(tmp_path_factory.mktemp("made"))
    place.write_rows(pairs(8))
    place.write("candidates.toml", tomli_w.dumps({"candidate": CANDIDATES}))
    place.configure({
        "train": {"max_steps": None, "epochs": 1.0}, "search": {"mode": None, "configs": "candidates.toml"},
        "schedule": {"checkpoint_every": "1 steps"},
    })  # fmt: skip
    place.configure({"train": {"learning_rate": 5e-4, "lora": {"r": 8}}, "search": {}}, "other.toml")
    call(place, "tune", "--engine", "thread", "-q")
    call(place, "plan", "--engine", "thread", "-q", "--no-measure", "--profile", "fast")
    return Made(place)


def checked(run: RunFolder, *, steps: int | None = None) -> tuple[Settings, e.TrainingStarted, Order]:
    """Holds all that says how a run is trained against what the trainer had; returns settings, event and order."""
    settings = present_settings(run)
    started = [event for event in read_events(run.events) if isinstance(event, e.TrainingStarted)][-1]
    arguments: TrainingArguments = torch.load(run.path / "model" / "training_args.bin", weights_only=False)
    train = settings.train
    size, accumulation = arguments.per_device_train_batch_size, arguments.gradient_accumulation_steps
    assert (size, size * accumulation) == (train.micro_batch_size, train.effective_batch_size)
    assert arguments.learning_rate == train.learning_rate
    assert (arguments.num_train_epochs, arguments.max_steps) == (train.epochs, train.max_steps or -1)
    assert (started.micro_batch_size, started.grad_accum_steps, started.epochs) == (size, accumulation, train.epochs)
    words = started.label.split()
    assert words[:3] == [f"mb{size}", f"ga{accumulation}", f"r{train.lora.r}"], started.label
    told = re.search(r" lr (\S+)", started.label)
    assert told is None or float(told[1]) == arguments.learning_rate
    told = re.search(r" epochs (\S+)", started.label)
    assert told is None or float(told[1]) == arguments.num_train_epochs
    micro_steps = [event for event in read_events(run.events) if isinstance(event, e.StepCompleted)]
    assert {event.micro_steps // event.steps for event in micro_steps} <= set(range(1, accumulation + 1))
    return settings, started, read_order(run)


Start = Callable[[Made], RunFolder]


def train(*arguments: str) -> Start:
    return lambda made: call(made.place, "train", "--engine", "thread", "-q", *(a.format(made=made) for a in arguments))


def by_script(folder: Callable[[Made], RunFolder]) -> Start:
    def start(made: Made) -> RunFolder:
        last = (folder(made).path / "train.sh").read_text().splitlines()[-1]
        words = shlex.split(last.removeprefix("exec ").removesuffix('"$@"'))
        return call(made.place, *words[words.index("train") :], "--engine", "thread", "-q")

    return start


def on_screen(made: Made) -> RunFolder:
    """As the screen trains with the trial that was promoted."""
    folder = made.place.folder
    common = Common(config=folder / "speedtui.toml", runs=folder / "runs", json=False, quiet=True, verbose=False)
    sessions: list[Session] = []
    train_with = trainer(common, "thread", sessions)
    assert train_with is not None
    (trial,) = re.findall(r"#(\d+)'", (made.study.path / "train.sh").read_text())
    assert (
        train_with(TrainingStart(config_file=str(made.study.path / "train.toml"), trial=int(trial))).run()
        is ExitCode.DONE
    )
    return sessions[0].folder


TRIAL: dict[str, Any] = {"micro_batch_size": 4, "learning_rate": 2e-4, "r": 2, "epochs": 2.0}
OWN: dict[str, Any] = {"micro_batch_size": 1, "learning_rate": 2e-4, "r": 16, "epochs": 1.0}
OTHER: dict[str, Any] = {"micro_batch_size": 1, "learning_rate": 5e-4, "r": 8, "epochs": 3.0}
WAYS: dict[str, tuple[Start, dict[str, Any], int | None, bool | None]] = {
    "the configuration": (train(), OWN, None, None),
    "another file": (train("--config", "other.toml"), OTHER, None, None),
    "a trial": (train("--trial", "{made.study.id}#1"), TRIAL, 1, True),
    "a trial and the study's own file": (
        train("--config", "speedtui.toml", "--trial", "{made.study.id}#1"), TRIAL, 1, True
    ),
    "a trial over another file": (
        train("--config", "other.toml", "--trial", "{made.study.id}#1"), {**TRIAL, "learning_rate": 5e-4}, 1, False
    ),
    "a trial and epochs": (
        train("--trial", "{made.study.id}#1", "--epochs", "1"), {**TRIAL, "epochs": 1.0}, None, False
    ),
    "a trial and a window": (train("--trial", "{made.study.id}#0", "--window", "1h"),
                             {**OWN, "learning_rate": 1e-3}, 0, True),
    "a study's train.sh": (by_script(lambda made: made.study), {}, -1, True),
    "a promoted trial on the screen": (on_screen, {}, -1, True),
    "a profile": (train("--profile", "fast", "--epochs", "1"), {"epochs": 1.0}, None, None),
    "a profile over another file": (
        train("--profile", "fast", "--epochs", "1", "--config", "other.toml"), {"epochs": 1.0}, None, None
    ),
    "a plan": (train("--plan", "{made.plan.id}"), {}, None, True),
    "a plan over another file": (train("--plan", "{made.plan.id}", "--config", "other.toml"), {}, None, False),
    "a plan's train.sh": (by_script(lambda made: made.plan), {}, None, True),
}  # fmt: skip


@pytest.mark.parametrize("way", WAYS)
def test_what_is_labelled_is_what_runs(made: Made, way: str) -> None:
    start, values, trial, estimated = WAYS[way]
    run = start(made)
    settings, started, order = checked(run)
    got = {**{name: getattr(settings.train, name) for name in values if name != "r"}, "r": settings.train.lora.r}
    assert {name: got[name] for name in values} == values
    if trial == -1:  # the best one, whichever it was
        assert started.trial is not None
        trial = started.trial
    assert started.trial == order.trial == trial
    if trial is not None:
        row = CANDIDATES[trial]
        assert settings.train.micro_batch_size == row["train.micro_batch_size"]
        assert {"train.learning_rate": " lr ", "train.epochs": " epochs "}[list(row)[-1]] in started.label
    if estimated is not None and "plan" not in way:
        assert (order.estimate is not None) is estimated
    if settings.train.max_steps is not None:
        assert " epochs " not in started.label
    if "plan" in way:
        planned = load_settings(made.plan.path / "train.toml")
        same = ("micro_batch_size", "epochs", "max_steps", "gradient_checkpointing", "effective_batch_size")
        assert [getattr(settings.train, name) for name in same] == [getattr(planned.train, name) for name in same]
        assert settings.data.max_length == planned.data.max_length
        assert order.profile == "fast"
        if not estimated:
            assert (order.estimate, order.step_seconds, order.alternatives) == (None, None, [])


def test_a_run_that_goes_on_and_a_second_stage_say_what_runs(made: Made) -> None:
    first = call(made.place, "train", "--engine", "thread", "-q", "--trial", f"{made.study.id}#1", "--window", "1ms",
                 "--config", "other.toml")  # fmt: skip
    before = [event for event in read_events(first.events) if isinstance(event, e.TrainingStarted)]
    assert read_order(first).estimate is None
    resumed = call(made.place, "train", "--engine", "thread", "-q", "--resume", first.id, "--window", "1h")
    settings, started, _ = checked(resumed)
    assert resumed.id == first.id and started.label == before[0].label and started.trial == 1
    assert (settings.train.micro_batch_size, settings.train.learning_rate) == (4, 5e-4)
    stage = call(made.place, "train", "--engine", "thread", "-q", "--from", first.id, "--epochs", "1")
    settings, started, order = checked(stage)
    assert (settings.train.micro_batch_size, settings.train.epochs, started.trial) == (4, 1.0, None)
    assert (order.estimate, order.step_seconds) == (None, None)


def test_a_label_kept_by_an_older_version_is_not_believed(made: Made, tmp_path: Path) -> None:
    shutil.copytree(made.place.folder, tmp_path, dirs_exist_ok=True)
    place = Place.__new__(Place)
    place.folder = tmp_path
    first = call(place, "train", "--engine", "thread", "-q", "--window", "1ms")
    text = first.order.read_text().replace('"named": []', '"named": [], "label": "mb8 ga2"')
    first.order.write_text(text)
    assert '"label"' in text
    checked(call(place, "train", "--engine", "thread", "-q", "--resume", first.id, "--window", "1h"))
