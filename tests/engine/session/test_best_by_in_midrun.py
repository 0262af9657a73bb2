"""What judges the evaluations changes while a training goes on: only to a figure that there is."""

from __future__ import annotations

from pathlib import Path

from speedtui.engine import commands as c
from speedtui.engine import events as e
from tests.engine.session.conftest import Starter

METRIC = """
def scored(predictions, references):
    return {"exact": 0.25, "length": float(len(predictions))}

def other(predictions, references):
    return {"overlap": 0.5}
"""


def test_evaluations_are_judged_by_nothing_that_the_metric_does_not_return(start: Starter, tmp_path: Path) -> None:
    (tmp_path / "metric.py").write_text(METRIC)
    driven = start.training(
        in_thread=True,
        values={
            "train.max_steps": 4000, "schedule.eval_every": "4 steps", "schedule.generate": True,
            "schedule.max_new_tokens": 4, "schedule.metric": f"{tmp_path / 'metric.py'}:scored",
        },
    )  # fmt: skip
    driven.until(lambda state: state.training is not None and state.training.step >= 2)
    for values in ({"best_by": "nope"}, {"best_by": "length"}, {"metric": f"{tmp_path / 'metric.py'}:other"}):
        driven.session.send(c.Set(values=values))
    driven.until(lambda state: any("returns no length" in line.text for line in state.log))
    driven.session.send(c.Set(values={"best_by": "overlap"}))
    driven.until(
        lambda state: (
            state.training is not None and any(x.best and "overlap" in x.metrics for x in state.training.evaluations)
        )
    )
    driven.session.send(c.Cancel())
    driven.end()
    (refused,) = driven.events(e.CommandRefused)
    assert refused.reason.endswith("metric.py:scored returns no nope: take one of exact, length, loss")
    changed = [value for x in driven.events(e.SettingsChanged) for value in x.values.values()]
    assert changed == ["length", f"{tmp_path / 'metric.py'}:other", "overlap"]
    (told,) = (x for x in driven.events(e.Notice) if "returns no length" in x.text)
    assert told.level == "warning" and told.hint == "Set it to one of overlap, loss."
    since = [x for x in driven.events(e.EvaluationCompleted) if "overlap" in x.metrics]
    assert not since[0].best and [x.metrics["overlap"] for x in since if x.best] == [0.5]
