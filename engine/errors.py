"""What can go wrong, with the exit code it ends in and the next thing to do."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a command's exit status tells the script that called it."""

    DONE = 0
    """The job ended well; with a window, inside it."""
    FAILED = 1
    """The job failed: the reason is on stderr and in worker.log."""
    USAGE = 2
    """The command line, the configuration or the data cannot be used as they are."""
    LATE = 3
    """Done, but late, or it does not fit into the window."""
    NO_FIT = 4
    """No configuration fits in memory."""
    INTERRUPTED = 130
    """SIGINT, as shells count it: 128 + 2."""
    TERMINATED = 143
    """SIGTERM: 128 + 15."""

    @classmethod
    def told(cls, code: int) -> ExitCode:
        """The one that a log tells; what is none, as a damaged or newer log may have it, is no success."""
        return cls(code) if code in list(cls) else cls.FAILED


class SpeedtuiError(Exception):
    """Ends a command with one line for a person.

    `message` says what is wrong and where (file, line or key); `hint` says what to do about it.
    """

    exit_code = ExitCode.FAILED

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def in_one(self) -> str:
        """Both as sentences of one text, for a place that has no line of its own for the hint."""
        return f"{self.message}. {self.hint}" if self.hint else self.message


class UsageError(SpeedtuiError):
    """A command line, configuration, recipe or environment that cannot be used as it is."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A configuration key that is unknown, of the wrong type or impossible."""


class DataError(UsageError):
    """A data file that is missing, empty or not what the configuration says."""


class ModelError(UsageError):
    """A model folder, hub id or architecture that cannot be loaded."""


class RecipeError(UsageError):
    """The user's recipe cannot be imported, raised, or returned something else."""


class RunFolderError(UsageError):
    """The runs folder cannot be written or the run cannot be found."""


class JobError(SpeedtuiError):
    """The job started and could not go on."""


class NothingFits(SpeedtuiError):
    """Every candidate ran out of memory."""

    exit_code = ExitCode.NO_FIT


def first_line(error: BaseException) -> str:
    """What an error says, without what libraries go on to tell programmers; its kind where it says nothing."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]
