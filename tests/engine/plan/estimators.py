"""An estimate in plain arithmetic, so that a test's figures can be checked by hand."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from speedtui.engine.candidate import Estimate, FigureSource
from speedtui.engine.config.settings import DataSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.config.window import Window
from speedtui.engine.schedule.count import Prices, count_due
from speedtui.engine.schedule.rules import rules_of
from speedtui.engine.schedule.steps import count_steps

ROWS, EVAL_ROWS, STEPS_PER_EPOCH = 1000, 100, 100
NOW = 1_000_000.0


def settings(
    epochs: float = 4.0, eval_every: str = "1 epoch", checkpoint_every: str = "1 epoch", max_steps: int | None = None
) -> Settings:
    """1000 rows at an effective batch of 10: 100 steps an epoch."""
    return Settings(
        data=DataSettings(train="train.jsonl"),
        train=TrainSettings(epochs=epochs, max_steps=max_steps, effective_batch_size=10, micro_batch_size=5),
        schedule=ScheduleSettings(eval_every=eval_every, checkpoint_every=checkpoint_every),
    )


def estimator(
    *, step: float = 1.0, evaluation: float | None = 30.0, save: float = 5.0, load: float = 20.0, final: float = 5.0,
    generate: float = 0.0, metric: float = 0.0, late: float = 1.05, source: FigureSource = "measured",
) -> Callable[[Settings], Estimate]:  # fmt: skip
    """Seconds each; `evaluation` is over all 100 rows, None without any, `generate` and `metric` besides where the
    schedule has them; P90 = late x P50. No checkpoint is made early.

    Four epochs, evaluated and saved every epoch: 20 + 400 + 4 x 30 + 3 x 5 + 5 = 560 s.
    """

    def estimate(asked: Settings) -> Estimate:
        train, schedule = asked.train, asked.schedule
        total = count_steps(ROWS, train.micro_batch_size, train.effective_batch_size, epochs=train.epochs,
                            max_steps=train.max_steps).total_steps  # fmt: skip
        share = (asked.data.eval_rows or EVAL_ROWS) / EVAL_ROWS
        loss = (evaluation or 0.0) * share
        answers = generate * share if schedule.generate else 0.0
        scores = metric * share if schedule.generate and schedule.metric else 0.0
        rules = rules_of(schedule, total, STEPS_PER_EPOCH, evaluates=evaluation is not None)
        prices = Prices(step=step, full=loss + answers + scores, loss=loss, save=save)
        due = count_due(msgspec.structs.replace(rules, first_save=None), total, prices)
        terms = {
            "load": load, "steps": total * step, "evals": (due.full + due.loss) * loss,
            "generate": due.full * answers, "metric": due.full * scores, "saves": due.saves * save, "final": final,
        }  # fmt: skip
        p50 = sum(terms.values())
        return Estimate(
            p50_seconds=p50, p90_seconds=late * p50, terms=terms, total_steps=total, evals=due.full + due.loss,
            saves=round(due.saves), source=source,
        )  # fmt: skip

    return estimate


def window(seconds: float, margin: float = 0.0) -> Window:
    """From NOW."""
    return Window(deadline=NOW + seconds, margin_seconds=margin)
