"""What comes besides training steps, what it takes, and what is still to come."""

from __future__ import annotations

from speedtui.engine.config.settings import Scalar
from speedtui.engine.events import STEP_PHASES
from speedtui.engine.row_counts import lacking_words
from speedtui.engine.schedule.next_events import TimeUntil, next_checkpoint, next_evaluation, nothing_to_evaluate
from speedtui.engine.state import RunState, Totals, TrainingState
from speedtui.engine.units import format_seconds, format_share, format_size, format_span, length_words
from speedtui.tui.drawing.text import Row, Span, clean, clock, pack, roughly, row, width_of
from speedtui.tui.frame import Frame
from speedtui.tui.panes.pane import Pane
from speedtui.tui.values import value_words

TERMS = {"steps": "steps", "evals": "evaluations", "saves": "checkpoints", "final": "end"}
STEP_PARTS = tuple(phase for phase in STEP_PHASES if phase != "other")
"""One share together; where they go in turn is the step's own pane."""
LEAST_TOLD_SECONDS = 5.0
"""What comes sooner is only said to come within it."""
LEAST_SHARE = 0.005
"""Of the time so far: less reads 0 %."""


class SchedulePane(Pane):
    """Quiet lines under the charts."""

    SLOW = True

    def draw(self, frame: Frame, width: int, height: int) -> list[Row]:
        return draw_schedule(frame.run, width, height)


def draw_schedule(run: RunState, width: int, height: int = 2) -> list[Row]:
    """What comes next, what is still to come, where the time went; with two rows the last two share one. Model and data
    before there is a training."""
    training, room = run.training, width - 2
    if training is None:
        return [row(" ", pack(_model(run), room)), row(" ", pack(_study(run), room))]
    plan, coming, present = _plan(run, training), _still_to_come(run, training), _present(run, training)
    spent = _time_so_far(run, room)
    if height > 2:
        return [row(" ", line) for line in (pack(plan, room), pack([*coming, *present], room), spent)]
    second = spent if spent else pack([*coming, *present], room)
    return [row(" ", pack(plan, room)), row(" ", second)]


def _quiet(label: str, value: str) -> Row:
    return row(Span(f"{label} ", "dim"), value)


def _plan(run: RunState, training: TrainingState) -> list[Row]:
    """What is next comes first, since a narrow screen has room for little more."""
    going_on = training.finished is None and run.status.busy
    evaluation = next_evaluation(run, training) if going_on else None
    saving = next_checkpoint(run, training) if going_on else None
    evaluates = not nothing_to_evaluate(run)
    shown = _next(run, "next eval", "eval_every", evaluation) if evaluates else _quiet("eval", "never: no data")
    pieces = [shown, _next(run, "checkpoint", "checkpoint_every", saving)]
    pieces += [_changed(path, value) for path, value in training.changed.items() if path not in SHOWN]
    pieces += [_eval_cost(run, training), _checkpoint_cost(run, training)]
    if evaluates and run.schedule.get("fast_eval_every", "never") != "never":
        pieces.append(row(Span("loss only ", "dim"), _every(run, "fast_eval_every")))
    return pieces


SHOWN = ("schedule.eval_every", "schedule.checkpoint_every", "schedule.fast_eval_every")
"""Settings that have a place of their own, whether they were changed or not."""


def _every(run: RunState, name: str) -> Row:
    """A frequency as it is now, and what it was at the start where that is another one."""
    now, before = run.schedule.get(name, "–"), run.config.get("schedule", {}).get(name, "–")
    was = Span(f" (was {clean(str(before))})", "accent") if now != before else Span("")
    return row(f"every {clean(str(now))}", was)


def _present(run: RunState, training: TrainingState) -> list[Row]:
    """As it stands now."""
    pieces = [_quiet("lr", _rate(training.learning_rate))]
    last = next((saved for saved in reversed(training.checkpoints) if not saved.final), None)
    if last is not None:
        pieces.append(_quiet("last checkpoint", f"step {last.step} at {clock(run.wall(last.t), run.now)}"))
    micro, accumulation = training.micro_batch_size, training.grad_accum_steps
    return [*pieces, _quiet("batch", f"{micro} × {accumulation} = {micro * accumulation}")]


def _changed(path: str, value: Scalar) -> Row:
    """Another setting that was changed while the run went on."""
    name = path.rpartition(".")[2].replace("_", " ")
    return row(Span(f"{name} ", "dim"), Span(f"{clean(value_words(value))} (changed)", "accent"))


def _next(run: RunState, what: str, setting: str, coming: TimeUntil | None) -> Row:
    """How far away it is, where that is known, and how often it comes."""
    if coming is None:
        return row(Span(f"{what.removeprefix('next ')} ", "dim"), _every(run, setting))
    away = _coarse(coming.seconds)
    if coming.steps is not None:
        away = f"{coming.steps} {'step' if coming.steps == 1 else 'steps'} ({away})"
    return row(Span(f"{what} in ", "dim"), f"{away}, ", _every(run, setting))


def _coarse(seconds: float) -> str:
    """To the minute, below one to ten seconds: every second would be drawn for nothing."""
    if seconds < LEAST_TOLD_SECONDS:
        return f"<{LEAST_TOLD_SECONDS:g}s"
    rounded = 60 * round(seconds / 60) if seconds >= 60 else 10 * round(seconds / 10)
    return format_span(rounded).removesuffix(" 00s")


def _eval_cost(run: RunState, training: TrainingState) -> Row:
    """Of one full evaluation: the mean so far, or what the rehearsal before the first step lets expect."""
    mean, rehearsal = training.full_evaluations.mean_seconds, training.rehearsal
    if mean is not None:
        return _quiet("an eval takes", format_seconds(mean) + _share_so_far(run, training.full_evaluations))
    return _quiet("an eval takes", f"~{format_seconds(rehearsal.expected_seconds)}") if rehearsal is not None else ()


def _checkpoint_cost(run: RunState, training: TrainingState) -> Row:
    mean = training.checkpoint_totals.mean_seconds
    if mean is None:
        return ()
    return _quiet("a checkpoint takes", format_seconds(mean) + _share_so_far(run, training.checkpoint_totals))


def _share_so_far(run: RunState, totals: Totals) -> str:
    return f" ({totals.seconds / run.t * 100:.1f} %{_so_far(run)})" if run.t > 0 else ""


def _rate(rate: float | None) -> str:
    return "–" if rate is None else f"{rate:.2e}" if rate else "0"


def _still_to_come(run: RunState, training: TrainingState) -> list[Row]:
    if run.outcome is not None or training.finished is not None or training.eta is None:
        return []
    terms = [(name, seconds) for name, seconds in training.eta.terms.items() if seconds >= 0.5]  # less reads 0s
    return _listed("still to come ", [f"{TERMS.get(name, name)} {roughly(seconds)}" for name, seconds in terms])


def _time_so_far(run: RunState, width: int) -> Row:
    """Every phase of the books that shows, the largest first; the steps' own phases as one, `other` as it is. What is
    unaccounted for always has its place, at the end."""
    if run.books is None or run.books.wall <= 0:
        return ()
    phases = dict(run.books.phases)
    steps = sum(phases.pop(name, 0.0) for name in STEP_PARTS)
    shown = sorted(((s / run.books.wall, name) for name, s in {"steps": steps, **phases}.items()), reverse=True)
    texts = [f"{name.replace('_', ' ')} {format_share(share)}" for share, name in shown if share >= LEAST_SHARE]
    rest = row(f"unaccounted {format_share(run.books.unaccounted / run.books.wall)}")
    label = f"of the time{_so_far(run)} "
    return row(pack(_listed(label, texts), width - width_of(rest) - 3), "   ", rest)


def _so_far(run: RunState) -> str:
    """Said of a share while more may come."""
    return "" if run.outcome else " so far"


def _listed(label: str, texts: list[str]) -> list[Row]:
    return [row(Span(label, "dim"), text) if not i else row(text) for i, text in enumerate(texts)]


def _model(run: RunState) -> list[Row]:
    model = run.model
    if model is None:
        return []
    pieces = [
        row(Span("model ", "dim"), clean(model.model)),
        _quiet("rows", f"{model.train_rows} train, {model.eval_rows} eval"),
    ]
    lengths = length_words(
        model.longest_tokens, model.mean_tokens, model.longest_target_tokens, model.mean_target_tokens
    )  # fmt: skip
    pieces += [_quiet("tokens", lengths)] if lengths else []
    return [*pieces, *(row(Span(words, "warn")) for words in lacking_words(model))]


def _study(run: RunState) -> list[Row]:
    study = run.study
    if study is None:
        return []
    limit = study.memory_limit_bytes
    pieces = [_quiet("each trial", f"{study.batches} batches")]
    if limit is not None:
        pieces.append(_quiet("memory limit", format_size(limit)))
    return pieces
