"""What the configured columns say, row by row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from speedtui.engine.config.settings import DataSettings
from speedtui.engine.errors import DataError
from speedtui.engine.workload.base import Progress, Report
from speedtui.engine.workload.messages import TOOLS, Conversation, read_conversation
from speedtui.engine.workload.readers import read_rows, whole_columns

Form = Literal["prompt", "text", "messages"]

Content = tuple[str, ...] | Conversation
"""(prompt, response), (text,), or a conversation."""


def answer_of(content: Content | None, turn: int | None = None) -> str | None:
    """What is to be answered; of a conversation at its learned turn of this number, by default the first asked."""
    if isinstance(content, Conversation):
        return content.answer(turn)
    return content[-1] if content is not None else None


@dataclass(frozen=True)
class Table:
    """A data file and the columns that are read from it."""

    path: Path
    form: Form
    columns: tuple[str, ...]
    """Names, in the order of a `Content`; of conversations the messages, and the tools where they are named."""
    limit: int | None = None
    """Only the first rows; None takes them all."""
    fold_system: bool = False
    """A conversation's system message becomes the beginning of its first user message."""

    @property
    def way(self) -> list[Any]:
        """All but the file that decides what its rows are read as: part of what names a file in a cache."""
        return [value for name, value in vars(self).items() if name != "path"]

    def contents(self) -> Iterator[tuple[str, Content | None]]:
        """(place, content) of each row; None where there is nothing to learn from, a conversation in any case.

        Raises:
            DataError: the file or a row is not what the configuration says.
        """
        for place, row in islice(read_rows(self.path, self._wanted()), self.limit):
            yield place, self._content(row, f"{self.path} {place}")

    def answered_rows(self, *, whole: bool) -> Iterator[tuple[Mapping[str, Any], Content | None]]:
        """(row, its content) of each row, dropped ones too; `whole` rows have all of their columns.

        Raises:
            DataError: the file or a row is not what the configuration says.
        """
        wanted = [*dict.fromkeys([*self.columns, *(whole_columns(self.path) if whole else ())])]
        for place, row in islice(read_rows(self.path, wanted), self.limit):
            yield row, self._content(row, f"{self.path} {place}")

    def _wanted(self) -> Sequence[str]:
        """The columns, and that with the tools where there is one: a reader of columns must be asked for it."""
        if self.form != "messages" or len(self.columns) > 1 or TOOLS not in whole_columns(self.path):
            return self.columns
        return (*self.columns, TOOLS)

    def _content(self, row: Mapping[str, Any], where: str) -> Content | None:
        if self.form == "messages":
            return self._conversation(row, where)
        return _READERS[self.form](row, self.columns, where)

    def _conversation(self, row: Mapping[str, Any], where: str) -> Conversation:
        name, *tools = self.columns
        if row[name] is None:
            return Conversation([], (), reason=f"{name} is empty")
        arrow = self.path.is_dir() or self.path.suffix.lower() == ".parquet"
        return read_conversation(
            row[name], row.get(tools[0] if tools else TOOLS), f'{where}: column "{name}"', arrow=arrow,
            fold_system=self.fold_system,
        )  # fmt: skip


def table_of(path: str, data: DataSettings, limit: int | None = None) -> Table:
    """The table in a file, in the form that [data] names."""
    if data.messages:
        columns = (data.messages, data.tools) if data.tools else (data.messages,)
        return Table(Path(path), "messages", columns, limit, data.fold_system)
    if data.text:
        return Table(Path(path), "text", (data.text,), limit)
    if data.prompt and data.response:
        return Table(Path(path), "prompt", (data.prompt, data.response), limit)
    raise DataError(f"{path}: [data] names no columns", "Give prompt and response, or text, or messages.")


def check_table(table: Table, report: Report) -> int:
    """Reads everything once, so that a bad row is named before the slow work; returns the number of rows.

    Raises:
        DataError: a row is bad, there is none, or none has anything to learn from.
    """
    progress = Progress(report, f"reading {table.path.name}", None)
    rows = useful = 0
    for _, content in table.contents():
        rows += 1
        useful += bool(content.learned if isinstance(content, Conversation) else content)
        progress.at(rows)
    progress.finish(rows)
    if not rows:
        raise no_rows(table)
    if not useful:
        raise nothing_to_learn(table, rows)
    return rows


def require_first_row(table: Table) -> None:
    """Refuses a table of which the first row already is not what the configuration says.

    Raises:
        DataError: the row is bad, or there is none.
    """
    if next(table.contents(), None) is None:
        raise no_rows(table)


@contextmanager
def naming(key: str) -> Iterator[None]:
    """Puts the key of speedtui.toml before what is wrong with the file it names.

    Raises:
        DataError: any that the block raises, with the key.
    """
    try:
        yield
    except DataError as error:
        raise DataError(f"{key}: {error.message}", error.hint) from None


def no_rows(table: Table) -> DataError:
    """The refusal of a file with nothing but blank lines or a header."""
    return DataError(f"{table.path}: there are no rows in it", "Correct data.train or data.eval.")


def nothing_to_learn(table: Table, rows: int, why: str = "") -> DataError:
    """The refusal of data of which every row was dropped."""
    return DataError(
        f"{table.path}: nothing to learn from in any of its {rows} rows{why or f': {_commonest_reason(table)}'}",
        "Check the columns named in [data].",
    )


def _commonest_reason(table: Table) -> str:
    if table.form != "messages":
        return f"every {table.columns[-1]} is empty"
    contents = (content for _, content in table.contents())
    reasons = Counter(content.reason for content in contents if isinstance(content, Conversation) and content.reason)
    return reasons.most_common(1)[0][0]


def _pair(row: Mapping[str, Any], columns: Sequence[str], where: str) -> Content | None:
    prompt, response = (_text(row, name, where) for name in columns)
    return (prompt, response) if response.strip() else None


def _single(row: Mapping[str, Any], columns: Sequence[str], where: str) -> Content | None:
    text = _text(row, columns[0], where)
    return (text,) if text.strip() else None


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    """A missing value counts as empty text."""
    value = row[name]
    if value is None:
        return ""
    if not isinstance(value, str):
        raise DataError(
            f'{where}: column "{name}": expected text, got {value!r:.60}', "Correct that row, or name another column."
        )
    return value


_READERS = {"prompt": _pair, "text": _single}
