"""What the configured columns say, row by row."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from itertools import compress, islice
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.clean import clean
from speedtui.engine.config.formats import Form, Layout, filled_in, layout_of, template_columns
from speedtui.engine.config.settings import DataSettings
from speedtui.engine.errors import DataError
from speedtui.engine.workload.base import Report, ThrottledProgress
from speedtui.engine.workload.cache import file_identity
from speedtui.engine.workload.held_out import Part
from speedtui.engine.workload.messages import Conversation, read_conversation
from speedtui.engine.workload.readers import DataRow, read_rows, whole_columns

Content = tuple[str, ...] | Conversation
"""(prompt, response), (text,), or a conversation."""


def answer_of(content: Content | None, turn: int | None = None) -> str | None:
    """What is to be answered; of a conversation at its learned turn of this number, by default the first asked."""
    if isinstance(content, Conversation):
        return content.answer(turn)
    return content[-1] if content is not None else None


class DataTable(msgspec.Struct, frozen=True, kw_only=True):
    """A data file and what is read from it: plain values, which another process reads the same rows by."""

    file: str
    layout: Layout
    limit: int | None = None
    """Only the first rows; None takes them all."""
    part: Part | None = None
    """Only those that are held out, or only the others; None takes both."""

    @property
    def path(self) -> Path:
        """The file, or the folder of a saved dataset."""
        return Path(self.file)

    @property
    def form(self) -> Form:
        """What a row holds."""
        return self.layout.form

    def contents(self) -> Iterator[tuple[str, Content | None]]:
        """(place, content) of each row; None where there is nothing to learn from, a conversation in any case.

        Raises:
            DataError: the file or a row is not what the configuration says.
        """
        for place, row in self._rows(self.layout.columns):
            yield place, self._content(row, f"{self.path} {place}")

    def answered_rows(self, *, whole: bool) -> Iterator[tuple[Mapping[str, Any], Content | None]]:
        """(row, its content) of each row, dropped ones too; `whole` rows have all of their columns.

        Raises:
            DataError: the file or a row is not what the configuration says.
        """
        wanted = [*dict.fromkeys([*self.layout.columns, *(whole_columns(self.path) if whole else ())])]
        for place, row in self._rows(wanted):
            yield row, self._content(row, f"{self.path} {place}")

    def _content(self, row: Mapping[str, Any], where: str) -> Content | None:
        if self.form == "messages":
            return self._conversation(row, where)
        return _READERS[self.form](row, self.layout, where)

    def _conversation(self, row: Mapping[str, Any], where: str) -> Conversation:
        name, tools = [*self.layout.columns, *self.layout.optional][:2]
        if row[name] is None:
            return Conversation([], (), reason=f"{name} is empty")
        arrow = self.path.is_dir() or self.path.suffix.lower() == ".parquet"
        return read_conversation(
            row[name], row.get(tools), f'{where}: column "{name}"', arrow=arrow, fold_system=self.layout.fold_system
        )

    def identity(self) -> list[Any]:
        """Plain values that differ where the contents may."""
        return [file_identity(self.path), *msgspec.to_builtins((self.layout, self.limit, self.part))]

    def _rows(self, wanted: Sequence[str]) -> Iterator[DataRow]:
        rows = read_rows(self.path, wanted, self.layout.optional)
        if self.part is not None:
            rows = compress(rows, self.part.of(self.path))
        return islice(rows, self.limit)


def table_of(path: str, data: DataSettings, limit: int | None = None, part: Part | None = None) -> DataTable:
    """The table in a file, with the columns that [data] names.

    Raises:
        ConfigError: it names none.
    """
    return DataTable(file=path, layout=layout_of(data, path), limit=limit, part=part)


def check_table(table: DataTable, report: Report) -> int:
    """Reads everything once, so that a bad row is named before the slow work; returns the number of rows.

    Raises:
        DataError: a row is bad, there is none, or none has anything to learn from.
    """
    progress = ThrottledProgress(report, f"reading {table.path.name}", None)
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


def require_first_row(table: DataTable) -> None:
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


def no_rows(table: DataTable) -> DataError:
    """The refusal of a file with nothing but blank lines or a header."""
    return DataError(f"{table.path}: there are no rows in it", "Correct data.train or data.eval.")


def nothing_to_learn(table: DataTable, rows: int, why: str = "") -> DataError:
    """The refusal of data of which every row was dropped."""
    return DataError(
        f"{table.path}: nothing to learn from in any of its {rows} rows{why or f': {_commonest_reason(table)}'}",
        "Raise data.max_length, or shorten the prompts."
        if "max_length" in why
        else "Check the columns named in [data].",
    )


def _commonest_reason(table: DataTable) -> str:
    if table.form != "messages":
        return f"every {table.layout.columns[-1]} is empty"
    contents = (content for _, content in table.contents())
    reasons = Counter(content.reason for content in contents if isinstance(content, Conversation) and content.reason)
    return reasons.most_common(1)[0][0]


def _pair(row: Mapping[str, Any], layout: Layout, where: str) -> Content | None:
    *asked, answer = layout.columns
    response = _text(row, answer, where)
    texts = {name: _text(row, name, where) for name in (*asked, *layout.optional)}
    return (_prompt(texts, layout.templates), response) if response.strip() else None


def _prompt(texts: Mapping[str, str], templates: Sequence[str]) -> str:
    if not templates:
        return "\n\n".join(text for text in texts.values() if text.strip()) or "".join(texts.values())
    whole = (template for template in templates if all(texts[name].strip() for name in template_columns(template, "")))
    return filled_in(next(whole, templates[-1]), texts)


def _single(row: Mapping[str, Any], layout: Layout, where: str) -> Content | None:
    text = _text(row, layout.columns[0], where)
    return (text,) if text.strip() else None


def _text(row: Mapping[str, Any], name: str, where: str) -> str:
    """A missing value counts as empty text; a number is taken as it is written, so is a true or false."""
    value = row.get(name)
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    written = getattr(value, "written", None)
    if written is None and not (isinstance(value, int | float | Decimal) and math.isfinite(value)):
        raise DataError(
            f'{where}: column "{name}": expected text or a number, got {clean(repr(value), 60)}',
            "Correct that row, or name another column.",
        )
    return written or str(value)


_READERS = {"prompt": _pair, "text": _single}
