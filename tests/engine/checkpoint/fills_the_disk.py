"""Saves on a disk that becomes full, with what torch and safetensors write, and prints what came of it as JSON.

argv: the folder. MiB that the disk has in all: 8; with `limit`, no file may be larger than 1 MiB instead.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from speedtui.engine.checkpoint.store import CheckpointStore, aside_of, publish
from tests.engine.checkpoint.writing import facts_of, save, step_in_parts, write_parts

MIB = 1 << 20


def attempt(store: CheckpointStore, step: int, write: Any) -> dict[str, Any]:
    """What the library said, what the disk says, and what is left."""
    aside = store.begin(step)
    write_parts(aside, step)
    said, kind, refusal = "", "", None
    try:
        write(aside)
        store.commit(step, facts_of(step))
    except Exception as error:
        said, kind = str(error), type(error).__name__
        refusal = store.refusal(error)
        store.abandon()
    return {"said": said, "kind": kind, "refusal": refusal, "steps": store.steps(), "left": store.staging.exists()}


def too_large_for_torch(aside: Path) -> None:
    torch.save({"moments": torch.zeros(16 * MIB // 4)}, aside / "optimizer.pt")


def too_large_for_safetensors(aside: Path) -> None:
    save_file({"w": torch.zeros(16 * MIB // 4)}, aside / "model.safetensors")


def fills_it_to_the_last_byte(aside: Path) -> None:
    """So that nothing but the store's own facts is refused."""
    try:
        with (aside / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass
    except OSError:
        pass


def main(folder: Path, limit: bool) -> None:
    if limit:
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB))
    store = CheckpointStore(folder / "checkpoints", keep=1)
    save(store, 1)
    results = {
        "torch": attempt(store, 2, too_large_for_torch),
        "safetensors": attempt(store, 3, too_large_for_safetensors),
    }
    if not limit:
        results["facts"] = attempt(store, 4, fills_it_to_the_last_byte)
    found = store.newest("a model")
    assert found is not None
    results["found"] = {"step": found.facts.step, "parts": sorted(step_in_parts(found.path))}
    save(store, 5)
    results["later"] = {"steps": store.steps()}
    target = folder / "model"
    for size in (1, 16):
        aside = aside_of(target)
        aside.mkdir()
        try:
            save_file({"w": torch.zeros(size * MIB // 8)}, aside / "model.safetensors")
            publish(aside, target)
        except Exception as error:
            results["model"] = {"said": str(error), "bytes": (target / "model.safetensors").stat().st_size}
    print(json.dumps(results))


if __name__ == "__main__":
    main(Path(sys.argv[1]), "limit" in sys.argv)
    sys.stdout.flush()
    os._exit(0)
