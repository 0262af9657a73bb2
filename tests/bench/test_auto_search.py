"""Mode auto against measuring every configuration, and against the tuners that others ship, at the same real limit."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from figures import keep, table
from studies import Finished, demo_settings, run_study, with_candidates

from speedtui.engine.candidate import Candidate, TrialResult, TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.memory.peak_model import Calibration, MemoryRequest, MemorySurface
from speedtui.engine.memory.predict import predict
from speedtui.engine.runs import RunFolder
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.search.space import divisors
from speedtui.engine.state import RunState
from speedtui.engine.trial.runner import TrialRunner
from speedtui.engine.units import parse_size
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.load import load_workload

REQUIRED_SHARE = 0.97
"""Of the throughput of the grid's best, both measured in turns."""
MOST_TIME = 1 / 3
"""Of the grid's wall time."""
MOST_OUT_OF_MEMORY = 1
TPE_TRIALS = 20
"""Half of the grid."""
CONTENDERS = 3
"""Of the grid, measured again in turns with the winner."""
PAIRS = 8
FINDERS = ("bisection", "accelerate", "lightning power", "lightning binsearch")


def test_auto_finds_what_a_grid_finds(tmp_path: Path) -> None:
    settings = demo_settings(mode="auto")
    auto = run_study(settings, tmp_path / "auto")  # first, so that nothing that it predicts is in the cache
    grid = run_study(with_candidates(settings, tmp_path / "grid.json", grid_of(settings)), tmp_path / "grid")
    winner, fast = candidate_of(auto), fastest(grid)
    with quiet(tmp_path / "worker.log"), runner_of(settings, tmp_path / "again") as runner:
        again = {candidate.label: in_turns(runner, candidate, winner) for candidate in fast}
        tpe = tpe_from_nothing(runner, settings)
    worst = min(again.values(), key=lambda found: found["ratio"])
    figures = {
        "auto": study_figures(auto) | {"winner": winner.label, "decisions": decisions(auto)},
        "grid": study_figures(grid) | {"best": fast[0].label},
        "winner_over_grids_fastest": again,
        "share_of_grids_time": round(auto.wall_seconds / grid.wall_seconds, 3),
        "optuna_tpe": tpe,
    }
    columns = ("wall_s", "trials", "out_of_memory", "samples_per_second")
    rows = [[name, *(figures[name].get(column) for column in columns)] for name in ("auto", "grid", "optuna_tpe")]
    print(table(["search of the demo's model", *columns], rows))
    for label, found in again.items():
        print(f"{winner.label} over {label}, in turns: {found}")
    print("\n".join(figures["auto"]["decisions"]))
    keep("auto_search", {"required_share": REQUIRED_SHARE, "most_time": MOST_TIME, "figures": figures})
    assert worst["ratio"] >= REQUIRED_SHARE, again
    assert figures["auto"]["out_of_memory"] <= MOST_OUT_OF_MEMORY
    assert figures["share_of_grids_time"] <= MOST_TIME


def test_the_largest_micro_batch_is_predicted_where_others_run_out_of_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = demo_settings()
    limit = parse_size(settings.search.memory_limit or "")
    workload = load_workload(settings, device=torch.device("cpu"), report=silent)
    length = workload.facts.longest_tokens
    assert length is not None and settings.model.path is not None
    found = {name: run_finder(name, settings.model.path, length, limit) for name in FINDERS if available(name)}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))  # where nothing has been predicted yet
    ours = found["predict and confirm"] = predict_and_confirm(settings, length, limit)
    truth = largest(ours["found"], settings.model.path, length, limit)
    for row in found.values():
        row["of_largest"] = round(row["found"] / truth, 3)
    columns = ("found", "of_largest", "attempts", "out_of_memory", "seconds")
    print(table(["largest micro-batch", *columns], [[n, *(row[c] for c in columns)] for n, row in found.items()]))
    for name in FINDERS:
        if name not in found:
            print(f"{name}: not installed; pip install 'speedtui[bench]'")
    print(f"largest in a fresh process: {truth}; what attempts leave in the heap lets a later one go a little further")
    keep("batch_finders", {"length": length, "limit_bytes": limit, "largest": truth, "figures": found})
    assert ours["out_of_memory"] <= MOST_OUT_OF_MEMORY
    others = [row for name, row in found.items() if name != "predict and confirm"]
    assert ours["out_of_memory"] <= min(row["out_of_memory"] for row in others)


def grid_of(settings: Settings) -> list[dict[str, Any]]:
    """Every configuration of what auto moves here."""
    return [
        {
            "train.micro_batch_size": micro, "train.gradient_checkpointing": checkpointing,
            "train.loader_workers": workers, "model.attention": attention,
        }
        for micro, checkpointing, workers, attention in product(
            divisors(settings.train.effective_batch_size), (False, True), (0, 2), ("sdpa", "eager")
        )
    ]  # fmt: skip


def candidate_of(finished: Finished) -> Candidate:
    """The winner, as the study has it in report.json."""
    assert finished.state.study is not None
    report = json.loads(Path(finished.state.study.files["report.json"]).read_text())
    row = finished.state.study.row(report["trial"])
    assert row is not None
    return row.candidate


def fastest(finished: Finished) -> list[Candidate]:
    """The grid's fastest few, since one trial each does not tell which of them is the best."""
    assert finished.state.study is not None
    measured = [
        (row.result.measurement.samples_per_second, row.candidate)
        for row in finished.state.study.rows
        if row.status is TrialStatus.OK and row.result is not None and row.result.measurement is not None
    ]
    return [candidate for _, candidate in sorted(measured, key=lambda pair: -pair[0])[:CONTENDERS]]


def study_figures(finished: Finished) -> dict[str, Any]:
    results = finished.results
    best = candidate_of(finished).id
    assert finished.state.study is not None
    row = finished.state.study.row(best)
    measured = row.result.measurement if row is not None and row.result is not None else None
    return {
        "wall_s": round(finished.wall_seconds, 2),
        "trials": len(results),
        "out_of_memory": sum(result.status is TrialStatus.OUT_OF_MEMORY for result in results),
        "samples_per_second": measured and round(measured.samples_per_second, 2),
        "in_trials_s": round(sum(result.seconds for result in results), 2),
    }


def decisions(finished: Finished) -> list[str]:
    assert finished.state.study is not None
    return [f"{d.kind} {d.what}: {d.reason}" for d in finished.state.study.decisions]


@contextmanager
def quiet(log: Path) -> Iterator[None]:
    """What transformers prints goes to a file."""
    with log.open("w") as noise, redirect_stdout(noise), redirect_stderr(noise):
        yield


@contextmanager
def runner_of(settings: Settings, folder: Path) -> Iterator[TrialRunner]:
    """Trials in this process, under the same limit."""
    folder.mkdir()
    log = EventLog(folder / "events.jsonl", RunClock())
    limit = parse_size(settings.search.memory_limit or "")
    order = Order(job="tune", started_at=time.time(), memory_limit_bytes=limit, enforce_limit=True)
    context = JobContext(RunFolder(folder), settings, order, log, RunState(), frozenset())
    runner = TrialRunner(context, torch.device("cpu"))
    runner.load(settings)
    yield runner
    log.close()


def in_turns(runner: TrialRunner, best: Candidate, winner: Candidate) -> dict[str, Any]:
    """How fast the winner is beside the grid's best."""
    if settings_of(best) == settings_of(winner):
        return {"ratio": 1.0, "low": 1.0, "high": 1.0, "pairs": 0}
    found = runner.compare(best, msgspec.structs.replace(winner, id=best.id + 1000), most_pairs=PAIRS)
    return {name: round(getattr(found, name), 4) for name in ("ratio", "low", "high", "pairs")}


def settings_of(candidate: Candidate) -> dict[str, Any]:
    plain = {"train.gradient_checkpointing": False, "train.loader_workers": 0, "model.attention": "sdpa"}
    return plain | candidate.values


def tpe_from_nothing(runner: TrialRunner, settings: Settings) -> dict[str, Any]:
    """Optuna's sampler over the grid's configurations, told nothing beforehand; an out-of-memory is a pruned trial."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=settings.train.seed))
    options = {path: list(dict.fromkeys(entry[path] for entry in grid_of(settings))) for path in grid_of(settings)[0]}
    results: list[TrialResult] = []
    began = time.perf_counter()
    for number in range(TPE_TRIALS):
        trial = study.ask()
        values = {path: trial.suggest_categorical(path, choices) for path, choices in options.items()}
        result = runner.run(make_candidate(number, values, settings, "tpe"), None)
        results.append(result)
        if result.measurement is None:
            trial.set_constraint("memory", 1.0)
            study.tell(trial, state=optuna.trial.TrialState.PRUNED)
        else:
            trial.set_constraint("memory", 0.0)
            study.tell(trial, result.measurement.samples_per_second)
    speeds = [r.measurement.samples_per_second for r in results if r.measurement is not None]
    return {
        "wall_s": round(time.perf_counter() - began, 2),
        "trials": len(results),
        "out_of_memory": sum(result.status is TrialStatus.OUT_OF_MEMORY for result in results),
        "samples_per_second": round(max(speeds), 2),
        "best": make_candidate(0, study.best_params, settings, "tpe").label,
    }


def available(name: str) -> bool:
    return not name.startswith("lightning") or find_spec("lightning") is not None


def run_finder(name: str, folder: str, length: int, limit: int) -> dict[str, Any]:
    """In a process of its own, since each leaves another heap behind."""
    script = Path(__file__).with_name("finders.py")
    done = subprocess.run(
        [sys.executable, script, name, folder, str(length), str(limit)], capture_output=True, text=True, check=True
    )
    row: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return row


def largest(start: int, folder: str, length: int, limit: int) -> int:
    """The truth, each size in a process of its own."""

    def fits(size: int) -> bool:
        return int(run_finder(f"confirm {size}", folder, length, limit)["found"]) == size

    while not fits(start):
        start -= 1
    while fits(start + 1):
        start += 1
    return start


def predict_and_confirm(settings: Settings, length: int, limit: int) -> dict[str, Any]:
    """Any whole micro-batch, as the others find one: the largest that is predicted to fit, tried once."""
    began = time.perf_counter()
    request = MemoryRequest(settings=settings, longest_tokens=length)
    surface = predict([request], silent)[0].outcome
    assert isinstance(surface, MemorySurface), surface
    sizes = (n for n in range(1, 257) if Calibration().fits(surface.peak_bytes(n, accumulates=False), limit))
    size = max(sizes)
    predicted = time.perf_counter() - began
    assert settings.model.path is not None
    confirmed = run_finder(f"confirm {size}", settings.model.path, length, limit)
    return confirmed | {"seconds": round(predicted + confirmed["seconds"], 2), "predicting_s": round(predicted, 2)}
