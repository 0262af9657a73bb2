"""A study and a training in a few lines that a person can read."""

from __future__ import annotations

from speedtui.engine.candidate import TrialResult, TrialStatus
from speedtui.engine.clean import cleaned, pad, width_of
from speedtui.engine.plan.render import render_plan
from speedtui.engine.report.compose import RunExpectation, training_report
from speedtui.engine.report.text import render_training
from speedtui.engine.state import RunState, StudyState, TrialRow
from speedtui.engine.units import format_count, format_seconds, format_share, format_size, format_span, plural

_HEADER = ("  #", "config", "status", "samples/s", "tok/s", "step", "peak", "full run")


def summarize(state: RunState, *, next_step: bool = True, expected: RunExpectation | None = None) -> str:
    """The summary of a run, with what to do next; ends without a newline.

    `expected`: what its training was ordered with, where that is known.
    """
    state, expected = cleaned(state), cleaned(expected)
    parts = [f"warning: {state.passed_over.words}"] if state.passed_over else []
    if state.plan is not None and state.job == "plan":
        return "\n\n".join([*parts, render_plan(state.plan, state.window, next_step=state.next if next_step else "")])
    if state.reason:
        told = state.reason.startswith(f"{state.outcome} ")  # `stopped on request`
        parts.append(state.reason if told else f"{state.outcome}: {state.reason}")
    if state.study is not None and any(row.status.finished for row in state.study.rows):
        parts.append(study_table(state.study))
        parts.append(best_lines(state.study, state.next))
    if state.training is not None:
        parts.append(render_training(training_report(state, expected)))
    if state.next and next_step:
        parts.append(f"next: {state.next}")
    return "\n\n".join(part for part in parts if part)


def study_table(study: StudyState) -> str:
    """Every trial in a row."""
    rows = [_HEADER, *(_cells(row, study.best) for row in study.rows)]
    widths = [max(width_of(row[i]) for row in rows) for i in range(len(_HEADER))]
    return "\n".join(_aligned(row, widths) for row in rows)


def best_lines(study: StudyState, next_step: str = "") -> str:
    """The best trial with what follows from it, but for a command that `next_step` names, said beside it."""
    row = study.row(study.best) if study.best is not None else None
    measured = row.result.measurement if row is not None and row.result is not None else None
    if row is None or row.result is None or measured is None:
        return "No trial fits in memory." if _all_out_of_memory(study) else "No trial has a result."
    candidate, memory = row.candidate, row.result.memory
    free = memory.headroom_fraction if memory is not None else None
    headroom = (
        f", {format_share(free)} of {format_size(memory.limit_bytes)} free" if memory and free is not None else ""
    )
    lines = [
        f"best        #{candidate.id}  {candidate.label}",
        f"effective   {candidate.effective_batch_size} = micro-batch {candidate.micro_batch_size} "
        f"x accumulation {candidate.grad_accum_steps}",
        f"speed       {format_count(measured.samples_per_second)} samples/s, "
        f"{format_count(measured.tokens_per_second)} tok/s, step {format_seconds(measured.step_seconds)} "
        f"[{format_seconds(measured.step_seconds_low)} {format_seconds(measured.step_seconds_high)}]",
        f"memory      peak {format_size(memory.peak_bytes if memory else None)}{headroom}",
        f"full run    {_full_run(row.result)}",
    ]
    if "train.sh" in study.files and study.files["train.sh"] not in next_step:
        lines.append(f"train with  sh {study.files['train.sh']}")
    return "\n".join(lines)


def _full_run(result: TrialResult) -> str:
    """The estimate with what it includes, as far as there is any of it."""
    estimate = result.estimate
    if estimate is None:
        return f"about {format_span(result.full_run_seconds)}"
    counts = [plural(n, what) for n, what in
              ((estimate.evals, "evaluation"), (estimate.saves, "checkpoint")) if n]  # fmt: skip
    included = f", {' and '.join(counts)} included" if counts else ""
    return f"about {format_span(estimate.p50_seconds)}, 9 in 10 within {format_span(estimate.p90_seconds)}{included}"


def _aligned(cells: tuple[str, ...], widths: list[int]) -> str:
    """The first three columns to the left, the figures to the right."""
    padded = [pad(c, w, right=i >= 3) for i, (c, w) in enumerate(zip(cells, widths, strict=True))]
    return "  ".join(padded).rstrip()


def _cells(row: TrialRow, best: int | None) -> tuple[str, ...]:
    mark = "*" if row.candidate.id == best else " "
    *speed, _, full_run = figure_cells(row.result)
    return f"{mark}{row.candidate.id:>2}", row.candidate.label, row.status.value.replace("_", " "), *speed, full_run


def figure_cells(result: TrialResult | None) -> tuple[str, ...]:
    """Samples and tokens a second, the step, the peak, what of the memory is free, the full run."""
    measured = result.measurement if result is not None else None
    memory = result.memory if result is not None else None
    return (
        format_count(measured.samples_per_second if measured else None),
        format_count(measured.tokens_per_second if measured else None),
        format_seconds(measured.step_seconds if measured else None),
        format_size(memory.peak_bytes if memory else None),
        format_share(memory.headroom_fraction if memory else None),
        format_span(result.full_run_seconds if result else None),
    )


def _all_out_of_memory(study: StudyState) -> bool:
    return bool(study.rows) and all(row.status is TrialStatus.OUT_OF_MEMORY for row in study.rows)
