"""Strategies that nobody has measured here: computed ones, those that wait for a trial, those nobody listed yet."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from speedtui.engine.advise.context import AdviceContext
from speedtui.engine.advise.strategy import (
    PACKING,
    SEVERITY,
    AdvisorStrategy,
    Gain,
    Risk,
    StrategyState,
    change_name,
    held,
    risk_of,
)
from speedtui.engine.advise.words import MICRO_BATCH
from speedtui.engine.advise.worth_trying import Here, UntriedChange, offers
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import Scalar
from speedtui.engine.plan_types import Advice, Saving
from speedtui.engine.state import TrialRow
from speedtui.engine.units import format_share


def untried(scene: AdviceContext, known: Collection[str]) -> Iterator[AdvisorStrategy]:
    """What waits for its trial, and what nobody listed yet; `known`: settings that something is known of already."""
    waiting, failed = scene.waiting(), scene.failed()
    found = {offer.path: offer for offer in offers(here_of(scene), _burst(failed), scene.predicted())}
    for path, row in waiting.items():
        if path not in known or path == MICRO_BATCH:
            doing = "runs now" if row.status is TrialStatus.RUNNING else f"is {row.status.value}"
            values = scene.table.values(row) if scene.table is not None else {}
            yield _probe(scene, path, values[path], found.get(path), "queued", f"trial #{row.candidate.id} {doing}")
    for path, offer in found.items():
        if path not in known and path not in waiting:
            yield _probe(scene, path, offer.value, offer, *_judged(offer))


def _judged(offer: UntriedChange) -> tuple[StrategyState, str]:
    """Whether it is worth a trial, and in words why or why not."""
    missing = [need.text for need in offer.needs if need.met is False]
    if missing:
        return "not_possible", f"needs {', '.join(missing)}"
    return ("not_worth_it", offer.not_worth_it) if offer.not_worth_it else ("to_probe", offer.why)


def _burst(failed: Mapping[str, TrialRow]) -> int | None:
    return failed[MICRO_BATCH].candidate.micro_batch_size if MICRO_BATCH in failed else None


def _probe(
    scene: AdviceContext, path: str, value: Scalar, offer: UntriedChange | None, state: StrategyState, evidence: str
) -> AdvisorStrategy:
    before = scene.values_of([path])[path]
    delta = _predicted_delta(scene, path, value)
    return AdvisorStrategy(
        name=change_name(path, before, value), values={path: value}, before={path: before}, state=state,
        risk=risk_of(path, before, value), evidence=evidence, peak_delta_bytes=delta, peak_predicted=delta is not None,
        why=offer.why if offer is not None else "", needs=offer.needs if offer is not None else (),
    )  # fmt: skip


def _predicted_delta(scene: AdviceContext, path: str, value: Scalar) -> int | None:
    """Predicted with it minus predicted without."""
    if path != MICRO_BATCH or scene.present is None or not isinstance(value, int):
        return None
    after, before = scene.predicted().get(value, (None, None))[0], scene.present.predicted_bytes
    return after - before if after is not None and before is not None else None


def here_of(scene: AdviceContext) -> Here:
    """What the offers look at."""
    run, (phases, padding) = scene.front, scene.step()
    total = sum(phases.values())
    shares = {name: seconds / total for name, seconds in phases.items()} if total else {}
    cores = run.hardware.host.cores if run.hardware is not None else None
    gpu = next((device for device in run.devices if device.kind == "cuda"), None)
    return Here(settings=scene.settings, cuda=gpu is not None, capability=gpu.capability if gpu is not None else None,
                cores=cores, padding=padding, shares=shares)  # fmt: skip


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
