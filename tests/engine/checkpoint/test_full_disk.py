"""A disk that takes no more leaves the older checkpoints and the model as they were. The disks are real ones."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from speedtui.engine.checkpoint.store import CheckpointStore

ROOT = Path(__file__).parents[3]
MOUNT = 'mount -t tmpfs -o size=8m tmpfs "$1" && shift && exec "$@"'
SCRIPT = [sys.executable, "-m", "tests.engine.checkpoint.fills_the_disk"]


def results_of(command: list[str]) -> dict[str, Any]:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def own_disk(folder: Path) -> list[str]:
    """A command before another, which gives it a disk of 8 MiB of its own at the folder; skips where none can be."""
    for command in (["unshare", "-m"], ["unshare", "-rm"]):
        prefix = [*command, "sh", "-c", MOUNT, "sh", str(folder)]
        try:
            if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0:
                return prefix
        except FileNotFoundError:
            break
    pytest.skip("no file system can be mounted here")


def check(results: dict[str, Any], attempts: tuple[str, ...]) -> None:
    for name in attempts:
        assert results[name]["kind"], name
        assert results[name]["steps"] == [1], name
        assert not results[name]["left"], name
    assert results["found"] == {"step": 1, "parts": [1]}
    assert results["later"] == {"steps": [5]}
    assert results["model"]["bytes"] < 1 << 20


def test_a_full_disk_costs_nothing_but_the_attempt(tmp_path: Path) -> None:
    results = results_of([*own_disk(tmp_path), *SCRIPT, str(tmp_path)])
    check(results, ("torch", "safetensors", "facts"))
    assert results["facts"]["kind"] == "OSError"
    assert "No space left on device" in results["facts"]["said"]
    assert "No space" not in results["torch"]["said"]  # torch hides it, the disk does not
    for name in ("torch", "safetensors", "facts"):
        assert results[name]["refusal"] == "No space left on device"


def test_a_limit_on_files_costs_nothing_but_the_attempt(tmp_path: Path) -> None:
    check(results_of([*SCRIPT, str(tmp_path), "limit"]), ("torch", "safetensors"))


def test_what_is_no_matter_of_the_disk_is_not_laid_to_it(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path, keep=1)
    assert store.refusal(RuntimeError("a shape is wrong")) is None
    assert store.refusal(PermissionError(13, "Permission denied")) == "Permission denied"
