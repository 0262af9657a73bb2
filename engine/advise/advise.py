"""All rules over one case."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from speedtui.engine.advise.estimate_off import estimate_off
from speedtui.engine.advise.rule_input import RuleInput
from speedtui.engine.advise.wasteful import wasteful
from speedtui.engine.advise.will_not_fit import will_not_fit
from speedtui.engine.advise.window_rules import too_fast, too_slow
from speedtui.engine.plan_types import Advice

RULES: tuple[Callable[[RuleInput], list[Advice]], ...] = (
    will_not_fit, too_slow, wasteful, too_fast, estimate_off,
)  # fmt: skip
"""In this order a setting belongs to the first rule that would change it."""


def advise(case: RuleInput) -> list[Advice]:
    """What to change; two rules never ask for different values of one setting.

    What keeps the run from ending at all comes first, then the least costly change that makes it fit the window,
    then everything else by what it gains; what buys no time comes last.
    """
    found = _distinct(advice for rule in RULES for advice in rule(case))
    late = next((advice for advice in found if advice.kind == "too_slow"), None)
    return sorted(
        found,
        key=lambda advice: (advice.kind != "will_not_fit", advice is not late, -(advice.gain_seconds or 0.0)),
    )


def _distinct(found: Iterable[Advice]) -> list[Advice]:
    kept: list[Advice] = []
    for advice in found:
        paths = advice.changes.keys()
        if not paths or all(other.kind == advice.kind or other.changes.keys() != paths for other in kept):
            kept.append(advice)
    return kept
