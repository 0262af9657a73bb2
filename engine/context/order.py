"""What a worker is told to do, as a file in the run's folder."""

from __future__ import annotations

import msgspec

from speedtui.engine.candidate import Candidate, Estimate
from speedtui.engine.config.settings import Scalar
from speedtui.engine.config.window import Window
from speedtui.engine.events import Job
from speedtui.engine.events.wire import absurd
from speedtui.engine.files import write_whole
from speedtui.engine.regular_file import read_regular
from speedtui.engine.runs import RunFolder

COMMAND_LINE = "command line"
"""Why settings changed, of those that a run takes up as it goes on."""


class PlanOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a plan is asked for."""

    profile: str | None = None
    """The one that the schedules are for; None leaves the choice to the data."""
    device: str = ""
    """A device that is not here, as it was given; empty for this one."""
    measure: bool = True
    """Whether each profile is probed; otherwise it rests on history or on the profile's baseline."""
    written: tuple[str, ...] = ()
    """Settings that the user's file names, by path: an effective batch among them is kept."""


class Alternative(msgspec.Struct, frozen=True, kw_only=True):
    """Settings that a trial measured with the model and data of this training, other than its own."""

    values: dict[str, Scalar]
    """By path, those that differ from the training's."""
    label: str
    step_seconds: float
    """Of the same effective batch."""


OWN_SETTINGS = "the program's settings are its own: change them there"
"""Why `set` is refused in a run of a user's own program."""


class Program(msgspec.Struct, frozen=True, kw_only=True):
    """A user's own training program."""

    command: list[str]
    folder: str
    """In which it runs."""


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """job.json: everything about a run that is not in its configuration."""

    job: Job
    started_at: float
    """Wall clock of the run's t = 0."""
    mode: str = ""
    """Where the candidates come from: minimal, quick, thorough, configs or knobs."""
    candidates: list[Candidate] = []
    note: str = ""
    """Something to tell of the list."""
    queued: bool = True
    """Candidates are run at once; otherwise each waits until somebody says so."""
    hold: bool = False
    """With nothing left to run, keep the model loaded and wait for commands while a session looks on."""
    memory_limit_bytes: int | None = None
    """What a trial may use: the limit the user set, else the device's memory."""
    enforce_limit: bool = False
    """The user set it, so it is made real."""
    window: Window | None = None
    profile: str | None = None
    """The profile that the settings come from."""
    plan: PlanOrder | None = None
    """For a plan."""
    trial: int | None = None
    """For a training: the candidate its settings come from."""
    named: list[str] = []
    """Settings by path that its label tells besides the usual ones: those that the trial was for."""
    estimate: Estimate | None = None
    """What that trial or plan expected of the whole run."""
    step_seconds: float | None = None
    """What that trial measured."""
    alternatives: list[Alternative] = []
    """Of its study, faster ones first."""
    resume: bool = False
    """Go on from the last checkpoint of this run."""
    changes: dict[str, Scalar] = {}
    """Settings by path that a run which goes on takes up; its log tells of them with `COMMAND_LINE` for a reason."""
    program: Program | None = None
    """For a run of the user's own program."""
    train_command: list[str] = []
    """How to call `speedtui train`, for train.sh."""


def write_order(folder: RunFolder, order: Order) -> None:
    """Writes job.json whole.

    Raises:
        OSError: no room or no permission.
    """
    write_whole(folder.order, msgspec.json.format(msgspec.json.encode(order), indent=2), durable=True)


def read_order(folder: RunFolder) -> Order:
    """Reads it back.

    Raises:
        OSError: it is missing, or no file.
        msgspec.DecodeError: it is not an order.
    """
    try:
        order = msgspec.json.decode(read_regular(folder.order), type=Order)
    except (UnicodeDecodeError, RecursionError) as error:
        raise msgspec.DecodeError(str(error)) from None
    if wrong := absurd(order):
        raise msgspec.DecodeError(wrong)
    return order
