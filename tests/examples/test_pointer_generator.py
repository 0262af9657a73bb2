"""The plain PyTorch example: a summariser that copies, trained, resumed and tuned by the real program."""

from __future__ import annotations

import hashlib
import signal
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import torch
from safetensors.torch import load_file

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.errors import ExitCode
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder, list_runs
from speedtui.engine.workload import Workload
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import load_workload
from tests.cli.program import SCRIPT, Ended, Program, wait_for

pytestmark = pytest.mark.slow

HERE = Path(__file__).parent / "pointer_generator"
PLAY = Path(__file__).parents[3] / "shared" / "data" / "tinyshakespeare" / "input.txt"
KNOBS: dict[str, Any] = {"rows": 160, "eval_rows": 16, "vocabulary": 400, "text": str(PLAY)}
STEPS = 40


def workload(**knobs: Any) -> Workload:
    model = ModelSettings(kind="python", recipe=f"{HERE / 'recipe.py'}:build")
    return load_workload(Settings(model=model, recipe={**KNOBS, **knobs}), device=torch.device("cpu"), report=silent)


def batch(made: Workload, rows: range) -> Any:
    return made.collator([made.train_dataset[row] for row in rows])


# -- the example itself --------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [str(PLAY), ""], ids=["play", "made up"])
def test_a_summary_is_of_the_article_and_of_words_that_can_be_copied(text: str) -> None:
    data: Any = workload(text=text).train_dataset
    beyond = 0
    for index, (article, summary) in enumerate(data.pairs):
        own = data.vocabulary.own_words(article)
        sample = data[index]
        assert data.vocabulary.decode(sample["labels"].tolist(), own) == " ".join(summary)
        beyond += int((sample["labels"] >= len(data.vocabulary)).any())
    assert beyond / len(data) > 0.5


def test_padding_changes_no_loss() -> None:
    made = workload()
    made.model.eval()
    rows = range(4)
    singles = [batch(made, range(row, row + 1)) for row in rows]
    alone = [(made.model(**single)["loss"], single["labels"].numel()) for single in singles]
    mean = sum(loss * words for loss, words in alone) / sum(words for _, words in alone)
    torch.testing.assert_close(made.model(**batch(made, rows))["loss"], mean)


def test_it_learns_to_copy_what_its_vocabulary_lacks() -> None:
    made = workload(rows=320, dropout=0.0)
    model: Any = made.model
    data: Any = made.eval_dataset
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for step in range(60):
        loss = model(**batch(made, range(step * 16 % 320, step * 16 % 320 + 16)))["loss"]
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
    model.eval()
    unseen = made.collator([data[row] for row in range(len(data))])
    written = model.write(unseen["input_ids"], unseen["attention_mask"], longest=20)
    copied = {int(word) for word in written.flatten() if word >= len(data.vocabulary)}
    right = written[:, :6] == unseen["labels"][:, :6]
    assert copied
    assert right.float().mean() > 0.5


# -- with the program ----------------------------------------------------------------------------------


def configure(folder: Path, **tables: dict[str, Any]) -> None:
    config: dict[str, dict[str, Any]] = {
        "model": {"kind": "python", "recipe": f"{HERE / 'recipe.py'}:build"},
        "train": {
            "method": "full", "max_steps": STEPS, "effective_batch_size": 16, "micro_batch_size": 8,
            "learning_rate": 1e-2, "lr_warmup_steps": 2,
        },
        "schedule": {
            "eval_every": "10 steps", "checkpoint_every": "6 steps", "generate": True, "max_new_tokens": 20,
            "metric": f"{HERE / 'overlap.py'}:rouge_1",
        },
        "recipe": KNOBS,
    }  # fmt: skip
    folder.mkdir(exist_ok=True)
    (folder / "speedtui.toml").write_text(tomli_w.dumps({**config, **tables}))


def start(folder: Path, *arguments: str) -> Program:
    return Program([str(SCRIPT), *arguments], folder)


def run_of(folder: Path) -> RunFolder:
    return list_runs(folder / "runs")[0]


def events_of(folder: Path) -> list[e.AnyEvent]:
    return list(read_events(run_of(folder).events))


def of(folder: Path, kind: Any) -> list[Any]:
    return [event for event in events_of(folder) if isinstance(event, kind)]


def weights(folder: Path) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(load_file(run_of(folder).path / "model" / "model.safetensors").items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def saved(folder: Path) -> bool:
    runs = list_runs(folder / "runs") if (folder / "runs").is_dir() else []
    return bool(runs) and any(isinstance(event, e.CheckpointSaved) for event in read_events(runs[0].events))


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Ended]]:
    """A whole training, one that is interrupted and resumed, and a study, side by side."""
    folders = {name: tmp_path_factory.mktemp(name) for name in ("whole", "interrupted", "tuned")}
    for folder in folders.values():
        configure(folder)
    configure(folders["tuned"], search={"configs": "mine.json", "batches": 3, "early_stop": False})
    (folders["tuned"] / "mine.json").write_text(
        '[{"train.micro_batch_size": 4}, {"train.micro_batch_size": 16}, {"recipe.hidden": 96}]'
    )
    commands = {"whole": "train", "interrupted": "train", "tuned": "tune"}
    programs = {name: start(folders[name], command, "--json") for name, command in commands.items()}
    wait_for(lambda: saved(folders["interrupted"]) or programs["interrupted"].process.poll() is not None)
    programs["interrupted"].signal(signal.SIGINT)
    return {name: (folders[name], program.end()) for name, program in programs.items()}


def test_the_program_trains_it_with_evaluations_and_checkpoints(ended: dict[str, tuple[Path, Ended]]) -> None:
    folder, program = ended["whole"]
    assert program.code == ExitCode.DONE, program.err
    finished = of(folder, e.TrainingFinished)[-1]
    assert finished.steps == STEPS
    assert finished.last_loss < 0.6 * finished.first_loss
    evaluations = of(folder, e.EvaluationCompleted)
    assert [evaluation.step for evaluation in evaluations] == [10, 20, 30, 40]
    assert evaluations[-1].loss < evaluations[0].loss
    assert evaluations[-1].metrics["rouge_1"] > max(evaluations[0].metrics["rouge_1"], 0.3)
    assert evaluations[-1].unscored == 0
    assert evaluations[-1].rows == KNOBS["eval_rows"]
    steps = [event.step for event in of(folder, e.CheckpointSaved) if not event.final]
    assert set(steps) >= {6, 12, 18, 24, 30, 36}
    assert all(event.tokens for event in of(folder, e.StepCompleted))


def test_resumed_it_ends_as_if_it_had_not_been_interrupted(ended: dict[str, tuple[Path, Ended]]) -> None:
    """With dropout, whose random numbers have to go on where they were."""
    whole, _ = ended["whole"]
    folder, program = ended["interrupted"]
    assert program.code == ExitCode.INTERRUPTED
    before = of(folder, e.StepCompleted)[-1].step
    assert before < STEPS
    assert start(folder, "train", "--json", "--resume", run_of(folder).id).end().code == ExitCode.DONE
    assert of(folder, e.TrainingStarted)[-1].first_step == before
    assert of(folder, e.TrainingFinished)[-1].steps == STEPS
    assert weights(folder) == weights(whole)


def test_it_can_be_tuned_with_a_knob_of_its_own(ended: dict[str, tuple[Path, Ended]]) -> None:
    folder, program = ended["tuned"]
    assert program.code == ExitCode.DONE, program.err
    results = [event.result for event in of(folder, e.TrialFinished)]
    assert [result.status for result in results] == [TrialStatus.OK] * 3
    assert all(result.measurement is not None and result.memory is not None for result in results)
