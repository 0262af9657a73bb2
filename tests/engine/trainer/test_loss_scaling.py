"""Float16 under autocast: what its scaler leaves out is no divergence, and what is one is not left out in silence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch import nn

from speedtui.engine.config.settings import Settings
from speedtui.engine.events import StepCompleted
from speedtui.engine.trainer.loss_scaling import UNSCALED
from speedtui.engine.workload import Workload
from tests.engine.workload.small import LLAMA, load, make_trainer, settings_of
from tests.simulated_cuda import simulated_cuda

CUDA = torch.device("cuda", 0)
FIRST = 2.0**16
"""torch's own first scale."""


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    train = tmp_path_factory.mktemp("scaling") / "train.jsonl"
    train.write_text('{"question": "one and two", "answer": "three"}\n' * 8)
    return settings_of(train, model={"architecture": LLAMA}, fp16=True, max_steps=6, learning_rate=1e-5)


class Steep(torch.autograd.Function):
    """The identity, whose gradient is so many times what it is."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, times: float) -> torch.Tensor:
        ctx.times = times
        return x.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        return gradients[0] * ctx.times, None


def steep(workload: Workload, times: float) -> None:
    """Makes the first layer's gradient in float16 so many times as large."""
    attention: Any = workload.model.model.layers[0].self_attn.q_proj  # type: ignore[union-attr]
    attention.register_forward_hook(lambda module, args, output: Steep.apply(output, times))


def stepped(settings: Settings, folder: Path, times: float, **more: Any) -> tuple[list[StepCompleted], list[bool], Any]:
    """(what was told of each step, whether it moved a weight, the trainer)."""
    steps: list[StepCompleted] = []
    moved: list[bool] = []
    with simulated_cuda():
        workload = load(settings, CUDA)
        steep(workload, times)
        trainer = make_trainer(settings, workload, folder, device=CUDA, steps=steps, **more)
        weight: nn.Parameter = workload.model.get_input_embeddings().weight  # type: ignore[operator,union-attr]
        kept = [weight.detach().clone()]

        def look() -> None:
            moved.append(not torch.equal(kept[0], weight))
            kept[0] = weight.detach().clone()

        trainer.after_step = look  # type: ignore[method-assign]
        trainer.train()
        trainer.meter.pump()
        scale = float(trainer.accelerator.scaler.get_scale())
    return steps, moved, scale


@pytest.mark.parametrize("optimizer", ["adamw_torch", "adamw_torch_fused"])
@pytest.mark.parametrize("max_grad_norm", [1.0, 0.0])
def test_the_steps_that_the_scaler_leaves_out_are_told_as_that_and_nothing_else(
    settings: Settings, tmp_path: Path, optimizer: Any, max_grad_norm: float
) -> None:
    train = msgspec.structs.replace(settings.train, optimizer=optimizer, max_grad_norm=max_grad_norm)
    steps, moved, scale = stepped(msgspec.structs.replace(settings, train=train), tmp_path, 3e3)
    skipped = [step.skipped_steps for step in steps]
    assert len(steps) == 6 and 1 <= sum(skipped) <= 5, "the first ones, until the scale is found"
    assert [not left_out for left_out in skipped] == moved
    assert skipped == sorted(skipped, reverse=True)
    assert scale == FIRST / 2 ** sum(skipped)
    for step in steps:
        assert not step.nonfinite and step.nonfinite_gradients == 0 and step.loss is not None


def test_a_gradient_that_no_scale_makes_finite_is_told_as_not_finite(settings: Settings, tmp_path: Path) -> None:
    steps, moved, scale = stepped(settings, tmp_path, math.inf, loss_scale=4.0)
    assert not any(moved) and scale < 1
    assert [step.skipped_steps for step in steps] == [1] * 6
    assert [step.nonfinite_gradients for step in steps] == [0, 0, 1, 1, 1, 1], (
        "at scales of 4 and 2 it may be the scale"
    )


def test_a_probe_makes_all_of_its_steps(settings: Settings, tmp_path: Path) -> None:
    """What its steps take, and the state of the optimizer that its second one has, are those of a training."""
    steps, moved, scale = stepped(settings, tmp_path, 1.0, loss_scale=UNSCALED)
    assert all(moved) and scale == UNSCALED
    assert sum(step.skipped_steps for step in steps) == 0


def test_what_is_computed_is_float16(settings: Settings, tmp_path: Path) -> None:
    with simulated_cuda():
        workload = load(settings, CUDA)
        seen: set[torch.dtype] = set()
        layer: Any = workload.model.model.layers[0].mlp.down_proj  # type: ignore[union-attr]
        layer.register_forward_hook(lambda module, args, output: seen.add(output.dtype))
        make_trainer(settings, workload, tmp_path, device=CUDA).train()
    assert torch.float16 in seen and {p.dtype for p in workload.model.parameters()} == {torch.float32}


def test_a_training_that_goes_on_has_the_scale_that_was_found(settings: Settings, tmp_path: Path) -> None:
    found, _, scale = stepped(settings, tmp_path, 3e3, save_at=4)
    assert scale < FIRST and sum(step.skipped_steps for step in found[:4]) >= 1
    with simulated_cuda():
        workload = load(settings, CUDA)
        steep(workload, 3e3)
        told: list[StepCompleted] = []
        trainer = make_trainer(settings, workload, tmp_path, device=CUDA, steps=told)
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
        trainer.meter.pump()
        assert float(trainer.accelerator.scaler.get_scale()) == scale
    assert [step.skipped_steps for step in told] == [step.skipped_steps for step in found[4:]]
