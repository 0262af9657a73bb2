"""An event as a line of the log and back, without numbers that nobody can have meant."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from typing import Any

import msgspec

from speedtui.engine.events import hardware, run, study, training

MOST_SECONDS = 1e10
"""317 years: a few of them added to a time of today are still a date, which ends with the year 9999."""
MOST_COUNT = 1e18
"""Bytes, tokens, steps: within 64 bits."""
MOST_VALUE = 1e150
"""Anything else, such as a loss: its square is still finite."""
MOST_DEPTH = 64
"""Of what lies within an event; whoever reads it walks into it, too."""
_TIME = re.compile(r"t|wall|unaccounted|.*seconds|.*_at|deadline|finish.*|phases|device_phases|busy|busy_phases|terms")
"""Names of fields, or of their tables, that hold seconds."""
_PLAIN = frozenset({str, type(None), bool})
"""What holds no number."""
_SHAPES = (
    bytes(
        ord("0") if chr(code).isdigit() else ord("e") if chr(code) in "eE" else code if chr(code) == "." else ord(" ")
        for code in range(128)
    )
    + b" " * 128
)
_LARGE = b" " + b"0" * len(f"{MOST_SECONDS:.0f}")
"""Whole digits of a number that reach the least of the bounds."""


def may_be_absurd(line: bytes) -> bool:
    """Whether any number of a line is so long, or has such an exponent, that it can be out of bounds: asked first,
    since it takes a tenth of looking at them all, and a log has millions of lines."""
    shape = line.translate(_SHAPES, b"+")
    return b"e0" in shape or _LARGE in shape


def absurd(value: msgspec.Struct) -> str:
    """The first number in it that is out of bounds, with its field's name; empty where none is."""
    return _of_struct(value, 0)


def _of_struct(struct: msgspec.Struct, depth: int) -> str:
    fields, values = _fields(type(struct))
    for (name, seconds), value in zip(fields, values(struct), strict=True):
        kind = value.__class__
        if kind in _PLAIN:
            continue
        if kind is float or kind is int:  # nearly all: each line of a long log comes through here
            most = MOST_SECONDS if seconds else MOST_VALUE if kind is float else MOST_COUNT
            if not -most <= value <= most:
                return f"{name} is beyond {most:g}"
        elif value and (found := _of_any(name, value, seconds, depth)):
            return found
    return ""


def _of_any(name: str, value: Any, seconds: bool, depth: int) -> str:
    if isinstance(value, int | float):
        most = MOST_SECONDS if seconds else MOST_VALUE if isinstance(value, float) else MOST_COUNT
        return "" if -most <= value <= most else f"{name} is beyond {most:g}"
    if depth > MOST_DEPTH:
        return f"{name} is more than {MOST_DEPTH} deep"
    if isinstance(value, msgspec.Struct):
        return _of_struct(value, depth + 1)
    if isinstance(value, dict):
        if seconds and set(map(type, value.values())) == {float}:
            fine = min(value.values()) >= -MOST_SECONDS and max(value.values()) <= MOST_SECONDS
            return "" if fine else f"{name} is beyond {MOST_SECONDS:g}"
        pairs = [(str(key), one, seconds or _is_time(str(key))) for key, one in value.items()]
    else:
        pairs = [(name, one, seconds) for one in value] if isinstance(value, list | tuple) else []
    for key, one, of_time in pairs:
        if one.__class__ not in _PLAIN and (found := _of_any(key, one, of_time, depth + 1)):
            return found
    return ""


@cache
def _is_time(name: str) -> bool:
    return _TIME.fullmatch(name) is not None


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[list[tuple[str, bool]], Callable[[Any], tuple[Any, ...]]]:
    """Name of each field and whether it holds seconds, and what gets all their values at once."""
    names = kind.__struct_fields__
    if len(names) == 1:
        return [(names[0], _is_time(names[0]))], lambda struct: (getattr(struct, names[0]),)
    return [(name, _is_time(name)) for name in names], attrgetter(*names) if names else lambda struct: ()


VERSION = 1
"""Of the line format. Fields are only ever added within a version."""

AnyEvent = (
    run.RunStarted | run.ProgressMade | run.ModelLoaded | run.SpanCompleted | training.StepCompleted
    | hardware.HardwareSampled | study.StudyStarted | study.CandidateAdded | study.CandidateEdited
    | study.CandidateRemoved | study.TrialQueued | study.TrialStarted | study.TrialFinished | study.MemoryPredicted
    | study.MemoryCalibrated | study.DecisionMade | study.PlanMade | study.AdviceGiven | study.StudyFinished
    | study.TrialPromoted | training.TrainingStarted | training.EvaluationCompleted | training.EvaluationRehearsed
    | training.CheckpointSaved | training.NonFiniteFound | training.FiniteAgain | training.DeviceBusyMeasured
    | training.CheckpointFailed | training.EtaUpdated | training.LeversFound | training.SettingsChanged | run.Stalled
    | run.BooksUpdated | training.TrainingFinished | run.CommandReceived | run.CommandApplied | run.CommandRefused
    | run.Paused | run.Resumed | run.WorkerLost | run.ClockMoved | run.WorkerSuspended | run.AlertSent | run.Notice
    | run.EventsDropped | run.RunFinished
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)
_VERSION_PREFIX = b'{"v":%d,' % VERSION


class _Opening(msgspec.Struct):
    """What says of a line whose it is."""

    v: int = VERSION


_opening = msgspec.json.Decoder(_Opening)


def encode(event: AnyEvent) -> bytes:
    """One line of the log, its newline included."""
    return _VERSION_PREFIX + _encoder.encode(event)[1:] + b"\n"


def decode(line: bytes) -> AnyEvent | None:
    """The event of one line; None for one of a newer version: of another format, type or word than this one knows.

    Raises:
        ValueError: the line is not an event: torn, for instance, too deeply nested, or with a number beyond all bounds.
    """
    try:
        if not line.startswith(_VERSION_PREFIX) and _opening.decode(line).v > VERSION:
            return None
        event: AnyEvent = _decoder.decode(line)
        wrong = absurd(event) if may_be_absurd(line) else ""
    except msgspec.ValidationError as error:
        if _is_news(str(error)):
            return None
        raise ValueError(f"not an event: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not an event: {error}") from None
    if wrong:
        raise ValueError(f"not an event: {wrong}")
    return event


def _is_news(problem: str) -> bool:
    """Whether what was wrong is a word for something that came later: types and words are added within a version."""
    return problem.startswith("Invalid enum value") or ("Invalid value" in problem and "`$.type`" in problem)
