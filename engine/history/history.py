"""What this machine has measured before: one SQLite file that every run reads and adds to."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import msgspec

from speedtui.engine.files import make_folder, open_plain
from speedtui.engine.history.keys import key_of_settings, name_in
from speedtui.engine.history.records import PastEvaluation, PastMeasurement, PastOutcome, PastPeak
from speedtui.engine.history.schema import NotAHistory, is_current, migrate
from speedtui.engine.home import user_folder

FILE_NAME = "history.sqlite"
BUSY_SECONDS = 1.0
"""How long another process may hold the file: a record takes milliseconds, and nobody waits for a history."""
KEPT_ROWS = 2000
"""A table's newest rows; 4.3 MB with curves of 15 points."""
CALIBRATION_ROWS = 20
"""Peaks that a calibration is made from: the newest, since drivers and allocators change."""
ACCURACY_ROWS = 100
"""Outcomes that are looked back on."""

AnyRecord = PastMeasurement | PastOutcome | PastEvaluation
Record = TypeVar("Record", PastMeasurement, PastOutcome, PastEvaluation)


def history_path() -> Path:
    """`$XDG_DATA_HOME/speedtui/history.sqlite`, by default below `~/.local/share`.

    Raises:
        RuntimeError: there is no home folder.
    """
    return user_folder("XDG_DATA_HOME", ".local/share") / "speedtui" / FILE_NAME


class History:
    """Records and looks up; belongs to the thread that opened it.

    Nothing here raises: a file that cannot be used is a history without content, and `problem` says why.
    """

    def __init__(self, connection: sqlite3.Connection | None, path: Path | None) -> None:
        self._connection = connection
        self._path = path
        self.problem: str | None = None
        """What went wrong first, in one sentence; None while all is well."""
        self.hint = ""
        """What to do about it."""

    @classmethod
    def open(cls, path: Path | None = None) -> History:
        """The file at `path`, made where there is none; default `history_path()`."""
        history = cls(None, path)
        try:
            history._path = path = path or history_path()
            make_folder(path.parent)
            with contextlib.suppress(OSError):  # sqlite makes it with the rights of the umask
                os.close(open_plain(path, os.O_RDWR | os.O_CREAT))
            history._connection = connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None)
            migrate(connection)
            _use_write_ahead_log(connection)
        except (sqlite3.Error, OSError, RuntimeError, NotAHistory) as error:
            history._fail(error)
            history.close()
            if _is_read_only(error) and path is not None:
                history._connection = _read_only(path)
        return history

    def close(self) -> None:
        """Afterwards it is without content."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(sqlite3.Error):  # what is not on disk by now is lost either way
                connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def record_measurement(self, record: PastMeasurement) -> None:
        """Keeps a measurement; where it cannot be kept, `problem` says so."""
        columns = {"versions": record.versions, "profile": record.profile}
        self._insert("measurement", record, columns | {"settings_key": key_of_settings(record.settings)})

    def record_outcome(self, record: PastOutcome) -> None:
        """Keeps what a run took beside its estimate; where it cannot be kept, `problem` says so."""
        self._insert("outcome", record, {})

    def record_evaluation(self, record: PastEvaluation) -> None:
        """Keeps what a run's evaluations took; where it cannot be kept, `problem` says so."""
        self._insert("evaluation", record, {"costs_key": key_of_settings(record.settings)})

    def latest_evaluation(
        self, device: str, model: str, costs_key: str, *, versions: str, at_a_time: int, now: float | None = None
    ) -> PastEvaluation | None:
        """The newest of a run with these settings and so many rows at a time, else of a trial; its rows may be others
        in number."""
        where = {"device": device, "model": model, "costs_key": costs_key}
        rehearsed = None
        for record in self._records("evaluation", PastEvaluation, where, now):
            if record.versions == versions and record.at_a_time == at_a_time:
                if record.evaluations:
                    return record
                rehearsed = rehearsed or record
        return rehearsed

    def latest_measurement(
        self, device: str, model: str, settings_key: str, *, now: float | None = None
    ) -> PastMeasurement | None:
        """The newest of exactly these settings; its `versions` may be others than today's."""
        where = {"device": device, "model": model, "settings_key": settings_key}
        return next(self._records("measurement", PastMeasurement, where, now), None)

    def nearest_throughput(
        self, device: str, model: str, profile: str, *, now: float | None = None
    ) -> PastMeasurement | None:
        """The newest with a throughput: of this profile, else of any other of the model on the device."""
        found = None
        for record in self._records("measurement", PastMeasurement, {"device": device, "model": model}, now):
            if record.tokens_per_second is not None:
                if record.profile == profile:
                    return record
                found = found or record
        return found

    def calibration(self, device: str, versions: str, model: str, *, now: float | None = None) -> list[PastPeak]:
        """Real peaks beside their predictions, the newest first, of models of this name.

        What is not in a prediction, such as a library's workspace, belongs to a model and not to the device.
        """
        peaks: list[PastPeak] = []
        for record in self._records("measurement", PastMeasurement, {"device": device, "versions": versions}, now):
            if name_in(record.model) == model and record.peak_bytes is not None and record.predicted_bytes:
                peaks.append(
                    PastPeak(
                        predicted_bytes=record.predicted_bytes,
                        measured_bytes=record.peak_bytes - record.gap_bytes,
                        gap_bytes=record.gap_bytes,
                        age_seconds=record.age_seconds,
                    )
                )
            if len(peaks) == CALIBRATION_ROWS:
                break
        return peaks

    def accuracies(self, device: str, *, now: float | None = None) -> list[PastOutcome]:
        """How runs on this device compared with their estimates, the newest first."""
        records = self._records("outcome", PastOutcome, {"device": device}, now)
        return [record for record, _ in zip(records, range(ACCURACY_ROWS), strict=False)]

    def _records(self, table: str, kind: type[Record], where: dict[str, str], now: float | None) -> Iterator[Record]:
        """Newest first; a row that this version cannot read is passed over."""
        if self._connection is None:
            return
        now = time.time() if now is None else now
        condition = " AND ".join(f"{column} = ?" for column in where)
        try:
            rows = self._connection.execute(
                f"SELECT record FROM {table} WHERE {condition} ORDER BY at DESC, id DESC", tuple(where.values())
            )
            for (text,) in rows:
                try:
                    record = msgspec.json.decode(text, type=kind)
                except (msgspec.DecodeError, UnicodeError):
                    continue
                yield msgspec.structs.replace(record, age_seconds=max(now - record.at, 0.0))
        except sqlite3.Error as error:
            self._fail(error)

    def _insert(self, table: str, record: AnyRecord, columns: dict[str, str]) -> None:
        if self._connection is None:
            return
        row = {"at": record.at, "device": record.device, "model": record.model, **columns}
        try:
            row["record"] = msgspec.json.encode(record).decode()
            names, places = ", ".join(row), ", ".join("?" * len(row))
            # a statement each: a row too many for a moment is no harm, and no transaction is left open
            self._connection.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", tuple(row.values()))
            self._connection.execute(f"DELETE FROM {table} WHERE id <= (SELECT max(id) FROM {table}) - ?", (KEPT_ROWS,))
        except (sqlite3.Error, UnicodeError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        """The first problem is the one that is told."""
        if self.problem is None:
            self.problem, self.hint = _explain(error, self._path)


def _use_write_ahead_log(connection: sqlite3.Connection) -> None:
    """Readers and a writer then do not wait for each other; a network drive or a locked file stays as it is."""
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")  # a power cut may cost the last records, never the file
    except sqlite3.OperationalError:
        pass


def _is_read_only(error: Exception) -> bool:
    return isinstance(error, sqlite3.OperationalError) and "readonly" in str(error)


def _read_only(path: Path) -> sqlite3.Connection | None:
    """The newest tables for reading, where the folder takes no lock file; None where records may be missing in them."""
    if Path(f"{path}-wal").exists():
        return None
    with contextlib.suppress(sqlite3.Error, NotAHistory):
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?immutable=1", uri=True, isolation_level=None)
        if is_current(connection):
            return connection
        connection.close()
    return None


def _explain(error: Exception, path: Path | None) -> tuple[str, str]:
    """(what is wrong, what to do)."""
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)  # without the path
    text = reason.lower()
    without = "estimates go without it"
    if isinstance(error, NotAHistory):
        return f"history: {path} {error}; {without}", "Move it away, or set XDG_DATA_HOME to another folder."
    if "locked" in text:
        return f"history: {path} is locked by another program; {without}", "Close what holds it, then start again."
    if "not a database" in text or "malformed" in text:
        return f"history: {path} is damaged; {without}", "Move it away or delete it: a new one is begun."
    if "readonly" in text or "read-only" in text:
        return f"history: {path} cannot be written; new figures are not kept", "Make the file and its folder writable."
    if "full" in text or "no space" in text:
        return f"history: no room for {path}; new figures are not kept", "Make room on the disk."
    place = path or "the history"
    return f"history: {place} cannot be used: {reason}; {without}", "Set XDG_DATA_HOME to a folder that can be written."
