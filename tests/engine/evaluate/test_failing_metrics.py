"""Metrics that fail, are stuck, exchanged or left, and evaluations that cannot be made at all."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ConfigError, DataError, ExitCode
from tests.engine.evaluate.conftest import evaluated
from tests.engine.workload.small import T5, load

Asked = Callable[..., Settings]
Make = Callable[..., Any]
Write = Callable[..., str]


def test_what_has_no_score_counts_as_0_and_is_told_once(asked: Asked, made: Make, metric: Write) -> None:
    target = metric("""
        def score(prediction, row):
            if row["id"] == "r4":
                return float("nan")
            return 1 / (row["id"] != "r2")
    """)
    one = evaluated(asked(T5, schedule={"metric": target, "metric_threads": 1}), made)
    scores = one.score()
    assert (scores.metrics, scores.unscored) == ({"score": pytest.approx(4 / 6)}, 2)
    assert one.notices == [
        f"{target}: 2 of 6 samples have no score and count as 0: "
        "sample 3: ZeroDivisionError: division by zero (metric.py line 5)"
    ]


def test_a_stuck_metric_costs_its_time_and_is_started_anew(
    asked: Asked, made: Make, metric: Write, tmp_path: Path
) -> None:
    flag = tmp_path / "once"
    target = metric(f"""
        import pathlib, time
        flag = pathlib.Path({str(flag)!r})
        def score(row):
            if row["id"] == "r3" and not flag.exists():
                flag.touch()
                time.sleep(1e6)
            return 1
    """)
    settings = asked(T5, schedule={"metric": target, "metric_timeout": "1s", "metric_threads": 1})
    one = evaluated(settings, made)
    scores = one.score()
    assert (scores.metrics, scores.unscored) == ({"score": 0.5}, 3)
    assert one.notices == [
        f"{target}: 3 of 6 samples have no score and count as 0: the time for schedule.metric_timeout was up, 1.0 s"
    ]
    again = one.score()
    assert (again.metrics, again.unscored, len(one.notices)) == ({"score": 1.0}, 0, 1)


def test_a_whole_sets_metrics_keep_their_names_when_there_is_nothing(
    asked: Asked, made: Make, metric: Write, tmp_path: Path
) -> None:
    flag = tmp_path / "once"
    target = metric(f"""
        import os, pathlib
        flag = pathlib.Path({str(flag)!r})
        def score(predictions, threads):
            if flag.exists():
                os._exit(5)
            flag.touch()
            return {{"bleu": threads, "exact": None}}
    """)
    one = evaluated(asked(T5, schedule={"metric": target, "metric_threads": 3}), made)
    first, second = one.score(), one.score()
    assert (first.metrics, first.unscored) == ({"bleu": 3.0, "exact": 0.0}, 6)
    assert (second.metrics, second.unscored) == ({"bleu": 0.0, "exact": 0.0}, 6)
    assert one.notices[0].endswith("6 of 6 samples have no score and count as 0: exact: it returned None, not a number")
    assert one.notices[1].endswith("the metric's process ended (exit code 5)")


def test_a_metric_can_be_exchanged_while_it_goes_on(asked: Asked, made: Make, metric: Write, tmp_path: Path) -> None:
    one = evaluated(asked(T5, schedule={"metric": metric("def score(prediction):\n    return 1")}), made)
    other = tmp_path / "other.py"
    other.write_text("def half(prediction):\n    return 0.5")
    assert one.score(metric=f"{other}:half").metrics == {"half": 0.5}
    assert one.score().metrics == {"score": 1.0}
    scores = one.score(metric=f"{other}:absent")
    assert (scores.metrics, scores.unscored) == ({"absent": 0.0}, 6)
    assert "no function absent" in one.notices[-1]
    with pytest.raises(ConfigError, match="no function absent"):
        one.evaluator.prepare(msgspec.structs.replace(one.settings.schedule, metric=f"{other}:absent"))
    assert one.score().metrics == {"score": 1.0}


def test_an_evaluation_that_is_left_can_be_made_again(asked: Asked, made: Make, metric: Write) -> None:
    class Left(Exception):
        pass

    leave = [True]

    def report(what: str, done: int, total: int | None) -> None:
        if what == "scoring" and leave and done:
            leave.pop()
            raise Left

    target = metric("import time\ndef score(prediction):\n    time.sleep(0.2)\n    return 1")
    settings = asked(T5, schedule={"metric": target, "metric_threads": 1})
    one = made(settings, load(settings), report)
    with pytest.raises(Left):
        one.score()
    assert one.score(metric_threads=6).metrics == {"score": 1.0}


def test_an_eval_file_that_is_gone_costs_the_metric_only(
    asked: Asked, made: Make, metric: Write, rows_file: Path
) -> None:
    one = evaluated(asked(T5, schedule={"metric": metric("def score(row):\n    return 1")}), made)
    rows_file.unlink()
    scores = one.score()
    assert (scores.metrics, scores.unscored, scores.samples) == ({"score": 0.0}, 6, 6)
    assert "no such file" in one.notices[0]


# -- refusals -------------------------------------------------------------------------------------


def test_a_metric_that_cannot_work_is_refused_before_the_training(asked: Asked, made: Make, metric: Write) -> None:
    settings = asked(T5, schedule={"metric": metric("def scores(prediction): ...")})
    with pytest.raises(ConfigError, match="no function score; did you mean scores") as caught:
        evaluated(settings, made)
    assert caught.value.exit_code is ExitCode.USAGE
    settings = asked(T5, schedule={"metric": metric("import os; os._exit(3)")})
    with pytest.raises(ConfigError, match=r"the metric's process ended \(exit code 3\)"):
        evaluated(settings, made)


def test_generating_without_evaluation_data_is_refused(asked: Asked, made: Make) -> None:
    settings = asked(T5, schedule={}, data={"eval": None})
    with pytest.raises(DataError, match=r"data\.eval: there is nothing to evaluate") as caught:
        evaluated(settings, made)
    assert caught.value.exit_code is ExitCode.USAGE
