"""Writes what the demo works on and returns its configuration."""

from __future__ import annotations

import shutil
from pathlib import Path

from speedtui.engine.config.settings import (
    DataSettings,
    ModelSettings,
    ScheduleSettings,
    SearchSettings,
    Settings,
    TrainSettings,
    WindowSettings,
)
from speedtui.engine.demo.corpus import samples, write_corpus
from speedtui.engine.errors import RunFolderError
from speedtui.engine.files import make_folder, write_whole
from speedtui.engine.workload.base import Report

VERSION = "1"
"""Counts changes of the material; older material is made anew."""

TRAIN_ROWS, EVAL_ROWS = 960, 64
"""60 steps of 16 an epoch; an evaluation of about a second."""

MEMORY_LIMIT = "120MiB"
"""A device so small that a micro-batch of 8 runs out of it, and of 4, or of 8 with checkpointing, does not."""

TRAIN_SEED, EVAL_SEED, MODEL_SEED = 1, 2, 3


def prepare(folder: Path, report: Report) -> Settings:
    """The demo's settings, over material in `folder` that is made on the first call and used again after it.

    Raises:
        UsageError: the packages of the extra `train` are not installed.
        RunFolderError: the folder cannot be written.
    """
    from speedtui.engine.workload.packages import require_training_packages

    require_training_packages()
    folder = folder.resolve()
    try:
        if not _is_ready(folder):
            _make(folder, report)
    except OSError as error:
        raise RunFolderError(
            f"{folder}: the demo's files cannot be written: {error.strerror or error}",
            "Set XDG_CACHE_HOME to a folder that can be written.",
        ) from error
    return demo_settings(folder)


def demo_settings(folder: Path) -> Settings:
    """What is tuned and trained: all weights of a tiny model, 120 steps, in a window that a slow machine meets too."""
    return Settings(
        model=ModelSettings(path=str(folder / "tiny-llama")),
        data=DataSettings(
            train=str(folder / "train.jsonl"),
            eval=str(folder / "eval.jsonl"),
            prompt="prompt",
            response="response",
            max_length=256,
        ),
        train=TrainSettings(
            epochs=2,
            effective_batch_size=16,
            micro_batch_size=2,
            learning_rate=2e-3,  # random weights take a far larger step than a trained model
            lr_warmup_steps=5,
            method="full",
        ),
        window=WindowSettings(length="10m", margin="1m"),
        schedule=ScheduleSettings(eval_every="30 steps", checkpoint_every="60 steps", keep_checkpoints=1),
        search=SearchSettings(mode="quick", batches=10, memory_limit=MEMORY_LIMIT),
    )


def _is_ready(folder: Path) -> bool:
    try:
        return (folder / "ready").read_text(encoding="utf-8") == VERSION
    except FileNotFoundError:
        return False


def _make(folder: Path, report: Report) -> None:
    """The mark comes last: material that was cut short is made again."""
    from speedtui.engine.demo.model import save_model

    make_folder(folder)
    (folder / "ready").unlink(missing_ok=True)
    report("writing the demo's data", 0, None)
    write_corpus(folder / "train.jsonl", TRAIN_ROWS, TRAIN_SEED)
    write_corpus(folder / "eval.jsonl", EVAL_ROWS, EVAL_SEED)
    report("making the demo's model", 0, None)
    shutil.rmtree(folder / "tiny-llama", ignore_errors=True)
    texts = (text for sample in samples(TRAIN_ROWS, TRAIN_SEED) for text in sample)
    save_model(folder / "tiny-llama", texts, MODEL_SEED)
    write_whole(folder / "ready", VERSION)
