"""Saves one checkpoint after the other, and publishes a model after each, and says when it is done. To be killed.

argv: the folder, the first step. Every third step is saved twice.
"""

from __future__ import annotations

import sys
from itertools import count
from pathlib import Path

from speedtui.engine.checkpoint.store import CheckpointStore, aside_of, publish
from tests.engine.checkpoint.writing import save, write_safetensors

FLOATS = 50_000


def main(folder: Path, first: int) -> None:
    store = CheckpointStore(folder / "checkpoints", keep=2)
    target = folder / "model"
    for step in count(first):
        for _ in range(1 + (step % 3 == 0)):
            save(store, step, floats=FLOATS)
            print(step, flush=True)
        aside = aside_of(target)
        aside.mkdir()
        write_safetensors(aside / "model.safetensors", FLOATS, step)
        publish(aside, target)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
