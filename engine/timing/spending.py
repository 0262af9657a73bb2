"""What evaluations and saves of a training cost: measured, rehearsed, or as a trial expected it."""

from __future__ import annotations

from collections.abc import Mapping

from speedtui.engine.candidate import Estimate
from speedtui.engine.events import EvaluationKind
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.schedule.count import Due
from speedtui.engine.timing.durations import RECENT, Durations

LEARNING = 0.2
"""Share of a training's evaluations in which its model has learned too little for answers like later ones."""
MOST_LEARNING = 20
"""Evaluations that are enough whatever share they are: then a guess that is wrong is given up."""
ONLY_FULL = ("generate", "metric")
"""Phases of a full evaluation that one of the loss alone does not have."""


class Seconds:
    """Of all evaluations of this worker together, by what they were spent in."""

    def __init__(self) -> None:
        self.evaluations = self.full = 0
        self.loss = self.generate = self.metric = 0.0

    def add(self, kind: EvaluationKind, loss: float, phases: Mapping[str, float]) -> None:
        """One more; `loss`: its seconds without generation and metric."""
        self.evaluations += 1
        self.full += kind == "full"
        self.loss += loss
        self.generate += phases.get("generate", 0.0)
        self.metric += phases.get("metric", 0.0)


class Spending:
    """Seconds by kind. What was measured counts before what was rehearsed, and that before what was estimated."""

    def __init__(self, estimate: Estimate | None, planned: Due, save_guess_seconds: float) -> None:
        """`planned`: the evaluations and checkpoints that the estimate is of; `save_guess_seconds`: a figure that one
        checkpoint hardly takes longer than, for want of a measured one."""
        self.full, self.loss, self.save, self.final = Durations(), Durations(), Durations(), Durations()
        self.made = Seconds()
        self._extra = dict.fromkeys(ONLY_FULL, 0.0)
        self._save_guess = save_guess_seconds
        self._learning = round(min(max(LEARNING * planned.full, RECENT), MOST_LEARNING))
        if estimate is not None:
            self._guess(estimate, planned)

    def evaluated(self, kind: EvaluationKind, seconds: float, phases: Mapping[str, float]) -> None:
        """One was made; `phases`: its seconds in eval, generate and metric."""
        extra = sum(phases.get(name, 0.0) for name in ONLY_FULL)
        self.made.add(kind, seconds - extra, phases)
        if kind == "loss":
            self.loss.add(seconds)
            return
        self.full.add(seconds)
        self._extra = {name: phases.get(name, 0.0) for name in ONLY_FULL}
        if not self.loss.measured:
            self.loss.guess(max(seconds - extra, 0.0))

    def rehearsed(self, expected_seconds: float, phases: Mapping[str, float]) -> None:
        """A part of a full one was made; `phases`: of the whole, or of the part."""
        whole = sum(phases.values())
        shares = {name: phases.get(name, 0.0) / whole if whole > 0 else 0.0 for name in ONLY_FULL}
        self._extra = {name: expected_seconds * share for name, share in shares.items()}
        self.loss.guess(expected_seconds - sum(self._extra.values()))
        self._guess_full(expected_seconds)

    def costs(self) -> RunCosts:
        """Means of what was made; None where there was none."""
        made, save, final = self.made, self.save, self.final
        return RunCosts(
            eval_seconds=made.loss / made.evaluations if made.evaluations else None,
            generate_seconds=made.generate / made.full if made.generate else None,
            metric_seconds=made.metric / made.full if made.metric else None,
            save_seconds=save.expected if save.measured else None,
            final_seconds=final.expected if final.measured else None,
        )

    @property
    def full_only_seconds(self) -> tuple[float, float]:
        """(generation, metric) in the last full evaluation, or as it is expected."""
        return self._extra["generate"], self._extra["metric"]

    def eval_seconds(self, kind: EvaluationKind) -> float:
        """Of the next one; 0 where nothing is known."""
        if kind == "full":
            return self.full.expected or self.loss.expected or 0.0
        return self.loss.expected or self.full.expected or 0.0

    @property
    def save_seconds(self) -> float:
        """Of the next checkpoint; 0 where nothing is known."""
        return self.save.expected or 0.0

    @property
    def final_seconds(self) -> float:
        """Of the final model: what was expected of it, else as much as a checkpoint."""
        expected = self.final.expected
        return self.save_seconds if expected is None else expected

    @property
    def end_seconds(self) -> float:
        """Of one last checkpoint and the final model, hardly longer.

        The model takes no more than a checkpoint, which has the optimizer's state besides; but what was expected of it
        on another day or disk says less than what a checkpoint has just taken.
        """
        save = self.save.upper
        if not self.save.measured:
            save = max(save or 0.0, self._save_guess)
        final = self.final.upper
        if not self.final.measured:
            final = max(final or 0.0, save or 0.0)
        return (save or 0.0) + (final or 0.0)

    def _guess(self, estimate: Estimate, planned: Due) -> None:
        terms, evals = estimate.terms, planned.full + planned.loss
        if evals and terms.get("evals"):
            loss = terms["evals"] / evals
            full = max(planned.full, 1)
            self._extra = {name: terms.get(name, 0.0) / full for name in ONLY_FULL}
            self.loss.guess(loss)
            self._guess_full(loss + sum(self._extra.values()))
        if estimate.saves and terms.get("saves"):
            self.save.guess(terms["saves"] / estimate.saves)
        if terms.get("final"):
            self.final.guess(terms["final"])

    def _guess_full(self, seconds: float) -> None:
        """Answers and their scores are guessed as those of a model that has learned, which the first ones are not."""
        self.full.guess(seconds, stays=self._learning if any(self._extra.values()) else 0)
