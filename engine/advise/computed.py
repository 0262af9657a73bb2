"""Strategies whose gain was computed and not measured: from the lengths, by the plan's rules, for a late run."""

from __future__ import annotations

from collections.abc import Iterator

from speedtui.engine.advise.context import AdviceContext
from speedtui.engine.advise.strategy import PACKING, SEVERITY, AdvisorStrategy, Gain, Risk, change_name, held, risk_of
from speedtui.engine.config.settings import Scalar
from speedtui.engine.plan_types import Advice, Saving
from speedtui.engine.units import format_share


def computed(scene: AdviceContext) -> Iterator[AdvisorStrategy]:
    """What the plan computed from the lengths, and what rules advise with a gain."""
    plan = scene.plan()
    for saving in plan.savings if plan is not None else ():
        if saving.share < 1 and not held(saving.values, scene.values_of(saving.values)):
            yield _saving(saving, scene)
    for advice in plan.advice if plan is not None else ():
        if advice.changes and advice.gain_seconds and not held(advice.changes, scene.values_of(advice.changes)):
            yield _advice(advice, "plan", scene)
    for advice in scene.front.advice:
        if advice.changes and advice.gain_seconds and not held(advice.changes, scene.values_of(advice.changes)):
            yield _advice(advice, "from this run's own figures", scene)


def levers(scene: AdviceContext) -> Iterator[AdvisorStrategy]:
    """What a late training can still set, from its next step on."""
    training = scene.front.training
    for lever in training.levers if training is not None and training.finished is None else ():
        yield _advice(lever, "counted from this run", scene, live=True)


def _saving(saving: Saving, scene: AdviceContext) -> AdvisorStrategy:
    """The plan's own seconds are of its schedule; they stand as they are."""
    path, value = next(iter(saving.values.items()))
    before = scene.values_of(saving.values)
    padding = f"padding {saving.padding_before * 100:.0f} → {format_share(saving.padding_after)} of the tokens"
    return AdvisorStrategy(
        name=change_name(path, before[path], value), values=saving.values, before=before,
        state="ready" if saving.seconds > 0 else "not_worth_it", source="estimate",
        gain=Gain(ratio=1 / (1 - saving.share)), risk=_risk(saving.values, before), evidence="plan, from the lengths",
        why="; ".join(part for part in (padding, saving.note) if part), saves_seconds=saving.seconds, steps=scene.steps,
    )  # fmt: skip


def _advice(advice: Advice, source: str, scene: AdviceContext, *, live: bool = False) -> AdvisorStrategy:
    before = scene.values_of(advice.changes)
    path, value = next(iter(advice.changes.items()))
    spoken = advice.lever if path.startswith("schedule.") else change_name(path, before[path], value)
    return AdvisorStrategy(
        name=spoken, values=advice.changes, before=before, state="ready", source="estimate",
        risk=_risk(advice.changes, before), evidence=source, why=advice.evidence, saves_seconds=advice.gain_seconds,
        live=live,
    )  # fmt: skip


def _risk(values: dict[str, Scalar], before: dict[str, Scalar | None]) -> Risk:
    """Packing counts a step's sequences anew: the batch stays about what it was, in other packs."""
    if PACKING in values:
        return "order"
    return max((risk_of(path, before[path], value) for path, value in values.items()), key=SEVERITY.index)
