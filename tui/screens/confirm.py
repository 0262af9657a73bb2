"""Questions with a few answers: each has a letter, the first one also enter, and escape changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from textual.binding import Binding, BindingType
from textual.events import Key

from speedtui.engine.planned import Advice
from speedtui.tui.drawing.text import Row, Span, cell, row, wrap
from speedtui.tui.screens.dialog import Dialog
from speedtui.tui.values import value_words


class Choice(NamedTuple):
    """One answer."""

    answer: str
    key: str
    """A single letter."""
    label: str
    explanation: str


class Question(Dialog[str | None]):
    """Comes back with the answer chosen, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "back", show=False),
        Binding("up,k", "step(-1)", "up", show=False),
        Binding("down,j", "step(1)", "down", show=False),
        Binding("enter", "choose", "choose", show=False),
    ]

    def __init__(self, heading: str, text: str, choices: Sequence[Choice]) -> None:
        super().__init__(heading)
        self._text, self._choices = text, tuple(choices)
        self._at = 0

    def body(self, width: int) -> list[Row]:
        return draw_question(self._text, self._choices, self._at, width)

    def hint(self, *, cut: bool) -> Row:
        return row(Span("esc", "key"), Span(" back", "dim"))

    def action_step(self, rows: int) -> None:
        """Moves the cursor."""
        self._at = max(0, min(len(self._choices) - 1, self._at + rows))
        self.draw()

    def action_choose(self) -> None:
        """Answers with what is under the cursor."""
        self.dismiss(self._choices[self._at].answer)

    def on_key(self, event: Key) -> None:
        for choice in self._choices:
            if event.character == choice.key:
                event.stop()
                self.dismiss(choice.answer)
                return


def draw_question(text: str, choices: Sequence[Choice], at: int, width: int) -> list[Row]:
    """The text, its paragraphs divided by line ends, then the choices with the cursor on one."""
    label = max(len(choice.label) for choice in choices) + 2
    rows: list[Row] = [*(row(line) for part in text.splitlines() for line in wrap(part, width)), ()]
    for i, choice in enumerate(choices):
        base = "cursor " if i == at else ""
        first, *rest = wrap(choice.explanation, max(10, width - label - 6)) or [""]
        rows.append(
            row(Span("› " if i == at else "  ", base + "accent"), Span(f"{choice.key}  ", base + "key"),
                cell(choice.label, label, style=base + "strong"), cell(first, max(1, width - label - 5), style=base))
        )  # fmt: skip
        rows += [row(" " * (label + 5), line) for line in rest]
    return rows


def confirm_delete(trial: int, label: str, *, has_result: bool) -> Question:
    """Deleting takes the result with it, so it is asked for."""
    what = "Its result goes, too." if has_result else "It has no result yet."
    return Question(f"Delete #{trial}?", f"{label}. {what}", [
        Choice("keep", "n", "keep", "change nothing"),
        Choice("delete", "y", "delete", "its number is not used again"),
    ])  # fmt: skip


def ask_promote(trial: int, label: str, *, can_train: bool) -> Question:
    """Promoting writes a configuration; training starts only when asked for."""
    choices = [Choice("promote", "p", "promote", "write its settings as the configuration of the next training")]
    if can_train:
        choices.append(Choice("train", "t", "promote and train", "end the study and start the training now"))
    choices.append(Choice("profile", "s", "save as profile", "keep its settings under a name, for any later run"))
    return Question(f"Promote #{trial}?", f"{label}", choices)


def ask_apply(lever: Advice) -> Question:
    """Asked once, with what is going to be set."""
    values = ", ".join(f"{path} = {value_words(value)}" for path, value in lever.changes.items())
    return Question("Apply at the next step boundary?", f"{lever.lever}. Sets {values}.", [
        Choice("apply", "y", "apply", "this run goes on with it from the next step on"),
        Choice("keep", "n", "keep", "change nothing"),
    ])  # fmt: skip


def ask_which_run(changes: str, *, this_run: bool) -> Question:
    """The next run comes first: that leaves the one in progress alone. `this_run`: whether it can be changed."""
    choices = [
        Choice("next", "n", "the next run", "write a configuration into this run's folder; this run stays as it is")
    ]
    if this_run:
        choices.append(Choice("this", "t", "this run", "from the next step on; it is in the run's log"))
    return Question("Change which run?", changes, choices)


def say(heading: str, text: str) -> Question:
    """Something to be read before it goes away."""
    return Question(heading, text, [Choice("ok", "o", "ok", "")])
