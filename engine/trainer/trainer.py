"""transformers.Trainer as speedtui trains with it, metered."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel
from torch import nn
from torch.utils.data import DataLoader, Dataset, Sampler, SequentialSampler
from transformers import (
    PreTrainedModel,
    PrinterCallback,
    Trainer,
    TrainerState,
)
from transformers.trainer_utils import TrainOutput

from speedtui.engine.checkpoint.start import load_start
from speedtui.engine.checkpoint.weights import untied
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.meter.meter import Meter
from speedtui.engine.trainer.arguments import GROUPED
from speedtui.engine.trainer.loaders import leave_signals_to_the_training, to_device, without_device
from speedtui.engine.trainer.measure_loss import weighing_of, without_router_losses
from speedtui.engine.trainer.metered_steps import MeteredSteps, ModelInputs
from speedtui.engine.trainer.needless_mask import without_mask
from speedtui.engine.trainer.sampler import EpochSampler, EvaluationSampler, row_tokens
from speedtui.engine.trainer.weighing import LossSum
from speedtui.engine.workload.failures import is_out_of_memory
from speedtui.engine.workload.float32 import kept_float32
from speedtui.engine.workload.model import loss_of

EVAL_LOSS = "eval_loss"
"""transformers' name for it among an evaluation's metrics."""


class WeighedTrainer(Trainer):
    """Trains as transformers does, but that the loss of a step and of an evaluation do not depend on how it is cut."""

    def __init__(
        self, *args: Any, in_order: bool = False, masked: bool = True,
        notice: Callable[[str], None] = lambda text: None, **kwargs: Any,
    ) -> None:  # fmt: skip
        """`in_order`: the samples come as the dataset has them, as a probe wants it; `notice` tells a person.

        `masked`: the model gets the mask of its micro-batches, see `needless_mask`.
        """
        self._notice = notice
        self._in_order = in_order
        self._masked = masked
        with kept_float32():  # accelerate turns TF32 on for the process where it compiles
            super().__init__(*args, **kwargs)
        self.remove_callback(PrinterCallback)  # stdout is not transformers' to write to
        trained: Any = self.model
        self._weighing = weighing_of(trained, self.train_dataset, self.data_collator)
        self.model_accepts_loss_kwargs = True  # else transformers would divide losses by the accumulation
        self._loss_sum = LossSum(self._weighing)

    def get_train_dataloader(self) -> DataLoader[Any]:
        """The loader, whose processes leave signals to the training."""
        return leave_signals_to_the_training(super().get_train_dataloader())

    def get_eval_dataloader(self, *args: Any, **kwargs: Any) -> DataLoader[Any]:
        """The same, without device placement: what a batch counts is counted on the CPU, so that nothing waits."""
        return without_device(leave_signals_to_the_training(super().get_eval_dataloader(*args, **kwargs)))

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> Sampler[int] | None:
        """The order of `engine.workload.order.epoch_order`, so that a prediction counts over the same micro-batches."""
        if self._in_order:
            return SequentialSampler(self.train_dataset)  # type: ignore[arg-type]  # it is a map-style one
        dataset: Any = self.train_dataset
        grouped = getattr(self.args, "train_sampling_strategy", None) == GROUPED
        return EpochSampler(
            len(dataset),
            row_tokens(dataset) if grouped else None,
            seed=self.args.seed if self.args.data_seed is None else self.args.data_seed,
            group=self.args.per_device_train_batch_size if grouped else None,
        )

    def _get_eval_sampler(self, eval_dataset: Any) -> Sampler[int]:
        return EvaluationSampler(eval_dataset)

    def get_batch_samples(self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device) -> Any:
        """(the micro-batches of one step, an iterator of their shares of its loss).

        transformers has the second for the number of label tokens, and leaves it to every model whose forward takes
        any keyword to divide by it. Many take it and do nothing with it, and a balancing loss is not divided.
        """
        samples = list(islice(epoch_iterator, num_batches))
        return samples, iter(self._weighing.shares(samples))  # counted on the CPU: nothing waits for the device

    def training_step(self, model: nn.Module, inputs: ModelInputs, num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward of one micro-batch; `num_items_in_batch`: the shares of those that are to come."""
        share: Any = 1.0 if num_items_in_batch is None else next(num_items_in_batch)
        if not share:
            return torch.zeros((), device=self.args.device)
        loss: torch.Tensor = super().training_step(model, inputs, share)
        return loss

    def compute_loss(
        self, model: nn.Module, inputs: ModelInputs, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The model's own loss; in training times the micro-batch's share of the step's, `num_items_in_batch`.

        Raises:
            ValueError: the model's forward gives none.
        """
        outputs = model(**inputs)
        loss = loss_of(outputs)
        if loss is None:
            raise ValueError("the model's forward returned no loss")
        if num_items_in_batch is not None:
            loss = loss * num_items_in_batch
        return (loss, outputs) if return_outputs else loss

    def _prepare_inputs(self, inputs: ModelInputs) -> ModelInputs:
        if not self._masked:  # what is counted in a batch is counted before
            inputs = without_mask(inputs)
        if not self.is_in_train or self.model is None or not self.model.training:
            return super()._prepare_inputs(inputs)
        return {key: to_device(value, self.args.device) for key, value in inputs.items()}

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Strictly: transformers passes over what it cannot place."""
        target: Any = model if model is not None else self.model
        load_start(target, Path(resume_from_checkpoint), key="the checkpoint")

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        """Weights that a recipe ties are written once: safetensors refuses them otherwise."""
        model: Any = self.model
        if state_dict is None and not isinstance(model, PreTrainedModel | PeftModel):
            state_dict = untied(model.state_dict())
        super()._save(output_dir, state_dict)

    def _inner_training_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Nothing where the last step is done already: transformers would make one more."""
        checkpoint: str | None = kwargs.get("resume_from_checkpoint")
        if checkpoint is not None:
            state = TrainerState.load_from_json(str(Path(checkpoint, "trainer_state.json")))
            if state.global_step >= state.max_steps:
                self.state, self.is_in_train = state, False
                return TrainOutput(state.global_step, 0.0, {})
        return super()._inner_training_loop(*args, **kwargs)

    def _get_grad_norm(self, model: nn.Module, grad_norm: Any = None) -> Any:
        """The norm is only for the Trainer's own log, which is off; computing it again would cost a pass."""
        return grad_norm

    def floating_point_ops(self, inputs: Mapping[str, Any]) -> int:
        """Not counted: transformers walks all parameters for it after every micro-step."""
        return 0

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluates.

        Where a batch finds no memory, all is evaluated again by half as many rows at a time: the longest come first,
        so that little is lost, and no more memory is needed later.
        """
        while True:
            metrics = self._tried_evaluation(*args, **kwargs)
            if metrics is not None:
                return metrics
            self.halve_evaluation()

    def _tried_evaluation(self, *args: Any, **kwargs: Any) -> dict[str, float] | None:
        """None where there was no memory for so many rows at once."""
        try:
            metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        except Exception as error:
            if self.args.per_device_eval_batch_size == 1 or not is_out_of_memory(error):
                raise
            return None  # with it go the frames and their tensors
        return metrics

    def halve_evaluation(self) -> None:
        """From now on half as many rows at a time; it is said."""
        rows = self.args.per_device_eval_batch_size
        self.args.per_device_eval_batch_size = rows // 2
        release_memory(self.args.device)
        self._notice(f"evaluating {rows} rows at a time runs out of memory; it goes on with {rows // 2}")

    def evaluation_loop(self, dataloader: Any, *args: Any, **kwargs: Any) -> Any:
        """As transformers has it, but for the loss: one over all label tokens or rows, however they are batched."""
        self._loss_sum = LossSum(self._weighing)
        model: Any = self.model
        with without_router_losses(model):
            output = super().evaluation_loop(dataloader, *args, **kwargs)
        loss = self._loss_sum.mean()
        metrics = {name: value for name, value in (output.metrics or {}).items() if name != EVAL_LOSS}
        return output._replace(metrics=metrics if loss is None else {**metrics, EVAL_LOSS: loss})

    def prediction_step(self, model: nn.Module, inputs: ModelInputs, *args: Any, **kwargs: Any) -> Any:
        """The loss of one batch; none where it has nothing to learn from, of which the mean is no number."""
        weighed = self._loss_sum.weigh(inputs)
        if not weighed[0]:
            return None, None, None
        moved = self._prepare_inputs(inputs)
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, moved).detach()
        self._loss_sum.add(loss, weighed)
        return loss, None, None


class MeteredTrainer(MeteredSteps, WeighedTrainer):
    """The same, of which every moment is billed to a phase."""

    def __init__(self, *args: Any, meter: Meter, loss_scale: float | None = None, **kwargs: Any) -> None:
        """`loss_scale`: see `MeteredSteps.follow`; the rest: see `WeighedTrainer`."""
        super().__init__(*args, **kwargs)
        self.follow(meter, loss_scale=loss_scale)
