"""All strategies of a run: what trials measured, what was computed, what a late run could set, what nobody tried.

Pure: everything is read from the states of the run in front and of its study; what is not in them is not known.
"""

from __future__ import annotations

import msgspec

from speedtui.engine.advise.combinations import Stacked, stack_of
from speedtui.engine.advise.context import AdviceContext
from speedtui.engine.advise.diagnosis import Diagnosis, diagnose
from speedtui.engine.advise.measured import combined, concerns, measured, not_possible
from speedtui.engine.advise.strategy import EFFECTIVE_BATCH, NAMES, SEVERITY, AdvisorStrategy, ChangeKey, StrategyState
from speedtui.engine.advise.untried import computed, levers, untried
from speedtui.engine.config.paths import value_at
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.state import RunState, TrialRow

RANKS: dict[StrategyState, int] = {
    "applied": 0, "ready": 0, "unproven": 0, "queued": 1, "to_probe": 1, "not_worth_it": 2, "not_possible": 2,
}  # fmt: skip
"""What gains comes first, then what is not known, then what is known to gain nothing."""


class Advised(msgspec.Struct, frozen=True, kw_only=True):
    """All that is advised at a moment."""

    strategies: tuple[AdvisorStrategy, ...] = ()
    """The largest gain first."""
    stack: tuple[Stacked, ...] = ()
    settings: Settings | None = None
    """In use now: the training's, else the study's own. None where no configuration is known yet."""
    apart: dict[str, Scalar] = {}
    """What of them is not the study's own: a candidate needs it to be tried beside what is in use."""
    present: TrialRow | None = None
    """The trial that measured what is in use."""
    problem: str = ""
    """Why nothing can be advised."""


def advised(front: RunState, study: RunState) -> Advised:
    """`front`: the run in front; `study`: the run whose trials there are, the same one where it has them itself."""
    if not front.config:
        return Advised(problem="No configuration is known yet.")
    try:
        scene = AdviceContext(front, study)
    except ConfigError as error:
        return Advised(problem=error.message)
    stack = tuple(stack_of(scene.table, scene.moved)) if scene.table is not None else ()
    return Advised(
        strategies=tuple(sorted(_each_once(scene, stack), key=_order)), stack=stack, settings=scene.settings,
        present=scene.present, apart=_apart(scene.own, scene.settings),
    )  # fmt: skip


def diagnosis_of(front: RunState, found: Advised) -> Diagnosis:
    """Of the run in front as it is now; nothing where no configuration is known."""
    return diagnose(front, found.settings, found.present) if found.settings is not None else Diagnosis()


def _each_once(scene: AdviceContext, stack: tuple[Stacked, ...]) -> list[AdvisorStrategy]:
    """What is measured wins over what is computed, and that over what is not known."""
    found: dict[ChangeKey, AdvisorStrategy] = {}
    for strategy in (*measured(scene), *combined(scene, stack), *not_possible(scene), *computed(scene)):
        found.setdefault(strategy.key, strategy)
    for lever in levers(scene):
        known = found.get(lever.key)
        found[lever.key] = lever if known is None else msgspec.structs.replace(
            known, live=True, saves_seconds=lever.saves_seconds, why=lever.why)  # fmt: skip
    known_paths = {path for one in found.values() if one.source == "estimate" for path in one.values}
    known_paths |= {pair.path for pair in scene.pairs if concerns(pair, scene)}
    return [*found.values(), *(one for one in untried(scene, known_paths) if one.key not in found)]


def _order(strategy: AdvisorStrategy) -> tuple[int, float, float, int, str]:
    """Of what nobody knows the gain, the one that changes least goes first."""
    gain = strategy.gain.ratio if strategy.gain is not None else 0.0
    severity = SEVERITY.index(strategy.risk)
    return RANKS[strategy.state], -(strategy.saves_seconds or 0.0), -gain, severity, strategy.name


def _apart(own: Settings, settings: Settings) -> dict[str, Scalar]:
    """Only of settings that a trial may move."""
    pairs = [(path, value_at(own, path), value_at(settings, path)) for path in (*NAMES, EFFECTIVE_BATCH)]
    return {path: after for path, before, after in pairs if before != after and not path.startswith("schedule.")}
