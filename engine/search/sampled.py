"""The user's own knobs in mode `auto`: Optuna proposes, predicted memory is a constraint."""

from __future__ import annotations

import math
import threading
from collections.abc import Generator, Mapping, Sequence
from importlib import import_module
from importlib.util import find_spec
from itertools import islice, product
from typing import TYPE_CHECKING

import msgspec

from speedtui.engine.candidate import Candidate, TrialResult, TrialStatus
from speedtui.engine.config.paths import resolve_path, value_at
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.errors import ConfigError, UsageError
from speedtui.engine.memory.peak_model import Calibration
from speedtui.engine.search.base import Ask, Compared, Decision, Surfaces, Trial, Try
from speedtui.engine.search.candidates import MICRO_BATCH, WORKERS, apply_candidate, make_candidate
from speedtui.engine.search.memory_fit import MemoryFit
from speedtui.engine.search.replay import measurement_of
from speedtui.engine.search.space import Refusal, WithoutMask, as_key, class_key, no_refusal, with_mask
from speedtui.engine.units import format_size

if TYPE_CHECKING:
    import optuna

MOST_TRIALS = 24
"""More than the fixed mode `thorough` tries; a budget may end it sooner."""
RANDOM_TRIALS = 8
"""Drawn before the sampler has a model to draw from: a third."""
MOST_CLASSES = 16
"""Kinds of configurations whose memory is predicted: about a CPU second or two each."""
INDIFFERENT = (MICRO_BATCH, WORKERS, "train.effective_batch_size", "train.learning_rate", "train.tf32")
"""Knobs that make no other memory class; any other one that makes none costs a look at it."""
REPEATS = 32
"""Proposals of something known in a row after which the next untried combination is taken."""
BURST = 0.05
"""How far over the limit a trial counts that ran out of memory, where nothing was predicted: a share of it."""
WHERE = "search.knobs"

KnobValues = frozenset[tuple[str, Scalar]]
"""A combination of the knobs' values, to look up by."""


def check_knobs(settings: Settings) -> None:
    """Refuses knobs that cannot be searched, before anything is started.

    Raises:
        UsageError: Optuna is not installed.
        ConfigError: an unknown knob, no values, or a value that cannot work.
    """
    if find_spec("optuna") is None:
        raise UsageError("mode auto searches search.knobs with Optuna, which is not installed",
                         "Run pip install 'speedtui[search]', or take --mode thorough.")  # fmt: skip
    for name, values in settings.search.knobs.items():
        resolve_path(name, WHERE)
        if not values:
            raise ConfigError(f"{WHERE}: {name} has no values", "Give at least one.")
        for value in values:
            make_candidate(0, {name: value}, settings, WHERE)


def sampled_classes(
    settings: Settings, without_mask: WithoutMask = with_mask, refusal: Refusal = no_refusal
) -> list[Settings]:
    """One configuration of each memory class that the knobs make here, as many as are worth predicting."""
    knobs = {resolve_path(name, WHERE): values for name, values in settings.search.knobs.items()}
    deciding = {path: values for path, values in knobs.items() if path not in INDIFFERENT}
    first = {path: values[0] for path, values in knobs.items() if path != MICRO_BATCH} | {MICRO_BATCH: 1}
    classes: dict[bytes, Settings] = {}
    for values in islice(product(*deciding.values()), 8 * MOST_CLASSES):
        candidate = _candidate(settings, first | dict(zip(deciding, values, strict=True)))
        if candidate is not None:
            resolved = apply_candidate(candidate, settings)
            if not refusal(resolved):
                classes.setdefault(class_key(resolved, masked=not without_mask(resolved)), resolved)
        if len(classes) == MOST_CLASSES:
            break
    return list(classes.values())


def _candidate(settings: Settings, values: Mapping[str, Scalar]) -> Candidate | None:
    """None where the values do not go together, such as a micro-batch that does not divide."""
    try:
        return make_candidate(0, values, settings, WHERE)
    except ConfigError:
        return None


class Sampled:
    """Optuna's tree-structured Parzen estimator, asked and told.

    The configured values come first, combinations that cannot run here or are predicted not to fit are told as such
    without running, and nothing runs twice. Its study lives in memory only: with the same seed and results it proposes
    the same again.
    """

    incumbent: int | None = None
    """The fastest trial is the best one: knobs of the user's own may change more than speed."""
    dead_end = ""

    def __init__(
        self, settings: Settings, surfaces: Surfaces, *, free_bytes: int | None, past: Calibration | None = None,
        most_trials: int = MOST_TRIALS, without_mask: WithoutMask = with_mask, refusal: Refusal = no_refusal,
    ) -> None:  # fmt: skip
        """`surfaces` of `sampled_classes`; of what has none, the memory is found out by running it."""
        self._settings = settings
        self._knobs = {resolve_path(name, WHERE): values for name, values in settings.search.knobs.items()}
        self._surfaces, self._free_bytes, self._past = surfaces, free_bytes, past
        self._most, self._without_mask, self._refusal = most_trials, without_mask, refusal
        self._total = math.prod(len(values) for values in self._knobs.values())
        self._decisions: list[Decision] = []
        self._steps: Generator[Try, TrialResult, None] | None = None
        self._pending: Try | None = None
        self._answers: list[tuple[KnobValues, TrialResult]] = []

    @property
    def decisions(self) -> Sequence[Decision]:
        """What was dropped without running, and the end."""
        return self._decisions

    def ask(self, trials: Sequence[Trial], compared: Sequence[Compared]) -> Ask | None:
        """The first proposal without a result, or None at the end.

        Where a result is another one than before, and in a new worker, the sampler is told all of them again.
        """
        known = {as_key(self._values_of(trial.candidate)): trial.result for trial in trials}
        if self._steps is None or any(known.get(key) != result for key, result in self._answers):
            self._decisions, self._answers, self._steps = [], [], self._search()
            self._pending = next(self._steps, None)
        while self._pending is not None and (result := known.get(as_key(self._pending.values))) is not None:
            self._answers.append((as_key(self._pending.values), result))
            try:
                self._pending = self._steps.send(result)
            except StopIteration:
                self._pending = None
        return self._pending

    def _search(self) -> Generator[Try, TrialResult, None]:
        """Yields what is to be tried and is sent its result."""
        room = MemoryFit(self._surfaces, self._free_bytes, self._settings.train.effective_batch_size, self._past)
        study = _new_study(self._settings.train.seed)
        study.enqueue_trial(self._first())
        seen: dict[KnobValues, TrialResult | None] = {}
        refused: set[str] = set()
        most = min(self._most, self._total)
        runs = repeats = 0
        while len(seen) < self._total and runs < self._most:
            if repeats >= REPEATS:
                study.enqueue_trial(self._untried(seen))
            trial = study.ask()
            values = {path: options[self._index(trial, path)] for path, options in self._knobs.items()}
            key, candidate = as_key(values), _candidate(self._settings, values)
            repeats = repeats + 1 if key in seen else 0
            if candidate is None:
                self._unfit(trial, 1.0, None if key in seen else (_spoken(values), "the values do not go together"))
            elif why := self._refusal(apply_candidate(candidate, self._settings)):
                self._unfit(trial, 1.0, None if why in refused else (candidate.label, why))
                refused.add(why)  # other combinations of what there is not here are no news
                candidate = None
            elif seen.get(key) is None and self._ruled_out(trial, candidate, room, new=key not in seen):
                candidate = None
            if candidate is None:
                seen[key] = None
                continue
            result = seen.get(key)
            if result is None:
                runs += 1
                result = yield Try(values=values, why=f"proposed by Optuna, {runs} of at most {most}")
                room.learn(self._key(candidate), candidate.micro_batch_size, result)
            seen[key] = result
            self._tell(trial, candidate, result, room)
        self._finish(runs, len(seen))

    def _first(self) -> dict[str, int]:
        """The configured values where the knobs list them, else the first of the list."""
        first = {}
        for path, options in self._knobs.items():
            configured = value_at(self._settings, path)
            first[path] = options.index(configured) if configured in options else 0
        return first

    def _untried(self, seen: Mapping[KnobValues, TrialResult | None]) -> dict[str, int]:
        places = product(*(range(len(options)) for options in self._knobs.values()))
        entries = (dict(zip(self._knobs, place, strict=True)) for place in places)
        return next(e for e in entries if as_key({path: self._knobs[path][i] for path, i in e.items()}) not in seen)

    def _index(self, trial: optuna.Trial, path: str) -> int:
        """Into the knob's list; rising numbers are an order for the sampler, anything else is not."""
        options = self._knobs[path]
        last = len(options) - 1
        if _rising(options):
            return trial.suggest_int(path, 0, last)
        return int(trial.suggest_categorical(path, list(range(len(options)))))

    def _tell(self, trial: optuna.Trial, candidate: Candidate, result: TrialResult, room: MemoryFit) -> None:
        measured, peak = measurement_of(result), result.memory.peak_bytes if result.memory is not None else None
        if result.status is TrialStatus.OUT_OF_MEMORY:
            expected = room.expected_bytes(self._key(candidate), candidate.micro_batch_size)
            self._unfit(trial, max(self._excess(expected), BURST), None)
        elif measured is None:
            trial.study.tell(trial, state=_state("FAIL"))
        else:
            trial.set_constraint("memory", self._excess(peak))
            trial.study.tell(trial, measured.samples_per_second)

    def _ruled_out(self, trial: optuna.Trial, candidate: Candidate, room: MemoryFit, *, new: bool) -> bool:
        """Whether it is known not to fit, which the sampler is then told."""
        key, micro = self._key(candidate), candidate.micro_batch_size
        if not room.ruled_out(key, micro):
            return False
        expected = room.expected_bytes(key, micro)
        figures = f"predicted {format_size(expected)} > {format_size(self._free_bytes)} free"
        reason = figures if expected is not None else "as large as what ran out of memory"
        self._unfit(trial, max(self._excess(expected), BURST), (candidate.label, reason) if new else None)
        return True

    def _unfit(self, trial: optuna.Trial, excess: float, dropped: tuple[str, str] | None) -> None:
        """A trial without a value that violates the constraint; `dropped`: what and why, where that is news."""
        trial.set_constraint("memory", excess)
        trial.study.tell(trial, state=_state("PRUNED"))
        if dropped is not None:
            self._decisions.append(Decision(kind="drop", what=dropped[0], reason=dropped[1]))

    def _excess(self, size: int | None) -> float:
        """How far over the limit, as a share of it; below zero where it fits."""
        return size / self._free_bytes - 1 if size is not None and self._free_bytes else 0.0

    def _values_of(self, candidate: Candidate) -> dict[str, Scalar]:
        """A candidate's values of the knobs, whoever made it."""
        given: dict[str, Scalar] = {path: value_at(self._settings, path) for path in self._knobs}
        return given | candidate.values

    def _key(self, candidate: Candidate) -> bytes:
        settings = apply_candidate(candidate, self._settings)
        return class_key(settings, masked=not self._without_mask(settings))

    def _finish(self, runs: int, seen: int) -> None:
        reason = f"{runs} trials of {self._total} combinations, {seen - runs} dropped without running"
        self._decisions.append(Decision(kind="finish", what="knobs", reason=reason))


def _new_study(seed: int) -> optuna.Study:
    # it keeps the errors of optional packages that are not there, and with them all frames below its import for as long
    # as the process lives: in a thread of its own these are none of the study's, which hold its model
    importing = threading.Thread(target=import_module, args=("optuna",))
    importing.start()
    importing.join()
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)  # a line for each trial is what the event log is for
    return optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=RANDOM_TRIALS)
    )


def _state(name: str) -> optuna.trial.TrialState:
    from optuna.trial import TrialState

    return TrialState[name]


def _rising(options: Sequence[Scalar]) -> bool:
    numbers = [o for o in options if isinstance(o, int | float) and not isinstance(o, bool)]
    return len(numbers) == len(options) and numbers == sorted(numbers)


def _spoken(values: Mapping[str, Scalar]) -> str:
    return ", ".join(
        f"{path.rpartition('.')[2]} {msgspec.json.encode(value).decode()}" for path, value in values.items()
    )
