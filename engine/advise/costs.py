"""Where the time of a training went that has run, largest first, and what would make each part smaller."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from speedtui.engine.config.frequency import Frequency, frequency_text, parse_frequency
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.events import Books
from speedtui.engine.schedule.count import Made, Prices, count_schedule
from speedtui.engine.units import format_share, format_span

MOST = 3
"""Costs besides the steps themselves; more than a person acts on helps nobody."""
LEAST_SHARE = 0.005
"""Of the run, below which nothing is worth a line."""
RARER = 3
"""Times as far apart as evaluations and checkpoints are advised to be: two thirds of what they take is saved, and a
run of a dozen epochs is still seen four times."""
FIRST_WORKERS = 2
"""Loader workers to begin with: one reads while the other collates."""

EVALUATION = ("eval", "generate", "metric")
CHECKPOINTS = ("checkpoint", "write")
STEPS = ("h2d", "forward", "backward", "optimizer", "log")
EVAL_EVERY, FAST_EVERY, CHECKPOINT_EVERY = (
    "schedule.eval_every", "schedule.fast_eval_every", "schedule.checkpoint_every",
)  # fmt: skip


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a run's time."""

    name: str
    seconds: float
    share: float
    """Of the whole run."""
    lever: str
    """What would make it smaller, in words; empty where nothing known would."""
    changes: dict[str, Scalar] = {}
    """The same as settings by path."""
    gain_seconds: float | None = None
    """What that would have saved this run; None where only a trial shows it."""


class CostLever(msgspec.Struct, frozen=True, kw_only=True):
    """What makes a cost smaller."""

    words: str = ""
    changes: dict[str, Scalar] = {}
    gain_seconds: float | None = None


NOTHING = CostLever()


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """A run that is over, or as far as it came."""

    books: Books
    settings: Settings
    made: Made
    cores: int | None = None
    """That the run's process may use; None where that is not known."""

    def seconds(self, phases: tuple[str, ...]) -> float:
        """Of these phases together."""
        return sum(self.books.phases.get(phase, 0.0) for phase in phases)

    @property
    def prices(self) -> Prices:
        """What each thing took on average; the final model counts as a checkpoint."""
        made, phases = self.made, self.books.phases
        loss = phases.get("eval", 0.0) / max(made.full + made.loss, 1)
        answers = (phases.get("generate", 0.0) + phases.get("metric", 0.0)) / max(made.full, 1)
        return Prices(
            step=self.seconds((*STEPS, "data")) / max(made.steps, 1), full=loss + answers, loss=loss,
            save=self.seconds(CHECKPOINTS) / (made.saves + 1),
        )  # fmt: skip

    def saved_by(self, changes: Mapping[str, Scalar]) -> float:
        """Seconds that another schedule would have taken less, by its own counts at these prices."""
        before, after = (self._schedule_seconds(settings) for settings in (self.settings, self._with(changes)))
        return before - after

    def _with(self, changes: Mapping[str, Scalar]) -> Settings:
        return with_values(self.settings, changes, "advice")

    def _schedule_seconds(self, settings: Settings) -> float:
        made, prices = self.made, self.prices
        return count_schedule(
            settings.schedule, prices, total_steps=made.steps, epoch_steps=made.epoch_steps,
            evaluates=made.full + made.loss > 0,
        ).seconds(prices)  # fmt: skip


def more_workers(before: int, cores: int | None) -> int:
    """Loader workers worth a try: twice as many, and no more than there are cores; as many as before where none are
    left."""
    wanted = max(2 * before, FIRST_WORKERS)
    return wanted if cores is None else max(min(wanted, cores), before)


def largest_costs(books: Books, settings: Settings, made: Made, *, cores: int | None = None) -> list[Cost]:
    """The three largest besides the steps, and the steps; the largest first.

    `settings`: as the run had them at its end. What a lever saves is counted with the schedule's own rules at what
    evaluations and checkpoints took in this run. `cores`: that its process may use.
    """
    spent = Spent(books=books, settings=settings, made=made, cores=cores)
    wall = books.wall or 1.0
    found = [
        Cost(
            name=name, seconds=seconds, share=seconds / wall, lever=lever.words, changes=lever.changes,
            gain_seconds=lever.gain_seconds,
        )
        for name, seconds, lever in _costs(spent)
        if seconds > LEAST_SHARE * wall
    ]  # fmt: skip
    found.sort(key=lambda cost: -cost.seconds)
    besides = [cost for cost in found if cost.name != "training steps"][:MOST]
    return [cost for cost in found if cost.name == "training steps" or cost in besides]


def _costs(spent: Spent) -> Iterator[tuple[str, float, CostLever]]:
    yield "evaluation", spent.seconds(EVALUATION), evaluation_lever(spent)
    yield "checkpoints", spent.seconds(CHECKPOINTS), checkpoint_lever(spent)
    yield "waiting for data", spent.seconds(("data",)), _data_lever(spent)
    yield "between epochs", spent.seconds(("gap", "first_batch")), _gap_lever(spent)
    yield "compiling", spent.seconds(("compile",)), _compile_lever(spent)
    yield "loading", spent.seconds(("load",)), NOTHING
    yield "paused", spent.seconds(("paused",)), NOTHING
    yield "no worker", spent.seconds(("away",)), NOTHING
    yield "the rest", spent.seconds(("other",)) + max(spent.books.unaccounted, 0.0), NOTHING
    yield "training steps", spent.seconds(STEPS), _steps_lever(spent)


# -- levers ----------------------------------------------------------------------------------------


def evaluation_lever(spent: Spent) -> CostLever:
    """Full evaluations further apart; where answers are what they take, the loss alone is evaluated in between."""
    schedule, made = spent.settings.schedule, spent.made
    if made.full < 2:
        return _fewer_losses(spent)
    every = _rarer(schedule.eval_every, made)
    changes: dict[str, Scalar] = {EVAL_EVERY: every}
    words = f"evaluate {_spaced(every, made)} instead of every {schedule.eval_every}"
    answers = spent.seconds(("generate", "metric"))
    if answers > spent.seconds(EVALUATION) / 2:
        words = f"evaluate in full {_spaced(every, made)} and the loss alone in between, {_parts(spent)}"
        if schedule.fast_eval_every == "never":
            changes[FAST_EVERY] = schedule.eval_every
    return _worth(words, changes, spent)


def checkpoint_lever(spent: Spent) -> CostLever:
    """Only the best where evaluations say which that is, else further apart."""
    schedule, made = spent.settings.schedule, spent.made
    if made.saves < 2 or schedule.save_only_best:
        return NOTHING
    if made.full + made.loss and parse_frequency(schedule.checkpoint_every).seconds is None:
        changes: dict[str, Scalar] = {"schedule.save_only_best": True}
        words = f"save only the best model instead of every {schedule.checkpoint_every}"
        return _worth(words, changes, spent)
    every = _rarer(schedule.checkpoint_every, made)
    words = f"save a checkpoint every {every} instead of every {schedule.checkpoint_every}"
    return _worth(words, {CHECKPOINT_EVERY: every}, spent)


def _fewer_losses(spent: Spent) -> CostLever:
    schedule, made = spent.settings.schedule, spent.made
    if made.loss < 2:
        return NOTHING
    every = _rarer(schedule.fast_eval_every, made)
    words = f"evaluate the loss {_spaced(every, made)} instead of every {schedule.fast_eval_every}"
    return _worth(words, {FAST_EVERY: every}, spent)


def _worth(words: str, changes: dict[str, Scalar], spent: Spent) -> CostLever:
    gain = spent.saved_by(changes)
    return CostLever(words=words, changes=changes, gain_seconds=gain) if gain > 0 else NOTHING


def _data_lever(spent: Spent) -> CostLever:
    """No gain is claimed: how much of it workers take away, only a trial shows."""
    before = spent.settings.train.loader_workers
    workers = more_workers(before, spent.cores)
    if workers == before:
        return NOTHING
    words = f"train.loader_workers {before} → {workers}, and try it"
    return CostLever(words=words, changes={"train.loader_workers": workers})


def _gap_lever(spent: Spent) -> CostLever:
    workers = spent.settings.train.loader_workers
    if not workers:
        return NOTHING
    words = f"the {workers} loader workers start anew with every epoch: fewer of them, if steps do not wait for data"
    return CostLever(words=words)


def _compile_lever(spent: Spent) -> CostLever:
    if not spent.settings.train.compile:
        return NOTHING
    return CostLever(words="compile pays in longer runs: train.compile true → false in one like this, and try it",
                 changes={"train.compile": False})  # fmt: skip


def _steps_lever(spent: Spent) -> CostLever:
    """What makes a step faster is a matter of trials."""
    train, data = spent.settings.train, spent.settings.data
    can_group = spent.settings.model.kind != "python" and not data.packing and not train.group_by_length
    also = "; a plan says what train.group_by_length would save" if can_group else ""
    return CostLever(
        words=f"tune looks for a faster micro-batch at the effective batch of {train.effective_batch_size}{also}"
    )


# -- words -----------------------------------------------------------------------------------------


def _rarer(every: str, made: Made) -> str:
    """So many times as far apart; as long as the run where that is longer."""
    present = parse_frequency(every)
    if present.seconds is not None:
        return frequency_text(Frequency(seconds=present.seconds * RARER))
    steps = (present.steps or (present.epochs or 0.0) * made.epoch_steps) * RARER
    if steps >= made.steps:
        return frequency_text(Frequency(steps=made.steps))
    if present.epochs is not None:
        return frequency_text(Frequency(epochs=present.epochs * RARER))
    return frequency_text(Frequency(steps=int(steps)))


def _spaced(every: str, made: Made) -> str:
    return "only at the end" if every == frequency_text(Frequency(steps=made.steps)) else f"every {every}"


def _parts(spent: Spent) -> str:
    """`generation took 20m 00s of it and the metric 15m 00s`."""
    whole = spent.seconds(EVALUATION)
    named = (("generation", "generate"), ("the metric", "metric"))
    took = [
        f"{name} took {format_span(seconds)} of {format_span(whole)} ({format_share(seconds / whole)})"
        for name, phase in named
        if (seconds := spent.seconds((phase,))) > 0
    ]
    return "since " + " and ".join(took)
