"""What a person may ask of a running job: imperative, one line of commands.jsonl each."""

from __future__ import annotations

import re
import uuid

import msgspec

from speedtui.engine.config.settings import Scalar


def _tag(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_tag):
    """Applied at the next step boundary and answered by an event with the same id."""

    id: str = msgspec.field(default_factory=lambda: uuid.uuid4().hex[:12])


class Pause(Command, frozen=True, kw_only=True):
    """Wait at the next step boundary."""


class Resume(Command, frozen=True, kw_only=True):
    """Go on."""


class Stop(Command, frozen=True, kw_only=True):
    """End safely: finish the step, save a checkpoint when training, write the files."""


class Cancel(Command, frozen=True, kw_only=True):
    """End at the next step boundary without saving."""


class Finish(Command, frozen=True, kw_only=True):
    """A worker that holds its model for more trials: end, since nothing more will come."""


class AddCandidate(Command, frozen=True, kw_only=True):
    """Add a candidate to the study."""

    values: dict[str, Scalar]
    queued: bool = False


class EditCandidate(Command, frozen=True, kw_only=True):
    """Give a candidate that has no result other settings."""

    trial: int
    values: dict[str, Scalar]


class RemoveCandidate(Command, frozen=True, kw_only=True):
    """Delete a candidate that is not running."""

    trial: int


class RunTrial(Command, frozen=True, kw_only=True):
    """Queue a candidate, again if it already has a result."""

    trial: int


class RunAll(Command, frozen=True, kw_only=True):
    """Queue every candidate without a result."""


class StopTrial(Command, frozen=True, kw_only=True):
    """End the trial in progress, or take a queued one out of the queue."""

    trial: int


class Promote(Command, frozen=True, kw_only=True):
    """Make a trial's settings those of the next training run."""

    trial: int


class Evaluate(Command, frozen=True, kw_only=True):
    """Evaluate at the next step boundary."""


class Checkpoint(Command, frozen=True, kw_only=True):
    """Save a checkpoint at the next step boundary."""


class Set(Command, frozen=True, kw_only=True):
    """Change settings of the training in progress, by path; all of them or none."""

    values: dict[str, Scalar]


class Note(Command, frozen=True, kw_only=True):
    """Mark this moment in the log; followed at once, whatever the job is at."""

    text: str = ""
    """What a person says of it."""


AnyCommand = (
    Pause | Resume | Stop | Cancel | Finish | AddCandidate | EditCandidate | RemoveCandidate | RunTrial | RunAll
    | StopTrial | Promote | Evaluate | Checkpoint | Set | Note
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(AnyCommand)


def encode(command: AnyCommand) -> bytes:
    """One line, its newline included."""
    return b'{"v":1,' + _encoder.encode(command)[1:] + b"\n"


def decode(line: bytes) -> AnyCommand:
    """The command of one line.

    Raises:
        ValueError: it is none, or one that this version does not know.
    """
    try:
        command: AnyCommand = _decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"not a command: {error}") from None
    return command


def command_name(command: AnyCommand) -> str:
    """Its tag, such as `run_trial`."""
    return _tag(type(command).__name__)
