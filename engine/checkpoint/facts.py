"""What a checkpoint says about itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.errors import UsageError
from speedtui.engine.events.base import SaveReason

FACTS_NAME = "speedtui.json"
STATE_NAME = "trainer_state.json"
"""transformers' own; the last file that it writes."""


class CheckpointError(UsageError):
    """A checkpoint that this training cannot go on from."""


class CheckpointFacts(msgspec.Struct, frozen=True, kw_only=True):
    """speedtui.json in a checkpoint: written last, so that its being there says that the rest is."""

    step: int
    """Optimizer steps done."""
    total_steps: int
    model: str
    """Its fingerprint; empty where it is not known."""
    saved_at: float
    """Wall clock."""
    reason: SaveReason
    schedule: dict[str, Any] = {}
    """What the schedule has to remember: the best value, patience, the last evaluations, the learning rate's anchor."""
    files: dict[str, int] = {}
    """Bytes by name, relative to the checkpoint; filled in by the store."""


class _TrainerState(msgspec.Struct, frozen=True):
    global_step: int
    max_steps: int


def read_facts(checkpoint: Path) -> CheckpointFacts:
    """The facts of a checkpoint; of one that has none, from transformers' state, with the model unknown.

    Raises:
        OSError: neither can be read.
        ValueError: what is there is something else.
    """
    path = checkpoint / FACTS_NAME
    if path.exists():
        return msgspec.json.decode(path.read_bytes(), type=CheckpointFacts)
    path = checkpoint / STATE_NAME
    state = msgspec.convert(decode_json(path.read_bytes()), type=_TrainerState)
    return CheckpointFacts(
        step=state.global_step,
        total_steps=state.max_steps,
        model="",
        saved_at=path.stat().st_mtime,
        reason="schedule",
    )


def decode_json(text: bytes) -> Any:
    """Decodes JSON; the NaN that Python writes for a loss is none, but is read.

    Raises:
        ValueError: it is no JSON, or its end is missing.
    """
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return json.loads(text)
