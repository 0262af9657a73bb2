"""Loss and gradient of a step, and the loss of an evaluation, are the same however the rows are cut into batches."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.events import Notice
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.loaded import tell_loaded
from speedtui.engine.trainer.loaders import kept_randomness
from speedtui.engine.trainer.measure_loss import weighing_of
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.trial.batches import RowSubset
from speedtui.engine.trial.prepared import make_trainable
from speedtui.engine.workload.base import token_counts
from tests.engine.trainer import kinds
from tests.engine.trainer.kinds import KINDS, MIXTRAL, ROWS, Kind, make, of_text, pad_own, recipe, rows_of, token_rows
from tests.engine.workload.small import CPU, changed

DIVISORS = (1, 2, 3, 4, 6, 12)
CLOSE = 1e-5


class OneStep(MeteredTrainer):
    """Keeps the step's loss and gradient."""

    def __init__(self, kind: Kind, model: nn.Module, folder: Path, micro: int, rows: Any = None) -> None:
        settings = changed(kind.settings, "train", micro_batch_size=micro, effective_batch_size=ROWS, max_steps=1,
                           optimizer="sgd", learning_rate=1e-30)  # fmt: skip
        dataset: Any = RowSubset(kind.workload.train_dataset, range(ROWS)) if rows is None else rows
        super().__init__(
            model=model, args=training_arguments(settings, folder, CPU), train_dataset=dataset, in_order=True,
            eval_dataset=kind.workload.eval_dataset, data_collator=kind.workload.collator,
            meter=Meter(PhaseClock(), RunClock(), lambda step: None, token_counts=token_counts),
        )  # fmt: skip
        self.loss = 0.0
        self.gradient = torch.empty(0)

    def training_step(self, *args: Any, **kwargs: Any) -> torch.Tensor:
        loss = super().training_step(*args, **kwargs)
        self.loss += float(loss)
        return loss

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        gradients = [p.grad.reshape(-1) for p in model.parameters() if p.grad is not None]
        self.gradient = torch.cat(gradients).clone()
        return super()._clip_grad_norm(model)


@pytest.fixture(scope="module", params=KINDS)
def kind(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Kind:
    return make(request.param, tmp_path_factory.mktemp("kind"))


@pytest.fixture(scope="module")
def model(kind: Kind) -> nn.Module:
    """As it is trained; an adapter that does something, so that all of it has gradients."""
    trained = make_trainable(kind.workload.model, kind.settings)
    for name, parameter in trained.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(parameter, std=0.1)
    return trained


def test_a_step_is_the_same_for_every_micro_batch(kind: Kind, model: nn.Module, tmp_path: Path) -> None:
    batch = kind.workload.collator([kind.workload.train_dataset[i] for i in range(ROWS)])
    with torch.no_grad():
        outputs: Any = model.train()(**batch)
    whole = float(outputs["loss"])  # as the model itself has it for all rows
    steps = []
    for micro in DIVISORS:
        step = OneStep(kind, model, tmp_path, micro)
        step.train()
        steps.append(step)
    assert [step.loss for step in steps] == pytest.approx([whole] * len(DIVISORS), rel=CLOSE)
    last = steps[-1].gradient
    assert last.norm() > 0
    for step in steps:
        assert (step.gradient - last).norm() <= CLOSE * last.norm()


def test_an_evaluation_is_one_number_for_every_batch_size(kind: Kind, model: nn.Module, tmp_path: Path) -> None:
    dataset: Any = kind.workload.eval_dataset
    alone = [kind.workload.collator([dataset[index]]) for index in range(len(dataset))]
    amounts = [kind.amount(batch) for batch in alone]
    with torch.no_grad():
        losses: list[float] = [float(model.eval()(**batch)["loss"]) for batch in alone]
    if kind.unit == "whole":
        expected = sum(losses) / len(losses)
    else:
        expected = sum(loss * n for loss, n in zip(losses, amounts, strict=True)) / sum(amounts)
    trainer = OneStep(kind, model, tmp_path, 1)
    found = []
    for size in range(1, 17):
        trainer.args.per_device_eval_batch_size = size
        found.append(trainer.evaluate()["eval_loss"])
    assert found == pytest.approx([expected] * 16, rel=CLOSE)


def test_measuring_finds_the_unit_once_and_leaves_no_trace(kind: Kind, model: nn.Module) -> None:
    parameters = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    modes = [module.training for module in model.modules()]
    gradients = [parameter.grad is not None for parameter in model.parameters()]
    base: Any = kind.workload.model
    vars(base).pop("speedtui_weighing", None)
    torch.manual_seed(3)
    calls = []
    handle = model.register_forward_hook(lambda *args: calls.append(1))
    weighings = [weighing_of(model, kind.workload.train_dataset, kind.workload.collator) for _ in range(2)]
    handle.remove()
    assert [(weighing.unit, weighing.doubt) for weighing in weighings] == [(kind.unit, "")] * 2
    assert len(calls) == 4
    drawn = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.rand(1))
    assert [module.training for module in model.modules()] == modes
    assert [parameter.grad is not None for parameter in model.parameters()] == gradients
    assert all(torch.equal(p, parameters[name]) for name, p in model.named_parameters())


# -- mixture of experts ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def experts(tmp_path_factory: pytest.TempPathFactory) -> Kind:
    return of_text(tmp_path_factory.mktemp("moe"), MIXTRAL)


def test_a_balancing_loss_is_scaled_like_the_rest(experts: Kind, tmp_path: Path) -> None:
    """It is no mean over rows, so that it differs from one division to the next; the factor of accumulation is gone."""
    model: Any = experts.workload.model
    coefficient = MIXTRAL["router_aux_loss_coef"]
    samples = [experts.workload.train_dataset[i] for i in range(ROWS)]
    for micro in DIVISORS:
        step = OneStep(experts, model, tmp_path, micro)
        step.train()
        batches = [experts.workload.collator(samples[i : i + micro]) for i in range(0, ROWS, micro)]
        amounts = [experts.amount(batch) for batch in batches]
        with torch.no_grad():
            outputs = [model(**batch) for batch in batches]
        share = [amount / sum(amounts) for amount in amounts]
        balance = sum(s * float(output.aux_loss) for s, output in zip(share, outputs, strict=True))
        text = sum(
            s * (float(output.loss) - coefficient * float(output.aux_loss))
            for s, output in zip(share, outputs, strict=True)
        )
        assert step.loss == pytest.approx(text + coefficient * balance, rel=CLOSE)
        auxiliary = [float(output.aux_loss) for output in outputs]
        assert min(auxiliary) <= (step.loss - text) / coefficient * (1 + CLOSE) <= max(auxiliary) * (1 + 2 * CLOSE)


def test_with_the_same_rows_a_balancing_loss_is_the_same_for_every_micro_batch(experts: Kind, tmp_path: Path) -> None:
    rows = [experts.workload.train_dataset[3]] * ROWS
    steps = [OneStep(experts, experts.workload.model, tmp_path, micro, rows) for micro in DIVISORS]
    for step in steps:
        step.train()
    last = steps[-1]
    assert [step.loss for step in steps] == pytest.approx([last.loss] * len(steps), rel=CLOSE)
    for step in steps:
        assert (step.gradient - last.gradient).norm() <= CLOSE * last.gradient.norm()


def test_the_evaluation_of_a_mixture_of_experts_leaves_the_balancing_out(experts: Kind, tmp_path: Path) -> None:
    model: Any = experts.workload.model
    trainer = OneStep(experts, model, tmp_path, 1)
    found = []
    for size in range(1, 17):
        trainer.args.per_device_eval_batch_size = size
        found.append(trainer.evaluate()["eval_loss"])
    assert found == pytest.approx([found[0]] * 16, rel=CLOSE)
    assert model.config.output_router_logits is True  # training goes on with it
    plain = copy.deepcopy(model).eval()
    plain.config.output_router_logits = False
    dataset: Any = experts.workload.eval_dataset
    batch = experts.workload.collator([dataset[i] for i in range(len(dataset))])
    with torch.no_grad():
        assert found[0] == pytest.approx(float(plain(**batch).loss), rel=CLOSE)


def test_that_a_balancing_loss_depends_on_the_micro_batch_is_said_when_it_is_loaded(
    experts: Kind, tmp_path: Path
) -> None:
    log = EventLog(tmp_path / "events.jsonl", RunClock())
    order = Order(job="train", started_at=0.0)
    context = JobContext(RunFolder(tmp_path), experts.settings, order, log, RunState(), frozenset())
    tell_loaded(context, experts.workload, experts.settings, 0.0)
    log.close()
    (notice,) = (event for event in read_events(tmp_path / "events.jsonl") if isinstance(event, Notice))
    assert "the balancing loss of its router is that of each micro-batch by nature" in notice.text


# -- what cannot be made the same is said ----------------------------------------------------------


class Contrast(kinds.Tokens):
    """Each row against the others of its micro-batch."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **others: Any) -> dict[str, torch.Tensor]:
        vectors = nn.functional.normalize(self.embed(input_ids).sum(1), dim=-1)
        return {"loss": nn.functional.cross_entropy(vectors @ vectors.T, torch.arange(len(vectors))) + 1}


class Noisy(kinds.Tokens):
    """Draws, as a diffusion model does, in evaluation mode too."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **others: Any) -> dict[str, torch.Tensor]:
        loss: torch.Tensor = super().forward(input_ids, attention_mask)["loss"]
        return {"loss": loss * (1 + 0.2 * torch.rand(()))}


class Normalized(kinds.Tokens):
    def __init__(self) -> None:
        super().__init__("rows")
        self.norm = nn.BatchNorm1d(16)


class Silent(kinds.Tokens):
    """Gives its loss in training alone."""

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **others: Any) -> Any:
        return super().forward(input_ids, attention_mask) if self.training else {"logits": input_ids}


@pytest.mark.parametrize(
    ("build", "unit", "doubt"),
    [
        (lambda: Contrast("rows"), "next_tokens", "the loss of two rows together is no mean of theirs and no sum"),
        (lambda: Noisy("rows"), "next_tokens", "the loss draws random numbers"),
        (lambda: Noisy("sum"), "whole", "the loss draws random numbers"),
        (Normalized, "rows", "batch normalization takes the statistics of each micro-batch"),
        (lambda: Silent("rows"), "next_tokens", "what its loss is a mean of could not be measured (in evaluation mode"),
    ],
)
def test_what_depends_on_the_micro_batch_is_said(build: Callable[[], nn.Module], unit: str, doubt: str) -> None:
    torch.manual_seed(4)
    kind = recipe(build(), token_rows(100), unit, rows_of, pad_own)
    with kept_randomness():
        weighing = weighing_of(kind.workload.model, kind.workload.train_dataset, kind.workload.collator)
    assert weighing.unit == unit
    assert weighing.doubt.startswith(doubt)


class Full(kinds.Tokens):
    """Finds no memory the first time."""

    def __init__(self) -> None:
        super().__init__("rows")
        self.calls = 0

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, **others: Any) -> Any:
        self.calls += 1
        if self.calls == 1:
            raise MemoryError("no room for it")
        return super().forward(input_ids, attention_mask)


def test_a_doubt_whose_reason_has_passed_does_not_last() -> None:
    kind = recipe(Full(), token_rows(100), "rows", rows_of, pad_own)
    found = [weighing_of(kind.workload.model, kind.workload.train_dataset, kind.workload.collator) for _ in range(3)]
    assert "could not be measured (no room for it)" in found[0].doubt
    assert [weighing.doubt for weighing in found[1:]] == ["", ""] and found[1].unit == "rows"
    assert kind.workload.model.calls == 5, "measured once more, and then kept"


def test_a_micro_batch_without_a_label_is_no_nan(tmp_path: Path) -> None:
    """The mean over no labels is no number; the step's is."""
    kind = make("recipe: causal", tmp_path)
    rows = [dict(row) for row in kind.workload.train_dataset]  # type: ignore[attr-defined]

    def collator(samples: list[Any]) -> Any:
        batch = pad_own(samples)
        for labels, sample in zip(batch["labels"], samples, strict=True):
            if sample.get("unlearned"):
                labels[:] = -100
        return batch

    for index in (2, 3):
        rows[index]["unlearned"] = True
    partly = kind._replace(workload=recipe(kind.workload.model, rows, "", rows_of, collator).workload)
    losses = []
    for micro in (1, 2, 12):
        step = OneStep(partly, kind.workload.model, tmp_path, micro, rows)
        step.train()
        losses.append(step.loss)
        step.args.per_device_eval_batch_size = micro
        losses.append(step.evaluate()["eval_loss"])
    assert losses == pytest.approx([losses[-1]] * 6, rel=CLOSE)


def test_it_holds_under_autocast(tmp_path: Path) -> None:
    """As closely as bfloat16 tells numbers apart."""
    kind = make("causal", tmp_path)
    kind = kind._replace(settings=changed(kind.settings, "train", bf16=True))
    steps = [OneStep(kind, kind.workload.model, tmp_path, micro) for micro in (1, 4, 12)]
    for step in steps:
        step.train()
    assert [step.loss for step in steps] == pytest.approx([steps[-1].loss] * 3, rel=1e-2)
