"""A study that loads its model once, against the same trials in processes that load it again each time."""

from __future__ import annotations

from pathlib import Path

from figures import keep, table
from studies import Finished, demo_settings, run_study, with_candidates

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.hardware.available import device_memory_bytes
from speedtui.engine.search.start_list import plan_study
from speedtui.engine.units import parse_size

REQUIRED_RATIO = 3.0
TRIALS = 8
SMALL = [
    {"train.micro_batch_size": micro, "train.gradient_checkpointing": checkpointing, "train.max_grad_norm": norm}
    for micro in (1, 2)
    for checkpointing in (False, True)
    for norm in (1.0, 0.5)
]
"""As many candidates whose trials are short, as those of a GPU are beside its loading of gigabytes."""


def test_loading_once_is_worth_it(tmp_path: Path) -> None:
    settings = demo_settings(early_stop=False)  # every trial measures the same batches, whatever came before it
    memory = parse_size(settings.search.memory_limit) if settings.search.memory_limit else device_memory_bytes()
    quick = [candidate.values for candidate in plan_study(settings, memory).candidates]
    assert len(quick) == len(SMALL) == TRIALS
    figures, rows = {}, []
    for name, candidates in (("quick mode", quick), ("short trials", SMALL)):
        again: list[Finished] = []
        once: Finished | None = None
        for number, candidate in enumerate(candidates):
            if number == TRIALS // 2:  # amid the others, so that a busy minute of the machine hits both
                once = run_study(with_candidates(settings, tmp_path / "all.json", candidates), tmp_path / "once")
            again.append(
                run_study(with_candidates(settings, tmp_path / f"{number}.json", [candidate]), tmp_path / "again")
            )
        assert once is not None
        figures[name] = compare(once, again)
        rows.append([name, *figures[name].values()])
    print(table(["8 trials of the demo's model", *figures["quick mode"]], rows))
    keep("load_once", {"required_ratio": REQUIRED_RATIO, "figures": figures})
    assert figures["quick mode"]["ratio"] >= REQUIRED_RATIO, figures


def compare(once: Finished, again: list[Finished]) -> dict[str, float]:
    """Wall seconds of both ways, and what they are made of."""
    assert len(once.results) == len(again) == TRIALS
    fresh = sum(finished.wall_seconds for finished in again)
    in_trials = sum(result.seconds for result in once.results)
    return {
        "once_s": round(once.wall_seconds, 2),
        "again_s": round(fresh, 2),
        "ratio": round(fresh / once.wall_seconds, 2),
        "fit_once": sum(result.status is TrialStatus.OK for result in once.results),
        "fit_again": sum(f.results[0].status is TrialStatus.OK for f in again),
        "trials_once_s": round(in_trials, 2),
        "trials_again_s": round(sum(f.results[0].seconds for f in again), 2),
        "start_and_load_s": round(sum(f.wall_seconds - f.results[0].seconds for f in again) / TRIALS, 2),
    }
