"""Answers and their metric in what a trial says of the whole run, and in its verdict."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from speedtui.engine import events as e
from speedtui.engine.candidate import TrialResult, TrialStatus
from speedtui.engine.config.settings import ScheduleSettings, Settings
from speedtui.engine.config.window import Window
from speedtui.engine.log.tail import read_events
from speedtui.engine.schedule.costs import RunCosts
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.timing.verdict import judge_finish
from speedtui.engine.trial.runner import TrialRunner
from tests.engine.trial.conftest import NewRunner, attempt
from tests.simulated_cuda import simulated_cuda

pytestmark = pytest.mark.slow

SLOW = "import time\ndef score(prediction, reference):\n    time.sleep(0.02)\n    return 1.0\n"
BROKEN = "def score(prediction, reference):\n    raise ValueError('no such table')\n"
YEAR = Window(deadline=365 * 86400.0, margin_seconds=0.0)


def generating(settings: Settings, folder: Path, code: str, **schedule: Any) -> dict[str, Any]:
    """Sections with answers at every fourth of ten steps, and this metric."""
    file = str(Path(settings.data.train or "").with_name("eval.jsonl"))
    (folder / "metric.py").write_text(code)
    whole = ScheduleSettings(
        **{"generate": True, "beams": 2, "max_new_tokens": 24, "metric": f"{folder / 'metric.py'}:score",
           "metric_threads": 4, "eval_every": "4 steps", "checkpoint_every": "never", **schedule}
    )  # fmt: skip
    return {"data": msgspec.structs.replace(settings.data, eval=file), "schedule": whole}


def notices(runner: TrialRunner) -> list[str]:
    runner.context.log.flush()
    return [x.text for x in read_events(runner.context.folder.events) if isinstance(x, e.Notice)]


def estimated(result: TrialResult) -> Any:
    assert result.status is TrialStatus.OK and result.estimate is not None, result.reason
    return result.estimate


def test_a_trial_counts_answers_and_their_scores(new_runner: NewRunner, settings: Settings, tmp_path: Path) -> None:
    runner = new_runner(**generating(settings, tmp_path, SLOW))
    estimate = estimated(attempt(runner, micro_batch_size=4))
    (measured,) = runner.costs.values()
    assert measured.answers is not None and measured.answers.problem == ""
    assert runner.workload is not None
    costs = runner.run_costs(runner.context.settings, RunCosts())
    assert costs.generate_seconds and costs.metric_seconds and costs.answer_tokens
    # three full evaluations, at steps 4, 8 and 10; 40 rows of 20 ms, four at a time
    assert estimate.terms["metric"] >= 3 * 40 * 0.02 / 4
    assert estimate.terms["generate"] > 0 and estimate.unmeasured == ()
    assert costs.answer_tokens <= 24
    assert judge_finish(0.0, estimate, YEAR) == "fits"
    assert not [text for text in notices(runner) if "not measured" in text]


def test_answers_are_timed_once_for_a_kind_of_run(new_runner: NewRunner, settings: Settings, tmp_path: Path) -> None:
    runner = new_runner(**generating(settings, tmp_path, SLOW))
    attempt(runner, 0, micro_batch_size=4)
    (first,) = runner.costs.values()
    runner.measure_costs(make_candidate(1, {"micro_batch_size": 4}, runner.context.settings, "test"))
    (again,) = runner.costs.values()
    assert again is not first and again.answers is first.answers


def test_a_metric_that_scores_nothing_has_no_price_and_the_run_is_not_said_to_fit(
    new_runner: NewRunner, settings: Settings, tmp_path: Path
) -> None:
    runner = new_runner(**generating(settings, tmp_path, BROKEN))
    estimate = estimated(attempt(runner, micro_batch_size=4))
    assert estimate.unmeasured == ("the metric",)
    assert judge_finish(0.0, estimate, YEAR) == "unknown"
    assert any("the metric's time was not measured" in text and "no such table" in text for text in notices(runner))


def test_a_metric_that_cannot_be_called_leaves_answers_without_a_price(
    new_runner: NewRunner, settings: Settings, tmp_path: Path
) -> None:
    runner = new_runner(**generating(settings, tmp_path, "x = 1\n"))
    estimate = estimated(attempt(runner, micro_batch_size=4))
    assert estimate.unmeasured == ("answers", "the metric")
    assert judge_finish(0.0, estimate, YEAR) == "unknown"
    assert any("the time of answers was not measured" in text for text in notices(runner))


@pytest.mark.parametrize("schedule", [{"generate": False, "metric": None}, {"eval_every": "never"}])
def test_a_run_without_answers_pays_for_none(
    new_runner: NewRunner, settings: Settings, tmp_path: Path, schedule: dict[str, Any]
) -> None:
    runner = new_runner(**generating(settings, tmp_path, SLOW, **schedule))
    estimate = estimated(attempt(runner, micro_batch_size=4))
    (measured,) = runner.costs.values()
    assert measured.answers is None and estimate.unmeasured == ()
    assert (estimate.terms["generate"], estimate.terms["metric"]) == (0.0, 0.0)


@pytest.mark.parametrize("checked", [True, False])
def test_what_comes_before_the_first_step_is_in_the_estimate(
    new_runner: NewRunner, settings: Settings, tmp_path: Path, checked: bool
) -> None:
    runner = new_runner(**generating(settings, tmp_path, SLOW, check_evaluation=checked))
    estimate = estimated(attempt(runner, micro_batch_size=4))
    assert (estimate.terms.get("rehearsal", 0.0) > 0) is checked
    assert sum(estimate.terms.values()) == pytest.approx(estimate.p50_seconds)


def test_on_a_gpu_a_trial_says_what_its_batch_of_answers_needs(
    new_runner: NewRunner, settings: Settings, tmp_path: Path
) -> None:
    """The time is in its estimate. A batch of another size is another kind of run, and measured anew."""
    sections = generating(settings, tmp_path, SLOW, metric=None, beams=1)
    with simulated_cuda():
        runner = new_runner(device=torch.device("cuda", 0), **sections)
        results = [attempt(runner, number, micro_batch_size=4, generation_batch_size=rows)
                   for number, rows in enumerate((2, 32, 32))]  # fmt: skip
    small, large, again = [result.memory for result in results]
    assert small is not None and large is not None and again is not None
    assert (small.generation_rows, large.generation_rows, again.generation_rows) == (2, 32, None)
    assert small.generation_peak_bytes and large.generation_peak_bytes and again.generation_peak_bytes is None
    assert small.generation_peak_bytes < large.generation_peak_bytes
    assert all(estimated(result).terms["generate"] > 0 for result in results)
