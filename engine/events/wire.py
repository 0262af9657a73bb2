"""An event as a line of the log and back."""

from __future__ import annotations

import msgspec

from speedtui.engine.events.bounds import absurd, may_be_absurd
from speedtui.engine.events.hardware import (
    HardwareSampled,
)
from speedtui.engine.events.run import (
    AlertSent,
    BooksUpdated,
    ClockMoved,
    CommandApplied,
    CommandReceived,
    CommandRefused,
    EventsDropped,
    ModelLoaded,
    Notice,
    Paused,
    ProgressMade,
    Resumed,
    RunFinished,
    RunStarted,
    SpanCompleted,
    Stalled,
    WorkerLost,
    WorkerSuspended,
)
from speedtui.engine.events.study import (
    AdviceGiven,
    CandidateAdded,
    CandidateEdited,
    CandidateRemoved,
    DecisionMade,
    MemoryCalibrated,
    MemoryPredicted,
    PlanMade,
    StudyFinished,
    StudyStarted,
    TrialFinished,
    TrialPromoted,
    TrialQueued,
    TrialStarted,
)
from speedtui.engine.events.training import (
    CheckpointFailed,
    CheckpointSaved,
    DeviceBusyMeasured,
    EtaUpdated,
    EvaluationCompleted,
    EvaluationRehearsed,
    FiniteAgain,
    LeversFound,
    NonFiniteFound,
    SettingsChanged,
    StepCompleted,
    TrainingFinished,
    TrainingStarted,
)

VERSION = 1
"""Of the line format. Fields are only ever added within a version."""

AnyEvent = (
    RunStarted | ProgressMade | ModelLoaded | SpanCompleted | StepCompleted | HardwareSampled | StudyStarted
    | CandidateAdded | CandidateEdited | CandidateRemoved | TrialQueued | TrialStarted | TrialFinished
    | MemoryPredicted | MemoryCalibrated | DecisionMade | PlanMade | AdviceGiven
    | StudyFinished | TrialPromoted | TrainingStarted | EvaluationCompleted | EvaluationRehearsed | CheckpointSaved
    | NonFiniteFound | FiniteAgain | DeviceBusyMeasured
    | CheckpointFailed | EtaUpdated | LeversFound | SettingsChanged | Stalled | BooksUpdated | TrainingFinished
    | CommandReceived | CommandApplied | CommandRefused | Paused | Resumed | WorkerLost
    | ClockMoved | WorkerSuspended | AlertSent | Notice | EventsDropped | RunFinished
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
