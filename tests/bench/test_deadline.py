"""A deadline that cannot be met: a complete model in time, and a way on that ends where an uninterrupted run ends."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from figures import keep, table
from safetensors.torch import load_file
from text_to_sql_runs import Ran, material, train
from transformers import AutoModelForSeq2SeqLM

from speedtui.engine import events as e
from speedtui.engine.config.window import Window
from tests.examples.text_to_sql.material import write_config

SHARE = 0.5
"""Of the training's time, once it has begun, there is until the safe end."""
MARGIN_SECONDS = 5
EPOCHS = 8.0
SCHEDULES: dict[str, dict[str, Any]] = {
    "steps alone": {"eval_every": "never", "generate": False, "metric": "", "checkpoint_every": "never"},
    "evaluations and saves": {"eval_every": "1 epoch", "checkpoint_every": "2 epochs"},
    "evaluations by the clock": {"eval_every": "6s", "fast_eval_every": "10 steps", "checkpoint_every": "10s"},
}
"""Their weights are the same in the end: what happens besides steps must not change them."""


def test_a_deadline_that_cannot_be_met(tmp_path: Path) -> None:
    folder = material(tmp_path / "sql", train_rows=240, eval_rows=32, links=150_000)
    figures = [case(folder, name, schedule) for name, schedule in SCHEDULES.items()]
    names = ("whole_s", "window_s", "steps", "of", "complete_s_before_safe_end", "exit_code", "resumed_to")
    print(table(["schedule", *names, "identical"], [[f["name"], *(f[n] for n in names), f["identical"]]
                                                     for f in figures]))  # fmt: skip
    keep("deadline", {"share": SHARE, "margin_seconds": MARGIN_SECONDS, "runs": figures})
    for found in figures:
        assert found["exit_code"] == 3, found
        assert found["reason"] == "deadline", found
        assert 0 < found["steps"] < found["of"], found
        assert found["complete_s_before_safe_end"] >= 0, found
        assert found["resumed_to"] == found["of"], found
        assert found["identical"] and found["losses_identical"], found
    assert len({found["weights"] for found in figures}) == 1


def case(folder: Path, name: str, schedule: Mapping[str, Any]) -> dict[str, Any]:
    """An uninterrupted run, one with half of its time, and what goes on from that."""
    write_config(folder, {"train": {"epochs": EPOCHS}, "schedule": dict(schedule)})
    whole = train(folder)
    began, ended = whole.one(e.TrainingStarted).t, whole.one(e.TrainingFinished).t
    window = round(began + SHARE * (ended - began)) + MARGIN_SECONDS
    late = train(folder, "--window", f"{window}s", "--margin", f"{MARGIN_SECONDS}s")
    figures = {**of_deadline(late), "whole_s": ended, "window_s": window}
    resumed = train(folder, "--resume", late.folder.id, "--window", "1h", "--margin", "1m")
    assert resumed.folder == late.folder
    return {
        "name": name, **figures, "resumed_code": resumed.code, "resumed_to": resumed.one(e.TrainingFinished).steps,
        "weights": weights(whole), "identical": weights(resumed) == weights(whole),
        "losses_identical": same_where_both(losses(resumed), losses(whole)),
    }  # fmt: skip


def of_deadline(late: Ran) -> dict[str, Any]:
    """What the run with too little time left, and when."""
    started, finished = late.one(e.RunStarted), late.one(e.TrainingFinished)
    window = started.window
    assert isinstance(window, Window) and finished.model_path is not None
    loaded = AutoModelForSeq2SeqLM.from_pretrained(finished.model_path)
    assert all(bool(torch.isfinite(tensor).all()) for tensor in loaded.state_dict().values())
    written = max(file.stat().st_mtime for file in Path(finished.model_path).rglob("*"))
    complete = max(written, started.started_at + finished.t)
    end = late.one(e.RunFinished)
    return {
        "exit_code": late.code, "outcome": end.outcome, "said": end.reason, "next": end.next,
        "reason": finished.reason, "steps": finished.steps, "of": late.one(e.TrainingStarted).total_steps,
        "complete_s_before_safe_end": window.safe_until - complete,
        "weights_when_late": weights(late),
    }  # fmt: skip


def weights(ran: Ran) -> str:
    """SHA-256 of the left model's tensors."""
    digest = hashlib.sha256()
    for name, tensor in sorted(load_file(ran.folder.path / "model" / "model.safetensors").items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def losses(ran: Ran) -> dict[int, float | None]:
    """By step, where a line is of one step alone."""
    return {step.step: step.loss for step in ran.of(e.StepCompleted) if step.steps == 1}


def same_where_both(ones: Mapping[int, float | None], others: Mapping[int, float | None]) -> bool:
    """Fast steps share lines, and not the same ones in each run."""
    both = ones.keys() & others.keys()
    return len(both) > 10 and all(ones[step] == others[step] for step in both)


def test_no_time_at_all(tmp_path: Path) -> None:
    """The window ends while the model is still being loaded."""
    folder = material(tmp_path / "sql", train_rows=32, eval_rows=8, links=1000)
    write_config(folder, {"train": {"epochs": 40.0}})
    late = train(folder, "--window", "2s", "--margin", "1s")
    finished = late.one(e.TrainingFinished)
    print(f"a window of 2 s: exit code {late.code}, {finished.steps} steps, {late.one(e.RunFinished).reason}")
    assert late.code == 3
    assert finished.steps <= 1
    assert AutoModelForSeq2SeqLM.from_pretrained(finished.model_path or "") is not None
