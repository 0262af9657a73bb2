"""train.sh and train.toml of settings and names that hold anything: the script is run, the file is loaded."""

from __future__ import annotations

import os
import random
import stat
import subprocess
from pathlib import Path

import msgspec
import pytest

from speedtui.engine.candidate import Candidate
from speedtui.engine.config.load import load_settings
from speedtui.engine.config.settings import ModelSettings, Settings
from speedtui.engine.context.order import Order
from speedtui.engine.report.promote import CONFIG_NAME, SCRIPT_NAME, write_planned, write_promoted
from speedtui.engine.runs import RunFolder

PARTS = (
    "\n", "\r", "\t", "'", '"', "`", "$", "$(touch run)", "`touch run`", ";touch run;", "\\", "\\n", "#", "%", "!",
    "touch run", "\x1b]52;c;eA==\x07", "\u202e", "\u2028", "\x85", "{", "]", "=", "'''", '"""', " ", "é", "中", "rank",
)  # fmt: skip
"""What a shell, TOML or a terminal makes something of."""
ROUNDS = 40
SHOW = ["printf", r"%s\0"]
"""In place of `speedtui train`: prints what it was given, each with a NUL after it."""


def nasty(chance: random.Random) -> str:
    return "".join(chance.choice(PARTS) for _ in range(chance.randint(1, 6)))


def run_script(path: Path, *more: str) -> list[str]:
    """What the command in it was given; it must print nothing else and leave nothing behind."""
    before = sorted(os.listdir(path.parent))
    ended = subprocess.run(["bash", path, *more], cwd=path.parent, capture_output=True, check=True)
    assert sorted(os.listdir(path.parent)) == before and ended.stderr == b""
    return ended.stdout.decode().split("\0")[:-1]


@pytest.mark.parametrize("seed", range(ROUNDS))
def test_a_promoted_trial_is_trained_with_the_very_values_it_had(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    name, knob, label, run = (nasty(chance) for _ in range(4))
    path = tmp_path / f"run {run.replace('/', '')}"
    path.mkdir()
    folder = RunFolder(path)
    settings = Settings(model=ModelSettings(kind="python", recipe="/r.py:build"), recipe={"own": knob, "n": 3})
    order = Order(job="tune", started_at=0.0, train_command=[*SHOW, name])
    if seed % 2:
        candidate = Candidate(id=7, label=label, values={"recipe.own": name}, micro_batch_size=1, grad_accum_steps=1)
        config, own, more = write_promoted(folder, settings, order, candidate), name, ["--trial", f"{folder.id}#7"]
    else:
        config, own, more = write_planned(folder, settings, order, label), knob, ["--plan", folder.id]
    assert run_script(path / SCRIPT_NAME, "--window", "a b") == [
        name, "--config", str(path / CONFIG_NAME), *more, "--window", "a b",
    ]  # fmt: skip
    assert load_settings(config).recipe == {"own": own, "n": 3}
    heads = [(path / SCRIPT_NAME).read_text().split("\n")[1], config.read_text().split("\n")[0]]
    assert all(head.startswith("# ") and head.isprintable() for head in heads)
    assert stat.S_IMODE((path / SCRIPT_NAME).stat().st_mode) == 0o700
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    assert msgspec.structs.asdict(load_settings(config))["model"].recipe == "/r.py:build"
