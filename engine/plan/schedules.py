"""Three whole schedules, from everything seen to almost nothing, and what each of them takes (requirement D6)."""

from __future__ import annotations

import math

import msgspec

from speedtui.engine.candidate import Estimate
from speedtui.engine.config.paths import value_at, with_values
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.config.window import Window
from speedtui.engine.plan.tables import CHECKPOINT_EVERY, EVAL_EVERY, WAY_BACK, Estimator, eval_cost, the_end
from speedtui.engine.plan_types import Fit, ScheduleRow
from speedtui.engine.timing.verdict import judge_finish

EVAL_ROWS, FAST_EVERY, ONLY_BEST = "data.eval_rows", "schedule.fast_eval_every", "schedule.save_only_best"
WITHOUT_ANSWERS: dict[str, Scalar] = {
    "schedule.generate": False, "schedule.metric": "", "schedule.best_by": "loss",
}  # fmt: skip
FAST_EVAL_SHARE = 4
"""Where evaluations have no expensive part to leave out, the fast schedules evaluate on the first rows, one of so
many."""
RATES = {"1 epoch": "every epoch", "2 epochs": "every second epoch"}


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What the schedules are for."""

    settings: Settings
    steps_per_epoch: int
    total_steps: int
    evaluates: bool
    eval_rows: int | None
    """Of the evaluation set as configured."""

    @property
    def answers(self) -> bool:
        """Whether evaluations generate."""
        return self.evaluates and self.settings.schedule.generate


def schedules(
    settings: Settings, estimate: Estimator, window: Window | None, now: float, steps_per_epoch: int, *,
    eval_rows: int | None,
) -> list[ScheduleRow]:  # fmt: skip
    """Full: evaluations and checkpoints every epoch. Fast: the best model saved instead; where evaluations generate
    answers, those come every second epoch and the loss alone in between, else evaluations come every second epoch and
    on a quarter of the rows. Ultra fast: the loss once, at the end, and no checkpoint before the final model.

    `eval_rows`: of the evaluation set as configured; None where it is not known, and then it stays whole. Empty
    where nothing is known of the run.
    """
    base = estimate(_set(settings, {EVAL_EVERY: "1 epoch", FAST_EVERY: "never"}))
    if base is None:
        return []
    asked = Asked(
        settings=settings, steps_per_epoch=steps_per_epoch, total_steps=base.total_steps, evaluates=base.evals > 0,
        eval_rows=eval_rows,
    )  # fmt: skip
    rows = []
    for name, values in (("full", _full(asked)), ("fast", _fast(asked)), ("ultra fast", _ultra_fast(asked))):
        found = estimate(_set(settings, values))
        if found is not None:
            rows.append(_row(name, values, found, asked, judge_finish(now, found, window), now))
    return rows


def _full(asked: Asked) -> dict[str, Scalar]:
    return {EVAL_EVERY: "1 epoch", CHECKPOINT_EVERY: "1 epoch", **_back(asked, FAST_EVERY, ONLY_BEST)}


def _fast(asked: Asked) -> dict[str, Scalar]:
    if not asked.evaluates:
        return {EVAL_EVERY: "2 epochs", CHECKPOINT_EVERY: "2 epochs"}
    saves: dict[str, Scalar] = {CHECKPOINT_EVERY: WAY_BACK, ONLY_BEST: True}
    if asked.answers:
        return {EVAL_EVERY: "2 epochs", FAST_EVERY: "1 epoch", **saves}
    return {EVAL_EVERY: "2 epochs", **saves, **_fewer_rows(asked), **_back(asked, FAST_EVERY)}


def _ultra_fast(asked: Asked) -> dict[str, Scalar]:
    the_last = the_end(asked.total_steps, asked.steps_per_epoch)
    values: dict[str, Scalar] = {EVAL_EVERY: the_last, CHECKPOINT_EVERY: "never", **_fewer_rows(asked)}
    if asked.answers:
        values |= {
            path: value
            for path, value in WITHOUT_ANSWERS.items()
            if value_at(asked.settings, path) not in (value, None)
        }
    return {**values, **_back(asked, FAST_EVERY, ONLY_BEST)}


def _fewer_rows(asked: Asked) -> dict[str, Scalar]:
    rows = asked.eval_rows
    return {} if rows is None or rows < FAST_EVAL_SHARE else {EVAL_ROWS: math.ceil(rows / FAST_EVAL_SHARE)}


def _back(asked: Asked, *paths: str) -> dict[str, Scalar]:
    """Settings to their defaults where they are others."""
    plain = Settings()
    return {path: value_at(plain, path) for path in paths if value_at(asked.settings, path) != value_at(plain, path)}


def _row(
    name: str, values: dict[str, Scalar], found: Estimate, asked: Asked, fit: Fit, now: float
) -> ScheduleRow:  # fmt: skip
    epochs = found.total_steps / asked.steps_per_epoch
    between = eval_cost(found) + found.terms.get("saves", 0.0)
    return ScheduleRow(
        name=name,
        epoch_seconds=found.terms.get("steps", 0.0) / epochs if epochs else 0.0,
        gap_seconds=between / max(epochs, 1.0),
        total_seconds=found.p50_seconds,
        finish=now + found.p50_seconds,
        fit=fit,
        monitored=", ".join(["training loss", *_evaluated(values, found, asked), _saved(values, found)]),
        values=values,
    )


def _evaluated(values: dict[str, Scalar], found: Estimate, asked: Asked) -> list[str]:
    """What evaluations show, and how often."""
    if not found.evals:
        return []
    changed = _set(asked.settings, values).schedule
    answers = ("answers and metric" if changed.metric else "answers") if changed.generate else ""
    times = "at the end"
    if found.evals > 1:
        often = changed.fast_eval_every if changed.fast_eval_every in RATES else changed.eval_every
        times = f"{RATES[often]} ({found.evals} times)"
    rows = f" on {values[EVAL_ROWS]} of {asked.eval_rows} rows" if EVAL_ROWS in values else ""
    if answers and changed.fast_eval_every in RATES:
        return [f"evaluation loss {times}{rows}", f"{answers} {RATES.get(changed.eval_every, 'at the end')}"]
    return [f"evaluation loss{f', {answers}' if answers else ''} {times}{rows}"]


def _saved(values: dict[str, Scalar], found: Estimate) -> str:
    every = str(values[CHECKPOINT_EVERY])
    if values.get(ONLY_BEST) is True:
        return f"the best model kept, a checkpoint every {every}"
    return f"a checkpoint {RATES[every]}" if found.saves and every in RATES else "no checkpoint before the final model"


def _set(settings: Settings, values: dict[str, Scalar]) -> Settings:
    return with_values(settings, values, "the plan")
