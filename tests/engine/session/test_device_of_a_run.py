"""A study or training that cannot have its device ends at once, with exit status 2 and a line that says why."""

from __future__ import annotations

import pytest

from speedtui.engine.errors import ExitCode
from speedtui.engine.state import RunState
from tests.engine.session.conftest import Driven, Starter


def ended(driven: Driven) -> RunState:
    state = driven.end()
    assert driven.exit_code is ExitCode.USAGE, state.reason
    return state


def test_a_training_on_a_gpu_that_is_not_there_does_not_take_the_cpu(
    start: Starter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "7")
    state = ended(start.training(in_thread=True))
    assert state.reason == "CUDA_VISIBLE_DEVICES=7 names no device of this machine"
    assert state.next.endswith("CUDA_VISIBLE_DEVICES= (empty) runs on the CPU.")


def test_a_study_under_a_limit_that_no_machine_has_tries_nothing(start: Starter) -> None:
    state = ended(start.study(in_thread=True, values={"search.memory_limit": "4096TiB"}))
    assert state.reason.startswith("search.memory_limit 4096.0 TiB is more than this machine has")
    assert state.study is not None and all(row.result is None for row in state.study.rows)
