"""What a worker knows that is started again: all of its run's log, whatever lies in the middle of it."""

from __future__ import annotations

from pathlib import Path

from speedtui.engine import events as e
from speedtui.engine.jobs.execute import replay_before
from speedtui.engine.log.tail import CHUNK_BYTES
from speedtui.engine.runs import RunFolder
from speedtui.engine.state.passed_over import PassedOver
from tests.engine.events_of_a_run import started, step, training


def test_a_worker_that_is_started_again_remembers_what_lies_behind_a_hole_and_follows_no_old_stop(
    tmp_path: Path,
) -> None:
    before = [started("train"), training(100), *[step(number, t=12.0 + number) for number in range(1, 20)]]
    after = [
        *[step(number, t=12.0 + number) for number in range(20, 41)],
        e.CommandApplied(t=60, id="ab", command="stop"),
    ]
    hole = bytes(2 * CHUNK_BYTES)
    log = [b"".join(map(e.encode, before)), hole + b"\n", b"torn\n" * CHUNK_BYTES, b"".join(map(e.encode, after))]
    folder = RunFolder(tmp_path)
    folder.events.write_bytes(b"".join(log))
    state, handled = replay_before(folder)
    assert state.training is not None and state.training.step == 40
    assert handled == {"ab"}
    assert state.passed_over == PassedOver(lines=1 + CHUNK_BYTES, bytes=len(hole) + 4 * CHUNK_BYTES)


def test_a_worker_that_is_started_first_knows_nothing(tmp_path: Path) -> None:
    state, handled = replay_before(RunFolder(tmp_path))
    assert (state.run, handled, state.passed_over) == ("", frozenset(), PassedOver())
