"""Forty kills of screens, sessions and workers of two trainings at random points: what was lost, and what was left."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from figures import keep, table

from speedtui.engine import events as e
from tests.cli.killing import SOON_SECONDS, Killing
from tests.engine.session.survival_run import CHECKPOINT_STEPS, STEPS, events_of, last_step

ROUNDS = 20
SEEDS = (4, 15)
"""Of which each is a training of its own."""
LONG = 10 * STEPS
"""Steps enough for all rounds; the rest is made fast."""


@pytest.fixture(params=SEEDS)
def seed(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def killing(tmp_path: Path, seed: int) -> Iterator[Killing]:
    found = Killing(tmp_path, seed, steps=LONG)
    yield found
    found.clean_up()


def steps_made_again(killing: Killing) -> list[int]:
    """For each worker after the first: how many of the log's steps it had to make again."""
    again, last = [], 0
    for event in (x for x in events_of(killing.run, e.StepCompleted | e.TrainingStarted)):
        if isinstance(event, e.TrainingStarted):
            again.append(max(last - event.first_step, 0))
            last = event.first_step
        else:
            last = event.step
    return again[1:]


def test_twenty_rounds(killing: Killing, seed: int) -> None:
    victims = ["screen", "session", "worker"]
    chosen = random.Random(seed)
    began = time.monotonic()
    for number in range(ROUNDS):
        played = killing.play(victims[number] if number < len(victims) else chosen.choice(victims))
        print(f"{number + 1:2} {played}", flush=True)
    killing.finish()
    rounds = killing.rounds
    again = steps_made_again(killing)
    counts = {victim: sum(played.victim == victim for played in rounds) for victim in victims}
    figures = {
        "seed": seed,
        "kill_within_seconds": SOON_SECONDS,
        "rounds": len(rounds),
        "victims": counts,
        "workers": len(events_of(killing.run, e.RunStarted)),
        "checkpoint_every_steps": CHECKPOINT_STEPS,
        "steps_made_again": again,
        "most_steps_made_again": max(again, default=0),
        "torn_lines_at_the_end": rounds[-1].torn_lines,
        "orphans": sum(played.orphans for played in rounds),
        "screens_and_sessions_that_took_the_worker_along": sum(
            played.victim != "worker" and not played.worker_survived for played in rounds
        ),
        "finished_steps": last_step(killing.run),
        "outcome": events_of(killing.run, e.RunFinished)[-1].outcome,
        "wall_seconds": round(time.monotonic() - began, 1),
        **killing.figures(),
    }
    keep(f"survival_rounds_seed_{seed}", figures)
    shown = [(key, value) for key, value in figures.items() if isinstance(value, int | float | str)]
    print(table(["figure", "value"], [*counts.items(), *shown]))
    assert (figures["orphans"], figures["outcome"], figures["finished_steps"]) == (0, "ok", LONG)
    assert figures["screens_and_sessions_that_took_the_worker_along"] == 0
    assert rounds[-1].torn_lines <= figures["workers"] - 1
