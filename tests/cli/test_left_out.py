"""No row is left out unsaid: in the log, the lines, the reports, the page, the plan; and the score is over all rows."""

from __future__ import annotations

import contextlib
import io
import json
import re
from dataclasses import dataclass

import pytest

from speedtui.engine import events as e
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder
from speedtui.tui.cli import main
from tests.cli.program import Place, pairs

METRIC = """
def score(prediction: str, row: dict) -> float:
    assert isinstance(prediction, str)
    return 0.0 if row["long"] else 1.0
"""
LONG = "consider the story " * 40
"""More than data.max_length by itself, and far fewer than the model's positions."""


@dataclass(frozen=True)
class Ran:
    """A training of 2 steps and a plan, with 4 of 10 evaluation prompts over the maximum length."""

    training: RunFolder
    plan: RunFolder
    out: str
    """Plain lines of the training."""
    report: str
    document: dict[str, object]
    planned: str


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Ran:
    place = Place(tmp_path_factory.mktemp("left-out"))
    rows = [{**row, "long": False} for row in pairs(20)]
    rows[3]["answer"] = ""
    rows[5]["answer"] = LONG
    place.write_rows(rows)
    asked = [{**row, "long": False} for row in pairs(6)] + [{**row, "long": True} for row in pairs(4)]
    asked[2]["answer"] = LONG
    for row in asked[6:]:
        row["question"] = LONG
    place.write_rows(asked, "eval.jsonl")
    place.write("metric.py", METRIC)
    place.configure({
        "data": {"eval": "eval.jsonl"}, "train": {"max_steps": 2, "method": "full"},
        "schedule": {"generate": True, "max_new_tokens": 2, "metric": "metric.py:score", "checkpoint_every": "never"},
    })  # fmt: skip
    out = run(place, "train", "--engine", "thread")
    training = place.run_folder
    report = run(place, "report", training.id)
    planned = run(place, "plan", "--engine", "thread", "--no-measure", "--profile", "balanced")
    document = json.loads((training.path / "report.json").read_text())
    return Ran(training, place.run_folder, out, report, document, planned)


def run(place: Place, *arguments: str) -> str:
    """What the program printed, called in this process."""
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.chdir(place.folder)
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
    assert ended.value.code == 0, out.getvalue()
    return out.getvalue()


def of_type(folder: RunFolder, kind: type[e.Event]) -> list[e.AnyEvent]:
    return [event for event in read_events(folder.events) if isinstance(event, kind)]


def test_the_metric_is_over_every_row_that_can_be_answered(ran: Ran) -> None:
    (evaluation,) = of_type(ran.training, e.EvaluationCompleted)
    assert isinstance(evaluation, e.EvaluationCompleted)
    assert evaluation.metrics == {"score": 0.6}
    assert (evaluation.answers, evaluation.unanswered, evaluation.unscored) == (10, 0, 0)
    assert (evaluation.rows, evaluation.left_out, evaluation.cut) == (6, 4, 1)


def test_the_rehearsal_asks_about_rows_that_the_loss_counts(ran: Ran) -> None:
    (rehearsed,) = of_type(ran.training, e.EvaluationRehearsed)
    assert isinstance(rehearsed, e.EvaluationRehearsed)
    assert 0 < rehearsed.rows <= 6 and {"eval", "generate", "metric"} <= rehearsed.phases.keys()


def test_what_was_cut_and_dropped_is_counted_on_both_sides(ran: Ran) -> None:
    (loaded,) = of_type(ran.training, e.ModelLoaded)
    assert isinstance(loaded, e.ModelLoaded)
    assert (loaded.train_rows, loaded.cut_rows, loaded.dropped_rows) == (19, 1, 1)
    assert (loaded.eval_rows, loaded.eval_cut_rows, loaded.eval_dropped_rows) == (6, 1, 4)
    said = [event.text for event in of_type(ran.training, e.Notice) if isinstance(event, e.Notice)]
    for text in (
        "cut to data.max_length 64: 1 row",
        "dropped, with nothing to learn from: 1 row",
        "data.eval cut to data.max_length 64: 1 row, whose loss is that of what is left",
        "data.eval: 4 of 10 rows left out of the loss: nothing of their answer is within data.max_length 64",
    ):
        assert said.count(text) == 1, said


def test_it_is_said_wherever_a_loss_or_a_score_is_shown(ran: Ran) -> None:
    line = next(line for line in ran.out.splitlines() if "eval 2:" in line)
    assert re.search(r"loss \d+\.\d+ \(4 of 10 left out\), score 0\.600", line), line
    assert re.search(r"loss \d+\.\d+ \(4 of 10 left out\), score 0\.600", ran.report)
    rows = "19 to train, 6 to evaluate; 1 cut to data.max_length, 1 dropped, with nothing to learn from, 1 of data.eval"
    assert rows in " ".join(ran.report.split())
    page = (ran.training.path / "report.html").read_text()
    assert "6 of 10" in page and "1 of data.eval cut, 4 of data.eval left out of the loss" in page
    best = ran.document["evaluations"]["best"]  # type: ignore[index]
    assert {key: best[key] for key in ("rows", "left_out", "cut", "answers", "unanswered")} == {
        "rows": 6, "left_out": 4, "cut": 1, "answers": 10, "unanswered": 0,
    }  # fmt: skip
    dataset = ran.document["dataset"]
    assert dataset["eval_dropped_rows"] == 4 and dataset["eval_cut_rows"] == 1  # type: ignore[index]


def test_a_plan_says_it_of_the_profile_that_it_chose(ran: Ran) -> None:
    (made,) = of_type(ran.plan, e.PlanMade)
    assert isinstance(made, e.PlanMade)
    plan = made.plan
    assert (plan.dropped_rows, plan.cut_rows, plan.eval_cut_rows, plan.eval_dropped_rows) == (1, 0, 0, 0)
    assert re.search(r"not all +1 dropped, with nothing to learn from\n", ran.planned)
    document = json.loads((ran.plan.path / "report.json").read_text())
    assert '"dropped_rows":1' in json.dumps(document, separators=(",", ":"))
