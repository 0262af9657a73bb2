"""Mode auto against a grid, against transformers' defaults and against settings tuned by hand."""

from __future__ import annotations

import contextlib
import math
import statistics
from typing import Any

from studies import with_candidates

from speedtui.engine.candidate import Candidate, TrialStatus
from speedtui.engine.config.settings import Settings
from speedtui.engine.session.start import StartOptions, start_study
from speedtui.engine.state import RunState
from speedtui.engine.trial.compare import compared
from speedtui.engine.trial.runner import TrialRunner
from tests.gpu.blocks.attention import cudnn_off
from tests.gpu.material import CHECKPOINTING, MICRO, SMALL, attempt, changed, settings_for, told
from tests.gpu.onsite import Site

OF_THE_GRID, SHARE_OF_TIME, OVER_DEFAULTS = 0.97, 1 / 3, 2.5
EFFECTIVE = 64
TURNS, CLOSE_TURNS = 2, 5
"""Of all ways, and of those two of which one is to be never below the other."""
WIDEST = 0.06
"""Of the 95 % interval of their ratio: a wider one would hold whatever the ratio was."""


def run(site: Site) -> None:
    """Auto first, so that nothing it predicts is known from before; then all others, and in the end in turns."""
    settings = settings_for(site, SMALL, effective_batch_size=site.pick(EFFECTIVE, 1), micro_batch_size=1)
    auto, took = study(site, changed(settings, "search", mode="auto", numerics=site.pick("may change", "same")), "auto")
    winner = chosen(auto)
    grid, grid_took = study(site, with_candidates(settings, site.folder / "grid.json", grid_of(site)), "grid")
    best = fastest(grid)
    site.figures(auto={"label": winner.label, "seconds": took}, grid={"label": best.label, "seconds": grid_took})
    share = took / grid_took
    site.claim("in_a_third", share <= SHARE_OF_TIME, f"{took:.1f} s of {grid_took:.1f} s, {share:.0%}")
    speeds = in_turns(site, settings, winner, best)
    middle = {name: statistics.median(values) for name, values in speeds.items()}
    site.figures(tokens_per_second=speeds)
    of_grid, over = middle["auto"] / middle["grid"], middle["auto"] / middle["defaults"]
    site.claim("of_the_grid", of_grid >= OF_THE_GRID, f"{of_grid:.1%}")
    site.claim("over_defaults", over >= OVER_DEFAULTS, f"{over:.2f} times")
    never_below(site, speeds["auto"], speeds["by hand"])


def never_below(site: Site, ours: list[float], theirs: list[float]) -> None:
    """Refuted where the interval of the ratio lies below 1; not told where it is too wide to refute anything."""
    found = compared([math.log(one / other) for one, other in zip(ours, theirs, strict=True)])
    words = f"{found.ratio:.1%}, 95 % of {found.pairs} turns from {found.low:.1%} to {found.high:.1%}"
    if found.low < 1 and found.high - found.low > WIDEST:
        site.cannot("hand_tuned", why=f"{words}: too wide to tell")
    else:
        site.claim("hand_tuned", found.high >= 1, words)


CLOSE = ["auto", "by hand"]


def grid_of(site: Site) -> list[dict[str, Any]]:
    """Eight points of what auto moves."""
    sizes = site.pick((4, 16, 32, 64), (1,))
    return [{MICRO: size, CHECKPOINTING: recomputed} for size in sizes for recomputed in (False, True)]


def study(site: Site, settings: Settings, name: str) -> tuple[RunState, float]:
    """(its end, seconds of its trials and loading), in this process: importing is nobody's."""
    options = StartOptions(
        runs=site.folder / "runs", where="gpu-check", train_command=["speedtui", "train"], in_thread=True
    )
    session = start_study(settings, options)
    took = site.seconds(session.run)
    state = session.snapshot()
    assert state.study is not None
    site.figures(**{f"{name} study": {
        "seconds": took, "reason": state.reason,
        "trials": {row.candidate.label: told(row.result) for row in state.study.rows if row.result is not None},
        "decisions": [f"{one.kind} {one.what}: {one.reason}" for one in state.study.decisions],
    }})  # fmt: skip
    return state, took


def chosen(state: RunState) -> Candidate:
    """The study's winner."""
    assert state.study is not None
    row = state.study.row(state.study.best) if state.study.best is not None else None
    if row is None:
        raise RuntimeError(f"auto found nothing: {state.reason}")
    return row.candidate


def fastest(state: RunState) -> Candidate:
    """Of the trials that are ok."""
    assert state.study is not None
    measured = [
        (row.result.measurement.tokens_per_second, row.candidate)
        for row in state.study.rows
        if row.status is TrialStatus.OK and row.result is not None and row.result.measurement is not None
    ]
    return max(measured, key=lambda pair: pair[0])[1]


def in_turns(site: Site, settings: Settings, winner: Candidate, best: Candidate) -> dict[str, list[float]]:
    """Tokens a second of all four, one after the other and then the other way round; of two of them more often."""
    size = max(winner.micro_batch_size, best.micro_batch_size)
    ways: dict[str, dict[str, Any]] = {
        "auto": dict(winner.values),
        "grid": dict(best.values),
        "by hand": {MICRO: size, "data.packing": True},
        "defaults": {MICRO: site.pick(8, 1), "model.dtype": "float32"},
    }
    speeds: dict[str, list[float]] = {name: [] for name in ways}
    with site.runner(settings) as runner:
        for turn in range(site.pick(CLOSE_TURNS, 1)):
            names = list(ways) if turn < TURNS else CLOSE
            for name in names[:: 1 - 2 * (turn % 2)]:
                speeds[name].append(speed(runner, turn, name, ways[name]))
    return speeds


def speed(runner: TrialRunner, turn: int, name: str, values: dict[str, Any]) -> float:
    """Tokens a second of one trial; what was tuned by hand goes without cuDNN's attention."""
    with cudnn_off() if name == "by hand" else contextlib.nullcontext():
        result = attempt(runner, turn, values)
    if result.measurement is None:
        raise RuntimeError(f"{name}: {result.reason}")
    return result.measurement.tokens_per_second
