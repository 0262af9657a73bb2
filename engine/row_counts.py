"""What became of the rows of the data, in words: the same in report, page, plan and on the screen."""

from __future__ import annotations

from typing import Protocol


class RowCounts(Protocol):
    """Whatever counts rows: what was loaded, and a plan."""

    @property
    def held_out_rows(self) -> int:
        """Of the training data, to evaluate on."""

    @property
    def cut_rows(self) -> int:
        """Training rows longer than the maximum length."""

    @property
    def dropped_rows(self) -> int:
        """Training rows with nothing to learn from."""

    @property
    def eval_cut_rows(self) -> int:
        """Of the evaluation data."""

    @property
    def eval_dropped_rows(self) -> int:
        """Of the evaluation data: its loss does not count them."""


def held_out_words(rows: RowCounts) -> str:
    """`5 of the training rows held out to evaluate on`; empty where none are."""
    return f"{rows.held_out_rows:,} of the training rows held out to evaluate on" if rows.held_out_rows else ""


def lacking_words(rows: RowCounts, max_length: int | None = None) -> list[str]:
    """What is not learned, not evaluated or not whole, a piece each; none where everything is.

    `max_length`: in tokens, where it is not told beside it.
    """
    limit = "data.max_length" if max_length is None else f"data.max_length {max_length}"
    counts = (
        (rows.cut_rows, f"cut to {limit}"),
        (rows.dropped_rows, "dropped, with nothing to learn from"),
        (rows.eval_cut_rows, "of data.eval cut"),
        (rows.eval_dropped_rows, "of data.eval left out of the loss"),
    )
    return [f"{count:,} {what}" for count, what in counts if count]


def row_words(rows: RowCounts, max_length: int | None = None) -> str:
    """Both together, in one line; empty where every row is learned or evaluated, whole."""
    return ", ".join(filter(None, (held_out_words(rows), *lacking_words(rows, max_length))))
