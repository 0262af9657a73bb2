"""A model that does not look at padding is run without its mask on CUDA, and learns the same; another is not."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaForCausalLM

from speedtui.engine.config.settings import Settings
from speedtui.engine.events import StepCompleted
from speedtui.engine.log.clock import RunClock
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.needless_mask import runs_without_mask
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.trial.batches import RowSubset
from speedtui.engine.trial.prepared import make_trainable
from speedtui.engine.workload.base import Workload, token_counts
from tests.engine.trainer.kinds import LORA, MIXTRAL, ROWS, Kind, make, of_text
from tests.engine.workload.small import CPU, LLAMA, changed

CUDA = torch.device("cuda", 0)
CLOSE = 1e-5
SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
CAUSAL: dict[str, dict[str, Any]] = {
    "llama": LLAMA,
    "gpt2": {"model_type": "gpt2", "n_embd": 32, "n_layer": 2, "n_head": 2, "n_positions": 64, "resid_pdrop": 0.0,
             "embd_pdrop": 0.0, "attn_pdrop": 0.0},
    "opt": {"model_type": "opt", **SMALL, "ffn_dim": 64, "word_embed_proj_dim": 32, "max_position_embeddings": 64,
            "dropout": 0.0},
    "gpt_neox": {"model_type": "gpt_neox", **SMALL, "intermediate_size": 64, "max_position_embeddings": 64},
    "a sliding window": {"model_type": "mistral", **SMALL, "num_key_value_heads": 2, "intermediate_size": 64,
                         "sliding_window": 4},
    "experts without a balancing loss": {**MIXTRAL, "output_router_logits": False},
}  # fmt: skip


def ready(kind: Kind) -> tuple[nn.Module, Workload, Settings]:
    return make_trainable(kind.workload.model, kind.settings), kind.workload, kind.settings


def goes_without(kind: Kind, device: torch.device = CUDA, **train: Any) -> bool:
    model, workload, settings = ready(kind)
    return runs_without_mask(model, workload, changed(settings, "train", **train) if train else settings, device)


class Watched(MeteredTrainer):
    """Keeps what the model is given, and the step's loss and gradient."""

    def __init__(self, kind: Kind, model: nn.Module, folder: Path, micro: int, *, masked: bool) -> None:
        settings = changed(kind.settings, "train", micro_batch_size=micro, effective_batch_size=ROWS, max_steps=1,
                           optimizer="sgd", learning_rate=1e-30)  # fmt: skip
        dataset: Any = RowSubset(kind.workload.train_dataset, range(ROWS))
        self.steps: list[StepCompleted] = []
        meter = Meter(PhaseClock(), RunClock(), self.steps.append, token_counts=token_counts)
        super().__init__(
            model=model, args=training_arguments(settings, folder, CPU), train_dataset=dataset, in_order=True,
            eval_dataset=kind.workload.eval_dataset, data_collator=kind.workload.collator, meter=meter, masked=masked,
        )  # fmt: skip
        self.loss = 0.0
        self.gradient = torch.empty(0)
        self.given: set[str] = set()

    def compute_loss(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Any:
        self.given |= set(inputs)
        return super().compute_loss(model, inputs, *args, **kwargs)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)
        self.loss += float(loss)
        return loss

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        self.gradient = torch.cat([p.grad.reshape(-1) for p in model.parameters() if p.grad is not None]).clone()
        return super()._clip_grad_norm(model)

    def finish(self) -> tuple[int | None, int | None]:
        """Trains; (tokens, padding tokens) of the step."""
        self.train()
        self.meter.pump(urgent=True)
        return self.steps[0].tokens, self.steps[0].padding_tokens


@pytest.fixture(scope="module", params=CAUSAL)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    return of_text(tmp_path_factory.mktemp("causal"), CAUSAL[request.param])


def test_a_causal_model_goes_without(kind: Kind) -> None:
    assert goes_without(kind)
    assert not goes_without(kind, CPU)  # there it saves nothing


@pytest.mark.parametrize("micro", [1, 4, 12])
def test_a_step_and_an_evaluation_are_the_same_without(kind: Kind, micro: int, tmp_path: Path) -> None:
    model, _, _ = ready(kind)
    masked, bare = (Watched(kind, model, tmp_path, micro, masked=on) for on in (True, False))
    assert masked.finish() == bare.finish()
    assert bare.loss == pytest.approx(masked.loss, rel=CLOSE)
    assert (bare.gradient - masked.gradient).norm() <= CLOSE * masked.gradient.norm()
    losses = [trainer.evaluate()["eval_loss"] for trainer in (masked, bare)]
    assert losses[1] == pytest.approx(losses[0], rel=CLOSE)
    assert masked.given - bare.given == {"attention_mask"}


def test_measuring_leaves_no_trace_and_is_done_once(tmp_path: Path) -> None:
    kind = make("causal, an adapter, recomputed", tmp_path)
    model, workload, settings = ready(kind)
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    modes = [module.training for module in model.modules()]
    calls: list[int] = []
    handle = model.register_forward_hook(lambda *args: calls.append(1))
    torch.manual_seed(3)
    assert [runs_without_mask(model, workload, settings, CUDA) for _ in range(3)] == [True] * 3
    handle.remove()
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
    assert len(calls) == 2
    assert [module.training for module in model.modules()] == modes
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(parameter, before[name]) for name, parameter in model.named_parameters())


# -- what keeps its mask ---------------------------------------------------------------------------


class Looks(LlamaForCausalLM):
    """Each token sees the mean of all that are attended to, padding too where no mask tells it."""

    def forward(self, input_ids: torch.Tensor, attention_mask: Any = None, labels: Any = None, **others: Any) -> Any:
        embedded = self.get_input_embeddings()(input_ids)
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        mean = (embedded * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        return super().forward(
            inputs_embeds=embedded + mean[:, None], attention_mask=attention_mask, labels=labels, **others
        )


def test_a_model_that_looks_at_padding_keeps_its_mask(tmp_path: Path) -> None:
    kind = of_text(tmp_path, LLAMA)
    config: Any = kind.workload.model.config
    torch.manual_seed(1)
    looking = kind._replace(workload=dataclasses.replace(kind.workload, model=Looks(config).train()))
    assert goes_without(kind)
    assert not goes_without(looking)


def test_a_balancing_loss_counts_padding_and_keeps_the_mask(tmp_path: Path) -> None:
    assert not goes_without(of_text(tmp_path, MIXTRAL))


@pytest.mark.parametrize("name", ["T5", "recipe: causal", "remote code"])
def test_only_a_causal_model_of_this_programs_own_data_goes_without(name: str, tmp_path: Path) -> None:
    assert goes_without(make(name, tmp_path)) is (name == "remote code")


def test_grouped_heads_in_float32_keep_it_since_without_it_no_kernel_takes_them(tmp_path: Path) -> None:
    assert not goes_without(of_text(tmp_path, {**LLAMA, "num_key_value_heads": 1}))


@pytest.mark.parametrize("other", ["eager", "flash_attention_2"])
def test_other_implementations_keep_it(other: str, tmp_path: Path) -> None:
    kind = of_text(tmp_path, LLAMA)
    settings = changed(kind.settings, "model", attention=other)
    assert not runs_without_mask(kind.workload.model, kind.workload, settings, CUDA)


def test_compiled_steps_keep_it(tmp_path: Path) -> None:
    kind = make("causal", tmp_path)
    assert goes_without(kind)
    assert not goes_without(kind, compile=True)


def test_what_cannot_be_measured_is_not_proved_and_not_remembered(tmp_path: Path) -> None:
    kind = of_text(tmp_path, LLAMA)
    model: Any = kind.workload.model
    working = model.forward

    def failing(*args: Any, **kwargs: Any) -> Any:
        raise RuntimeError("CUDA out of memory")

    model.forward = failing
    assert not goes_without(kind)
    model.forward = working
    assert goes_without(kind)


def test_what_shows_nothing_proves_nothing(tmp_path: Path) -> None:
    """Two rows without padding, and a forward pass without a loss."""
    kind = of_text(tmp_path, LLAMA)
    tokens = kind.workload.train_dataset[0]["input_ids"][:6]
    last = torch.where(torch.arange(len(tokens)) == len(tokens) - 1, tokens, -100)
    alike: Any = [{"input_ids": tokens, "labels": last}] * 4
    assert not goes_without(kind._replace(workload=dataclasses.replace(kind.workload, train_dataset=alike)))
    other = of_text(tmp_path, LLAMA)
    model: Any = other.workload.model
    whole = model.forward
    model.forward = lambda *args, **kwargs: type(whole(*args, **kwargs))(loss=None)
    assert not goes_without(other)


def test_an_adapter_goes_without_like_its_base(tmp_path: Path) -> None:
    assert goes_without(of_text(tmp_path, LLAMA, **LORA))
