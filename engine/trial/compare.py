"""Two candidates measured in turns on the loaded model, so that what disturbs one disturbs the other."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from contextlib import ExitStack

import msgspec
from torch import nn

from speedtui.engine.candidate import Candidate, TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobStopped
from speedtui.engine.meter.meter import StepTiming
from speedtui.engine.search.candidates import apply_candidate
from speedtui.engine.trial.batches import RowSubset, plan_blocks
from speedtui.engine.trial.failures import TrialEnded, describe_failure
from speedtui.engine.trial.judgement import besides_seconds
from speedtui.engine.trial.model_host import ModelHost
from speedtui.engine.trial.probe import run_steps

MOST_PAIRS = 8
"""Pairs after which it ends: with 1 % between pairs the interval is then 1.7 % wide."""
NARROW = 0.02
"""Width of the interval below which a difference decides nothing."""
CONFIDENCE = 0.95


class SpeedComparison(msgspec.Struct, frozen=True, kw_only=True):
    """How much faster the challenger is."""

    ratio: float
    """Challenger's samples/s over the incumbent's."""
    low: float
    """Lower end of the 95 % interval of `ratio`."""
    high: float
    pairs: int
    """Probes of each that it rests on."""

    @property
    def decided(self) -> bool:
        """Whether the interval excludes 1."""
        return not self.low <= 1 <= self.high

    @property
    def settled(self) -> bool:
        """Whether more pairs would change no decision."""
        return self.decided or self.high - self.low < NARROW


def compare_candidates(
    host: ModelHost, incumbent: Candidate, challenger: Candidate, *, most_pairs: int = MOST_PAIRS
) -> SpeedComparison:
    """Short probes in the order ABBA ABBA, the same rows each time, until the difference is known.

    The order lets a steady drift cancel. Warm-up is dropped by rows: each probe begins with a block of its own.
    What is compared is the share of an epoch a second, which is samples/s where both train on the same rows, and
    stays right where packing makes fewer of them.

    Raises:
        JobStopped: the job is to end.
        TrialEnded: one of the two failed or ran out of memory, somebody stopped it, or the budget is spent.
        SpeedtuiError: the model or the data of the run cannot be used.
    """
    with ExitStack() as stack:
        found = _take_turns(_Turns(host, (incumbent, challenger), stack), most_pairs)
    _require_put_back(host)
    if host.guard.unchanged is False:
        raise TrialEnded(TrialStatus.FAILED, "the base weights were not the same after the comparison")
    return found


def _require_put_back(host: ModelHost) -> None:
    if host.guard.lost:
        raise TrialEnded(TrialStatus.FAILED, host.guard.lost)


def _take_turns(turns: _Turns, most_pairs: int) -> SpeedComparison:
    logs: list[float] = []
    while True:
        first = len(logs) % 2  # 0: the incumbent begins; 1: the challenger, which is still on the model
        speeds = {arm: turns.speed(arm) for arm in (first, 1 - first)}
        logs.append(math.log(speeds[1] / speeds[0]))
        found = compared(logs)
        if len(logs) >= most_pairs or (len(logs) % 2 == 0 and found.settled):
            return found


def compared(logs: Sequence[float]) -> SpeedComparison:
    """The mean of the log ratios of pairs with Student's interval; one pair has an interval without end."""
    from scipy.special import stdtrit  # type: ignore[import-untyped]

    n = len(logs)
    mean = statistics.fmean(logs)
    if n < 2:
        return SpeedComparison(ratio=math.exp(mean), low=0.0, high=math.inf, pairs=n)
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2)) * statistics.stdev(logs) / math.sqrt(n)
    return SpeedComparison(ratio=math.exp(mean), low=math.exp(mean - half), high=math.exp(mean + half), pairs=n)


class _Turns:
    """The model made ready for one candidate or the other, and put back between them."""

    def __init__(self, host: ModelHost, candidates: tuple[Candidate, Candidate], stack: ExitStack) -> None:
        self._host = host
        self._candidates = candidates
        self._settings = [apply_candidate(candidate, host.context.settings) for candidate in candidates]
        self._block = math.lcm(*(settings.train.micro_batch_size for settings in self._settings))
        self._warmup_blocks = 2 if any(settings.train.compile for settings in self._settings) else 1
        self._stack = stack
        self._on: int | None = None
        self._model: nn.Module | None = None

    def speed(self, arm: int) -> float:
        """Epochs a second of the candidate, from one probe."""
        try:
            return self._probe(arm)
        except (JobStopped, TrialEnded):
            raise
        except Exception as error:
            failure = describe_failure(error)
            if failure.poisoned:
                self._host.poisoned = failure.reason
            raise TrialEnded(failure.status, f"#{self._candidates[arm].id}: {failure.reason}") from None

    def _probe(self, arm: int) -> float:
        host, settings, candidate = self._host, self._settings[arm], self._candidates[arm]
        model = self._ready(arm, settings)
        setup = host.probe_setup(candidate, settings, model)
        rows = plan_blocks(setup.workload, self._block, settings.train.seed, self._warmup_blocks)
        dataset = RowSubset(setup.workload.train_dataset, rows)
        micro_steps = len(rows) // settings.train.micro_batch_size
        steps = math.ceil(micro_steps / setup.probe_accumulation)
        probed = run_steps(setup, "throughput", dataset, steps, keep_timings=True)
        warmup = self._warmup_blocks * self._block // settings.train.micro_batch_size
        return epoch_share(probed.timings, warmup, settings, setup.workload.facts.train_rows)

    def _ready(self, arm: int, settings: Settings) -> nn.Module:
        if self._on != arm or self._model is None:
            self._stack.close()  # the other candidate's adapter comes off first
            _require_put_back(self._host)
            self._on, self._model = None, None
            _, self._model = self._stack.enter_context(self._host.trial(settings))
            self._on = arm
        return self._model


def epoch_share(timings: Sequence[StepTiming], warmup: int, settings: Settings, train_rows: int) -> float:
    """Share of an epoch that the training would do in a second at the speed of these steps.

    Raises:
        ValueError: there is nothing but warm-up.
    """
    seconds = [seconds for timing in timings for _, seconds in timing.micro_steps][warmup:]
    if not seconds:
        raise ValueError("nothing was measured after warm-up")
    besides = statistics.median(besides_seconds(timing) for timing in timings[len(timings) > 1 :])
    rows = len(seconds) * settings.train.micro_batch_size
    total = math.fsum(seconds) + besides * rows / settings.train.effective_batch_size
    return rows / total / train_rows
