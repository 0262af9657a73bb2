"""A worker that is killed while it saves leaves a whole checkpoint and a whole model."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

from speedtui.engine.checkpoint.files import _swap, repair
from speedtui.engine.checkpoint.store import CheckpointStore
from speedtui.engine.checkpoint.verify import flaw_of_file
from tests.engine.checkpoint.writing import step_in_parts, write_safetensors

ROOT = Path(__file__).parents[3]
ROUNDS = 20
LONGEST_SECONDS = 0.06
"""From a checkpoint that is done to the kill: a few checkpoints' time, so that any point of one is met."""


def killed_while_saving(folder: Path, first: int, seconds: float) -> int:
    """Starts a process that saves, kills it so long after its first checkpoint; returns the last step it said."""
    command = [sys.executable, "-m", "tests.engine.checkpoint.saves_until_killed", str(folder), str(first)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        said = [process.stdout.readline()]
        time.sleep(seconds)
        process.kill()
        said += process.stdout.readlines()
    return int([line for line in said if line.endswith("\n")][-1])


def test_a_kill_at_any_point_leaves_a_whole_checkpoint(tmp_path: Path) -> None:
    chance = random.Random(4)
    store = CheckpointStore(tmp_path / "checkpoints", keep=2)
    step, unfinished, published = 0, 0, 0
    for _ in range(ROUNDS):
        said = killed_while_saving(tmp_path, step + 1, chance.uniform(0, LONGEST_SECONDS))
        found = store.newest("a model")
        assert found is not None
        assert found.facts.step >= said > step
        assert step_in_parts(found.path) == {found.facts.step}
        assert all(path.parent == store.staging for path, _ in found.passed_over)
        assert len(store.steps()) <= store.keep + 1
        unfinished += bool(found.passed_over)
        step = found.facts.step
        model = tmp_path / "model" / "model.safetensors"
        assert published == 0 or model.exists()
        if model.exists():
            assert flaw_of_file(model) is None
            published += 1
    assert unfinished > 0  # some kill met a checkpoint half-way, or nothing was shown
    assert published > 0


def test_without_an_exchange_there_is_always_the_old_one_or_the_new_one(tmp_path: Path) -> None:
    for name in ("old", "new"):
        (tmp_path / name).mkdir()
        write_safetensors(tmp_path / name / "model.safetensors", 10, value=len(name))
    target = tmp_path / "old"
    _swap(tmp_path / "new", target)  # what file systems get that cannot exchange
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert not repair(target)
