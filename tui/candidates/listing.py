"""In what order the trials are listed, which of them, and which are marked."""

from __future__ import annotations

from typing import Literal

import msgspec

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import StudyState, TrialRow
from speedtui.tui.candidates.figures import full_run_seconds, measured, memory_of
from speedtui.tui.panes.pane import matches
from speedtui.tui.panes.results import status_word

Sort = Literal["#", "smp/s", "peak", "ETA", "status"]
SORTS: tuple[Sort, ...] = ("#", "smp/s", "peak", "ETA", "status")
"""By the names of the columns, in the order in which the key goes through them; `#` is the order of adding."""
WORDS: dict[Sort, str] = {"#": "added", "smp/s": "samples/s"}
"""What the summary calls them where the column's name is no word."""
STATUS_ORDER = (TrialStatus.RUNNING, TrialStatus.OK, TrialStatus.QUEUED, TrialStatus.WAITING,
                TrialStatus.OUT_OF_MEMORY, TrialStatus.TIMED_OUT, TrialStatus.FAILED, TrialStatus.PRUNED,
                TrialStatus.NOT_RUN)  # fmt: skip


class Listing(msgspec.Struct, frozen=True, kw_only=True):
    """How the table is shown; nothing of it is in the run."""

    sort: Sort = "#"
    reverse: bool = False
    filter: str = ""
    """Words that all occur in configuration, status or reason."""
    marked: frozenset[int] = frozenset()
    """By candidate id."""

    @property
    def downwards(self) -> bool:
        """Whether the largest comes first: of speeds without being asked."""
        return (self.sort == "smp/s") != self.reverse

    @property
    def arrow(self) -> str:
        """At the sorted column's name."""
        return "↓" if self.downwards else "↑"

    @property
    def words(self) -> str:
        """For the summary: `ETA ↑`."""
        return f"{WORDS.get(self.sort, self.sort)} {self.arrow}"

    def next_sort(self) -> Listing:
        """By the next column, in its own direction."""
        following = SORTS[(SORTS.index(self.sort) + 1) % len(SORTS)]
        return msgspec.structs.replace(self, sort=following, reverse=False)

    def reversed(self) -> Listing:
        """The other way round."""
        return msgspec.structs.replace(self, reverse=not self.reverse)

    def toggled(self, trial: int) -> Listing:
        """With the mark of a candidate set or taken away."""
        return msgspec.structs.replace(self, marked=self.marked ^ {trial})

    def unmarked(self) -> Listing:
        """Without any mark."""
        return msgspec.structs.replace(self, marked=frozenset())


PLAIN = Listing()
"""In the order of adding, everything, nothing marked."""


def listed(study: StudyState, listing: Listing) -> list[TrialRow]:
    """The rows that the filter lets through, in order; those without a figure come last, whichever way it goes."""
    rows = [trial for trial in study.rows if _passes(trial, listing.filter)]
    figures = [(_figure(study, trial, listing.sort), trial) for trial in rows]
    known = [(figure, trial) for figure, trial in figures if figure is not None]
    known.sort(key=lambda pair: pair[0], reverse=listing.downwards)
    return [*(trial for _, trial in known), *(trial for figure, trial in figures if figure is None)]


def _passes(trial: TrialRow, wanted: str) -> bool:
    if not wanted:
        return True
    reason = trial.result.reason if trial.result is not None else ""
    settings = " ".join(f"{path} {value}" for path, value in trial.candidate.values.items())
    text = f"#{trial.candidate.id} {trial.candidate.label} {status_word(trial.status)} {reason} {settings}"
    return matches(text, wanted)


def _figure(study: StudyState, trial: TrialRow, sort: Sort) -> float | None:
    """What a trial is put in order by."""
    match sort:
        case "#":
            return trial.candidate.id
        case "smp/s":
            found = measured(trial)
            return found.samples_per_second if found is not None else None
        case "peak":
            memory = memory_of(trial)
            return memory.peak_bytes if memory is not None and memory.peak_bytes is not None else trial.predicted_bytes
        case "ETA":
            total = full_run_seconds(study, trial)
            return total[0] if total is not None else None
        case "status":
            return STATUS_ORDER.index(trial.status)
