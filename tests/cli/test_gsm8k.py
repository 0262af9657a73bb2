"""The main job on real text: grade-school problems, a Llama with random weights, a tokenizer trained on them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from speedtui.engine.config.settings import ModelSettings
from speedtui.engine.workload.architecture import build_architecture, train_tokenizer, wrap_tokenizer

GSM8K = Path(__file__).parents[3] / "shared" / "data" / "gsm8k"
LLAMA = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 192, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2,
}  # fmt: skip
CONFIG = """
[model]
path = "llama"
[data]
train = "{data}/train.jsonl"
eval = "{data}/test.jsonl"
prompt = "question"
response = "answer"
max_length = 512
eval_rows = 16
[train]
max_steps = 6
effective_batch_size = 16
[search]
batches = 4
memory_limit = "150MiB"
"""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not GSM8K.is_dir(), reason="the GSM8K files are not beside this checkout"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gsm8k")
    rows = [json.loads(line) for line in (GSM8K / "train.jsonl").read_text().splitlines()[:2000]]
    tokenizer = wrap_tokenizer(train_tokenizer((row["question"] + "\n" + row["answer"] for row in rows), 2048))
    build_architecture(ModelSettings(architecture=LLAMA), tokenizer, torch.device("cpu"), 1).save_pretrained(
        folder / "llama"
    )
    tokenizer.save_pretrained(folder / "llama")
    (folder / "speedtui.toml").write_text(CONFIG.format(data=GSM8K))
    return folder


@pytest.mark.parametrize(("mode", "count"), [("quick", 8), ("thorough", 16)])
def test_a_study_of_real_text_meets_its_memory_limit_and_its_command_trains(
    folder: Path, mode: str, count: int
) -> None:
    command = [sys.executable, "-m", "speedtui.tui.cli", "tune", "--mode", mode, "--runs", f"runs-{mode}", "-q"]
    study = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert study.returncode == 0, study.stderr
    run = next((folder / f"runs-{mode}").iterdir())
    trials = json.loads((run / "trials.json").read_text())
    statuses = [trial["status"] for trial in trials]
    assert len(trials) == count
    assert statuses.count("out_of_memory") >= 1
    assert statuses.count("ok") >= 1
    assert "failed" not in statuses, [trial["reason"] for trial in trials]
    assert all(trial["base_weights_unchanged"] for trial in trials)
    if mode == "quick":
        training = subprocess.run(["sh", str(run / "train.sh"), "-q"], capture_output=True, text=True, check=False)
        assert training.returncode == 0, training.stderr
        assert "6 steps" in training.stdout
