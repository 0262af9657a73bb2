"""Settings against the rows, the steps and the model that they meet: each may be right by itself and none together."""

from __future__ import annotations

from typing import NamedTuple

from speedtui.engine.config.frequency import Frequency, parse_frequency
from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.schedule.count import Prices, count_due
from speedtui.engine.schedule.rules import LOSS, rules_of
from speedtui.engine.schedule.steps import StepCounts, counts_of
from speedtui.engine.units import plural
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.positions import beyond_training, require_places


class Doubt(NamedTuple):
    """Something that runs and is hardly meant."""

    text: str
    hint: str


def require_possible(settings: Settings, workload: Workload, *, begun: bool = False) -> None:
    """Refuses what cannot come to pass with this model and data, before anything runs.

    `begun`: the training has made steps under these settings already.

    Raises:
        ConfigError: rows longer than the model has places for; an effective batch that no step can have; a warm-up
            that no step is after; evaluations that something rests on, and nothing to evaluate.
    """
    require_places(workload, settings.data.max_length)
    _require_evaluations(settings, evaluates=workload.eval_dataset is not None)
    if not begun:
        require_rows(settings, workload.facts.train_rows, packed=workload.packed)
        require_warmup(settings.train.lr_warmup_steps, counts_of(settings, workload.facts.train_rows).total_steps,
                       settings.train.learning_rate)  # fmt: skip


def require_rows(settings: Settings, rows: int, *, packed: bool) -> None:
    """A step that sees fewer rows than it is said to see is another step, and so is all that was measured of it.

    Raises:
        ConfigError: naming both numbers.
    """
    effective = settings.train.effective_batch_size
    if rows < effective:
        there = f"there {'is' if rows == 1 else 'are'} {plural(rows, 'pack' if packed else 'row')}"
        raise ConfigError(
            f"train.effective_batch_size {effective}: {there} to train on, so that no step would see {effective}",
            f"Set train.effective_batch_size = {rows}{', or less' if rows > 1 else ''}.",
        )


def require_warmup(warmup_steps: int, total_steps: int, learning_rate: float) -> None:
    """The learning rate is to be reached.

    Raises:
        ConfigError: the run is over before, naming both numbers.
    """
    if warmup_steps and warmup_steps >= total_steps:
        reached = learning_rate * total_steps / warmup_steps
        raise ConfigError(
            f"train.lr_warmup_steps {warmup_steps}: the run has {total_steps} steps, so that the learning rate would "
            f"come to {reached:.2g} of {learning_rate:g}",
            f"Set train.lr_warmup_steps below {total_steps}, such as {total_steps // 10}, or train for longer.",
        )


def doubts(settings: Settings, workload: Workload) -> list[Doubt]:
    """What of these settings will come to nothing with this model and data, for a warning."""
    found = [_beyond(settings, workload), *_unevaluated(settings, workload)]
    if workload.eval_dataset is not None:
        found.append(_unscheduled(settings.schedule))
        found.append(_patience(settings.schedule, counts_of(settings, workload.facts.train_rows)))
    return [doubt for doubt in found if doubt is not None]


def _beyond(settings: Settings, workload: Workload) -> Doubt | None:
    beyond = beyond_training(workload)
    if beyond is None:
        return None
    longest, known = beyond
    return Doubt(
        f"the longest row has {longest} tokens, and {workload.name} is made for {known} (max_position_embeddings): "
        "it has not learned the places after them",
        f"Set data.max_length = {known}, or take a model for longer texts.",
    )


def _require_evaluations(settings: Settings, *, evaluates: bool) -> None:
    schedule = settings.schedule
    resting = [
        name
        for name, on in (
            ("generate", schedule.generate), ("patience", schedule.patience is not None),
            ("save_only_best", schedule.save_only_best),
        )
        if on
    ]  # fmt: skip
    if resting and not evaluates:
        hint = (
            "Return eval_dataset from the recipe"
            if settings.model.kind == "python"
            else "Name data.eval, or set data.validation_share"
        )
        raise ConfigError(
            f"schedule.{resting[0]} needs evaluations, and there is no evaluation data",
            f"{hint}, or remove it.",
        )


def _unevaluated(settings: Settings, workload: Workload) -> list[Doubt]:
    """Evaluations that somebody spaced, and nothing to evaluate; as they come by default nobody asked for them."""
    if workload.eval_dataset is not None:
        return []
    plain, hint = ScheduleSettings(), "Name data.eval or set data.validation_share, or remove it."
    if settings.model.kind == "python":
        hint = "Return eval_dataset from the recipe, or remove it."
    asked = ((name, getattr(settings.schedule, name)) for name in ("eval_every", "fast_eval_every"))
    return [
        Doubt(f"schedule.{name} {every}: there is no evaluation data, so nothing is evaluated", hint)
        for name, every in asked
        if every != getattr(plain, name) and parse_frequency(every) != Frequency()
    ]


def _unscheduled(schedule: ScheduleSettings) -> Doubt | None:
    """What rests on evaluations that come only when somebody asks for one."""
    if parse_frequency(schedule.eval_every) != Frequency():
        return None
    judges = _judges(schedule)
    resting = (
        ("generate", schedule.generate), ("best_by", schedule.best_by != LOSS),
        ("patience", schedule.patience is not None and not judges),
        ("save_only_best", schedule.save_only_best and not judges),
    )  # fmt: skip
    names = ", ".join(f"schedule.{name}" for name, on in resting if on)
    if not names:
        return None
    return Doubt(
        f"{names}: schedule.eval_every is never, so that nothing comes of it unless you ask for an evaluation",
        'Set schedule.eval_every, such as "1 epoch".',
    )


def _judges(schedule: ScheduleSettings) -> bool:
    """Whether evaluations that `best_by` can judge come by themselves."""
    fast = schedule.fast_eval_every if schedule.best_by == LOSS else "never"
    return any(parse_frequency(every) != Frequency() for every in (schedule.eval_every, fast))


def _patience(schedule: ScheduleSettings, counts: StepCounts) -> Doubt | None:
    judged = evaluations_before_the_end(schedule, counts)
    if schedule.patience is None or judged is None or judged > schedule.patience or not _judges(schedule):
        return None
    come = f"{plural(judged, 'evaluation')} {'comes' if judged == 1 else 'come'}" if judged else "no evaluation comes"
    first = ", and the first of them is the best so far" if judged else ""
    return Doubt(
        f"schedule.patience {schedule.patience} cannot end this training: {come} before its last step{first}",
        "Evaluate more often, or take a smaller patience." if judged else "Evaluate more often.",
    )


def evaluations_before_the_end(schedule: ScheduleSettings, counts: StepCounts) -> int | None:
    """How many that `best_by` can judge come before the last step; None where the clock or a share decides."""
    rules = rules_of(schedule, counts.total_steps, counts.epoch_steps, evaluates=True)
    by_clock = rules.full_seconds or (rules.loss_seconds if rules.best_by_loss else None)
    if rules.share is not None or by_clock is not None:
        return None
    due = count_due(rules, counts.total_steps - 1, Prices(step=1.0), last=False)
    return due.full + (due.loss if rules.best_by_loss else 0)
