"""Every command in every locale, with each descriptor closed, without a home, with every TERM; and doctor, slowly,
since it imports torch.

`pytest tests/bench/test_all_surroundings.py -s --run-bench` prints how many there were and what was wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.surroundings import COMMANDS, PRINTS, Surroundings, complaints, every_case, expected, surroundings
from tests.cli.test_surroundings import mounted


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Surroundings]:
    folder = tmp_path_factory.mktemp("surroundings")
    yield from (surroundings(folder, home) for home in mounted(folder / "home", "ro"))


@pytest.mark.timeout(0)
def test_all_of_them(made: Surroundings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for table in (COMMANDS, PRINTS):
        monkeypatch.setitem(table, "doctor", ["doctor"])
    cases = list(every_case(made.factors()))
    ended = Counter(int(expected(case)) for case in cases)
    wrong = [text for number, case in enumerate(cases) for text in complaints(made, tmp_path / str(number), case)]
    print(f"\n{len(cases)} processes, {dict(ended)} expected by exit code, {len(wrong)} wrong", *wrong, sep="\n")
    assert not wrong
