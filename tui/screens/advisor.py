"""The Advisor: where the time goes, what would make the run faster, and what shows that it would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from textual.app import ComposeResult
from textual.containers import Container

from speedtui.engine.advise.strategies import Advised, advised, diagnosis_of
from speedtui.engine.advise.strategy import AdvisorStrategy, held
from speedtui.engine.commands import AddCandidate
from speedtui.engine.state import RunState
from speedtui.tui.draft.advisor_report import write_report
from speedtui.tui.draft.front_draft import change, difference, taken
from speedtui.tui.draft.planning import set_values
from speedtui.tui.frame import Frame
from speedtui.tui.keys import Situation, bindings
from speedtui.tui.keys.situations import study_open
from speedtui.tui.panes.advisor_detail import StrategyPane, change_toml, measured_pair
from speedtui.tui.panes.advisor_diagnosis import DiagnosisPane
from speedtui.tui.panes.advisor_pane import AdvisorPane, AdvisorPicture
from speedtui.tui.panes.advisor_phases import PhasesPane
from speedtui.tui.panes.advisor_table import StrategiesPane
from speedtui.tui.panes.advisor_together import NextPane, TogetherPane
from speedtui.tui.panes.footer import Footer
from speedtui.tui.panes.header import Header
from speedtui.tui.panes.pane import matches
from speedtui.tui.screens.confirm import say
from speedtui.tui.screens.view import View

RISKS = ("none", "memory", "schedule", "order", "numbers")
SORTS: dict[str, Callable[[AdvisorStrategy], Any]] = {
    "gain": lambda _: 0,  # as it comes
    "memory": lambda strategy: (strategy.peak_delta_bytes is None, strategy.peak_delta_bytes or 0),
    "risk": lambda strategy: RISKS.index(strategy.risk),
    "name": lambda strategy: strategy.name,
}
STEPS_A_LOOK = 50
"""Steps of a training after which what it would save is worked out anew: their mean hardly moves before."""


class AdvisorScreen(View):
    """What it takes goes to the next run, and to the one in progress only by `l`, which asks."""

    SCOPE = "advisor"
    BINDINGS = bindings("advisor")
    PANES = ("strategies", "strategy", "phases", "together")
    MAIN = "strategies"

    def __init__(self) -> None:
        super().__init__()
        self._basis: tuple[object, ...] = ()
        self._advised = Advised()
        self._selected: tuple[object, ...] = ()
        """Key of the strategy under the cursor, so that it stays when rows come and go."""
        self._sort = "gain"
        self.shown = AdvisorPicture()

    def compose(self) -> ComposeResult:
        yield Header("advisor")
        yield DiagnosisPane(id="diagnosis")
        yield StrategiesPane(id="strategies")
        with Container(id="strategy-band", classes="band"):
            yield StrategyPane(id="strategy")
            yield PhasesPane(id="phases")
        yield TogetherPane(id="together")
        yield NextPane(id="next")
        yield Footer("advisor")

    # --- what is shown ---

    def show(self, frame: Frame) -> None:
        before = self.shown
        self._look(frame)
        if (len(before.rows), len(before.advised.stack)) != (len(self.shown.rows), len(self.shown.advised.stack)):
            for pane in (self.query_one(StrategiesPane), self.query_one(TogetherPane)):
                pane.refresh(layout=True)
        super().show(frame)

    def _look(self, frame: Frame) -> None:
        """Works out what to show; the strategies only when something that they come from is another."""
        basis = _basis(frame.run, frame.study)
        if basis != self._basis:
            self._basis, self._advised = basis, advised(frame.run, frame.study)
        self._arrange(frame)
        for pane in self.query(AdvisorPane):
            pane.shown = self.shown
        strategy = self.strategy
        measured = strategy is not None and bool(measured_pair(strategy, frame.study.study))
        self.query_one("#strategy-band").set_class(not measured, "-not-measured")

    def _arrange(self, frame: Frame) -> None:
        found = [one for one in self._advised.strategies if matches(_text(one), self.filter_text)]
        rows = tuple(sorted(found, key=SORTS[self._sort]))
        at = next((i for i, strategy in enumerate(rows) if strategy.key == self._selected), 0)
        self.shown = AdvisorPicture(
            advised=self._advised, diagnosis=diagnosis_of(frame.run, self._advised), rows=rows, at=at,
            filter_text=self.filter_text, total=len(self._advised.strategies), taken=taken(self.speedtui),
            sorted_by=self._sort,
            probes=study_open(Situation(run=frame.run, study=frame.study, read_only=frame.read_only)),
        )  # fmt: skip
        self._selected = rows[at].key if rows else self._selected

    def _again(self) -> None:
        """Draws what a key changed."""
        if self.frame is not None:
            self._look(self.frame)
            for pane in self.query(AdvisorPane):
                pane.redraw()
            footer = self.query_one(Footer)
            footer.situation = self.situation()
            footer.redraw()

    @property
    def strategy(self) -> AdvisorStrategy | None:
        """The one under the cursor."""
        return self.shown.selected

    def situation(self) -> Situation | None:
        now, strategy = super().situation(), self.strategy
        if now is None:
            return None
        taken = strategy is not None and held(strategy.values, self.shown.taken)
        return msgspec.structs.replace(now, strategy=strategy, taken=taken, next_differs=bool(self.shown.taken))

    # --- the list ---

    def action_move(self, rows: int) -> None:
        self._go(self.shown.at + rows)

    def _go(self, to: int) -> None:
        if self.shown.rows:
            self._selected = self.shown.rows[max(0, min(len(self.shown.rows) - 1, to))].key
            self._again()

    def on_strategies_pane_moved(self, event: StrategiesPane.Moved) -> None:
        """The mouse does what the keys do."""
        self._go(event.to if event.to is not None else self.shown.at + event.by)

    def on_strategies_pane_filtered(self) -> None:
        """Fewer rows, or more."""
        self._again()

    def action_sort(self) -> None:
        """By the next of gain, memory, risk and name."""
        names = list(SORTS)
        self._sort = names[(names.index(self._sort) + 1) % len(names)]
        self._again()

    def copy_text(self) -> tuple[str, str]:
        strategy = self.strategy
        return ("The change", change_toml(strategy)) if strategy is not None else ("", "")

    # --- the next run ---

    def action_take(self) -> None:
        """The next run has it from now on."""
        if self.strategy is not None:
            set_values(self.speedtui, self.strategy.values)

    def action_untake(self) -> None:
        """Takes back what is under the cursor; where that is not taken, the last change."""
        strategy = self.strategy
        if strategy is not None and held(strategy.values, self.shown.taken):
            change(self.speedtui, lambda draft: draft.reset(*strategy.values))
        else:
            change(self.speedtui, lambda draft: draft.undo())

    def action_difference(self) -> None:
        """Shows what the next run has that this one has not."""
        text = difference(self.speedtui) or "It has the same settings. enter takes a strategy for it."
        self.app.push_screen(say("The next run", text))

    # --- trials ---

    def action_probe(self) -> None:
        if self.strategy is not None:
            self._probe(self.strategy)

    def action_probe_all(self) -> None:
        waiting = [one for one in self._advised.strategies if one.state == "to_probe"]
        for strategy in waiting:
            self._probe(strategy)
        if not waiting:
            self.app.notify("Every strategy here was measured or is known not to help.")

    def _probe(self, strategy: AdvisorStrategy) -> None:
        values = {**self._advised.apart, **strategy.values}
        self.speedtui.commands.send(AddCandidate(values=values, queued=True), study=True)

    def action_levers(self) -> None:
        """What helps a late run, to be taken by it."""
        from speedtui.tui.draft.steering import show_levers

        show_levers(self.speedtui)

    def action_report(self) -> None:
        if self.frame is not None:
            write_report(self.speedtui, self.frame, self.shown)


def _text(strategy: AdvisorStrategy) -> str:
    """What the filter looks at."""
    return " ".join(
        (strategy.name, strategy.risk, strategy.state.replace("_", " "), strategy.evidence, *strategy.values)
    )


def _basis(front: RunState, study: RunState) -> tuple[object, ...]:
    """What the strategies come from, as something that is quickly compared."""
    training, rows = front.training, study.study.rows if study.study is not None else ()
    plan = front.plan or study.plan
    return (
        front.run, study.run, bool(front.config), plan.made_at if plan is not None else None, front.advice,
        tuple((row.candidate.id, row.status, row.predicted is not None) for row in rows),
        (len(study.study.decisions), study.study.best) if study.study is not None else None,
        (training.trial, training.levers, tuple(training.changed.items()), training.step // STEPS_A_LOOK,
         training.finished is None) if training is not None else None,
        front.hardware is None,
    )  # fmt: skip
