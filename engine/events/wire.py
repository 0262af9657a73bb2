"""An event as a line of the log and back."""

from __future__ import annotations

import msgspec

from speedtui.engine.events import hardware, run, study, training
from speedtui.engine.events.bounds import absurd, may_be_absurd

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
