"""What the worker and the process of the metric say to each other, one line of JSON each."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from speedtui.engine.workload.data import DataTable


class ScoringRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Texts to score."""

    predictions: list[str]
    threads: int
    source: DataTable | None = None
    """That the rows come from."""
    numbers: list[int] = []
    """Row of the source for each prediction, counted from 0."""
    turns: list[int] = []
    """Which of a conversation's learned turns each prediction answers, counted from 0."""
    references: list[str] | None = None
    """Right answers that come from no table."""
    rows: list[dict[str, Any]] | None = None
    """What a recipe tells of each prediction's sample."""


class ScorerReply(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """An answer of the metric's process."""


class Loaded(ScorerReply, frozen=True, kw_only=True):
    """The metric can be called."""

    form: Literal["sample", "set"]
    takes: list[str]
    """Names of its parameters that are filled in."""
    needs: list[str]
    """Those of them without a default."""


class Unusable(ScorerReply, frozen=True, kw_only=True):
    """The metric cannot be called: a person must change it."""

    message: str
    hint: str


class Began(ScorerReply, frozen=True, kw_only=True):
    """The rows are read and the first call is made: from here on the time counts."""

    at: float
    """On the monotonic clock, which is the same for all processes of a machine; read there, since the worker may hear
    of it late."""


class Unread(ScorerReply, frozen=True, kw_only=True):
    """The rows cannot be read."""

    reason: str


class Scored(ScorerReply, frozen=True, kw_only=True):
    """One sample's call is over."""

    sample: int
    """Its place among the predictions."""
    score: float | None = None
    error: str | None = None
    """Why there is no score."""


class SetScored(ScorerReply, frozen=True, kw_only=True):
    """The call for all samples is over."""

    metrics: dict[str, float | None]
    """None where what it returned is no number."""
    error: str | None = None


AnyScorerReply = Loaded | Unusable | Began | Unread | Scored | SetScored
