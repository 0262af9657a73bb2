"""An event as a line of the log and back."""

from __future__ import annotations

import msgspec

from speedtui.engine.events.hardware import (
    HardwareSampled,
)
from speedtui.engine.events.run import (
    BooksUpdated,
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
    | Notice | EventsDropped | RunFinished
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyEvent)
_VERSION_PREFIX = b'{"v":%d,' % VERSION


def encode(event: AnyEvent) -> bytes:
    """One line of the log, its newline included."""
    return _VERSION_PREFIX + _encoder.encode(event)[1:] + b"\n"


def decode(line: bytes) -> AnyEvent | None:
    """The event of one line; None for a type that this version does not know.

    Raises:
        ValueError: the line is not an event, for instance torn.
    """
    try:
        event: AnyEvent = _decoder.decode(line)
    except msgspec.ValidationError as error:
        if "Invalid value" in str(error) and "`$.type`" in str(error):
            return None
        raise ValueError(f"not an event: {error}") from None
    except msgspec.DecodeError as error:
        raise ValueError(f"not an event: {error}") from None
    return event
