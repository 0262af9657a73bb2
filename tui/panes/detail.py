"""The trial under the cursor: what it changes, what it measured, why it failed, what to do next."""

from __future__ import annotations

from speedtui.engine.candidate import Measurement, Memory, TrialResult, TrialStatus
from speedtui.engine.search.candidates import CHECKPOINTING, MICRO_BATCH
from speedtui.engine.state import RunState, TrialRow
from speedtui.engine.state.event_words import phase_words
from speedtui.engine.units import format_count, format_figure, format_seconds, format_share, format_size, format_span
from speedtui.tui.candidates import figures
from speedtui.tui.drawing.bars import in_order
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, clean, clock, labelled, row, wrap
from speedtui.tui.frame import Frame
from speedtui.tui.keys.situations import study_over
from speedtui.tui.panes.pane import TrialPane, selected_trial, title
from speedtui.tui.panes.results import TRIAL_STYLES, status_word
from speedtui.tui.panes.trial_columns import NOISE_FROM
from speedtui.tui.panes.trial_device import condition_pieces, use_pieces
from speedtui.tui.values import changes, format_value, value_at

LABEL = 10
SPARE = ("terms", "parts", "device", "loss", "phases", "speed", "lead", "memory", "total", "step", "changed")
"""In this order they give way where there is no room; why a trial failed and what comes next never do."""
LEAST_TERM_SECONDS = 0.5
"""Of the whole run; less would be written as nothing."""

NEXT = {
    TrialStatus.WAITING: (("r", "runs it"), ("enter", "edits it"), ("D", "deletes it")),
    TrialStatus.QUEUED: (("x", "takes it out of the queue"), ("enter", "edits it")),
    TrialStatus.RUNNING: (("x", "stops it"), ("K", "kills the worker if it hangs")),
    TrialStatus.NOT_RUN: (),
    TrialStatus.OK: (("P", "promotes it to the next training"), ("y", "copies its command"), ("d", "duplicates it")),
    TrialStatus.OUT_OF_MEMORY: (("d", "duplicates it with less"), ("D", "deletes it")),
    TrialStatus.FAILED: (("r", "runs it again"), ("d", "duplicates it with other settings")),
    TrialStatus.PRUNED: (("r", "runs it again"), ("d", "duplicates it")),
    TrialStatus.TIMED_OUT: (("r", "runs it again"), ("d", "duplicates it with other settings")),
}
"""What can be done with a trial while its study takes commands."""
ALWAYS = ("P", "y")
"""Of these, what can be done afterwards."""


class DetailPane(TrialPane):
    """One trial in words."""

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_detail(frame.study, self.selected, width, height, read_only=frame.read_only)


def draw_detail(
    run: RunState, selected: int | None, width: int, height: int, *, read_only: bool = False
) -> list[Row]:  # fmt: skip
    """The pane at a size. What comes next stands in the last row, which is never cut off."""
    trial = selected_trial(run, selected)
    if trial is None:
        return bordered(title("Trial"), (), [row(Span("No trial is selected.", "dim"))], width, height)
    inner_width, inner_height = width - EDGES - INSET, height - EDGES
    known = _facts(run, trial).items()
    facts = {label: labelled(label, pieces, inner_width, LABEL) for label, pieces in known if pieces}
    following = _next(trial, inner_width, over=read_only or study_over(run))
    last = [*_reason(trial, inner_width), *_remedy(run, trial, inner_width), following]
    for label in SPARE:
        if len(facts) + len(last) > inner_height:
            facts.pop(label, None)
    rows = [*facts.values(), *last][-max(1, inner_height) :]
    name = title(f"#{trial.candidate.id}", Span(clean(trial.candidate.label), "strong"))
    right = row(Span(status_word(trial.status), TRIAL_STYLES[trial.status]))
    return bordered(name, right, rows, width, height)


def _facts(run: RunState, trial: TrialRow) -> dict[str, list[Row]]:
    """What is known of it, by label, in the order in which it is read."""
    facts = {"changed": _changed(run, trial), "weights": _weights(trial.result)}
    facts |= _live(run, trial) if trial.status is TrialStatus.RUNNING else _result(run, trial)
    facts |= {"memory": _memory(trial), "parts": _parts(trial)}
    return facts | {"total": _total(run, trial), "terms": _terms(trial)}


def _changed(run: RunState, trial: TrialRow) -> list[Row]:
    pieces = [
        row(Span(f"{path} ", "dim"), f"{format_value(before)} → ", Span(format_value(after), "strong"))
        for path, before, after in changes(run.config, trial.candidate.values)
    ]
    tried = trial.candidate
    batch = f"batch {tried.micro_batch_size} × {tried.grad_accum_steps} = {tried.effective_batch_size}"
    return [*(pieces or [row("nothing: the configuration as it is")]), row(Span(batch, "dim"))]


def _reason(trial: TrialRow, width: int) -> list[Row]:
    reason = trial.result.reason if trial.result is not None else ""
    style = TRIAL_STYLES[trial.status]
    lines = wrap(reason, width - LABEL, 3)
    return [
        row(Span(("reason" if i == 0 else "").ljust(LABEL), "dim"), Span(line, style)) for i, line in enumerate(lines)
    ]


def _remedy(run: RunState, trial: TrialRow, width: int) -> list[Row]:
    """What would need less memory, of what this candidate does not do yet."""
    if trial.status is not TrialStatus.OUT_OF_MEMORY:
        return []
    micro = trial.candidate.micro_batch_size
    ways = [f"{MICRO_BATCH} = {micro // 2}"] if micro % 2 == 0 else []
    if not trial.candidate.values.get(CHECKPOINTING, value_at(run.config, CHECKPOINTING)):
        ways.append(f"{CHECKPOINTING} = true")
    ways = ways or ["a shorter data.max_length, or a smaller model"]
    return [labelled("or" if i else "try", [row(way)], width, LABEL) for i, way in enumerate(ways)]


def _result(run: RunState, trial: TrialRow) -> dict[str, list[Row]]:
    """Time of a step with its interval, what it consists of, and how fast that is."""
    found = figures.measured(trial)
    if found is None:
        return {}
    phases = [
        row(Span(f"{phase_words(name)} ", "dim"), format_seconds(found.phases[name]))
        for name in in_order(found.phases) if found.phases[name]
    ]  # fmt: skip
    speed = [
        row(Span(format_count(found.samples_per_second), "strong"), " samples/s"),
        row(f"{format_count(found.tokens_per_second)} tok/s"),
        row(Span("padding ", "dim"), format_share(found.padding_fraction)),
        *use_pieces(found),
    ]
    seen = trial.result.conditions if trial.result is not None else None
    return {"step": _step(run, trial, found), "lead": _lead(run, trial), "phases": phases, "speed": speed,
            "device": condition_pieces(seen), "loss": _loss(run, trial, found.loss)}  # fmt: skip


def _step(run: RunState, trial: TrialRow, found: Measurement) -> list[Row]:
    interval = f"[{format_seconds(found.step_seconds_low)} {format_seconds(found.step_seconds_high)}]"
    pieces = [row(Span(format_seconds(found.step_seconds), "strong"), Span(f" {interval}", "dim"))]
    noisy = figures.noise(trial)
    if noisy is not None:
        pieces.append(row(Span(f"! noisy ±{noisy * 100:.0f} %: {NOISE_FROM}", "warn")))
    base = figures.base_of(run)
    if run.study is not None and base is not None and base is not trial:
        against = figures.ratio(run.study, trial, base)
        pieces += [_beside(against, base)] if against is not None else []
    return [*pieces, row(Span(f"{found.batches} batches after {found.warmup_batches} of warm-up", "dim"))]


def _beside(found: figures.Ratio, other: TrialRow) -> Row:
    turns = ", in turns" if found.in_turns else ""
    return row(Span(f"{found}", "dim" if found.open else ""), Span(f" of #{other.candidate.id}{turns}", "dim"))


def _lead(run: RunState, trial: TrialRow) -> list[Row]:
    """Of the best one, over the next fastest that fits."""
    ahead = figures.lead(run.study) if run.study is not None and run.study.best == trial.candidate.id else None
    if ahead is None:
        return []
    second, found = ahead
    proof = Span("not proven: ", "warn") if found.open else ""
    return [row(proof, _beside(found, second), Span(", the next fastest", "dim"))]


def _loss(run: RunState, trial: TrialRow, loss: float | None) -> list[Row]:
    """Of the last step measured, beside the base's: a setting that spoils the arithmetic shows here first."""
    if loss is None:
        return []
    base = figures.base_of(run)
    other = figures.measured(base) if base is not None and base is not trial else None
    beside = f", #{base.candidate.id} {format_figure(other.loss)}" if base and other and other.loss is not None else ""
    return [row(format_figure(loss), Span(beside, "dim"))]


def _memory(trial: TrialRow) -> list[Row]:
    """Measured, with the prediction beside it; before a trial the prediction alone."""
    memory, predicted = (trial.result.memory if trial.result is not None else None), trial.predicted_bytes
    pieces = _peak(memory) if memory is not None else []
    if predicted is not None:
        pieces.append(row(Span(f"predicted ~{format_size(predicted)}", "dim")))
    elif trial.predicted is not None:
        pieces.append(row(Span(f"not predicted: {clean(trial.predicted.reason)}", "dim")))
    if memory is not None and memory.longest_tokens is not None:
        pieces.append(row(Span(f"at the longest sample, {memory.longest_tokens} tokens", "dim")))
    if memory is not None and memory.peak_rss_bytes is not None:
        pieces.append(row(Span(f"process {format_size(memory.peak_rss_bytes)}", "dim")))
    return pieces


def _peak(memory: Memory) -> list[Row]:
    limit = f" of {format_size(memory.limit_bytes)}" if memory.limit_bytes is not None else ""
    free = memory.headroom_fraction
    pieces = [row("peak ", Span(format_size(memory.peak_bytes), "strong"), limit)]
    return [*pieces, row(Span(figures.free_words(free), "bad" if free < 0 else ""))] if free is not None else pieces


def _parts(trial: TrialRow) -> list[Row]:
    """What the predicted peak consists of."""
    parts = trial.breakdown
    if parts is None:
        return []
    named = (
        ("weights", parts.weights_bytes), ("gradients", parts.gradients_bytes), ("optimizer", parts.optimizer_bytes),
        ("activations", parts.activations_bytes), ("logits", parts.logits_bytes),
    )  # fmt: skip
    largest_first = sorted(named, key=lambda part: -part[1])
    return [row(Span(f"{name} ", "dim"), format_size(size)) for name, size in largest_first if size]


def _total(run: RunState, trial: TrialRow) -> list[Row]:
    """The whole run with these settings, and against the window."""
    total = figures.full_run_seconds(run.study, trial) if run.study is not None else None
    if total is None:
        return []
    seconds, likely = total
    pieces = [row(Span(f"{'~' if likely else ''}{format_span(seconds)}", "strong"))]
    estimate = trial.result.estimate if trial.result is not None else None
    if estimate is not None:
        pieces.append(row(Span("p90 ", "dim"), format_span(estimate.p90_seconds)))
    at = figures.finish(run, trial)
    if at is not None:
        word = figures.fits(run, trial)
        pieces.append(row(Span("finish ", "dim"), clock(at, run.now), Span(" if started now", "dim")))
        pieces.append(row(Span("fits ", "dim"), Span(word, figures.FIT_STYLES.get(word, "dim"))))
    if trial.result is not None:
        pieces.append(row(Span(f"trial took {format_span(trial.result.seconds)}", "dim")))
    return pieces


def _terms(trial: TrialRow) -> list[Row]:
    """What the whole run consists of: steps with their count, evaluations, checkpoints, loading."""
    estimate = trial.result.estimate if trial.result is not None else None
    if estimate is None:
        return []
    counts = {"steps": estimate.total_steps, "evals": estimate.evals, "saves": estimate.saves}
    return [
        row(Span(f"{counts[name]} {name} " if name in counts else f"{name} ", "dim"), format_span(term))
        for name, term in estimate.terms.items()
        if term >= LEAST_TERM_SECONDS
    ]


def _weights(result: TrialResult | None) -> list[Row]:
    changed = result is not None and result.base_weights_unchanged is False
    return [row(Span("! the base weights changed during this trial", "bad"))] if changed else []


def _live(run: RunState, trial: TrialRow) -> dict[str, list[Row]]:
    """How far it is, and how fast so far."""
    steps, batches = trial.steps, run.study.batches if run.study is not None else 0
    probe = f"{trial.probe} probe" if trial.probe else "setting up"
    since = f"since {format_span(run.t - trial.started_at)}" if trial.started_at is not None else ""
    now = [row(probe), row(f"{trial.batches_done} of {batches} batches"), row(Span(since, "dim"))]
    speeds = [
        row("~", format_seconds(trial.step_seconds_so_far)),
        row(f"{format_count(steps.samples_per_second)} samples/s"),
        row(f"{format_count(steps.tokens_per_second)} tok/s"),
    ]
    return {"now": now, "step": speeds if steps.count else []}


def _next(trial: TrialRow, width: int, *, over: bool) -> Row:
    """`over`: no command of the study has an effect."""
    offers = [offer for offer in NEXT[trial.status] if not over or offer[0] in ALWAYS] or [("y", "copies its command")]
    return labelled("next", [row(Span(key, "key"), f" {text}") for key, text in offers], width, LABEL)
