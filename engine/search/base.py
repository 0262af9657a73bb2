"""What a search is asked and what it answers: plain values, so that it can be tried without a device."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from speedtui.engine.candidate import Candidate, TrialResult
from speedtui.engine.config.settings import Scalar
from speedtui.engine.memory.peak_model import MemorySurface, Unpredictable


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate that was run, with its result."""

    candidate: Candidate
    result: TrialResult


class Try(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for a trial of these settings."""

    values: dict[str, Scalar]
    """By full path, as a candidate has them."""
    why: str
    """In words, for the person who looks on."""


class Compare(msgspec.Struct, frozen=True, kw_only=True):
    """Asks for an interleaved measurement of two trials that went well."""

    incumbent: int
    """Id of a trial."""
    challenger: int


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """How fast the challenger is beside the incumbent, both measured in turns."""

    incumbent: int
    challenger: int
    ratio: float | None
    """Samples a second, challenger over incumbent; above 1 the challenger is faster. None: it could not be measured."""
    low: float | None = None
    """Of the 95 % interval of the ratio."""
    high: float | None = None

    def __str__(self) -> str:
        if self.ratio is None or self.low is None or self.high is None:
            return "not measured"
        return f"{self.ratio:.2f}x [{self.low:.2f} {self.high:.2f}]"


class Decision(msgspec.Struct, frozen=True, kw_only=True):
    """Something the search has settled."""

    kind: Literal["drop", "keep", "reject", "finish"]
    what: str
    reason: str
    """In words with figures."""
    trial: int | None = None
    compared: Compared | None = None
    """The measurement in turns that decided, where one did."""


Ask = Try | Compare

Surfaces = Mapping[bytes, MemorySurface | Unpredictable]
"""By the key of a memory class, see `classes.class_key`."""


class Strategy(Protocol):
    """Chooses what to try next. Holds no device and starts no process.

    Its answers depend on what it is given and on nothing else, so that a new one goes on where another one was.
    """

    @property
    def decisions(self) -> Sequence[Decision]:
        """All that was settled up to the last answer, in order; a later answer only adds to it."""

    @property
    def incumbent(self) -> int | None:
        """The trial that the search holds for the best one so far; None where it has no opinion."""

    @property
    def dead_end(self) -> str:
        """Why nothing can be tried at all; empty where something was."""

    def ask(self, trials: Sequence[Trial], compared: Sequence[Compared]) -> Ask | None:
        """What to run next given every finished trial and comparison, or None when the search is done."""
