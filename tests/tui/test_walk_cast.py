"""The recording of a person's whole way: playable, short enough to be watched, and every stretch of it is there."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[2]
CAST = REPOSITORY / "screenshots" / "walk.cast"
LARGEST_BYTES = 1_500_000
LONGEST_SECONDS = 240.0
PLACES = [
    "speedtui", "a candidate", "a grid", "all trials", "compare", "Plan", "profiles", "the next run takes fast",
    "the next run's evaluations", "written down", "train", "evaluate now", "save now", "pause", "the schedule",
    "Advisor", "help", "runs", "detach", "attach", "stop safely", "json", "replay", "its end",
]  # fmt: skip
"""In this order, with others between them."""


@pytest.fixture(scope="module")
def lines() -> list[Any]:
    return [json.loads(line) for line in CAST.read_text(encoding="utf-8").splitlines()]


def test_it_can_be_watched_in_four_minutes_and_is_small(lines: list[Any]) -> None:
    header, *events = lines
    assert (header["version"], header["width"], header["height"]) == (2, 100, 30)
    longest = header["idle_time_limit"]
    assert sum(min(longest, after[0] - before[0]) for before, after in pairwise(events)) <= LONGEST_SECONDS
    assert CAST.stat().st_size < LARGEST_BYTES


def test_every_stretch_of_the_way_is_there_in_its_order(lines: list[Any]) -> None:
    came = iter(text for _, kind, text in lines[1:] if kind == "m")
    assert [place for place in PLACES if place not in came] == []


def test_nothing_of_the_machine_it_was_made_on_is_shown(lines: list[Any]) -> None:
    assert not [text for _, _, text in lines[1:] if str(REPOSITORY) in text]
