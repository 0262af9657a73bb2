"""Questions with a few answers: each has a letter, the first one also enter, and escape changes nothing.

An answer that ends something has no letter: it is reached by the arrows, which text that is pasted does not hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.events import Key

from speedtui.engine.plan_types import Advice
from speedtui.tui.drawing.text import Row, Span, cell, row, wrap
from speedtui.tui.panes.pane import lit
from speedtui.tui.screens.dialog import Dialog
from speedtui.tui.values import value_words

LETTER_CELLS = 5
"""Of the cursor and an answer's letter."""
EXPLANATION_CELLS = 28
"""Below which an explanation has a row of its own."""


class QuestionChoice(NamedTuple):
    """One answer."""

    answer: str
    key: str
    """A single letter; empty for what ends something."""
    label: str
    explanation: str


class Question(Dialog[str | None]):
    """Comes back with the answer chosen, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", show=False),
        Binding("up", "step(-1)", "up", show=False),
        Binding("down", "step(1)", "down", show=False),
        Binding("k", "letter_step(-1)", "up", show=False),
        Binding("j", "letter_step(1)", "down", show=False),
        Binding("enter", "choose", "choose", show=False),
    ]

    def __init__(self, heading: str, text: str, choices: Sequence[QuestionChoice]) -> None:
        super().__init__(heading)
        self._text, self._choices = text, tuple(choices)
        self._careful = any(not choice.key for choice in choices)

    def body(self, width: int) -> list[Row]:
        return draw_question(self._text, self._choices, self.cursor, width)

    def hint(self, *, cut: bool) -> Row:
        words = " then " if self._careful else " more   "
        more = row(Span("↑↓", "key"), Span(words, "dim")) if cut or self._careful else ()
        more = row(more, Span("enter", "key"), Span("   ", "dim")) if self._careful else more
        return row(more, Span("esc", "key"), Span(" back", "dim"))

    def action_step(self, rows: int) -> None:
        """Moves the cursor; above the first answer the text is scrolled, where it is longer than the screen."""
        at = max(0, min(len(self._choices) - 1, self.cursor + rows))
        if at == self.cursor:
            self.action_scroll_rows(rows)
            return
        self.cursor = at
        self.draw()

    def action_letter_step(self, rows: int) -> None:
        """The same by a letter, where no answer ends anything."""
        if not self._careful:
            self.action_step(rows)

    def action_choose(self) -> None:
        self.dismiss(self._choices[self.cursor].answer)

    def on_key(self, event: Key) -> None:
        for choice in self._choices:
            if choice.key and event.character == choice.key:
                event.stop()
                self.dismiss(choice.answer)
                return


def draw_question(text: str, choices: Sequence[QuestionChoice], at: int, width: int) -> list[Row]:
    """The text, its paragraphs divided by line ends, then the choices with the cursor on one."""
    label = max(len(choice.label) for choice in choices) + 2
    rows: list[Row] = [*(row(line) for part in text.splitlines() for line in wrap(part, width)), ()]
    for i, choice in enumerate(choices):
        rows += _choice(choice, label, width, here=i == at)
    return rows


def _choice(choice: QuestionChoice, label: int, width: int, *, here: bool) -> list[Row]:
    """Letter and label with the explanation beside them, or below them where it would be broken too often."""
    start = row(Span("› " if here else "  ", "accent"), Span(f"{choice.key or ' '}  ", "key"))
    beside = width - LETTER_CELLS - label
    if beside < EXPLANATION_CELLS:
        indent, beside = LETTER_CELLS, width - LETTER_CELLS
        rows = [row(start, cell(choice.label, beside, style="strong"))]
        lines = wrap(choice.explanation, beside)
    else:
        indent = LETTER_CELLS + label
        first, *lines = wrap(choice.explanation, beside) or [""]
        rows = [row(start, cell(choice.label, label, style="strong"), first)]
    rows += [row(" " * indent, line) for line in lines]
    return [lit(line, width, here=here) for line in rows]


def confirm_delete(trial: int, label: str, *, has_result: bool) -> Question:
    """Deleting takes the result with it, so it is asked for."""
    what = "Its result goes, too." if has_result else "It has no result yet."
    return Question(f"Delete #{trial}?", f"{label}. {what}", [
        QuestionChoice("keep", "n", "keep", "change nothing"),
        QuestionChoice("delete", "y", "delete", "its number is not used again"),
    ])  # fmt: skip


def ask_promote(trial: int, label: str, *, can_train: bool) -> Question:
    """Promoting writes a configuration; training starts only when asked for."""
    choices = [
        QuestionChoice("promote", "p", "promote", "write its settings as the configuration of the next training")
    ]
    if can_train:
        choices.append(QuestionChoice("train", "t", "promote and train", "end the study and start the training now"))
    choices.append(
        QuestionChoice("profile", "s", "save as profile", "keep its settings under a name, for any later run")
    )
    return Question(f"Promote #{trial}?", f"{label}", choices)


def ask_apply(lever: Advice) -> Question:
    """Asked once, with what is going to be set."""
    values = ", ".join(f"{path} = {value_words(value)}" for path, value in lever.changes.items())
    return Question("Apply at the next step boundary?", f"{lever.lever}. Sets {values}.", [
        QuestionChoice("apply", "y", "apply", "this run goes on with it from the next step on"),
        QuestionChoice("keep", "n", "keep", "change nothing"),
    ])  # fmt: skip


def ask_take(changes: str) -> Question:
    """Settings of the next run for the one in progress."""
    return Question("Take this into the run in progress?", changes, [
        QuestionChoice("apply", "y", "take it", "from the next step on; it is in the run's log"),
        QuestionChoice("keep", "n", "keep", "change nothing in this run"),
    ])  # fmt: skip


def ask_which_run(changes: str, *, this_run: bool) -> Question:
    """The next run comes first: that leaves the one in progress alone. `this_run`: whether it can be changed."""
    choices = [
        QuestionChoice(
            "next", "n", "the next run", "write a configuration into this run's folder; this run stays as it is"
        )
    ]
    if this_run:
        choices.append(QuestionChoice("this", "t", "this run", "from the next step on; it is in the run's log"))
    return Question("Change which run?", changes, choices)


def say(heading: str, text: str) -> Question:
    """Something to be read before it goes away."""
    return Question(heading, text, [QuestionChoice("ok", "o", "ok", "")])
