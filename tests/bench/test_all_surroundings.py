"""Every command in every locale, with each descriptor closed, without a home, with every TERM; of `doctor`, which
imports torch each time, so many that every two of these meet.

`pytest tests/bench/test_all_surroundings.py -s --run-bench` prints how many there were and what was wrong.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.surroundings import (
    COMMANDS,
    PRINTS,
    Surroundings,
    complaints,
    covering,
    every_case,
    expected,
    surroundings,
)
from tests.cli.test_surroundings import mounted


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    folder = tmp_path_factory.mktemp("surroundings")
    yield from (surroundings(folder, home) for home in mounted(folder / "home", "ro"))


@pytest.mark.timeout(0)
def test_all_of_them(made: Surroundings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = list(every_case(made.factors()))
    for table in (COMMANDS, PRINTS):
        monkeypatch.setitem(table, "doctor", ["doctor"])
    cases += covering([["doctor"], *made.factors()[1:]])
    random.Random(0).shuffle(cases)  # so that what was seen of a run that is broken off stands for all of them
    ended, wrong = Counter[int](), list[str]()
    for number, case in enumerate(cases, 1):
        wrong += complaints(made, tmp_path / str(number), case)
        ended[int(expected(case))] += 1
        if number % 100 == 0 or number == len(cases):
            print(f"{number} of {len(cases)} processes, by exit code {dict(ended)}, {len(wrong)} wrong", flush=True)
    assert not wrong, "\n".join(wrong)
