"""The finish that a training names when a tenth of its steps is done, against its real one."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import tomli_w
from figures import keep, table
from skewed import material as skewed_material
from skewed import skewed_settings
from text_to_sql_runs import Ran, material, train

from speedtui.engine import events as e
from speedtui.engine.config.load import dump_settings
from speedtui.engine.config.settings import ScheduleSettings, Settings
from tests.examples.text_to_sql.material import METRIC, write_config

REQUIRED_MEDIAN = 0.05
PROGRESS = 0.1
"""Of the steps."""
RECIPE = Path(__file__).parents[1] / "examples" / "pointer_generator" / "recipe.py"

Write = Callable[[Path, Path], None]
"""Writes speedtui.toml into the second folder; materials are in the first."""


def test_the_finish_named_at_a_tenth_of_the_steps(tmp_path: Path) -> None:
    made = tmp_path / "material"
    skewed_material(made / "skewed", 3)
    material(made / "sql", train_rows=240, eval_rows=32, links=150_000)
    figures = []
    for name, write in CASES.items():
        folder = tmp_path / name.replace(" ", "-")
        folder.mkdir()
        write(made, folder)
        figures.append({"name": name, **figure(train(folder))})
    names = ("steps", "steps_s", "evals_s", "saves_s", "at_s", "named_s", "p90_s", "real_s", "error")
    print(table(["training", *names], [[f["name"], *(f[name] for name in names)] for f in figures]))
    errors = [abs(f["error"]) for f in figures]
    summary = {
        "median_error": statistics.median(errors), "worst_error": max(errors),
        "mean_error": statistics.fmean(f["error"] for f in figures),
        "within_p90": sum(f["real_s"] <= f["p90_s"] for f in figures) / len(figures),
    }  # fmt: skip
    print(summary)
    keep("eta_accuracy", {"required_median": REQUIRED_MEDIAN, "progress": PROGRESS, **summary, "runs": figures})
    assert all(f["evals_s"] > 0 and f["saves_s"] > 0 for f in figures), figures
    assert summary["median_error"] <= REQUIRED_MEDIAN, summary


def figure(ran: Ran) -> dict[str, Any]:
    """Seconds; `named_s` and `real_s` are counted from the estimate on, and the error is relative to the real ones."""
    started, finished = ran.one(e.TrainingStarted), ran.one(e.TrainingFinished)
    assert finished.steps == started.total_steps, finished
    tenth = next(s.t for s in ran.of(e.StepCompleted) if s.step >= PROGRESS * started.total_steps)
    eta = next(eta for eta in ran.of(e.EtaUpdated) if eta.t >= tenth)
    assert eta.p50_seconds is not None and eta.p90_seconds is not None
    real = finished.t - eta.t
    evaluations, saves = ran.of(e.EvaluationCompleted), ran.of(e.CheckpointSaved)
    return {
        "steps": started.total_steps, "steps_s": ran.step_seconds, "evals_s": sum(x.seconds for x in evaluations),
        "evals": len(evaluations), "saves_s": sum(x.seconds for x in saves), "saves": len(saves),
        "at_s": eta.t - started.t, "named_s": eta.p50_seconds, "p90_s": eta.p90_seconds, "real_s": real,
        "error": eta.p50_seconds / real - 1, "terms": eta.terms,
        "spent": spent(ran, eta.t),
    }  # fmt: skip


def spent(ran: Ran, since: float) -> dict[str, float]:
    """What the terms of the estimate came to."""
    kinds = {"steps": e.StepCompleted, "evals": e.EvaluationCompleted, "saves": e.CheckpointSaved}
    return {name: sum(x.seconds for x in ran.of(kind) if x.t > since) for name, kind in kinds.items()}


# -- the trainings -------------------------------------------------------------------------------------


def skewed(seed: int, epochs: float, schedule: ScheduleSettings, *, grouped: bool = False) -> Write:
    """Texts of skewed lengths for a language model."""

    def write(made: Path, folder: Path) -> None:
        settings = skewed_settings(made / "skewed", seed, schedule=schedule, grouped=grouped)
        train = msgspec.structs.replace(settings.train, epochs=epochs)
        write_settings(folder, msgspec.structs.replace(settings, train=train))

    return write


def text_to_sql(epochs: float, seed: int, **schedule: Any) -> Write:
    """Evaluations with beams and queries that are run."""

    def write(made: Path, folder: Path) -> None:
        data = {name: str(made / "sql" / f"{name}.jsonl") for name in ("train", "eval")}
        write_config(
            folder,
            {
                "model": {"path": str(made / "sql" / "model")},
                "data": data,
                "train": {"epochs": epochs, "seed": seed},
                "schedule": schedule,
            },
        )

    return write


def summariser(epochs: float, **schedule: Any) -> Write:
    """The plain PyTorch recipe, whose lengths are not known before."""

    def write(made: Path, folder: Path) -> None:
        tables = {
            "model": {"kind": "python", "recipe": f"{RECIPE}:build"},
            "train": {
                "method": "full", "epochs": epochs, "effective_batch_size": 16, "micro_batch_size": 16,
                "learning_rate": 5e-3,
            },
            "recipe": {"rows": 640, "eval_rows": 160},
            "schedule": schedule,
        }  # fmt: skip
        (folder / "speedtui.toml").write_text(tomli_w.dumps(tables))

    return write


def write_settings(folder: Path, settings: Settings) -> None:
    (folder / "speedtui.toml").write_text(dump_settings(settings))


CASES: dict[str, Write] = {
    "skewed, by epochs": skewed(0, 6.0, ScheduleSettings(eval_every="1 epoch", checkpoint_every="1 epoch")),
    "skewed, grouped, by steps": skewed(
        1, 11.0, ScheduleSettings(eval_every="40 steps", checkpoint_every="50 steps"), grouped=True
    ),
    "skewed, by the clock": skewed(2, 7.0, ScheduleSettings(eval_every="11s", checkpoint_every="7s")),
    "text-to-SQL, full": text_to_sql(
        15.0, 1, eval_every="1 epoch", checkpoint_every="1 epoch", metric=f"{METRIC}:execution_match"
    ),
    "text-to-SQL, fast": text_to_sql(
        24.0, 2, eval_every="3 epochs", fast_eval_every="1 epoch", save_only_best=True, best_by="execution_match",
        checkpoint_every="15s",
    ),
    "summariser": summariser(22.0, eval_every="1 epoch", checkpoint_every="2 epochs"),
}  # fmt: skip
