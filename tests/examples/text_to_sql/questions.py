"""Questions in plain English and the SQL that answers them, over the domains of databases.py."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from tests.examples.text_to_sql.databases import AGES, AMOUNTS, CITIES, DOMAINS, YEARS, Domain


@dataclass(frozen=True)
class Question:
    """A question about one of the databases."""

    text: str
    sql: str
    domain: Domain


def questions(count: int, seed: int) -> list[Question]:
    """So many, of every kind and domain, mixed; the same for the same seed."""
    chance = random.Random(seed)
    return [_question(chance, chance.choice(DOMAINS)) for _ in range(count)]


def _question(chance: random.Random, domain: Domain) -> Question:
    texts, sql = chance.choice(_KINDS)(chance, domain)
    return Question(f"{domain.name}: {chance.choice(texts)}", sql, domain)


Made = tuple[tuple[str, ...], str]
"""(ways to ask it, the SQL)."""


def _people_of_city(chance: random.Random, d: Domain) -> Made:
    city = chance.choice(CITIES)
    return (
        (f"How many {d.people} live in {city}?", f"Count the {d.people} from {city}.",
         f"Number of {d.people} in {city}"),
        f"SELECT COUNT(*) FROM {d.people} WHERE city = '{city}'",
    )  # fmt: skip


def _older_people(chance: random.Random, d: Domain) -> Made:
    age = chance.choice(AGES)
    return (
        (f"How many {d.people} are older than {age}?", f"Count the {d.people} over {age} years old."),
        f"SELECT COUNT(*) FROM {d.people} WHERE age > {age}",
    )


def _names_by_age(chance: random.Random, d: Domain) -> Made:
    city, age = chance.choice(CITIES), chance.choice(AGES)
    return (
        (
            f"List the names of the {d.people} from {city} older than {age} by age.",
            f"Who of the {d.people} in {city} is over {age}? Sort by age.",
        ),
        f"SELECT name FROM {d.people} WHERE city = '{city}' AND age > {age} ORDER BY age, id",
    )


def _mean_of_kind(chance: random.Random, d: Domain) -> Made:
    kind = chance.choice(d.kinds)
    return (
        (f"What is the average {d.measure} of {d.things} with {d.kind} {kind}?",
         f"Mean {d.measure} for {d.kind} {kind}"),
        f"SELECT AVG({d.measure}) FROM {d.things} WHERE {d.kind} = '{kind}'",
    )  # fmt: skip


def _largest_thing(chance: random.Random, d: Domain) -> Made:
    kind = chance.choice(d.kinds)
    return (
        (f"Which {d.thing} of {d.kind} {kind} has the highest {d.measure}?",
         f"The {kind} {d.thing} with most {d.measure}"),
        f"SELECT name FROM {d.things} WHERE {d.kind} = '{kind}' ORDER BY {d.measure} DESC, id LIMIT 1",
    )  # fmt: skip


def _links_of_year(chance: random.Random, d: Domain) -> Made:
    year, amount = chance.choice(YEARS), chance.choice(AMOUNTS)
    return (
        (f"How many {d.links} of more than {amount} {d.amount} were there in {year}?",
         f"Count the {d.links} over {amount} {d.amount} in {year}."),
        f"SELECT COUNT(*) FROM {d.links} WHERE year = {year} AND {d.amount} > {amount}",
    )  # fmt: skip


def _amount_by_city(chance: random.Random, d: Domain) -> Made:
    year = chance.choice(YEARS)
    return (
        (f"What is the total {d.amount} by city in {year}?", f"For each city, sum the {d.amount} of {year}."),
        f"SELECT p.city, SUM(l.{d.amount}) FROM {d.links} l JOIN {d.people} p ON p.id = l.{d.person}_id "
        f"WHERE l.year = {year} GROUP BY p.city",
    )


def _amount_by_kind(chance: random.Random, d: Domain) -> Made:
    city = chance.choice(CITIES)
    return (
        (f"What is the total {d.amount} by {d.kind} of {d.people} from {city}?",
         f"For each {d.kind}, sum the {d.amount} of {d.people} in {city}."),
        f"SELECT t.{d.kind}, SUM(l.{d.amount}) FROM {d.links} l JOIN {d.things} t ON t.id = l.{d.thing}_id "
        f"JOIN {d.people} p ON p.id = l.{d.person}_id WHERE p.city = '{city}' GROUP BY t.{d.kind}",
    )  # fmt: skip


def _busiest(chance: random.Random, d: Domain) -> Made:
    year = chance.choice(YEARS)
    return (
        (f"Which {d.person} has the most {d.links} in {year}?", f"Name the {d.person} with most {d.links} in {year}."),
        f"SELECT p.name FROM {d.links} l JOIN {d.people} p ON p.id = l.{d.person}_id WHERE l.year = {year} "
        f"GROUP BY p.id ORDER BY COUNT(*) DESC, p.id LIMIT 1",
    )


_KINDS: tuple[Callable[[random.Random, Domain], Made], ...] = (
    _people_of_city, _older_people, _names_by_age, _mean_of_kind, _largest_thing, _links_of_year, _amount_by_city,
    _amount_by_kind, _busiest,
)  # fmt: skip
