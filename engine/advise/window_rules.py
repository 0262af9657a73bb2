"""It does not fit the window: which change makes it fit, the one that costs least first. Or it needs less than half of
it: what the rest of the time buys."""

from __future__ import annotations

import msgspec

from speedtui.engine.advise.rule_input import RuleInput
from speedtui.engine.advise.words import change_words, frequency_words
from speedtui.engine.candidate import Estimate
from speedtui.engine.config.settings import Scalar
from speedtui.engine.plan_types import Advice, FrequencyRow
from speedtui.engine.units import format_rest, format_share, format_span

GROWING = ("steps", "evals", "generate", "metric", "saves")
"""Terms of an estimate that shrink with the steps; loading and the final save do not."""


class SpeedLever(msgspec.Struct, frozen=True, kw_only=True):
    """A change that makes the run shorter."""

    words: str
    values: dict[str, Scalar]
    gain_seconds: float
    fits: bool
    """Whether this change alone is enough."""


def too_slow(case: RuleInput) -> list[Advice]:
    """Every change that helps. Those that are enough come first, by what they cost in quality: less seen of the run,
    a less random order, another profile, fewer epochs. The rest follow by what they gain."""
    over = case.over_seconds
    if case.fit not in ("tight", "late") or over is None:
        return []
    levers = [*_schedule(case, over), *_order(case, over), *_profiles(case, over), *_shorter(case)]
    enough = [lever for lever in levers if lever.fits]
    rest = sorted((lever for lever in levers if not lever.fits), key=lambda lever: -lever.gain_seconds)
    return [_advice(lever, case, over, least=lever is enough[0] if enough else False) for lever in enough + rest]


def _advice(lever: SpeedLever, case: RuleInput, over: float, *, least: bool) -> Advice:
    kind = "finish" if case.actual is not None else "P90 finish"
    if lever.fits:
        outcome = "the least costly change that fits" if least else "it then fits"
    else:
        outcome = f"{format_rest(over, lever.gain_seconds)} are still missing"
    return Advice(
        kind="too_slow",
        evidence=f"{kind} {format_span(over)} past the latest safe one; "
        f"this saves {format_span(lever.gain_seconds)}: {outcome}",
        lever=lever.words,
        changes=lever.values,
        gain_seconds=lever.gain_seconds,
    )


def _schedule(case: RuleInput, over: float) -> list[SpeedLever]:
    """Evaluations as often as fits, and checkpoints; where no spacing is enough, the one evaluation at the end."""
    levers = []
    for what, path in (("eval", "schedule.eval_every"), ("checkpoint", "schedule.checkpoint_every")):
        rows = [row for row in case.frequencies if row.what == what]
        present = next((row for row in rows if row.current), None)
        rarer = [row for row in rows if present is not None and row.total_seconds < present.total_seconds]
        row = _kept(rarer, present, over)
        if row is not None and present is not None:
            gain = present.total_seconds - row.total_seconds
            levers.append(
                SpeedLever(
                    words=frequency_words(row, case.settings),
                    values={path: row.every},
                    gain_seconds=gain,
                    fits=row.fit == "fits" or gain >= over,
                )
            )
    return levers


def _kept(rarer: list[FrequencyRow], present: FrequencyRow | None, over: float) -> FrequencyRow | None:
    """The most frequent that fits, else the least frequent that still happens."""
    if present is None:
        return None
    enough = [row for row in rarer if row.fit == "fits" or present.total_seconds - row.total_seconds >= over]
    if enough:
        return max(enough, key=lambda row: row.count)
    return min((row for row in rarer if row.count), key=lambda row: row.count, default=None)


def _order(case: RuleInput, over: float) -> list[SpeedLever]:
    return [
        SpeedLever(words=change_words(case.settings, saving.values) + (f" ({saving.note})" if saving.note else ""),
              values=saving.values, gain_seconds=saving.seconds, fits=saving.seconds >= over)
        for saving in sorted(case.savings, key=lambda saving: saving.lever != "group_by_length")
        if saving.seconds > 0
    ]  # fmt: skip


def _profiles(case: RuleInput, over: float) -> list[SpeedLever]:
    """The slowest faster profile that fits, since a slower one gives up less; else the fastest."""
    seconds = case.seconds
    faster = [
        (seconds - row.estimate.p50_seconds, row)
        for row in case.alternatives
        if seconds is not None and row.estimate is not None and row.memory_fits is not False
        and row.profile != case.row.profile and row.estimate.p50_seconds < seconds
    ]  # fmt: skip
    enough = [(gain, row) for gain, row in faster if row.fit == "fits"]
    chosen = min(enough, key=lambda pair: pair[0]) if enough else max(faster, key=lambda pair: pair[0], default=None)
    if chosen is None:
        return []
    gain, row = chosen
    words = f"take the profile {row.profile}: {change_words(case.settings, row.values)}"
    return [SpeedLever(words=words, values=row.values, gain_seconds=gain, fits=bool(enough))]


def _shorter(case: RuleInput) -> list[SpeedLever]:
    """The most epochs that fit, or steps where `train.max_steps` decides."""
    what = "epochs" if case.settings.train.max_steps is None else "steps"
    goal = next((goal for goal in case.goals if goal.what == what), None)
    estimate = case.row.estimate
    if goal is None or estimate is None or goal.value <= 0:
        return []
    whole = case.settings.train.epochs if what == "epochs" else estimate.total_steps
    if goal.value >= whole:
        return []
    form = "g" if what == "epochs" else ".0f"
    words = f"train {goal.value:{form}} {what} instead of {whole:{form}}"
    gain = _growing(estimate) * (1 - goal.value / whole)
    return [SpeedLever(words=words, values=goal.values, gain_seconds=gain, fits=True)]


def _growing(estimate: Estimate) -> float:
    return sum(estimate.terms.get(term, 0.0) for term in GROWING)


UNUSED = 0.5
"""Share of the window below which a run is too fast."""
QUALITY = "quality"


def too_fast(case: RuleInput) -> list[Advice]:
    """The quality profile where it fits, and the epochs that do."""
    seconds = case.seconds
    if case.window is None or seconds is None or case.fit != "fits":
        return []
    length = case.window.deadline - case.now
    if length <= 0 or seconds >= UNUSED * length:
        return []
    took = "it took" if case.actual is not None else "the run takes"
    evidence = f"{took} {format_span(seconds)}, {format_share(seconds / length)} of the window"
    return [*_quality(case, seconds, evidence), *_epochs(case, evidence)]


def _quality(case: RuleInput, seconds: float, evidence: str) -> list[Advice]:
    row = next((row for row in case.alternatives if row.profile == QUALITY and row.fit == "fits"), None)
    if row is None or row.estimate is None or case.row.profile == QUALITY or row.estimate.p50_seconds <= seconds:
        return []
    return [
        Advice(
            kind="too_fast",
            evidence=f"{evidence}; the profile {QUALITY} takes {format_span(row.estimate.p50_seconds)} and fits",
            lever=f"take the profile {QUALITY}: {change_words(case.settings, row.values)}",
            changes=row.values,
            gain_seconds=None,
        )
    ]


def _epochs(case: RuleInput, evidence: str) -> list[Advice]:
    goal = next((goal for goal in case.goals if goal.what == "epochs"), None)
    epochs = case.settings.train.epochs
    if goal is None or goal.value <= epochs or case.settings.train.max_steps is not None:
        return []
    return [
        Advice(
            kind="too_fast",
            evidence=f"{evidence}; up to {goal.value:g} epochs fit",
            lever=f"train up to {goal.value:g} epochs instead of {epochs:g}, as long as the evaluation loss falls",
            changes=goal.values,
            gain_seconds=None,
        )
    ]
