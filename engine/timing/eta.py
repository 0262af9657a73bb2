"""When a training will be done: steps by their length at the recent pace, evaluations, saves and the final model."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from speedtui.engine import events as e
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.config.window import Window
from speedtui.engine.schedule.cadence import SaveDue
from speedtui.engine.schedule.costs import GUESS_SPREAD, RunCosts
from speedtui.engine.schedule.count import NOTHING, Made
from speedtui.engine.schedule.remaining import Remaining
from speedtui.engine.state.series import Losses
from speedtui.engine.timing.ahead import Ahead, planned_due, step_guess
from speedtui.engine.timing.guarded import one_thread_at_a_time
from speedtui.engine.timing.pending import Interruption, Pending
from speedtui.engine.timing.spending import ONLY_FULL, Spending
from speedtui.engine.timing.step_time import StepTimeModel
from speedtui.engine.timing.track import StepSizes, Track
from speedtui.engine.timing.verdict import SteadyVerdict, judge, steady_enough

NORMAL_90 = 1.2816
"""One-sided 90 % point of the standard normal distribution."""
DRIFT = 0.02
"""Relative standard deviation of a machine from itself at another time: by so much in CPU time did the steps of short
runs differ from what was measured just before (tests/bench/results/finish_time_cpu.json)."""
TERMS = ("steps", "evals", "saves", "final")


@one_thread_at_a_time
class Eta:
    """Fed by the pump thread with steps, by the training thread with what evaluations and saves cost.

    Times `t` are seconds on the run's clock, all threads and workers on the same one. Each question and each
    answer is whole: a lock is held for it. A line and an update cost the same however long the run is.
    """

    def __init__(
        self, *, total_steps: int, first_step: int, epoch_steps: int, schedule: ScheduleSettings, evaluates: bool,
        window: Window | None, wall: Callable[[float], float], sizes: NDArray[np.float64] | None,
        estimate: Estimate | None, save_guess_seconds: float = 0.0, since: float = 0.0, judged: int = 0,
        losses: Losses | None = None, early: bool = True,
    ) -> None:  # fmt: skip
        """`first_step`: steps done in earlier workers; `evaluates`: there is an evaluation set; `wall`: what the wall
        clock shows at t, seconds since the epoch; `sizes`: padded tokens of each step of the whole run, (total_steps,),
        None where unknown; `estimate`: what a trial or plan expected of the whole run under this schedule;
        `save_guess_seconds`: a checkpoint hardly takes longer, for want of a measured one; `since`: t at which the
        training began; `judged`: evaluations of earlier workers in which the best so far showed;
        `losses`: of their steps; `early`: the first checkpoint comes early.

        Raises:
            ValueError: a frequency of the schedule cannot be read.
        """
        self._first_step, self._window, self._wall = first_step, window, wall
        planned = planned_due(estimate, schedule, epoch_steps, evaluates=evaluates)
        self._pending = Pending(
            schedule, Spending(estimate, planned, save_guess_seconds), total_steps=total_steps, epoch_steps=epoch_steps,
            evaluates=evaluates, since=since, judged=judged, early=early,
        )  # fmt: skip
        self._track = Track(first_step, epoch_steps, StepSizes(sizes))
        self._guess_step = step_guess(estimate)
        self._pace, self._held = StepTimeModel(), SteadyVerdict()
        self._losses = losses if losses is not None else Losses()

    # -- training thread ---------------------------------------------------------------------------

    def begins(self, t: float) -> None:
        """The first step of this worker begins."""
        self._pending.begins(t)

    def evaluation_due(self, step: int, t: float) -> e.EvaluationKind | None:
        """The evaluation that the schedule asks for after a step."""
        pending = self._pending
        return pending.cadence.evaluation(step, t, pending.expected("full"), ends=step >= self.total_steps)

    def save_due(self, step: int, t: float) -> SaveDue | None:
        """The checkpoint that the schedule asks for after a step which is not the last."""
        return self._pending.cadence.save(step, t)

    def began(self, what: Interruption, t: float) -> None:
        """An evaluation or a save begins; `evaluated`, `saved` or `final_saved` says that it ended."""
        self._pending.began(what, t)
        self._track.began(what, t)

    def evaluated(self, kind: e.EvaluationKind, seconds: float, phases: Mapping[str, float]) -> None:
        """An evaluation ended; `phases`: its seconds in eval, generate and metric."""
        self._pending.evaluated(kind, seconds, phases, self._ended(seconds))

    def rehearsed(self, expected_seconds: float, phases: Mapping[str, float]) -> None:
        """A small part of a full evaluation went through; the whole is expected to take so long."""
        self._pending.spending.rehearsed(expected_seconds, phases)

    def costs(self) -> RunCosts:
        """What evaluations and saves of this worker took on average; None where there was none."""
        return self._pending.spending.costs()

    @property
    def answer_seconds(self) -> dict[str, float]:
        """Seconds of generation and of the metric in a full evaluation, as the last one had or a trial or plan expected
        them; 0 where nothing is known."""
        return dict(zip(ONLY_FULL, self._pending.spending.full_only_seconds, strict=True))

    def saved(self, seconds: float, *, best: bool | None = None) -> None:
        """A checkpoint is on disk; `best`: because of an evaluation. None: where nothing else asks for one."""
        self._pending.saved(seconds, self._ended(seconds), best=best)

    def final_saved(self, seconds: float) -> None:
        """The final model is on disk."""
        self._track.ended(seconds)
        self._pending.final_saved(seconds)

    def change(self, schedule: ScheduleSettings, t: float) -> None:
        """Another schedule holds from `t` on; what was measured still counts, and so do stretches of time."""
        self._pending.change(schedule, t)

    def shorten(self, total_steps: int) -> None:
        """The training ends after another number of steps."""
        self._pending.shorten(total_steps)

    def rebuilt(self, sizes: NDArray[np.float64] | None, step_seconds: float | None = None) -> None:
        """Steps are made in another way from now on, such as with another micro-batch; `sizes`: as at the start;
        `step_seconds`: what a trial measured of such a step; without it the old pace is the first guess."""
        self._guess_step = step_seconds if step_seconds is not None else self.step_seconds()
        self._track.sizes = StepSizes(sizes)
        self._track.t = None
        self._pace.forget()

    def goes_on_from(self, step: int) -> None:
        """The training went back to this step; the losses of later ones are made again."""
        self._track.step, self._track.t = step, None
        self._losses.rewind(step)

    @property
    def total_steps(self) -> int:
        """Of the whole training."""
        return self._pending.total_steps

    @property
    def full_seconds(self) -> float:
        """Spent in full evaluations, which `schedule.eval_share` is a limit for; set anew by a resumed training."""
        return self._pending.cadence.spent

    @full_seconds.setter
    def full_seconds(self, seconds: float) -> None:
        self._pending.cadence.spent = seconds

    def eval_seconds(self, kind: e.EvaluationKind) -> float:
        """Expected of the next one; 0 where nothing is known."""
        return self._pending.expected(kind)

    def save_seconds(self) -> float:
        """Expected of the next checkpoint; 0 where nothing is known."""
        return self._pending.expected("checkpoint")

    def end_seconds(self) -> float:
        """What a last checkpoint and the final model hardly take longer than."""
        return self._pending.spending.end_seconds

    def step_seconds(self, quantile: float = 0.5) -> float | None:
        """Of the recent steps, the time between them included; what a trial expected where there is none yet.

        Worked out once between two updates, so that it can be asked for after every step.
        """
        measured = self._pace.quantile(quantile)
        return self._guess_step if measured is None else measured

    def reachable_steps(self, t: float, step: int | None = None) -> int | None:
        """How many steps after `step`, or after the last one told of, end before the window's safe end, with the
        evaluations and checkpoints that are due by then, and a last checkpoint and the model after them; no more than
        there are. None without a window, and where no step is known.
        """
        if self._window is None or not self._step_known:
            return None
        room = self._window.safe_until - self._wall(t) - self.end_seconds()
        first, total = self._track.step, self.total_steps

        def seconds(steps: int) -> float:
            ahead = self.ahead(t, first + steps)
            return ahead.seconds - ahead.final

        reached = bisect_right(range(1, total - first + 1), room, key=seconds)
        return reached if step is None else max(first + reached - step, 0)

    def made(self) -> Made:
        """Evaluations and checkpoints of this worker, steps of all of them."""
        return self._pending.made(self._track.step)

    def losses(self) -> tuple[float | None, float | None]:
        """(mean of the first, mean of the last) lines' losses; None where there are not two to compare."""
        return self._losses.means()

    # -- pump thread -------------------------------------------------------------------------------

    def observe(self, step: e.StepCompleted) -> None:
        """Takes in a step, or several in one line. Evaluations and saves are no part of a line's seconds."""
        self._track.line(step, self._pace)
        if step.loss is not None:
            self._losses.add(step.step, step.loss)

    def update(self, t: float) -> e.EtaUpdated:
        """The estimate at `t`; without figures where neither a step nor an estimate is known."""
        self._pace.refresh()
        if not self._step_known:
            return e.EtaUpdated(t=t, p50_seconds=None, p90_seconds=None, verdict=self._hold("measuring", t))
        ahead = self.ahead(t)
        p50 = ahead.seconds
        p90 = p50 + NORMAL_90 * ahead.deviation
        step, now = self.step_seconds(), self._wall(t)
        return e.EtaUpdated(
            t=t, p50_seconds=round(p50, 3), p90_seconds=round(p90, 3), verdict=self._verdict(now + p50, now + p90, t),
            spare_seconds=round(self._window.safe_until - now - p50, 3) if self._window is not None else None,
            terms={name: round(getattr(ahead, name), 3) for name in TERMS},
            steps_per_hour=round(3600 / step, 3) if step else None,
        )  # fmt: skip

    def remaining(self, t: float) -> Remaining | None:
        """The same as another schedule would find it; None where no step is known."""
        if not self._step_known:
            return None
        pending, ahead = self._pending, self.ahead(t)
        _, left = self._in_progress(t)
        steps = max(self.total_steps - self._track.step, 0)
        generate, metric = pending.spending.full_only_seconds
        return Remaining(
            seconds=ahead.seconds, steps_seconds=ahead.steps, total_steps=self.total_steps,
            epoch_steps=pending.epoch_steps, evaluates=pending.evaluates,
            at=pending.cadence.position(self._track.step, t + left), prices=pending.prices(ahead.steps / max(steps, 1)),
            generate_seconds=generate, metric_seconds=metric,
        )  # fmt: skip

    # -- what is to come ---------------------------------------------------------------------------

    def ahead(self, t: float, last_step: int | None = None) -> Ahead:
        """What is still to come at `t`, to this step or the training's last one, and the final model."""
        last_step = self.total_steps if last_step is None else last_step
        pending, remaining = self._pending, max(last_step - self._track.step, 0)
        whole = self._steps_seconds(last_step)
        mean = whole / max(remaining, 1)
        steps = max(whole - self._track.credit(t, mean), 0.0)
        running, left = self._in_progress(t)
        due = pending.due(self._track.step, last_step, t + left, mean) if remaining else NOTHING
        each = pending.prices(mean)
        in_evaluation = left if running in ("full", "loss") else 0.0
        return Ahead(
            steps=steps,
            evals=due.full * each.full + due.loss * each.loss + in_evaluation,
            saves=due.saves * each.save + (left if running == "checkpoint" else 0.0),
            final=pending.final_seconds(running) + (left if running == "final" else 0.0),
            deviation=math.hypot(self._deviation(remaining, steps), pending.deviation(due)),
            due=due,
        )

    def _deviation(self, steps: int, seconds: float) -> float:
        """Of the steps to come: each has its own, their mean is known from so many, and the machine changes."""
        of_steps = self._pace.deviation * math.sqrt(steps + steps**2 / max(self._pace.measured_steps, 1.0))
        return math.hypot(of_steps, seconds * (DRIFT if self.steady else GUESS_SPREAD))

    def _steps_seconds(self, last_step: int) -> float:
        """Of the steps to come, with the beginnings of their epochs."""
        first = self._track.step
        steps = max(last_step - first, 0)
        if self._guess_step is not None and not self.steady:
            return steps * self._guess_step
        size = self._track.sizes.between(first, last_step)
        return self._pace.seconds(steps, size) + self._track.epochs_ahead(last_step) * self._pace.epoch_seconds

    def _in_progress(self, t: float) -> tuple[str, float]:
        """(what goes on besides steps, for how much longer); `steps` and 0 for none."""
        running = self._track.running(t)
        if running is None:
            return "steps", 0.0
        what, passed = running
        return what, max(self._pending.expected(what) - passed, 0.0)

    @property
    def steady(self) -> bool:
        return steady_enough(self._pace.steady_steps, self.total_steps - self._first_step)

    @property
    def _step_known(self) -> bool:
        return self._pace.known or self._guess_step is not None

    def _ended(self, seconds: float) -> float:
        """When what went on was over; where nobody said that it began, as if it had after the last line."""
        ended = self._track.ended(seconds)
        return ended if ended is not None else (self._track.t or self._pending.since) + seconds

    def _verdict(self, finish_p50: float, finish_p90: float, t: float) -> e.Verdict | None:
        known = self._window is not None and (self.steady or self._track.step >= self.total_steps)
        return self._hold(judge(finish_p50, finish_p90, self._window) if known and self._window else "measuring", t)

    def _hold(self, wanted: e.Verdict, t: float) -> e.Verdict | None:
        return None if self._window is None else self._held.take(wanted, t, self._wall(0.0))
