"""Every command that reads a log, over logs as disks, crashes and other versions leave them; the benches take many
more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from speedtui.engine import events as e
from tests.damaged import DAMAGES, MOST_LINE_BYTES, Walk, damaged_log, told_nothing

SEEDS = (*range(80, 138), 496, 724)
"""The last two have an exit code that is none, and a run that was shorter than its parts."""


@pytest.fixture(scope="module")
def walk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Walk]:
    with pytest.MonkeyPatch.context() as patch:
        yield Walk(tmp_path_factory.mktemp("damaged"), patch)


@pytest.mark.parametrize(
    "seeds",
    [SEEDS[begin : begin + 10] for begin in range(0, len(SEEDS), 10)],
    ids=lambda seeds: f"{seeds[0]}-{seeds[-1]}",
)
def test_a_damaged_log_ends_no_command_hides_no_run_and_is_counted_to_the_byte(
    walk: Walk, seeds: tuple[int, ...]
) -> None:
    for seed in seeds:
        walk.through(damaged_log(seed))


def test_the_damages_leave_logs_of_every_sort() -> None:
    logs = [damaged_log(seed) for seed in SEEDS]
    counts = [told_nothing(log) for log in logs]
    assert len(set(logs)) >= len(logs) - 3 and len(set(DAMAGES)) >= 18
    assert {bool(count.lines) for count in counts} == {bool(count.newer) for count in counts} == {True, False}
    assert any(b"\0" in log for log in logs) and any(not log.strip() for log in logs)
    assert any(len(line) > MOST_LINE_BYTES for log in logs for line in log.split(b"\n"))
    assert any(b"".join(e.encode(event) for event in decoded(log)) != log for log in logs if decoded(log))


def decoded(log: bytes) -> list[e.AnyEvent]:
    found = []
    for line in log.split(b"\n"):
        try:
            event = e.decode(line)
        except ValueError:
            continue
        if event is not None:
            found.append(event)
    return found
