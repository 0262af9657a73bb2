"""The settings of a training that goes on, some of which commands may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.config.live import LIVE_SETTINGS, live_values
from speedtui.engine.config.paths import value_at, with_values
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.context.context import JobContext, Refused
from speedtui.engine.errors import ConfigError
from speedtui.engine.schedule.rules import LOSS
from speedtui.engine.search.candidates import label

REBUILDING = "train.micro_batch_size"
"""What only a new trainer can take up."""
STEPS, RATE = "train.max_steps", "train.learning_rate"
METRIC, BEST_BY = "schedule.metric", "schedule.best_by"
TO_THE_DEADLINE = "schedule.lr_ends_at_deadline"
OF_EVALUATIONS = tuple(
    path
    for path in LIVE_SETTINGS
    if path.startswith("schedule.")
    and path not in ("schedule.checkpoint_every", "schedule.keep_checkpoints", TO_THE_DEADLINE)
)
"""They say when and how is evaluated, and what follows from it."""
NOTHING_TO_EVALUATE = "there is no evaluation data"

OnSettingsChanged = Callable[[Settings, Mapping[str, Scalar]], None]
"""Told the settings from now on and which of them are new."""


class LiveSettings:
    """Follows the command `set`: all of its values or none."""

    def __init__(self, context: JobContext, settings: Settings, named: Sequence[str] = ()) -> None:
        """`named`: settings by path that the label tells besides the usual ones."""
        self._context = context
        self._named = named
        self.current = settings
        """As they are now."""
        self.step = 0
        """Steps that are done."""
        self.total_steps = 0
        self.waiting: dict[str, Scalar] = {}
        """Asked for, and taken up once there is a checkpoint for a new trainer to go on from."""
        self.evaluates = True
        """There is something to evaluate."""
        self.figures: tuple[str, ...] = ()
        """What the metric returned last, by name; empty while that is not known."""
        self.closing: Callable[[], str] = str
        """Why nothing more comes, in words; empty while the training goes on."""
        self.listeners: list[OnSettingsChanged] = []
        context.handlers[c.Set] = self._on_set

    def _on_set(self, command: c.AnyCommand) -> str:
        assert isinstance(command, c.Set)
        try:
            asked = live_values(command.values.items(), self.current, "set")
            values = {path: value for path, value in asked.items() if self._asked_last(path) != value}
            self._require_possible(values)
            at_once = {path: value for path, value in values.items() if path != REBUILDING}
            if at_once:
                self.apply(with_values(self.current, at_once, "set"), at_once, "command")
        except ConfigError as error:
            raise Refused(error.in_one.removeprefix("set: ")) from None
        if REBUILDING not in values:
            return "from this step on"
        changes = values[REBUILDING] != value_at(self.current, REBUILDING)
        self.waiting = {REBUILDING: values[REBUILDING]} if changes else {}
        return "as soon as a checkpoint is saved, after this step" if changes else "it stays as it is"

    @property
    def label(self) -> str:
        """What the training is called with the settings as they are now."""
        return label(self.current, self._named)

    @property
    def judges(self) -> str:
        """What `schedule.best_by` can be with this metric."""
        return ", ".join((*self.figures, LOSS))

    def _asked_last(self, path: str) -> object:
        return self.waiting.get(path, value_at(self.current, path))

    def take_waiting(self) -> None:
        """What waited for a checkpoint holds from now on."""
        values, self.waiting = self.waiting, {}
        self.apply(with_values(self.current, values, "set"), values, "command")

    def apply(self, changed: Settings, values: Mapping[str, Scalar], reason: str) -> None:
        """Takes the settings up and tells everybody."""
        for listener in self.listeners:
            listener(changed, values)
        if METRIC in values:
            self.figures = ()
        self.current = changed
        self._context.emit(
            e.SettingsChanged(t=self._context.t, step=self.step, values=dict(values), reason=reason, label=self.label)
        )

    def _require_possible(self, values: Mapping[str, Scalar]) -> None:
        if not values:
            raise Refused("that is what it is set to already")
        if closing := self.closing():
            raise Refused(f"{closing}, so that nothing would come of it")
        for path, value in values.items():
            if path == REBUILDING and self.current.train.group_by_length:
                raise Refused(f"with train.group_by_length the order of the samples follows {path}: not in mid-run")
            if path in OF_EVALUATIONS and not self.evaluates:
                raise Refused(f"{NOTHING_TO_EVALUATE}, so that {path} changes nothing")
            if path == TO_THE_DEADLINE and value and self._context.order.window is None:
                raise Refused(f"the run has no deadline, so that {path} changes nothing")
            if path == BEST_BY and METRIC not in values and self.figures and value not in (LOSS, *self.figures):
                raise Refused(f"{path}: {self.current.schedule.metric} returns no {value}: take one of {self.judges}")
            if path == STEPS and not (isinstance(value, int) and self.step < value <= self.total_steps):
                raise Refused(f"{path} must be between {self.step + 1} and {self.total_steps}, got {value}")
            warmup = self.current.train.lr_warmup_steps
            if path == STEPS and isinstance(value, int) and self.step < warmup and value <= warmup:
                raise Refused(f"{path} {value} would end the run within its warm-up of {warmup} steps")
