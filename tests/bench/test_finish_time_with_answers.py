"""The finish that a plan predicts for a training whose evaluations write answers with beams and run them as queries.

Each of the runs is planned first, as a person would (`speedtui plan`), and then trained by the plan's own script. The
first plan of a kind knows nothing but what it measures; the last plan of all is made after the runs and knows them.
Also the finish that the training itself names at a tenth of its steps.

SHORT=1 in the environment makes each run a few times shorter, to try the bench itself; its figures are kept apart.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from figures import keep, table
from test_eta_accuracy import PROGRESS, spent
from text_to_sql_runs import PATIENCE_SECONDS, SCRIPT, Ran, material, share

from speedtui.engine import events as e
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import list_runs
from tests.examples.text_to_sql.material import write_config

REQUIRED_MEDIAN, REQUIRED_WORST = 0.07, 0.15
REQUIRED_ETA_MEDIAN = 0.05
LEAST_SECONDS = 120.0
SHORT = bool(os.environ.get("SHORT"))
TRAIN_ROWS, EVAL_ROWS, LINKS = 480, 64, 120_000
PROFILE = "bench"


@dataclass(frozen=True)
class Case:
    """One training; `epochs` make it last a little over two minutes on one core of an EPYC."""

    name: str
    epochs: float
    seed: int
    schedule: dict[str, Any]
    micro_batch_size: int = 8
    rows: int | None = None
    """Of the evaluation; None for all."""


EACH = {"eval_every": "1 epoch", "checkpoint_every": "1 epoch"}
CASES = [
    Case("4 beams, each epoch", 30.0, 1, {**EACH, "beams": 4}),
    Case("4 beams, another seed", 30.0, 2, {**EACH, "beams": 4}),
    Case("greedy, each half epoch", 28.0, 3, {"eval_every": "0.5 epochs", "checkpoint_every": "30s", "beams": 1}),
    Case("8 beams, each second epoch", 32.0, 4,
         {"eval_every": "2 epochs", "fast_eval_every": "1 epoch", "checkpoint_every": "20s", "beams": 8}),
    Case("only the best is saved", 24.0, 5,
         {**EACH, "beams": 4, "save_only_best": True, "best_by": "execution_match"}, micro_batch_size=4),
    Case("small batches of answers", 29.0, 6, {**EACH, "beams": 2, "generation_batch_size": 8}, micro_batch_size=16),
]  # fmt: skip


@pytest.fixture(autouse=True)
def own_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATA", "CONFIG", "CACHE"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(tmp_path / name.lower()))


def test_the_finish_planned_with_answers_and_an_executing_metric(tmp_path: Path) -> None:
    folder = material(
        tmp_path / "sql", train_rows=TRAIN_ROWS, eval_rows=EVAL_ROWS, links=LINKS // (8 if SHORT else 1), heavy=False
    )
    figures = [planned_and_trained(folder, case) for case in CASES]
    names = ("predicted_s", "p90_s", "real_s", "error", "eta_error", "answers_share", "evals", "plan_s")
    print(table(["training", *names], [[f["name"], *(f[name] for name in names)] for f in figures]))
    print(table(["", "predicted", "real", "generate predicted", "real", "metric predicted", "real"],
                [[f["name"], f["steps_predicted_s"], f["steps_real_s"], f["generate_predicted_s"],
                  f["generate_real_s"], f["metric_predicted_s"], f["metric_real_s"]] for f in figures]))  # fmt: skip
    again = replanned(folder, CASES[0])
    print(f"{CASES[0].name}, planned again after it ran: {again}")
    errors, etas = [abs(f["error"]) for f in figures], [abs(f["eta_error"]) for f in figures]
    summary = {
        "median_error": statistics.median(errors), "worst_error": max(errors),
        "mean_error": statistics.fmean(f["error"] for f in figures),
        "eta_median_error": statistics.median(etas), "eta_worst_error": max(etas),
        "within_p90": sum(f["real_s"] <= f["p90_s"] for f in figures) / len(figures),
        "shortest_s": min(f["real_s"] for f in figures),
        "answers_share": statistics.median(f["answers_share"] for f in figures),
    }  # fmt: skip
    print(summary)
    required = {"required_median": REQUIRED_MEDIAN, "required_worst": REQUIRED_WORST,
                "required_eta_median": REQUIRED_ETA_MEDIAN}  # fmt: skip
    kept = "finish_time_with_answers_short" if SHORT else "finish_time_with_answers"
    keep(kept, {**required, **summary, "runs": figures, "planned_again": again})
    assert again["answers_source"] == "history"
    if not SHORT:
        assert summary["shortest_s"] >= LEAST_SECONDS, summary
        assert summary["median_error"] <= REQUIRED_MEDIAN, summary
        assert summary["worst_error"] <= REQUIRED_WORST, summary
        assert summary["eta_median_error"] <= REQUIRED_ETA_MEDIAN, summary


def planned_and_trained(folder: Path, case: Case) -> dict[str, Any]:
    """Seconds; the error is relative to what the whole run took, from its start to the saved model."""
    row, script, plan_seconds = plan(folder, case)
    ran = train_as_planned(folder, script)
    estimate, real = row["estimate"], ran.one(e.TrainingFinished).t
    evaluations = ran.of(e.EvaluationCompleted)
    books = ran.one(e.RunFinished).books
    assert books is not None
    took = {name: sum(x.phases.get(name, 0.0) for x in evaluations) for name in ("generate", "metric")}
    terms = estimate["terms"]
    assert not estimate["unmeasured"] and estimate["evals"] == len(evaluations), (estimate, len(evaluations))
    return {
        "name": case.name, "plan_s": plan_seconds, "predicted_s": estimate["p50_seconds"],
        "p90_s": estimate["p90_seconds"], "real_s": real, "error": estimate["p50_seconds"] / real - 1,
        **eta(ran), "terms": terms, "evals": len(evaluations), "saves": len(ran.of(e.CheckpointSaved)) - 1,
        "steps_predicted_s": terms["steps"], "steps_real_s": ran.step_seconds,
        "generate_predicted_s": terms["generate"], "generate_real_s": took["generate"],
        "metric_predicted_s": terms["metric"], "metric_real_s": took["metric"],
        "answers_share": share(books, ("generate", "metric")), "books": books.phases,
        "evaluations": [{"step": x.step, "phases": x.phases, "metrics": x.metrics, "unscored": x.unscored}
                        for x in evaluations],
    }  # fmt: skip


def eta(ran: Ran) -> dict[str, Any]:
    """What the training named at a tenth of its steps, and how far that was off."""
    total = ran.one(e.TrainingStarted).total_steps
    tenth = next(s.t for s in ran.of(e.StepCompleted) if s.step >= PROGRESS * total)
    named = next(x for x in ran.of(e.EtaUpdated) if x.t >= tenth)
    assert named.p50_seconds is not None
    real = ran.one(e.TrainingFinished).t - named.t
    return {"eta_named_s": named.p50_seconds, "eta_real_s": real, "eta_error": named.p50_seconds / real - 1,
            "eta_terms": named.terms, "eta_spent": spent(ran, named.t)}  # fmt: skip


def plan(folder: Path, case: Case, *arguments: str) -> tuple[dict[str, Any], Path, float]:
    """(the profile's row, train.sh, seconds it took) of a plan with the case's own batch and epochs."""
    write_config(
        folder,
        {
            "data": {"eval_rows": case.rows} if case.rows else {},
            "train": {"seed": case.seed, "effective_batch_size": 16}, "schedule": case.schedule,
        },
    )  # fmt: skip
    profiles = Path(os.environ["XDG_CONFIG_HOME"]) / "speedtui" / "profiles"
    profiles.mkdir(parents=True, exist_ok=True)
    epochs = case.epochs / 4 if SHORT else case.epochs
    (profiles / f"{PROFILE}.toml").write_text(
        'description = "This bench."\n[settings.train]\n'
        f"epochs = {epochs}\nmicro_batch_size = {case.micro_batch_size}\n"
    )
    began = time.perf_counter()
    program = subprocess.run(
        [str(SCRIPT), "plan", "--json", "--profile", PROFILE, *arguments], cwd=folder, capture_output=True,
        timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    seconds = time.perf_counter() - began
    assert program.returncode == 0, program.stderr.decode()
    made = next(x for line in program.stdout.splitlines() if (x := json.loads(line))["type"] == "plan_made")["plan"]
    row: dict[str, Any] = next(row for row in made["profiles"] if row["profile"] == PROFILE)
    return row, list_runs(folder / "runs")[0].path / "train.sh", seconds


def train_as_planned(folder: Path, script: Path) -> Ran:
    began = time.perf_counter()
    program = subprocess.run(
        ["sh", str(script), "--json"], cwd=folder, capture_output=True, timeout=PATIENCE_SECONDS, check=False
    )
    wall = time.perf_counter() - began
    assert program.returncode == 0, program.stderr.decode()
    run = list_runs(folder / "runs")[0]
    return Ran(wall, program.returncode, run, list(read_events(run.events)))


def replanned(folder: Path, case: Case) -> dict[str, Any]:
    """The same plan once more without measuring: what it takes from the run."""
    row, _, _ = plan(folder, case, "--no-measure")
    names = ("generate_seconds", "metric_seconds", "answers_source", "answers_age_seconds")
    return {**{name: row[name] for name in names}, "predicted_s": row["estimate"]["p50_seconds"]}
