"""Each trial has the precision that its label names, on a simulated GPU, and the next one its own again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from transformers.models.llama import modeling_llama

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.errors import ConfigError
from speedtui.engine.jobs.train import train
from speedtui.engine.log.tail import read_events
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.trial.runner import TrialRunner
from speedtui.engine.workload.float32 import float32_now
from speedtui.engine.workload.packages import LIGER as PACKAGE
from tests.engine.trial.conftest import NewRunner, attempt
from tests.simulated_cuda import simulated_cuda

pytestmark = pytest.mark.slow

CUDA = torch.device("cuda", 0)
LIGER = Path(__file__).parents[1] / "workload" / "liger_stand_in"


@pytest.fixture
def runner(new_runner: NewRunner) -> Iterator[TrialRunner]:
    with simulated_cuda():
        yield new_runner(device=CUDA)


def watched(runner: TrialRunner) -> list[tuple[bool, torch.dtype]]:
    """Filled with (TF32 is on, what a layer computes in) whenever the loaded model is trained."""
    seen: list[tuple[bool, torch.dtype]] = []
    layer: Any = runner.load(runner.context.settings).model.model.layers[0].mlp.down_proj  # type: ignore[union-attr]

    def look(module: Any, args: Any, output: torch.Tensor) -> None:
        if module.training:
            seen.append((float32_now().matrices, output.dtype))

    layer.register_forward_hook(look)
    return seen


PLAIN = (False, torch.float32)
TURNS: list[tuple[dict[str, Any], str, tuple[bool, torch.dtype]]] = [
    ({}, "", PLAIN),
    ({"tf32": True}, "+tf32", (True, torch.float32)),
    ({}, "", PLAIN),
    ({"fp16": True}, "+fp16", (False, torch.float16)),
    ({"bf16": True, "tf32": True}, "+bf16 +tf32", (True, torch.bfloat16)),
    ({}, "", PLAIN),
]


def test_it_is_the_labels_own_in_every_trial_and_gone_after_it(runner: TrialRunner) -> None:
    seen = watched(runner)
    before = float32_now()
    for number, (values, label, expected) in enumerate(TURNS):
        seen.clear()
        named = {f"train.{name}": value for name, value in values.items()}
        candidate = make_candidate(number, named, runner.context.settings, "test")
        assert candidate.label.endswith(label) and candidate.label.count("+") == len(values)
        result = runner.run(candidate, None)
        assert result.status is TrialStatus.OK, result.reason
        assert set(seen) == {expected}, candidate.label
        assert float32_now() == before


def test_two_that_take_turns_have_each_their_own(runner: TrialRunner) -> None:
    seen = watched(runner)
    both = [
        make_candidate(number, {"train.tf32": on, "train.micro_batch_size": 8}, runner.context.settings, "test")
        for number, on in enumerate((False, True))
    ]
    runner.compare(both[0], both[1], most_pairs=2)
    turns = [on for i, (on, _) in enumerate(seen) if i == 0 or on != seen[i - 1][0]]
    assert turns == [False, True, False]
    assert not float32_now().matrices


def test_steps_in_float16_are_none_that_diverged(runner: TrialRunner) -> None:
    result = attempt(runner, 0, train__fp16=True, optimizer="adamw_torch")
    assert result.status is TrialStatus.OK
    steps = [event for event in read_events(runner.context.folder.events) if isinstance(event, e.StepCompleted)]
    assert steps and sum(step.skipped_steps + step.nonfinite_gradients + step.nonfinite_steps for step in steps) == 0


@pytest.mark.parametrize(("values", "expected"), [(TURNS[1][0], TURNS[1][2]), (TURNS[3][0], TURNS[3][2])])
def test_a_training_has_its_own_too(
    runner: TrialRunner, values: dict[str, Any], expected: tuple[bool, torch.dtype]
) -> None:
    seen, before = watched(runner), float32_now()
    short = msgspec.structs.replace(runner.context.settings.train, max_steps=2, effective_batch_size=8, **values)
    settings = msgspec.structs.replace(runner.context.settings, train=short)
    workload = runner.load(settings)
    seen.clear()
    train(runner.context, settings, workload, CUDA, named=(), trial=None, estimate=None, since=0.0)
    assert set(seen) == {expected} and float32_now() == before
    started = next(x for x in read_events(runner.context.folder.events) if isinstance(x, e.TrainingStarted))
    assert started.label.endswith(f"+{next(iter(values))}")


def test_a_trial_with_ligers_kernels_is_one_and_the_next_has_none(
    runner: TrialRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(LIGER))
    plain = modeling_llama.apply_rotary_pos_emb
    used: list[Any] = []
    layer: Any = runner.load(runner.context.settings).model.model.layers[0]  # type: ignore[union-attr]
    layer.register_forward_hook(lambda module, args, output: used.append(modeling_llama.apply_rotary_pos_emb))
    for number, on in enumerate((False, True, False)):
        used.clear()
        candidate = make_candidate(number, {"train.liger": on}, runner.context.settings, "test")
        assert ("+liger" in candidate.label) is on
        result = runner.run(candidate, None)
        assert (result.status, result.base_weights_unchanged) == (TrialStatus.OK, True), result.reason
        assert used and all((function is plain) is not on for function in used)
        assert modeling_llama.apply_rotary_pos_emb is plain
    for name in [name for name in sys.modules if name.partition(".")[0] == PACKAGE]:
        del sys.modules[name]


def test_what_somebody_else_turned_on_is_off_and_said(runner: TrialRunner) -> None:
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        seen = watched(runner)
        assert attempt(runner).status is TrialStatus.OK
        assert {on for on, _ in seen} == {False} and float32_now().matrices
    finally:
        torch.backends.cuda.matmul.allow_tf32 = False
    runner.context.log.flush()
    notices = [event.text for event in read_events(runner.context.folder.events) if isinstance(event, e.Notice)]
    assert any("turned TF32 on" in text for text in notices)


def test_what_the_device_has_not_fails_its_trial_alone_and_the_runs_own_settings_at_once(
    new_runner: NewRunner,
) -> None:
    runner = new_runner()
    failed = attempt(runner, 0, train__fp16=True)
    assert (failed.status, failed.reason) == (
        TrialStatus.FAILED, "train.fp16 needs a GPU: on the CPU all would be computed in float32",
    )  # fmt: skip
    assert runner.loads == 0
    assert attempt(runner, 1).status is TrialStatus.OK
    own = msgspec.structs.replace(runner.context.settings.train, tf32=True)
    with pytest.raises(ConfigError, match=r"train\.tf32 needs"):
        runner.load(msgspec.structs.replace(runner.context.settings, train=own))
