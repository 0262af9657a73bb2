"""Small businesses as SQLite databases: people, things, and who had what when."""

from __future__ import annotations

import random
import sqlite3
from dataclasses import dataclass
from pathlib import Path

CITIES = ("Lyon", "Porto", "Turin", "Ghent", "Malmo", "Graz")
FIRST = ("Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Iris", "Jon", "Kira", "Leo")
LAST = ("Abel", "Brandt", "Costa", "Dubois", "Ek", "Ferri", "Gruber", "Hale", "Ivers", "Jansen")
YEARS = (2019, 2020, 2021, 2022, 2023)
AGES = range(18, 80)
AMOUNTS = range(1, 31)


@dataclass(frozen=True, kw_only=True)
class Domain:
    """One schema of three tables. The words are those of its questions, the names those of its tables and columns."""

    name: str
    people: str
    things: str
    links: str
    person: str
    thing: str
    kind: str
    """Column of things: what sort they are."""
    kinds: tuple[str, ...]
    measure: str
    """Column of things: a number."""
    measures: range
    amount: str
    """Column of links: a number."""


DOMAINS = (
    Domain(
        name="shop", people="customers", things="products", links="orders", person="customer", thing="product",
        kind="category", kinds=("toys", "tools", "books", "food"), measure="price", measures=range(5, 200),
        amount="quantity",
    ),
    Domain(
        name="library", people="members", things="books", links="loans", person="member", thing="book",
        kind="genre", kinds=("poetry", "history", "crime", "travel"), measure="pages", measures=range(40, 900),
        amount="days",
    ),
    Domain(
        name="garage", people="drivers", things="cars", links="repairs", person="driver", thing="car",
        kind="brand", kinds=("Arrow", "Comet", "Drake", "Heron"), measure="power", measures=range(40, 300),
        amount="hours",
    ),
)  # fmt: skip


def write_database(path: Path, domain: Domain, *, links: int, seed: int) -> None:
    """A database of one domain, the same for the same seed.

    `links`: rows of its largest table, which has no index but its key: what a query costs grows with them.
    """
    chance = random.Random(f"{domain.name} {seed}")
    people, things = max(links // 20, 40), max(links // 100, 20)
    path.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    with connection:
        _make_tables(connection, domain)
        connection.executemany(f"INSERT INTO {domain.people} VALUES (?, ?, ?, ?)", _people(chance, people))
        connection.executemany(f"INSERT INTO {domain.things} VALUES (?, ?, ?, ?)", _things(chance, domain, things))
        connection.executemany(
            f"INSERT INTO {domain.links} VALUES (?, ?, ?, ?, ?)",
            [
                (i, chance.randint(1, people), chance.randint(1, things), chance.choice(AMOUNTS), chance.choice(YEARS))
                for i in range(1, links + 1)
            ],
        )
    connection.close()


def _make_tables(connection: sqlite3.Connection, domain: Domain) -> None:
    connection.execute(f"CREATE TABLE {domain.people} (id INTEGER PRIMARY KEY, name TEXT, city TEXT, age INTEGER)")
    connection.execute(
        f"CREATE TABLE {domain.things} (id INTEGER PRIMARY KEY, name TEXT, {domain.kind} TEXT, "
        f"{domain.measure} INTEGER)"
    )
    connection.execute(
        f"CREATE TABLE {domain.links} (id INTEGER PRIMARY KEY, {domain.person}_id INTEGER, "
        f"{domain.thing}_id INTEGER, {domain.amount} INTEGER, year INTEGER)"
    )


def _people(chance: random.Random, count: int) -> list[tuple[int, str, str, int]]:
    return [
        (i, f"{chance.choice(FIRST)} {chance.choice(LAST)}", chance.choice(CITIES), chance.choice(AGES))
        for i in range(1, count + 1)
    ]


def _things(chance: random.Random, domain: Domain, count: int) -> list[tuple[int, str, str, int]]:
    return [
        (i, f"{domain.thing} {i}", chance.choice(domain.kinds), chance.choice(domain.measures))
        for i in range(1, count + 1)
    ]
