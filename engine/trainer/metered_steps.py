"""The meter at the phase boundaries of any transformers.Trainer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from speedtui.engine.meter.meter import Meter
from speedtui.engine.trainer.loaders import without_device
from speedtui.engine.trainer.loss_scaling import LossScaling

if TYPE_CHECKING:
    _Metered = Trainer
else:
    _Metered = object

ModelInputs = dict[str, Any]


class MeteredSteps(_Metered):
    """Goes in front of a Trainer's class and bills every moment to a phase; no number of the training changes.

    The trainer is as its own class made it until `follow` is called. Evaluating, predicting and saving are wrapped
    whole, since the Trainer calls back only after them.
    """

    meter: Meter
    _scaling: LossScaling

    def follow(self, meter: Meter, *, loss_scale: float | None = None) -> None:
        """Begins to meter; before `train` is called.

        `loss_scale`: that a scaler of float16's gradients begins with; None leaves it to the scaler.
        """
        self.meter = meter
        self._scaling = LossScaling(self.accelerator.scaler, loss_scale)
        # before what others do at a step's end, so that it is not billed to the optimizer; after the Trainer's own
        # a single one: transformers hands nine arguments to each callback at five places of a step
        self.callback_handler.callbacks.insert(1, _Boundaries(self))
        self._bill_backward()

    def before_first_step(self) -> None:
        """Model, optimizer and data are ready; to be overridden."""

    def after_step(self) -> None:
        """A step is complete and measured; `control` decides what comes before the next; to be overridden."""

    def handed_on(self, inputs: ModelInputs) -> ModelInputs:
        """A micro-batch as the class behind gets it; billed to h2d; to be overridden."""
        return inputs

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The loader without device placement: the transfer happens, and is billed, in `_prepare_inputs`."""
        return without_device(super().get_train_dataloader())

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device) -> Any:
        """The micro-batches of one step and what they count; fetching them is billed to data."""
        self.meter.data()
        samples = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.meter.data_done()
        return samples

    def training_step(self, model: nn.Module, inputs: ModelInputs, *args: Any, **kwargs: Any) -> torch.Tensor:
        """Forward and backward of one micro-batch."""
        self.meter.micro_step(inputs)
        loss = super().training_step(model, self.handed_on(inputs), *args, **kwargs)
        self.meter.micro_step_done(loss)
        return loss

    def _prepare_inputs(self, inputs: ModelInputs) -> ModelInputs:
        moved = super()._prepare_inputs(inputs)
        if self.is_in_train and self.model is not None and self.model.training:
            self.meter.forward()
        return moved

    def _bill_backward(self) -> None:
        backward = self.accelerator.backward

        def billed(loss: torch.Tensor, **kwargs: Any) -> None:
            self.meter.backward()
            backward(loss, **kwargs)

        self.accelerator.backward = billed

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        self.meter.optimizer()
        norm = super()._clip_grad_norm(model)  # type: ignore[no-untyped-call]
        if isinstance(norm, torch.Tensor):
            self.meter.gradient_norm(norm)
        return norm

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        """Comes last before the optimizer's step, clipped or not."""
        if self.args.max_grad_norm <= 0:
            self.meter.optimizer()
        self._scaling.before_step()
        return super()._get_grad_norm(model, grad_norm=grad_norm)  # type: ignore[no-untyped-call]

    def _tell_scale(self) -> None:
        """The meter gets what became of the scale of the gradients, where there is one."""
        change = self._scaling.after_step()
        if change is not None:
            self.meter.loss_scale(*change)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluates; billed to eval."""
        with self.meter.clock.phase("eval"):
            metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        return metrics

    def predict(self, *args: Any, **kwargs: Any) -> Any:
        """Predicts; billed to eval."""
        with self.meter.clock.phase("eval"):
            return super().predict(*args, **kwargs)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        with self.meter.clock.phase("checkpoint"):
            super()._save_checkpoint(model, trial)


class _Boundaries(TrainerCallback):
    """The boundaries for which the Trainer has callbacks."""

    def __init__(self, trainer: MeteredSteps) -> None:
        self._trainer = trainer

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._trainer.before_first_step()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._trainer._tell_scale()
        self._trainer.meter.step_done(state.global_step, self._learning_rate())
        self._trainer.after_step()

    def on_epoch_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._trainer.meter.epoch_ended()

    def _learning_rate(self) -> float | None:
        """None where none is known yet: DeepSpeed's asserts that it has stepped, which overflows put off."""
        scheduler = self._trainer.lr_scheduler
        try:
            return float(scheduler.get_last_lr()[0]) if scheduler is not None else None
        except (AssertionError, AttributeError):
            return None
