"""What the demo works on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from speedtui.engine.config.check import check
from speedtui.engine.config.settings import Settings
from speedtui.engine.demo.corpus import samples
from speedtui.engine.demo.prepare import prepare
from speedtui.engine.errors import RunFolderError
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import load_workload
from speedtui.engine.workload.weights_guard import hash_tensor


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return prepare(tmp_path_factory.mktemp("demo"), silent)


def test_the_corpus_depends_on_its_seed_alone() -> None:
    assert samples(50, seed=1) == samples(50, seed=1) != samples(50, seed=2)


def test_answers_follow_from_the_questions() -> None:
    answers = dict(samples(300, seed=1))
    prompt, response = next((p, r) for p, r in answers.items() if p.startswith("Add these numbers"))
    numbers = [int(word) for word in prompt.split(": ")[1].split()]
    assert response.endswith(f"The sum is {sum(numbers)}.")


def test_the_settings_of_the_demo_pass_the_check(demo: Settings) -> None:
    check(demo, "demo")


def test_lengths_have_a_long_tail(demo: Settings) -> None:
    lengths = load_workload(demo, device=torch.device("cpu"), report=silent).lengths
    assert lengths is not None
    assert lengths.max() <= demo.data.max_length
    assert lengths.max() > 4 * np.median(lengths)
    assert lengths.min() < 20


def test_the_material_is_made_once(demo: Settings) -> None:
    folder = Path(demo.data.train or "").parent
    written = (folder / "train.jsonl").stat().st_mtime_ns
    assert prepare(folder, silent) == demo
    assert (folder / "train.jsonl").stat().st_mtime_ns == written


def test_material_that_was_cut_short_is_made_again(demo: Settings) -> None:
    folder = Path(demo.data.train or "").parent
    before = (folder / "tiny-llama" / "model.safetensors").read_bytes()
    (folder / "ready").unlink()
    (folder / "tiny-llama" / "model.safetensors").write_bytes(b"half")
    prepare(folder, silent)
    assert (folder / "tiny-llama" / "model.safetensors").read_bytes() == before


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(RunFolderError, match="the demo's files cannot be written"):
        prepare(tmp_path / "file" / "demo", silent)


def test_the_loss_of_the_demo_falls(demo: Settings) -> None:
    workload = load_workload(demo, device=torch.device("cpu"), report=silent)
    before = [hash_tensor(p) for p in workload.model.parameters()]
    optimizer = torch.optim.AdamW(workload.model.parameters(), lr=demo.train.learning_rate)
    losses = []
    for step in range(12):
        batch = workload.collator([workload.train_dataset[8 * step + i] for i in range(8)])
        loss = workload.model(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 1
    assert [hash_tensor(p) for p in workload.model.parameters()] != before
