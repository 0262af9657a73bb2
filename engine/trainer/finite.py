"""Whether a training's numbers are still numbers: noticed late and for nothing, proved by a look at the weights."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import torch
from torch import nn

from speedtui.engine import events as e
from speedtui.engine.context.context import JobContext

MOST_IN_A_ROW = 10
"""Steps without a finite loss after which a training is over, though its weights are finite: what a bad batch or two
do is behind it by then."""


class Divergence(msgspec.Struct, frozen=True, kw_only=True):
    """A training that does not come back."""

    since: int
    """The first step that was not finite; of weights alone, the step at which they were found."""
    good_step: int
    """The weights after this step, and those before, are certain to be finite and to give a finite loss."""
    weights: str
    """The first of them that is not finite, by name; empty where only the losses or gradients are not."""
    gradients: bool = False
    """Of the losses and the gradients only these are not: a loss scaler kept them from the weights."""

    @property
    def words(self) -> str:
        """What is not finite, and since when."""
        many = f"{MOST_IN_A_ROW} {'gradients' if self.gradients else 'losses'} or more in a row not finite"
        return f"{'the weights are not finite' if self.weights else many}, since step {self.since}"


class FiniteWatch:
    """Fed by the pump thread with every step, asked by the training thread at step boundaries.

    A step costs nothing: losses and gradient norms are read late, as they come from the device. Only once one of them
    was not finite are the weights looked at, after each step until the next that is finite.
    """

    def __init__(self, context: JobContext, last_checkpoint: Callable[[int], int | None]) -> None:
        """`last_checkpoint`: of the steps up to one, the last that has a checkpoint."""
        self._context = context
        self._last_checkpoint = last_checkpoint
        self.certain: Divergence | None = None
        """Once nothing brings it back."""
        self.told: e.NonFiniteFound | None = None
        """What is not finite now, as told last."""
        self._since: int | None = None
        """Of the stretch that goes on."""
        self._suspect: int | None = None
        """The same, until the weights have been looked at since: it may be over by then."""
        self._steps = 0
        self._kinds: set[e.NonFinite] = set()
        self._last_finite: int | None = None
        self._last_finite_loss: int | None = None
        self._look = self._passed = False

    def begin(self) -> None:
        """A trainer begins, at the first step or after a checkpoint."""
        self.certain, self._since, self._suspect, self._steps, self._look = None, None, None, 0, False
        self._last_finite = self._last_finite_loss = None
        self._kinds, self.told, self._passed = set(), None, False

    # -- pump thread -------------------------------------------------------------------------------

    def observe(self, step: e.StepCompleted) -> None:
        """One step, by itself."""
        if not step.nonfinite:
            self._last_finite_loss = step.step
        if not (step.nonfinite or step.nonfinite_gradients):
            self._ended(step.step)
            return
        if self._since is None:
            self._since = step.step
        if self._suspect is None:
            self._suspect = self._since
        self._steps += 1
        self._look = True
        if step.nonfinite:
            self._tell("loss", step.step)
        if step.nonfinite_gradients:
            self._tell("gradient_norm", step.step)

    def _ended(self, step: int) -> None:
        self._last_finite = step
        if self._since is not None and self.certain is None:
            self._context.emit(e.FiniteAgain(t=self._context.t, step=step, steps=self._steps))
            self._since, self._steps, self._kinds, self.told, self._passed = None, 0, set(), None, False
            if not self._look:
                self._suspect = None  # the weights after its last step were finite

    # -- training thread ---------------------------------------------------------------------------

    def evaluated(self, evaluation: e.EvaluationCompleted) -> None:
        """An evaluation whose loss is not finite is reason enough to look at the weights."""
        self._look = self._look or evaluation.nonfinite

    def look(self, model: nn.Module, step: int, *, last: bool = False, always: bool = False) -> None:
        """Finds out what has become `certain` by the end of this step; looks where there is reason to, or always.

        `last`: nothing comes after this step, so that what has not come back never does.
        """
        if self.certain is not None or not (self._look or always):
            return
        since = self._suspect
        self._look = False  # first, so that what the pump thread sees meanwhile is looked at next time
        name = nonfinite_weight(model)
        never = last and self._since is not None and self._last_finite is None
        if name or (self._steps >= MOST_IN_A_ROW and not self._passed) or never:
            self.found(name, step, since)
        elif self._since is None and not self._look:
            self._suspect = None

    def found(self, name: str, step: int, since: int | None = None) -> None:
        """The verdict, told: these weights are not finite, or the losses have not been for too long (no name)."""
        since = since if since is not None else self._suspect if self._suspect is not None else step
        loss = self._last_finite_loss if self._last_finite_loss is not None else since - 1
        gradients = not name and self._only_gradients
        self.certain = Divergence(since=since, good_step=min(loss, since) - 1, weights=name, gradients=gradients)
        self._tell("weights" if name else "gradient_norm" if gradients else "loss", step, certain=self.certain)

    def let_pass(self) -> None:
        """The training goes on for all of it: losses that were too many in a row may be finite again, and are told so.

        Weights that are not finite stay so.
        """
        if self.certain is not None and not self.certain.weights:
            self.certain, self._passed = None, True

    def doubt(self, model: nn.Module) -> str:
        """Why the weights as they are must not be kept; empty where they are finite and give finite losses."""
        name = nonfinite_weight(model)
        if name:
            return f"the weights are not finite ({name})"
        what = "the gradients have" if self._only_gradients else "the loss has"
        return f"{what} not been finite since step {self._since}" if self._since is not None else ""

    @property
    def _only_gradients(self) -> bool:
        """Of the stretch that goes on, as far as it was told."""
        return self._kinds == {"gradient_norm"}

    def _tell(self, what: e.NonFinite, step: int, certain: Divergence | None = None) -> None:
        since = certain.since if certain is not None else self._suspect if self._suspect is not None else step
        if certain is None and (what in self._kinds or self.certain is not None):
            return
        self._kinds.add(what)
        good = certain.good_step if certain is not None else since - 2
        self.told = e.NonFiniteFound(
            t=self._context.t, step=step, what=what, since=since, last_finite_step=self._last_finite,
            certain=certain is not None, where=certain.weights if certain is not None else "",
            checkpoint=self._last_checkpoint(good),
        )  # fmt: skip
        self._context.emit(self.told)


def nonfinite_weight(model: nn.Module) -> str:
    """Name of the first trained weight that holds a NaN or an infinity, or buffer that holds a NaN; empty where none
    does. A buffer may hold infinities by design, as a mask does.

    By the largest magnitude of each, which keeps a NaN and needs no memory beside the weights; waits for the device
    once.
    """
    weights = [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad and weight.numel()]
    buffers = [(name, kept) for name, kept in model.named_buffers() if kept.is_floating_point() and kept.numel()]
    if not weights:
        return ""
    with torch.no_grad():
        largest = [torch.linalg.vector_norm(tensor.detach(), float("inf")).float() for _, tensor in weights + buffers]
        found = torch.stack([value.to(largest[0].device) for value in largest])
        bad = torch.cat([~torch.isfinite(found[: len(weights)]), torch.isnan(found[len(weights) :])]).tolist()
    return next((name for (name, _), is_bad in zip(weights + buffers, bad, strict=True) if is_bad), "")
