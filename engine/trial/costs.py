"""What a run costs besides its steps, measured with the trainer of a probe: evaluation, saves, beginning an epoch."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from speedtui.engine.candidate import Curve, CurvePoint
from speedtui.engine.config.settings import Scalar, ScheduleSettings, Settings
from speedtui.engine.errors import first_line
from speedtui.engine.files import make_folder
from speedtui.engine.log.clock import working_seconds
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.timing.curve import Floats, design, fit_curve
from speedtui.engine.timing.run_shape import Indices
from speedtui.engine.trainer.answer_costs import AnswerCosts
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.trial.answers import measure_answers
from speedtui.engine.trial.batches import RowSubset
from speedtui.engine.trial.probe_setup import ProbeSetup
from speedtui.engine.units import format_size
from speedtui.engine.workload.base import MapDataset, Workload
from speedtui.engine.workload.evaluation_batch import evaluation_order, evaluation_rows
from speedtui.engine.workload.failures import is_broken

EVAL_QUANTILES = (0.5, 0.95, 0.05, 0.6, 0.3, 1.0)
"""Of the evaluation's batches by their tokens; what came before the first warms up the forward pass, so that the
first counts for what an evaluation costs besides its batches."""
ROOM = 1.5
"""Free disk over what a checkpoint takes, below which none is written to see how long it takes."""


CostKey = tuple[Scalar, ...]
EvalBatchRows = tuple[list[int], int]
"""(rows of an evaluation batch, their padded length or 0 where it is unknown)."""


def cost_key(settings: Settings) -> CostKey:
    """What evaluations and saves depend on besides the size of their batches and lengths: mainly how much is saved."""
    train, schedule = settings.train, settings.schedule
    return (
        train.method,
        train.optimizer.removesuffix("_fused"),
        train.bf16,
        train.fp16,
        train.tf32,
        train.liger,
        settings.model.quantize,
        settings.model.dtype,
        train.loader_workers > 0,
        train.group_by_length,
        schedule.eval_batch_size or 0,
        *answers_key(schedule),
    )


def answers_key(schedule: ScheduleSettings) -> CostKey:
    """What the price of an answer and of its score depends on."""
    if not schedule.generate or schedule.eval_every == "never":
        return ()
    metric = (schedule.metric, schedule.metric_threads, schedule.metric_timeout) if schedule.metric else ()
    return schedule.beams, schedule.max_new_tokens, schedule.generation_batch_size or 0, *metric


class MeasuredCosts(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured once and holds for batches of other sizes too."""

    epoch_seconds: float
    eval_curve: Curve | None = None
    """Of one evaluation batch; None where there is no evaluation set."""
    eval_besides_seconds: float = 0.0
    """Of an evaluation, besides its batches."""
    eval_most_rows: int | None = None
    """Rows of a batch that found memory where those asked for did not; None where they did."""
    save_seconds: float | None = None
    final_seconds: float | None = None
    answers: AnswerCosts | None = None
    """None where the run writes none."""

    def of_run(self, workload: Workload, eval_rows: int, *, start: RunCosts) -> RunCosts:
        """The costs of a run.

        `eval_rows`: of an evaluation batch, as asked for; `start`: what is known of the run's beginning.
        """
        evaluation = rehearsal = None
        if self.eval_curve is not None and workload.eval_dataset is not None:
            size = min(eval_rows, self.eval_most_rows or eval_rows)
            batches = _each_batch(self.eval_curve, workload.eval_dataset, size)
            evaluation = self.eval_besides_seconds + float(batches.sum())
            rehearsal = self.eval_besides_seconds + float(batches[sorted({0, len(batches) // 2})].sum())
        return msgspec.structs.replace(
            start, epoch_seconds=self.epoch_seconds, eval_seconds=evaluation, save_seconds=self.save_seconds,
            final_seconds=self.final_seconds, rehearsal_seconds=rehearsal,
        )  # fmt: skip


def measure_costs(
    setup: ProbeSetup, trainer: MeteredTrainer, data_seconds: float, answers: AnswerCosts | None = None
) -> MeasuredCosts:
    """Runs a few evaluation batches, writes a few answers, begins an epoch and saves, as the training will.

    `trainer`: after its steps, so that there is an optimizer with its state; `data_seconds`: of waiting for one
    micro-batch when the loader is running; `answers`: as they were measured before, which then do.
    """
    asked = evaluation_rows(setup.settings, setup.workload)
    evaluation = _time_evaluation(setup, trainer) if setup.workload.eval_dataset is not None else None
    fitted = trainer.args.per_device_eval_batch_size
    save, final = _time_saves(setup, trainer)
    return MeasuredCosts(
        epoch_seconds=_time_epoch_start(setup, trainer, data_seconds),
        eval_curve=evaluation[0] if evaluation is not None else None,
        eval_besides_seconds=evaluation[1] if evaluation is not None else 0.0,
        eval_most_rows=fitted if fitted < asked else None,
        save_seconds=save,
        final_seconds=final,
        answers=answers or measure_answers(setup),
    )


def _time_epoch_start(setup: ProbeSetup, trainer: MeteredTrainer, data_seconds: float) -> float:
    """From the end of an epoch to its next micro-batch, less what a micro-batch always waits."""
    whole: Any = setup.workload.train_dataset
    trainer.train_dataset = whole
    with setup.context.phases.phase("gap"):
        began = working_seconds()
        batches = iter(trainer.get_train_dataloader())
        next(batches)
        del batches  # with workers, waits for them to end, as the end of an epoch does
        return max(working_seconds() - began - data_seconds, 0.0)


# -- evaluation ------------------------------------------------------------------------------------


def _time_evaluation(setup: ProbeSetup, trainer: MeteredTrainer) -> tuple[Curve, float]:
    """(curve of a batch, seconds of an evaluation besides its batches)."""
    dataset = setup.workload.eval_dataset
    assert dataset is not None
    size = trainer.args.eval_batch_size
    batches = _chosen(dataset, size)
    clock = _BatchEnds(setup.device)
    trainer.add_callback(clock)
    subset: Any = RowSubset(dataset, [row for rows, _ in batches for row in rows])
    try:
        began = working_seconds()
        trainer.evaluate(eval_dataset=subset)
        total = working_seconds() - began
    finally:
        trainer.remove_callback(clock)
    if trainer.args.eval_batch_size != size:  # it was halved on the way
        return _time_evaluation(setup, trainer)
    return _fit_evaluation(batches, clock.ends, total)


def _fit_evaluation(batches: list[EvalBatchRows], ends: list[float], total: float) -> tuple[Curve, float]:
    """The first batch's end has the evaluation's beginning in it, so that the curve rests on the others."""
    points = [CurvePoint(micro_batch_size=len(rows), tokens=tokens, seconds=0.0) for rows, tokens in batches]
    gaps = np.diff(ends)
    timed = [msgspec.structs.replace(p, seconds=float(s)) for p, s in zip(points[1:], gaps, strict=False)]
    if not timed:  # a single batch is the whole evaluation
        return fit_curve([msgspec.structs.replace(points[0], seconds=total)], 0.0), 0.0
    curve = fit_curve(timed, 0.0)
    inside = math.fsum(gaps) + curve.seconds(points[0].micro_batch_size, points[0].tokens)
    return curve, max(total - inside, 0.0)


class _BatchEnds(TrainerCallback):
    """When each evaluation batch was done, on the device too."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self.ends: list[float] = []

    def on_prediction_step(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.ends.append(working_seconds())


def _chosen(dataset: MapDataset, size: int) -> list[EvalBatchRows]:
    """Evaluation batches in the order to measure them."""
    order = evaluation_order(dataset)
    lengths = _batch_lengths(dataset, order, size)
    batches = [(order[i * size : (i + 1) * size].tolist(), round(n)) for i, n in enumerate(lengths)]
    full = [batch for batch in batches if len(batch[0]) == size] or batches
    if len(full) <= len(EVAL_QUANTILES):
        return full
    ranked = sorted(full, key=lambda batch: batch[1])
    return [ranked[min(int(q * len(ranked)), len(ranked) - 1)] for q in EVAL_QUANTILES]


def _each_batch(curve: Curve, dataset: MapDataset, size: int) -> Floats:
    """Seconds of each evaluation batch, the longest first: (batches,)."""
    order = evaluation_order(dataset)
    lengths = _batch_lengths(dataset, order, size)
    rows = np.full(len(lengths), float(size))
    rows[-1] = len(order) - (len(lengths) - 1) * size
    parts = np.array([curve.fixed, curve.per_token, curve.per_square])
    each: Floats = design(rows, lengths) @ parts
    return each


def _batch_lengths(dataset: MapDataset, order: Indices, size: int) -> Floats:
    """Padded length of each evaluation batch: (batches,); source and target together, 0 where lengths are unknown."""
    starts = np.arange(0, len(order), size)
    sides = [getattr(dataset, name, None) for name in ("lengths", "target_lengths")]
    known = [np.asarray(side, dtype=np.float64)[order] for side in sides if side is not None]
    return np.sum([np.maximum.reduceat(side, starts) for side in known], axis=0) if known else np.zeros(len(starts))


# -- saving ----------------------------------------------------------------------------------------


def _time_saves(setup: ProbeSetup, trainer: MeteredTrainer) -> tuple[float | None, float | None]:
    """(seconds of a checkpoint, of the final save), really written and deleted; None where there is no room.

    The folder is the trainer's own: a probe's, inside the run's folder and so on the disk that the run will use.
    """
    folder = Path(trainer.args.output_dir or ".")
    bytes_needed = checkpoint_bytes(trainer)
    trainer.processing_class = setup.workload.tokenizer  # saved beside the weights, as by the training
    try:
        make_folder(folder)
        free = shutil.disk_usage(folder).free
        if free < ROOM * bytes_needed:
            _tell_unmeasured(setup, f"it has about {format_size(bytes_needed)}, and {format_size(free)} are free")
            return None, None
        return _write_both(setup, trainer, folder)
    except Exception as error:  # torch and safetensors have their own for a full disk
        if is_broken(error):
            raise
        _tell_unmeasured(setup, first_line(error))
        return None, None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _write_both(setup: ProbeSetup, trainer: MeteredTrainer, folder: Path) -> tuple[float, float]:
    began = working_seconds()
    trainer._save_checkpoint(setup.model, None)
    between = working_seconds()
    with setup.context.phases.phase("checkpoint"):
        trainer.save_model(str(folder / "model"))
    return between - began, working_seconds() - between


def checkpoint_bytes(trainer: MeteredTrainer) -> int:
    """What a checkpoint writes at most: trainable weights, or all where none is frozen, and the optimizer's state."""
    model = trainer.model
    trained = sum(p.numel() * p.element_size() for p in model.parameters() if p.requires_grad) if model else 0
    states = trainer.optimizer.state.values() if trainer.optimizer is not None else ()
    kept = (value for state in states if isinstance(state, dict) for value in state.values())
    return trained + sum(value.numel() * value.element_size() for value in kept if isinstance(value, torch.Tensor))


def _tell_unmeasured(setup: ProbeSetup, reason: str) -> None:
    setup.context.notice(
        f"how long a checkpoint takes was not measured: {reason}", level="warning",
        hint="Make room on the disk of the run's folder; until then saves count as taking no time.",
    )  # fmt: skip
