"""The shape of a configured run over a loaded workload, and of the same run with another order or layout."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np
import numpy.typing as npt

from speedtui.engine.candidate import Curve
from speedtui.engine.config.settings import Scalar, Settings, TrainSettings
from speedtui.engine.plan_types import Saving
from speedtui.engine.schedule.steps import StepCounts, counts_of
from speedtui.engine.timing.run_shape import EpochOrder, Indices, RunShape, TokensOf, run_shape
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.order import epoch_order
from speedtui.engine.workload.packing import pack_lengths

Lengths = npt.NDArray[np.int32]


def shape_of(workload: Workload, settings: Settings) -> RunShape:
    """Of the run that these settings make of the workload, in the order in which it will train."""
    lengths = workload.row_tokens
    known = lengths is not None
    return _shape(
        settings.train, counts_of(settings, workload.facts.train_rows), lengths,
        workload.padded_tokens if known else None, workload.tokens if known else None,
    )  # fmt: skip


def length_shape(lengths: Lengths, settings: Settings) -> RunShape:
    """The same for samples or packs of these lengths, (rows,), tokens, that are padded to the longest in a batch."""
    return _shape(
        settings.train, counts_of(settings, len(lengths)), lengths,
        lambda rows: lengths[rows].max(axis=1).astype(np.float64) * rows.shape[1],
        lambda rows: lengths[rows].sum(axis=1, dtype=np.float64),
    )  # fmt: skip


def grouping_saving(curve: Curve, workload: Workload, settings: Settings) -> Saving | None:
    """What `train.group_by_length` would save; None where lengths are unknown or it is on."""
    if workload.lengths is None or settings.train.group_by_length:
        return None
    grouped = msgspec.structs.replace(settings.train, group_by_length=True)
    after = shape_of(workload, msgspec.structs.replace(settings, train=grouped))
    return _saving("group_by_length", curve, shape_of(workload, settings), after, {"train.group_by_length": True})


def packing_saving(curve: Curve, workload: Workload, settings: Settings) -> Saving | None:
    """What `data.packing` would save; None where lengths are unknown, for pairs of texts, or where it is on.

    A pack stands for as many samples as it holds on average, so that micro-batch and effective batch are divided by
    that number and rounded: an optimizer step then sees about as many samples as before, and as many epochs take
    about as many steps. Where a whole micro-batch fits in less than one pack, the micro-batch is one pack.
    """
    if workload.lengths is None or workload.target_lengths is not None or settings.data.packing:
        return None
    train = settings.train
    packs = pack_lengths(workload.lengths, settings.data.max_length, train.seed)
    micro = max(round(train.micro_batch_size / packs.samples_per_pack), 1)
    steps = max(round(train.effective_batch_size / packs.samples_per_pack / micro), 1)
    packed = msgspec.structs.replace(
        train, micro_batch_size=micro, effective_batch_size=micro * steps, group_by_length=False
    )
    if train.max_steps is not None:  # as many samples, not as many steps
        samples = train.max_steps * train.effective_batch_size / (packs.samples_per_pack * micro * steps)
        packed = msgspec.structs.replace(packed, max_steps=max(round(samples), 1))
    after = length_shape(packs.lengths, msgspec.structs.replace(settings, train=packed))
    values: dict[str, Scalar] = {
        "data.packing": True,
        "train.micro_batch_size": micro,
        "train.effective_batch_size": micro * steps,
    }
    note = f"{packs.samples_per_pack:.1f} samples a pack, about {packs.samples_per_pack * micro * steps:.0f} a step"
    return _saving("packing", curve, shape_of(workload, settings), after, values, note)


def run_order(train: TrainSettings, counts: StepCounts, lengths: Lengths | None) -> EpochOrder:
    """The order in which a run with these settings trains on its rows; `lengths`: (rows,), tokens."""
    group = train.micro_batch_size if train.group_by_length and lengths is not None else None

    def order(epoch: int) -> Indices:
        return epoch_order(counts.rows, lengths, seed=train.seed, epoch=epoch, group=group)

    return order


def _shape(
    train: TrainSettings, counts: StepCounts, lengths: Lengths | None, padded: TokensOf | None, tokens: TokensOf | None
) -> RunShape:
    return run_shape(counts, run_order(train, counts, lengths), padded, tokens)


def _saving(
    lever: str, curve: Curve, before: RunShape, after: RunShape, values: Mapping[str, Scalar], note: str = ""
) -> Saving:
    took = before.seconds(curve)
    saved = took - after.seconds(curve)
    return Saving(
        lever="packing" if lever == "packing" else "group_by_length",
        seconds=saved,
        share=saved / took if took else 0.0,
        padding_before=before.padding_fraction,
        padding_after=after.padding_fraction,
        values=dict(values),
        note=note,
    )
