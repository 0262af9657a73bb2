"""The settings of the next run that arrow keys change, each along values that people take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from speedtui.engine.config.batch import divisors
from speedtui.engine.config.frequency import Frequency, frequency_text, parse_frequency
from speedtui.engine.config.parse_time import later
from speedtui.engine.config.paths import value_at
from speedtui.engine.config.settings import Settings
from speedtui.engine.units import duration_text, parse_duration
from speedtui.tui.draft.draft import Value

DECADE = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)
"""Ten rungs, so that ten of them are a factor of ten."""
EPOCH_RUNGS = (0.1, 0.2, 0.25, 0.5, 1, 2, 3, 4, 5, 6, 8, 10, 12, 15, 20, 25, 30, 40, 50, 60, 80, 100)
CLOCK_RUNGS = (60, 120, 300, 600, 900, 1200, 1800, 2700, 3600, 5400, 7200, 10800, 14400, 21600, 28800, 43200, 86400)
"""Seconds: stretches of time that people name."""
MARGIN_RUNGS = (0, *CLOCK_RUNGS)
WINDOW_STEP_SECONDS = 1800
"""By which the length of a window goes; a deadline goes by a sixth of it."""
DEADLINE_STEP_SECONDS = 300
LENGTH_RUNGS = (64, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048, 3072, 4096, 6144, 8192, 16384, 32768)
"""Tokens."""
NEVER = "never"
MOST = 10_000_000
"""Of steps and rows, where it is not known how many there are."""

FieldKind = Literal["steps", "epochs", "frequency", "rows", "count", "patience", "flag", "divisor", "tokens", "window",
               "margin"]  # fmt: skip


class RunSizes(NamedTuple):
    """Of the run that is edited; None where it is not known."""

    total_steps: int | None = None
    epoch_steps: int | None = None
    eval_rows: int | None = None


class DraftField(NamedTuple):
    """One line to be edited."""

    path: str
    label: str
    kind: FieldKind


def fields_of(settings: Settings, *, evaluates: bool = True) -> list[DraftField]:
    """Those that do something in this run, the most telling first."""
    schedule = settings.schedule
    steps = settings.train.max_steps is not None
    found = [
        DraftField("train.max_steps", "steps", "steps") if steps else DraftField("train.epochs", "epochs", "epochs")
    ]
    if evaluates:
        found += [DraftField("schedule.eval_every", "eval every", "frequency")]
    found += [DraftField("schedule.checkpoint_every", "ckpt every", "frequency"), window_field(settings)]
    found += [DraftField("window.margin", "margin", "margin")]
    if evaluates:
        found += [
            DraftField("schedule.fast_eval_every", "loss every", "frequency"),
            DraftField("data.eval_rows", "eval rows", "rows"),
            DraftField("schedule.generate", "generate", "flag"), DraftField("schedule.patience", "patience",
            "patience"), DraftField("schedule.save_only_best", "only best", "flag"),
        ]  # fmt: skip
    found += [DraftField("schedule.keep_checkpoints", "keep ckpts", "count")]
    found += [DraftField("train.micro_batch_size", "micro-batch", "divisor")]
    if settings.model.kind != "python":
        found += [DraftField("data.max_length", "max length", "tokens")]
    return [field for field in found if field.path != "schedule.generate" or _answers(settings, schedule.generate)]


def _answers(settings: Settings, generates: bool) -> bool:
    """Whether evaluations could generate."""
    return generates or settings.model.kind == "seq2seq" or bool(settings.schedule.metric)


def window_field(settings: Settings) -> DraftField:
    """The end of the window as it is written: a clock time, or a length."""
    if settings.window.deadline:
        return DraftField("window.deadline", "finish by", "window")
    return DraftField("window.length", "window", "window")


def adjusted(field: DraftField, settings: Settings, by: int, sizes: RunSizes) -> Value:
    """The field's value so many rungs on; the same one at an end."""
    value = value_at(settings, field.path)
    match field.kind:
        case "steps":
            return int(_along(_rungs(1, MOST), _number(value, sizes.total_steps or 1000), by))
        case "epochs":
            now = _number(value, 1)
            return float(now + by if now + by >= 1 and now == int(now) else _along(EPOCH_RUNGS, now, by))
        case "frequency":
            return _frequency(str(value), by, sizes.total_steps)
        case "rows":
            return _rows(value, by, sizes.eval_rows)
        case "count":
            return max(int(_number(value, 1)) + by, 1)
        case "patience":  # None, which is off, comes before 1
            return max(int(_number(value, 0)) + by, 0) or None
        case "flag":
            return not value
        case "divisor":
            return int(_along(sorted(divisors(settings.train.effective_batch_size)), _number(value, 1), by))
        case "tokens":
            return int(_along(LENGTH_RUNGS, _number(value, 1024), by))
        case "window":
            return _window(value, by, settings)
        case "margin":
            seconds = round(_along(MARGIN_RUNGS, _seconds(str(value)), by))
            return duration_text(seconds) if seconds else "0s"


def _rungs(low: int, high: int) -> list[int]:
    """Whole numbers of a ladder from one to the other, both included."""
    found = {low, high}
    scale = 1
    while scale <= high:
        found |= {round(part * scale) for part in DECADE if part * scale == round(part * scale)}
        scale *= 10
    return sorted(number for number in found if low <= number <= high)


def _along(rungs: Sequence[float], now: float, by: int) -> float:
    """So many rungs from the next one below or above."""
    if by > 0:
        above = [rung for rung in rungs if rung > now]
        return above[min(by, len(above)) - 1] if above else now
    below = [rung for rung in rungs if rung < now]
    return below[max(len(below) + by, 0)] if below else now


def _frequency(every: str, by: int, total_steps: int | None) -> str:
    now = parse_frequency(every)
    if now.seconds is not None:
        seconds = _along(CLOCK_RUNGS, now.seconds, by)
        return NEVER if seconds == now.seconds and by > 0 else duration_text(round(seconds))
    if now.epochs is not None:
        epochs = _along(EPOCH_RUNGS, now.epochs, by)
        return NEVER if epochs == now.epochs and by > 0 else frequency_text(Frequency(epochs=epochs))
    if now.steps is not None:
        most = max(total_steps or now.steps * 10, now.steps)
        steps = int(_along(_rungs(1, most), now.steps, by))
        return NEVER if steps == now.steps and by > 0 else frequency_text(Frequency(steps=steps))
    if by > 0:
        return NEVER
    return frequency_text(Frequency(steps=total_steps)) if total_steps else "1 epoch"


def _rows(value: Value, by: int, most: int | None) -> int | None:
    """None is all of them, which comes after the last rung."""
    if value is None:
        return int(_along(_rungs(1, most), most, by)) if most and by < 0 else None
    rows = int(_along(_rungs(1, most or MOST), _number(value, 1), by))
    return None if most is not None and rows >= most else rows


def _window(value: Value, by: int, settings: Settings) -> str | None:
    if settings.window.deadline:
        return later(str(value), by * DEADLINE_STEP_SECONDS)
    if not value:
        return "1h" if by > 0 else None
    seconds = _seconds(str(value)) + by * WINDOW_STEP_SECONDS
    return duration_text(round(seconds)) if seconds >= WINDOW_STEP_SECONDS else None


def _seconds(text: str) -> float:
    """0 for what is no stretch of time, such as `0s`."""
    try:
        return parse_duration(text)
    except ValueError:
        return 0.0


def _number(value: Value, otherwise: float) -> float:
    return value if isinstance(value, int | float) else otherwise
