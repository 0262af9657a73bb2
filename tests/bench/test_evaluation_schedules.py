"""A training whose evaluations and checkpoints take most of its time: its books, its advice, and cheaper schedules.

T5 on text-to-SQL pairs, with beam search and a metric that runs every query. Beside it what TraceML 0.5.0 (PyPI
traceml-ai, the extra `bench`) says of the same training as a plain program with transformers' own Trainer.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from figures import keep, table
from text_to_sql_runs import PATIENCE_SECONDS, Ran, gap_of_books, material, say, share, train

from speedtui.engine import events as e
from tests.examples.text_to_sql.material import write_config

EPOCHS = 12
TRAIN_ROWS, EVAL_ROWS, LINKS, BEAMS = 160, 64, 500_000, 8
"""Ten steps an epoch; the metric takes several times as long as they do, the beams about twice as long. A checkpoint
would need a slower disk, or more parameters a step, to take as long as an epoch too."""
REQUIRED_UNACCOUNTED = 0.01
REQUIRED_PREDICTION = 0.15
"""How far the saving that the advice names may be from the one that taking it brings."""
FULL: dict[str, Any] = {"eval_every": "1 epoch", "checkpoint_every": "1 epoch"}
SCHEDULES: dict[str, dict[str, Any]] = {
    "full": FULL,
    "fast": {
        "eval_every": "3 epochs", "fast_eval_every": "1 epoch", "save_only_best": True, "best_by": "execution_match",
        "checkpoint_every": "1 epoch",
    },
    "ultra fast": {
        "eval_every": "never", "fast_eval_every": "1 epoch", "generate": False, "metric": "", "patience": 3,
        "save_only_best": True, "checkpoint_every": "1 epoch",
    },
}  # fmt: skip
MONITORED = {
    "full": "loss, execution match",
    "fast": "loss; execution match every 3 epochs",
    "ultra fast": "loss",
    "as advised": "what the advice leaves of it",
}
EVALUATION = ("eval", "generate", "metric")
SAVING = ("checkpoint", "write")
WORDS = ("evaluat", "generat", "metric")
TRACEML = "traceml_ai"
TRACEML_PATH = os.environ.get("TRACEML_PATH", "")
"""A folder that it was installed into with `pip install --no-deps --target`, where it is not in the environment."""


def test_cheaper_schedules(tmp_path: Path) -> None:
    folder = material(tmp_path / "sql", train_rows=TRAIN_ROWS, eval_rows=EVAL_ROWS, links=LINKS)
    runs = {name: run(folder, schedule) for name, schedule in SCHEDULES.items()}
    report = json.loads(say(folder, "report", runs["full"].folder.id, "--json"))
    advised = first_of_evaluation(report["largest_costs"])
    if advised is not None:
        changes = {path.removeprefix("schedule."): value for path, value in advised["changes"].items()}
        runs["as advised"] = run(folder, {**FULL, **changes})
    figures = {name: figure(ran) for name, ran in runs.items()}
    full = figures["full"]
    names = ("steps", "epoch_s", "gap_s", "total_s", "loss", "execution_match")
    print(table(["schedule", *names, "monitored"],
                [[name, *(f[n] for n in names), MONITORED[name]] for name, f in figures.items()]))  # fmt: skip
    print(table(["where the full one's time went", "seconds", "share"],
                [[phase, seconds, seconds / full["wall"]] for phase, seconds in ranked(full["books"])]))  # fmt: skip
    print(table(["largest costs", "seconds", "gain", "lever"],
                [[c["name"], c["seconds"], c["gain_seconds"], c["lever"]]
                 for c in report["largest_costs"]]))  # fmt: skip
    saved = full["total_s"] - figures["as advised"]["total_s"] if advised is not None else None
    print(f"the advice named {advised and advised['gain_seconds']} s; taking it brought {saved} s")
    beside = traceml(folder, tmp_path / "traceml")
    print_beside(beside, full)
    keep("evaluation_schedules", {
        "epochs": EPOCHS, "required_unaccounted": REQUIRED_UNACCOUNTED, "required_prediction": REQUIRED_PREDICTION,
        "schedules": figures, "largest_costs": report["largest_costs"], "advised": advised, "saved_s": saved,
        "traceml": beside,
    })  # fmt: skip
    for name, found in figures.items():
        assert found["unaccounted"] <= REQUIRED_UNACCOUNTED, (name, found)
        assert "other" in found["books"], (name, found["books"])
    assert full["evaluation_share"] + full["saving_share"] > 0.5, full
    assert full["execution_match"] > 0, full
    assert advised is not None and saved is not None, report["largest_costs"]
    assert figures["ultra fast"]["total_s"] < figures["fast"]["total_s"] < full["total_s"]
    assert abs(advised["gain_seconds"] / saved - 1) <= REQUIRED_PREDICTION, (advised, saved)


def run(folder: Path, schedule: Mapping[str, Any]) -> Ran:
    """A training with this schedule; the weights go the same way in each of them."""
    write_config(folder, {"train": {"epochs": float(EPOCHS)}, "schedule": {"beams": BEAMS, **schedule}})
    return train(folder)


def figure(ran: Ran) -> dict[str, Any]:
    """Seconds; an epoch is its steps, a gap what lies between two epochs' steps."""
    finished, books = ran.one(e.TrainingFinished), ran.one(e.RunFinished).books
    assert books is not None
    steps_an_epoch = ran.one(e.TrainingStarted).total_steps / EPOCHS
    gaps = [span.seconds for span in ran.of(e.SpanCompleted) if span.phase == "gap"]
    evaluations = ran.of(e.EvaluationCompleted)
    scored = [evaluation.metrics["execution_match"] for evaluation in evaluations if evaluation.metrics]
    return {
        "steps": finished.steps, "reason": finished.reason,
        "epoch_s": ran.step_seconds / finished.steps * steps_an_epoch,
        "gap_s": sum(gaps) / len(gaps), "total_s": books.wall, "process_s": ran.wall_seconds,
        "loss": evaluations[-1].loss, "execution_match": scored[-1] if scored else None,
        "evaluations": [{"step": x.step, "kind": x.kind, "seconds": x.seconds, "phases": x.phases, "loss": x.loss,
                         "metrics": x.metrics, "unscored": x.unscored} for x in evaluations],
        "saves": [{"step": x.step, "seconds": x.seconds, "reason": x.reason} for x in ran.of(e.CheckpointSaved)],
        "wall": books.wall, "books": books.phases, "unaccounted": gap_of_books(books),
        "evaluation_share": share(books, EVALUATION), "saving_share": share(books, SAVING),
    }  # fmt: skip


def first_of_evaluation(costs: list[dict[str, Any]]) -> dict[str, Any] | None:
    """The largest cost that names evaluation and what would make it smaller, in seconds."""
    named = (cost for cost in costs if any(word in f"{cost['name']} {cost['lever']}".lower() for word in WORDS))
    return next((cost for cost in named if (cost["gain_seconds"] or 0) > 0), None)


def ranked(phases: Mapping[str, float]) -> list[tuple[str, float]]:
    return sorted(phases.items(), key=lambda pair: -pair[1])


# -- beside it -------------------------------------------------------------------------------------------


def traceml(folder: Path, logs: Path) -> dict[str, Any]:
    """What it reports of the plain program with the full schedule, and how long that took by its own clock."""
    sys.path.append(TRACEML_PATH)
    found = importlib.util.find_spec(TRACEML)
    sys.path.remove(TRACEML_PATH)
    if found is None:
        return {"left_out": "TraceML is not installed: pip install traceml-ai==0.5.0"}
    write_config(folder, {"train": {"epochs": float(EPOCHS)}, "schedule": {"beams": BEAMS, **FULL}})
    here = Path(__file__).parent
    out = folder / "plain.json"
    paths = [str(here.parents[1]), TRACEML_PATH, os.environ.get("PYTHONPATH", "")]
    began = time.perf_counter()
    program = subprocess.run(
        [sys.executable, "-m", f"{TRACEML}.launcher.cli", "run", str(here / "text_to_sql_plain.py"),
         "--mode", "summary", "--logs-dir", str(logs), "--run-name", "full", "--args", "speedtui.toml", str(out)],
        cwd=folder, env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}, capture_output=True,
        text=True, timeout=PATIENCE_SECONDS, check=False,
    )  # fmt: skip
    if program.returncode:
        return {"left_out": f"it ended with {program.returncode}: {(program.stdout + program.stderr)[-500:]}"}
    text = (logs / "full" / "final_summary.txt").read_text()
    summary = (logs / "full" / "final_summary.json").read_text()
    return {
        "process_s": time.perf_counter() - began, "training": json.loads(out.read_text()), "card": text,
        "mentions": {word: (text + summary).lower().count(word) for word in ("evaluat", "validation", "checkpoint",
                                                                             "generat", "metric_s")},
    }  # fmt: skip


def print_beside(beside: dict[str, Any], full: dict[str, Any]) -> None:
    if "left_out" in beside:
        print(f"\nTraceML was left out: {beside['left_out']}")
        return
    took = beside["training"]
    print(f"\nThe plain program trained for {took['wall']:.1f} s, {took['steps']:.1f} s of it in steps. TraceML says:")
    print(beside["card"])
    besides = full["evaluation_share"] + full["saving_share"]
    print(f"Our books of the same schedule: {besides:.0%} of {full['wall']:.1f} s in evaluation and saving.")
