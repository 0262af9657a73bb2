"""It does not fit in memory: which changes do."""

from __future__ import annotations

import math

from speedtui.engine.advise.rule_input import MemoryOption, RuleInput
from speedtui.engine.advise.words import change_words
from speedtui.engine.plan_types import Advice
from speedtui.engine.units import format_size, format_span

SHOWN = 3
"""More choices than a person compares help nobody."""
GIVES_UP = {
    "data.max_length": "longer samples are cut",
    "train.lora.r": "a smaller adapter learns less",
    "train.method": "only an adapter is trained",
}
"""What a change costs in quality; a micro-batch or checkpointing costs time alone."""


def will_not_fit(case: RuleInput) -> list[Advice]:
    """The changes that fit: those that cost no quality first, of these the fastest."""
    row = case.row
    if row.memory_fits is not False:
        return []
    evidence = f"needs {format_size(row.peak_bytes)} of {format_size(row.limit_bytes)}"
    if row.peak_bytes is not None and row.limit_bytes is not None and row.peak_bytes <= row.limit_bytes:
        evidence += ", which leaves less than the margin"
    fitting = sorted((option for option in case.memory_options if option.fits), key=_cost)
    if fitting:
        return [_advice(option, case, evidence) for option in fitting[:SHOWN]]
    smallest = min(case.memory_options, key=lambda option: option.peak_bytes, default=None)
    if smallest is not None:
        least = f"{change_words(case.settings, smallest.values)} needs {format_size(smallest.peak_bytes)}"
        evidence += f"; even {least}"
    lever = "take a smaller model, or a device with more memory"
    return [Advice(kind="will_not_fit", evidence=evidence, lever=lever, changes={}, gain_seconds=None)]


def _advice(option: MemoryOption, case: RuleInput, evidence: str) -> Advice:
    takes = f", the run takes {format_span(option.seconds)}" if option.seconds is not None else ""
    lost = [words for path, words in GIVES_UP.items() if path in option.values]
    return Advice(
        kind="will_not_fit",
        evidence=f"{evidence}; this needs {format_size(option.peak_bytes)}{takes}",
        lever=change_words(case.settings, option.values) + (f" ({', '.join(lost)})" if lost else ""),
        changes=option.values,
        gain_seconds=None,
    )


def _cost(option: MemoryOption) -> tuple[bool, float, int]:
    seconds = option.seconds if option.seconds is not None else math.inf
    return bool(GIVES_UP.keys() & option.values.keys()), seconds, len(option.values)
