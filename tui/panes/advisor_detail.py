"""The strategy under the cursor: why, what it gains and costs, what it needs, the exact change, how to take it back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from speedtui.engine.advise.strategy import AdvisorStrategy, Need, held
from speedtui.engine.advise.worth_trying import COSTS, REASONS
from speedtui.engine.candidate import Measurement
from speedtui.engine.state import StudyState
from speedtui.engine.units import format_seconds
from speedtui.tui.draft.draft import DraftChange, diff_as_toml
from speedtui.tui.drawing.border import EDGES, INSET, bordered
from speedtui.tui.drawing.text import Row, Span, cell, clean, roughly, row, wrap
from speedtui.tui.frame import Frame
from speedtui.tui.panes.advisor_pane import AdvisorPane, AdvisorPicture, state_span
from speedtui.tui.panes.advisor_table import peak_text, speed_text
from speedtui.tui.panes.pane import title
from speedtui.tui.values import value_words

LABEL = 8
MARKS = {True: "✓", False: "✗", None: "?"}
RISKS = {
    "none": "the numbers stay as they are", "memory": "only the memory changes",
    "order": "the samples come in another order", "schedule": "less is seen or kept of the run",
    "numbers": "changes the numbers",
}  # fmt: skip


class StrategyPane(AdvisorPane):
    """One strategy in words."""

    def lines(self, shown: AdvisorPicture, frame: Frame, width: int, height: int) -> Sequence[Row]:
        return draw_strategy(shown, frame.study.study, width, height)


def draw_strategy(shown: AdvisorPicture, study: StudyState | None, width: int, height: int) -> list[Row]:
    """The pane at a size; what has no room is the way back and then what it needs, never the exact change."""
    strategy = shown.selected
    if strategy is None:
        return bordered(title("Strategy"), (), [row(Span("No strategy is selected.", "dim"))], width, height)
    inner, room = width - EDGES - INSET, height - EDGES
    facts = [(label, text) for label, text in _facts(strategy, shown, study) if text]
    rows = _cut(facts, inner, room)
    name = title(clean(strategy.name))
    return bordered(name, row(state_span(strategy, shown)), rows, width, height)


SPARE = ("Undo", "Needs", "Cost", "Why", "Saves", "Gain")
"""In this order they give way where there is no room."""


def _cut(facts: list[tuple[str, str]], width: int, room: int) -> list[Row]:
    """The exact change is never cut; of the others each gets a row, and a second one while there is room."""
    wrapped = {label: wrap(text, max(1, width - LABEL)) for label, text in facts}
    whole = len(wrapped.get("Change", ()))
    for label in SPARE:
        if len(wrapped) - 1 + whole > room:
            wrapped.pop(label, None)
    spare = room - (len(wrapped) - 1 + whole)
    blocks = []
    for label, lines in wrapped.items():
        more = whole - 1 if label == "Change" else max(0, min(spare, len(lines) - 1))
        spare -= more if label != "Change" else 0
        blocks.append(_fact(label, lines, 1 + more, width))
    airy = spare >= len(blocks) - 1  # all of it is there, and there is room to set them apart
    return [line for i, block in enumerate(blocks) for line in [*([()] if airy and i else []), *block]]


def _fact(label: str, lines: list[str], count: int, width: int) -> list[Row]:
    """At most so many rows; the last one ends in an ellipsis where there is more."""
    shown = lines[:count]
    if len(lines) > count:
        shown[-1] = f"{shown[-1]} {lines[count]}"
    texts = [cell(line, width - LABEL) if len(line) > width - LABEL else Span(line) for line in shown]
    return [row(cell("" if i else label, LABEL, style="dim"), text) for i, text in enumerate(texts)]


def _facts(strategy: AdvisorStrategy, shown: AdvisorPicture, study: StudyState | None) -> Iterator[tuple[str, str]]:
    yield "Why", clean(_why(strategy))
    yield "Gain", _gain(strategy, shown, study)
    yield "Cost", _cost(strategy)
    yield "Needs", "   ".join(_need(need) for need in strategy.needs)
    yield "Change", change_text(strategy)
    yield "Saves", _saves(strategy)
    yield "Undo", _undo(strategy, shown)


def _why(strategy: AdvisorStrategy) -> str:
    """Beside figures of trials what the setting does; elsewhere that is part of the reason already."""
    alone = strategy.gain is not None and len(strategy.values) == 1
    general = REASONS.get(next(iter(strategy.values)), "") if alone else ""
    return "; ".join(part for part in (general, strategy.why) if part)


def change_toml(strategy: AdvisorStrategy) -> str:
    """As it stands in the configuration file, with what it was before."""
    changes = strategy.values.items()
    return diff_as_toml([DraftChange(path, strategy.before.get(path), value) for path, value in changes])


def change_text(strategy: AdvisorStrategy) -> str:
    """`train.micro_batch_size: 2 → 4`"""
    return ", ".join(
        f"{path}: {value_words(strategy.before.get(path))} → {value_words(value)}"
        for path, value in strategy.values.items()
    )


def _gain(strategy: AdvisorStrategy, shown: AdvisorPicture, study: StudyState | None) -> str:
    gain = strategy.gain
    if gain is None:
        return _unmeasured(strategy, shown)
    if strategy.source == "estimate":
        return f"{speed_text(strategy)} from the lengths and not run; a trial would measure it"
    steps = " → ".join(format_seconds(m.step_seconds) for m in measured_pair(strategy, study))
    how = "measured in turns" if strategy.source == "in_turns" else "measured one after the other"
    return f"{speed_text(strategy)}{f', {steps} a step' if steps else ''}; {strategy.evidence}, {how}"


def _unmeasured(strategy: AdvisorStrategy, shown: AdvisorPicture) -> str:
    if strategy.state == "to_probe":
        return f"not measured: b tries it{'' if shown.probes else ' in a study that waits: speedtui tune'}"
    evidence = clean(strategy.evidence)
    return evidence if strategy.saves_seconds is None else f"saves {_time_saved(strategy)}; {evidence}"


def measured_pair(strategy: AdvisorStrategy, study: StudyState | None) -> list[Measurement]:
    """What the trials without and with it measured; empty where one of them is gone."""
    gain = strategy.gain
    if gain is None or study is None or gain.before is None or gain.after is None:
        return []
    rows = [study.row(gain.before), study.row(gain.after)]
    found = [row.result.measurement for row in rows if row is not None and row.result is not None]
    measured = [one for one in found if one is not None]
    return measured if len(measured) == 2 else []


def _cost(strategy: AdvisorStrategy) -> str:
    peak = peak_text(strategy)
    memory = f"peak {peak}" if strategy.peak_delta_bytes is not None else ""
    cost = COSTS.get(next(iter(strategy.values)), "")
    return "; ".join(part for part in (memory, cost, RISKS[strategy.risk]) if part)


def _need(need: Need) -> str:
    return f"{need.text} {MARKS[need.met]}"


def _saves(strategy: AdvisorStrategy) -> str:
    if strategy.gain is None:
        return ""  # all of the gain that is known, and told there
    return _time_saved(strategy)


def _time_saved(strategy: AdvisorStrategy) -> str:
    saves = strategy.saves_seconds
    if saves is None:
        return "– (how long a run takes is not known yet)"
    of = f" of {strategy.steps} steps" if strategy.steps is not None else ""
    if saves <= 0:
        return f"nothing: ~{roughly(-saves)} more{of}"
    open_yet = ", if the gain is real: the interval contains 1.00" if strategy.open else ""
    return f"~{roughly(saves)}{of}{open_yet}"


def _undo(strategy: AdvisorStrategy, shown: AdvisorPicture) -> str:
    if strategy.state == "applied":
        return "in use: the next run keeps it unless it is set otherwise on the Plan"
    if strategy.live and not held(strategy.values, shown.taken):
        return "l takes it in this run from the next step on, after asking; enter takes it for the next run"
    if held(strategy.values, shown.taken):
        return "u takes it back; nothing is written before w on the Plan"
    return "enter takes it for the next run, not for this one; u takes it back"
