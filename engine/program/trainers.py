"""Follows the trainings of a program that uses transformers.Trainer, or a class made from it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from accelerate.utils import send_to_device
from torch import nn
from transformers import Trainer, __version__

from speedtui.engine.program.arguments import settings_of
from speedtui.engine.program.followed_training import FollowedTraining
from speedtui.engine.program.inside import tell_unmetered
from speedtui.engine.program.process_run import run_of_process
from speedtui.engine.trainer.metered_steps import MeteredSteps

CLIPPING = "_clip_grad_norm"
"""A method that transformers has since 5.3; those before call others of them otherwise than is expected here."""


def follow(module: ModuleType) -> None:
    """Has every `train` of this module's Trainer, and of the classes made from it, metered from now on."""
    trainer: type[Trainer] = module.Trainer
    if not hasattr(trainer, CLIPPING):
        tell_unmetered(f"it trains with transformers {__version__}, and 5.3 is the first that can be metered")
        return
    train = trainer.train

    @functools.wraps(train)
    def followed(self: Any, *args: Any, **kwargs: Any) -> Any:
        with _following(self):
            return train(self, *args, **kwargs)

    trainer.train = followed  # type: ignore[method-assign]


@contextmanager
def _following(trainer: Any) -> Iterator[None]:
    """Metered where that is possible, with a word where it is not; the training goes on in any case."""
    try:
        training = _begin(trainer)
    except Exception as error:
        training = None
        tell_unmetered(f"{type(error).__name__}: {error}")
    whole = False
    try:
        yield
        whole = True
    finally:
        if training is not None:
            training.end(whole)


def _begin(trainer: Any) -> FollowedTraining | None:
    """Last of all the trainer gets another class: up to then nothing of it is changed."""
    if trainer.args.process_index:  # the first process of several tells
        return None
    if taken := taken_names(trainer):
        tell_unmetered(f"the meter needs names that {type(trainer).__name__} has for something else: {taken}")
        return None
    try:
        run = run_of_process(settings_of(trainer))
    except BlockingIOError:
        tell_unmetered("two of its processes trained at the same time; the first one was metered")
        return None
    training = FollowedTraining(run, trainer)
    try:
        _put_in_front(trainer, training)
    except Exception:
        training.end(whole=False)
        raise
    return training


def _put_in_front(trainer: Any, training: FollowedTraining) -> None:
    if isinstance(trainer, FollowedTrainer):
        trainer.training, trainer.meter = training, training.meter
        return
    made = type(trainer)
    same = {"__module__": made.__module__, "__qualname__": made.__qualname__, "__doc__": made.__doc__}
    trainer.__class__ = type(made.__name__, (FollowedTrainer, made), {**same, "training": training})
    trainer.follow(training.meter)


def taken_names(trainer: Any) -> str:
    """Of what goes in front of it, what a program's trainer has already, and would find to be ours; empty as a rule."""
    if isinstance(trainer, FollowedTrainer):
        return ""
    ours = {name for part in (FollowedTrainer, MeteredSteps) for name in (*vars(part), *part.__annotations__)}
    added = sorted(name for name in ours if not name.startswith("__") and not hasattr(Trainer, name))
    return ", ".join(name for name in added if hasattr(trainer, name))


class FollowedTrainer(MeteredSteps):
    """In front of the class of a program's trainer."""

    training: FollowedTraining

    def before_first_step(self) -> None:
        """Everything is known that the arguments left open."""
        self.training.begun()

    def after_step(self) -> None:
        """Commands are followed at step boundaries."""
        self.training.after_step()

    def handed_on(self, inputs: Any) -> Any:
        """On the device, as accelerate hands it to a class whose own `training_step` moves nothing."""
        return send_to_device(inputs, self.accelerator.device)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """One more evaluation; of several sets, for each of which the Trainer calls this again, all together."""
        training = self.training
        if training.evaluating:
            return super().evaluate(*args, **kwargs)
        training.evaluating, training.rows = True, 0
        began = training.interrupted("full")
        try:
            metrics = super().evaluate(*args, **kwargs)
        finally:
            training.evaluating = False
        training.evaluated(began, metrics)
        return metrics

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Its rows are counted."""
        output = super().evaluation_loop(*args, **kwargs)
        self.training.rows += output.num_samples or 0
        return output

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        began = self.training.interrupted("checkpoint")
        super()._save_checkpoint(model, trial)
        self.training.saved(began)
