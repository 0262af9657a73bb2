"""A training whose micro-batch is changed while its checkpoints' disk is full; prints what came of it as JSON.

argv: the disk, which nothing but the checkpoints are on; a folder with a tiny model and rows; a folder for the run.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import msgspec

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.log.tail import read_events
from speedtui.engine.session.start import StartOptions, start_training
from tests.engine.session.conftest import Driven, tiny_settings

STEPS = 60


def fill(disk: Path) -> Path:
    """Takes all of it but what no checkpoint fits in."""
    filler = disk / "filler"
    try:
        with filler.open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
    except OSError:
        os.truncate(filler, filler.stat().st_size - (64 << 10))
    return filler


def reach(driven: Driven, step: int) -> None:
    driven.until(lambda state: state.training is not None and state.training.step >= step)


def main(disk: Path, material: Path, runs: Path) -> None:
    settings = tiny_settings(material)
    train = msgspec.structs.replace(settings.train, max_steps=5000)
    schedule = msgspec.structs.replace(settings.schedule, checkpoint_every="never", eval_every="never")
    settings = msgspec.structs.replace(settings, train=train, schedule=schedule)
    session = start_training(
        settings, StartOptions(runs=runs, where="test", train_command=["speedtui", "train"], in_thread=True)
    )
    (disk / "checkpoints").mkdir()
    session.folder.checkpoints.symlink_to(disk / "checkpoints")
    filler = fill(disk)
    driven = Driven(session)
    reach(driven, 3)
    session.send(c.Set(values={"train.micro_batch_size": 8}))
    driven.until(lambda state: state.training is not None and state.training.checkpoint_failure is not None)
    refused = driven.events(e.CheckpointFailed)[0]
    reach(driven, refused.step + 5)
    filler.unlink()
    session.send(c.Checkpoint())
    driven.until(lambda state: state.training is not None and state.training.micro_batch_size == 8)
    reach(driven, driven.session.snapshot().training.first_step + 3)  # type: ignore[union-attr]
    session.send(c.Cancel())
    driven.end()
    events = list(read_events(session.folder.events))
    started = [event for event in events if isinstance(event, e.TrainingStarted)]
    saved = [event for event in events if isinstance(event, e.CheckpointSaved)]
    changed = [event for event in events if isinstance(event, e.SettingsChanged)]
    print(
        json.dumps(
            {
                "refused": refused.step,
                "started": [(event.first_step, event.micro_batch_size) for event in started],
                "saved": [(event.step, event.reason) for event in saved],
                "changed": [(event.step, event.values) for event in changed],
                "notices": [event.text for event in events if isinstance(event, e.Notice)],
                "steps": [event.step for event in events if isinstance(event, e.StepCompleted)],
            }
        )
    )


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
    sys.stdout.flush()
    os._exit(0)
