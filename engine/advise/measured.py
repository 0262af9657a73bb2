"""Strategies that trials have measured, and those that a trial showed not to work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from speedtui.engine.advise.combinations import Stacked
from speedtui.engine.advise.context import AdviceContext
from speedtui.engine.advise.gains import Pair, TrialTable, measurement, peak_delta
from speedtui.engine.advise.strategy import (
    SEVERITY,
    AdvisorStrategy,
    Gain,
    StrategyState,
    change_name,
    risk_of,
    short_changes,
)
from speedtui.engine.advise.words import MICRO_BATCH
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import Scalar
from speedtui.engine.state import TrialRow
from speedtui.engine.units import format_share, format_size

ONE_OF = (MICRO_BATCH,)
"""Of these settings only the best alternative is a strategy; the others are on the Trials."""

NO_SPEED = (
    "train.learning_rate", "train.lr_schedule", "train.lr_warmup_steps", "train.weight_decay", "train.max_grad_norm",
    "train.seed", "train.lora.alpha", "train.lora.dropout",
)  # fmt: skip
"""They do not touch how long a step takes; what two trials of them differ by is noise."""


def measured(scene: AdviceContext) -> Iterator[AdvisorStrategy]:
    """Of each setting and value the pair of trials that is nearest to what is in use; of two that are each other's
    reverse the one that starts from what is in use."""
    table = scene.table
    if table is None:
        return
    best: dict[tuple[str, Scalar], Pair] = {}
    for pair in scene.pairs:
        if concerns(pair, scene) and not _goes_back(pair, scene):
            applied = pair.after == scene.moved[pair.path]
            key = (pair.path, "" if pair.path in ONE_OF and not applied else pair.after)
            if key not in best or _nearness(pair) > _nearness(best[key]):
                best[key] = pair
    ways = {(pair.path, pair.before, pair.after) for pair in best.values() if pair.after != scene.moved[pair.path]}
    once = [pair for pair in best.values() if (pair.path, pair.after, pair.before) not in ways]
    yield from (_strategy(pair, scene, table) for pair in once)


def concerns(pair: Pair, scene: AdviceContext) -> bool:
    """From what is in use to another value, or from the study's own value to what is in use; of speed settings only."""
    if pair.path in NO_SPEED:
        return False
    now = scene.moved[pair.path]
    own = scene.table.own[pair.path] if scene.table is not None else now
    return pair.before == now or (pair.after == now and pair.before == own)


def _goes_back(pair: Pair, scene: AdviceContext) -> bool:
    """The way back of what is in use and was measured beside it: that is said where it stands as in use."""
    return scene.table is not None and pair.after == scene.table.own[pair.path] and not pair.elsewhere


def _nearness(pair: Pair) -> tuple[int, bool, float]:
    """Near what is in use before far from it, in turns before apart, then the larger gain."""
    return -pair.elsewhere, pair.in_turns, pair.gain.ratio


def _strategy(pair: Pair, scene: AdviceContext, table: TrialTable) -> AdvisorStrategy:
    applied = pair.after == scene.moved[pair.path]
    saves = scene.saved(pair.gain.ratio, applied=applied) if not pair.elsewhere else None
    return AdvisorStrategy(
        name=change_name(pair.path, pair.before, pair.after), values={pair.path: pair.after},
        before={pair.path: pair.before}, state="applied" if applied else judged(pair),
        source="in_turns" if pair.in_turns else "measured", gain=pair.gain,
        peak_delta_bytes=peak_delta(pair.without, pair.with_it), risk=risk_of(pair.path, pair.before, pair.after),
        evidence=_evidence(pair, scene, table), why=_figures(pair), saves_seconds=saves,
        steps=scene.steps if saves is not None else None,
    )  # fmt: skip


def judged(pair: Pair) -> StrategyState:
    """By the interval: it gains, it does not, or that is open.

    A gain beside other settings is open as well: what one setting gains may depend on another one.
    """
    gain = pair.gain
    if gain.high is not None and gain.high < 1:
        return "not_worth_it"
    return "ready" if gain.low is not None and gain.low > 1 and not pair.elsewhere else "unproven"


def _evidence(pair: Pair, scene: AdviceContext, table: TrialTable) -> str:
    """`trial #2 beside #0, n=10 and 10`; that they were measured in turns; the settings beside it, if others."""
    beside = f"trial #{pair.with_it.candidate.id} beside #{pair.without.candidate.id}"
    if pair.in_turns:
        beside = f"trials #{pair.with_it.candidate.id} and #{pair.without.candidate.id} in turns"
    if pair.elsewhere:
        values = table.values(pair.without)
        others = {path: value for path, value in values.items() if path != pair.path and value != scene.moved[path]}
        return f"{beside}, with {', '.join(short_changes(others))}"
    after, before = measurement(pair.with_it), measurement(pair.without)
    counted = after is not None and before is not None and not pair.in_turns
    return f"{beside}, n={after.batches} and {before.batches}" if counted and after and before else beside


def _figures(pair: Pair) -> str:
    """What else became different, in figures of the two trials: the phase that moved most, the padding, the peak."""
    after, before = measurement(pair.with_it), measurement(pair.without)
    if after is None or before is None:
        return ""
    words = [_moved_most(before.phases, before.step_seconds, after.phases, after.step_seconds)]
    if round(before.padding_fraction, 2) != round(after.padding_fraction, 2):
        words.append(f"padding {format_share(before.padding_fraction)} → {format_share(after.padding_fraction)}")
    memories = [row.result.memory for row in (pair.without, pair.with_it) if row.result is not None]
    peaks = [memory.peak_bytes for memory in memories if memory is not None and memory.peak_bytes is not None]
    if len(peaks) == 2 and peaks[0] != peaks[1]:
        words.append(f"peak {format_size(peaks[0])} → {format_size(peaks[1])}")
    return "; ".join(word for word in words if word)


def _moved_most(before: dict[str, float], before_step: float, after: dict[str, float], after_step: float) -> str:
    """`backward 55 → 61 % of the step`; empty where no share moved by two hundredths."""
    totals = sum(before.values()), sum(after.values())
    if not all(totals) or before_step <= 0 or after_step <= 0:
        return ""
    shares = {name: (before[name] / totals[0], after.get(name, 0.0) / totals[1]) for name in before}
    name = max(shares, key=lambda name: abs(shares[name][1] - shares[name][0]))
    old, new = shares[name]
    return f"{name} {old * 100:.0f} → {format_share(new)} of the step" if abs(new - old) >= 0.02 else ""


def combined(scene: AdviceContext, stack: Sequence[Stacked]) -> Iterator[AdvisorStrategy]:
    """Several changes at once, as trials measured them together: the whole stack, and as much of it as leaves the
    numbers alone. Only where what is in use was measured, too, and they differ in more than one setting."""
    table, present = scene.table, scene.present
    cautious = [one for one in stack if one.cautious][-1:]
    for one in dict.fromkeys(each.trial for each in (*stack[-1:], *cautious)):
        row = table.study.row(one) if table is not None else None
        if table is None or row is None or present is None:
            continue
        moved = {path: value for path, value in table.values(row).items() if value != scene.moved[path]}
        gain, in_turns = table.gain(present, row)
        if len(moved) > 1 and gain is not None and gain.low is not None and gain.low > 1:
            yield _all_of(scene, moved, gain, present, row, in_turns=in_turns)


def _all_of(
    scene: AdviceContext, moved: dict[str, Scalar], gain: Gain, present: TrialRow, row: TrialRow, *, in_turns: bool
) -> AdvisorStrategy:  # fmt: skip
    before = scene.values_of(moved)
    risks = [risk_of(path, before[path], value) for path, value in moved.items()]
    saves = scene.saved(gain.ratio, applied=False)
    return AdvisorStrategy(
        name="together: " + ", ".join(short_changes(moved)), values=moved,
        before=before, state="ready", source="in_turns" if in_turns else "measured", gain=gain,
        peak_delta_bytes=peak_delta(present, row), risk=max(risks, key=SEVERITY.index), saves_seconds=saves,
        steps=scene.steps if saves is not None else None, why="all of it in one trial, nothing multiplied",
        evidence=f"trial #{row.candidate.id} beside #{present.candidate.id}",
    )  # fmt: skip


def not_possible(scene: AdviceContext) -> Iterator[AdvisorStrategy]:
    """What one trial, one setting away from what is in use, showed to fail."""
    for path, row in scene.failed().items():
        value, before = (scene.table.values(row) if scene.table is not None else {})[path], scene.moved[path]
        burst = row.status is TrialStatus.OUT_OF_MEMORY
        words = "ran out of memory" if burst else row.status.value.replace("_", " ")
        yield AdvisorStrategy(
            name=change_name(path, before, value), values={path: value}, before={path: before}, state="not_possible",
            risk=risk_of(path, before, value), why=row.result.reason if row.result is not None else "",
            evidence=f"trial #{row.candidate.id} {words}",
        )  # fmt: skip
