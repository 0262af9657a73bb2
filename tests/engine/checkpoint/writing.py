"""Checkpoints as transformers lays them out, written in a moment and without torch."""

from __future__ import annotations

import json
import struct
import zipfile
from pathlib import Path

from speedtui.engine.checkpoint.facts import CheckpointFacts
from speedtui.engine.checkpoint.store import CheckpointStore, Saved


def facts_of(step: int, model: str = "a model") -> CheckpointFacts:
    return CheckpointFacts(step=step, total_steps=100, model=model, saved_at=0.0, reason="schedule")


def write_safetensors(path: Path, floats: int, value: int = 0) -> None:
    header = json.dumps({"w": {"dtype": "F32", "shape": [floats], "data_offsets": [0, 4 * floats]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + struct.pack("<I", value) * floats)


def write_zip(path: Path, content: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", content)


def write_parts(aside: Path, step: int, floats: int = 1000) -> None:
    """What transformers writes for a checkpoint of a step, in its order; every part says which step it is of."""
    aside.mkdir(parents=True)
    write_safetensors(aside / "adapter_model.safetensors", floats, step)
    (aside / "adapter_config.json").write_text('{"r": 8}')
    (aside / "README.md").write_text("a card")
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        write_zip(aside / name, struct.pack("<I", step) * floats)
    (aside / "trainer_state.json").write_text(json.dumps({"global_step": step, "max_steps": 100, "loss": float("nan")}))


def step_in_parts(checkpoint: Path) -> set[int]:
    """The steps that the parts of a checkpoint say they are of; one where it is of one piece."""
    steps = {json.loads((checkpoint / "trainer_state.json").read_text())["global_step"]}
    steps.add(struct.unpack("<I", (checkpoint / "adapter_model.safetensors").read_bytes()[-4:])[0])
    for name in ("optimizer.pt", "scheduler.pt", "rng_state.pth"):
        with zipfile.ZipFile(checkpoint / name) as archive:
            steps.add(struct.unpack("<I", archive.read("archive/data.pkl")[-4:])[0])
    return steps


def save(store: CheckpointStore, step: int, *, floats: int = 1000, model: str = "a model") -> Saved:
    write_parts(store.begin(step), step, floats)
    return store.commit(step, facts_of(step, model))
