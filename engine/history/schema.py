"""The tables of history.sqlite and how an older file becomes a newer one."""

from __future__ import annotations

import sqlite3

APPLICATION_ID = 0x73706454
"""`spdT`: tells a history from any other SQLite file, which is then left alone."""
STEPS = (
    """
    CREATE TABLE measurement (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,            -- wall clock, seconds since the epoch
        device TEXT NOT NULL,
        model TEXT NOT NULL,         -- shape key
        versions TEXT NOT NULL,
        profile TEXT NOT NULL,
        settings_key TEXT NOT NULL,
        record TEXT NOT NULL         -- PastMeasurement as JSON
    );
    CREATE INDEX measurement_of ON measurement (device, model);
    """,
    """
    CREATE TABLE outcome (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        device TEXT NOT NULL,
        model TEXT NOT NULL,
        record TEXT NOT NULL         -- PastOutcome as JSON
    );
    CREATE INDEX outcome_of ON outcome (device);
    """,
    """
    CREATE TABLE evaluation (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        device TEXT NOT NULL,
        model TEXT NOT NULL,         -- shape key
        costs_key TEXT NOT NULL,
        record TEXT NOT NULL         -- PastEvaluation as JSON
    );
    CREATE INDEX evaluation_of ON evaluation (device, model, costs_key);
    """,
)
"""Step n brings a file from version n to n + 1. What has been released is never edited: add a step."""


class NotAHistory(Exception):
    """The file is another program's, or of a later version than this one knows."""


def migrate(connection: sqlite3.Connection) -> None:
    """Brings the file to the newest version, whole or not at all; an empty file gets every table.

    Raises:
        NotAHistory: in words.
        sqlite3.Error: it is locked, not a database or cannot be written.
    """
    if is_current(connection):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # another process may have done it while this one waited
        for step in STEPS[_version(connection) :]:
            for statement in step.split(";"):
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(STEPS)}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether every step has been done.

    Raises:
        NotAHistory: in words.
        sqlite3.Error: it cannot be read.
    """
    connection.execute("BEGIN")  # one moment of the file, though another process may be making its tables
    try:
        return _version(connection) == len(STEPS)
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def _version(connection: sqlite3.Connection) -> int:
    """Steps that the file has had; 0 for an empty one. Inside a transaction.

    Raises:
        NotAHistory: in words.
        sqlite3.Error: it cannot be read.
    """
    application, version = (connection.execute(f"PRAGMA {name}").fetchone()[0] for name in
                            ("application_id", "user_version"))  # fmt: skip
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    if application != APPLICATION_ID and (application or version or tables):
        raise NotAHistory("is a database of another program")
    if version > len(STEPS):
        raise NotAHistory(f"was written by a later speedtui (version {version}, this one knows {len(STEPS)})")
    return int(version)
