"""What happens in a study and in a plan."""

from __future__ import annotations

from typing import Literal

from speedtui.engine.candidate import Candidate, MemoryBreakdown, TrialResult
from speedtui.engine.events.base import Event
from speedtui.engine.plan_types import Advice, Plan


class StudyStarted(Event, frozen=True, kw_only=True):
    """A study with its first list of candidates."""

    mode: str
    """minimal, quick, thorough, auto, plan, configs or knobs."""
    batches: int
    candidates: list[Candidate]
    queued: bool
    """Whether they are to be run at once."""
    memory_limit_bytes: int | None = None
    budget_seconds: float | None = None


class CandidateAdded(Event, frozen=True, kw_only=True):
    """A candidate was added by hand."""

    candidate: Candidate
    queued: bool = False


class CandidateEdited(Event, frozen=True, kw_only=True):
    """A candidate that had no result got other settings."""

    candidate: Candidate


class CandidateRemoved(Event, frozen=True, kw_only=True):
    """A candidate was deleted, its result too."""

    trial: int


class TrialQueued(Event, frozen=True, kw_only=True):
    """A candidate is to be run (again)."""

    trial: int


class TrialStarted(Event, frozen=True, kw_only=True):
    """A candidate became a trial."""

    trial: int


class TrialFinished(Event, frozen=True, kw_only=True):
    """A trial has its result."""

    trial: int
    result: TrialResult


class StudyFinished(Event, frozen=True, kw_only=True):
    """Every queued candidate has a result, or the budget is spent."""

    best: int | None
    """The fastest trial that fits; None where none does."""
    reason: str = ""
    """Why it ended before every candidate was run; empty when all were."""
    files: dict[str, str] = {}
    """trials.json, train.sh, report.json by name."""


class MemoryPredicted(Event, frozen=True, kw_only=True):
    """The peak of a candidate, or of a kind of candidates, is known before anything ran."""

    label: str
    """What it is for, such as `mb8 ga2 r16 +ckpt`."""
    trial: int | None = None
    micro_batch_size: int
    predicted_bytes: int | None
    """None where it cannot be predicted, and `reason` says why."""
    breakdown: MemoryBreakdown | None = None
    limit_bytes: int | None = None
    largest_micro_batch_size: int | None = None
    """The largest that fits with these settings; None where none does or it was not asked for."""
    effective_batch_size: int | None = None
    """No micro-batch is larger than this, however much memory there is."""
    seconds: float = 0.0
    """What the prediction took; 0 from the cache."""
    reason: str = ""


class MemoryCalibrated(Event, frozen=True, kw_only=True):
    """A probe showed how the real peak compares with the prediction."""

    trial: int
    predicted_bytes: int
    measured_bytes: int
    ratio: float
    """measured / predicted, as used from here on."""
    gap_bytes: int
    """Reserved beyond allocated, on a GPU."""


class DecisionMade(Event, frozen=True, kw_only=True):
    """The search chose, dropped, kept or ended something, and why."""

    kind: Literal["drop", "choose", "keep", "reject", "finish"]
    what: str
    """Such as `mb16 ga1 r16`."""
    reason: str
    """In words with figures: `predicted 26.1 GiB > 23.2 GiB free`."""
    trial: int | None = None
    against: int | None = None
    """The trial that it was measured in turns with; None where that is not what decided. Without a ratio it could not
    be measured."""
    ratio: float | None = None
    """Samples a second, `trial` over `against`, both measured in turns."""
    ratio_low: float | None = None
    """Of the 95 % interval of the ratio."""
    ratio_high: float | None = None


class PlanMade(Event, frozen=True, kw_only=True):
    """A plan is complete."""

    plan: Plan


class AdviceGiven(Event, frozen=True, kw_only=True):
    """Something should be changed."""

    advice: Advice


class TrialPromoted(Event, frozen=True, kw_only=True):
    """A trial's settings became those of the next training run."""

    trial: int
    config_file: str
