"""The recording of the demo in a terminal: whole, playable, and at its end the finished run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyte
import pytest

CAST = Path(__file__).parents[2] / "screenshots" / "demo.cast"
LARGEST_BYTES = 1_500_000


@pytest.fixture(scope="module")
def lines() -> list[Any]:
    return [json.loads(line) for line in CAST.read_text(encoding="utf-8").splitlines()]


def test_it_is_an_asciicast_of_the_second_version(lines: list[Any]) -> None:
    header, *events = lines
    assert (header["version"], header["width"], header["height"]) == (2, 100, 30)
    assert header["idle_time_limit"] > 0
    times = [event[0] for event in events]
    assert times == sorted(times) and times[0] >= 0
    assert {kind for _, kind, _ in events} == {"o", "m"}
    assert all(isinstance(text, str) and text for _, _, text in events)
    assert CAST.stat().st_size < LARGEST_BYTES


def test_every_screen_is_visited_and_it_ends_on_the_finished_run(lines: list[Any]) -> None:
    header, *events = lines
    screen = pyte.Screen(header["width"], header["height"])
    stream = pyte.Stream(screen)
    seen: list[str] = []
    for _, kind, text in events:
        if kind == "o":
            stream.feed(text)
        else:
            seen.append(text)
    assert [name for name in seen if name in ("Trials", "Plan", "Advisor", "help", "Monitor")] == [
        "Trials", "Monitor", "Plan", "Advisor", "help", "Monitor",
    ]  # fmt: skip
    first, *rest = screen.display
    assert "speedtui" in first and "finished" in first
    assert any("DONE" in row for row in rest)
