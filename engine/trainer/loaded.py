"""Tells the log what was loaded."""

from __future__ import annotations

from speedtui.engine import events as e
from speedtui.engine.context.context import JobContext
from speedtui.engine.workload.base import Workload


def tell_loaded(context: JobContext, workload: Workload, seconds: float) -> None:
    """Emits `model_loaded`, and a notice where rows were cut or dropped."""
    facts = workload.facts
    parameters = list(workload.model.parameters())
    context.loaded = e.ModelLoaded(
        t=context.t,
        model=workload.name,
        parameters=sum(p.numel() for p in parameters),
        trainable_parameters=sum(p.numel() for p in parameters if p.requires_grad),
        seconds=round(seconds, 3),
        train_rows=facts.train_rows,
        eval_rows=facts.eval_rows or 0,
        longest_tokens=facts.longest_tokens,
        mean_tokens=facts.mean_tokens,
        cut_rows=facts.cut_rows,
        dropped_rows=facts.dropped_rows,
    )
    context.emit(context.loaded)
    if facts.cut_rows:
        limit = context.settings.data.max_length
        context.notice(f"cut to data.max_length {limit}: {_rows(facts.cut_rows)}", level="warning")
    if facts.dropped_rows:
        context.notice(f"dropped, with nothing to learn from: {_rows(facts.dropped_rows)}", level="warning")
    if facts.packed_fill is not None:
        packs = f"{facts.train_rows} pack{'' if facts.train_rows == 1 else 's'}, {facts.packed_fill:.0%} full"
        context.notice(f"packed: {_rows(facts.train_samples)} in {packs}; a row of an effective batch is a pack")


def _rows(count: int) -> str:
    return f"{count} row{'' if count == 1 else 's'}"
