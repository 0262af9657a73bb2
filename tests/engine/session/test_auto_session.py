"""Mode auto in a real session: what it predicts, decides and tells, and what is left of it when its worker dies."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from speedtui.engine import commands as c
from speedtui.engine import events as e
from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.paths import with_values
from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ExitCode
from speedtui.engine.session.start import start_study
from tests.engine.session.conftest import Driven, Starter

pytestmark = pytest.mark.slow


class AutoStarter(Starter):
    """Starts searches."""

    def auto(
        self, *, values: dict[str, Any] | None = None, knobs: dict[str, list[Any]] | None = None,
        in_thread: bool = False, **changes: Any,
    ) -> Driven:  # fmt: skip
        settings = with_values(self.settings, {"search.mode": "auto", **(values or {})}, "test")
        settings = msgspec.structs.replace(settings, search=msgspec.structs.replace(settings.search, knobs=knobs or {}))
        return self._drive(start_study(settings, self.options(in_thread, **changes)))


@pytest.fixture
def start(tmp_path: Path, settings: Settings) -> Iterator[AutoStarter]:
    starter = AutoStarter(tmp_path / "runs", settings)
    yield starter
    starter.clean_up()


def test_a_search_predicts_decides_and_ends_with_what_it_chose(start: AutoStarter) -> None:
    study = start.auto()
    state = study.end()
    assert study.exit_code is ExitCode.DONE
    assert state.study is not None and state.study.mode == "auto"
    assert all(row.status in (TrialStatus.OK, TrialStatus.PRUNED) for row in state.study.rows)
    (finish,) = [d for d in state.study.decisions if d.kind == "finish"]
    (finished,) = study.events(e.StudyFinished)
    assert finished.best == finish.trial
    assert json.loads(Path(finished.files["report.json"]).read_text())["trial"] == finish.trial
    chosen = [d.trial for d in state.study.decisions if d.kind == "choose"]
    assert chosen == [row.candidate.id for row in state.study.rows]
    classes = [p for p in study.events(e.MemoryPredicted) if p.trial is None]
    assert all(p.predicted_bytes and p.largest_micro_batch_size == 8 for p in classes)
    assert len({p.label for p in classes}) == len(classes) > 1, "no two configurations have the same words"
    for row in state.study.rows:
        assert row.predicted is not None and row.result is not None and row.result.memory is not None
        memory = row.result.memory
        assert memory.predicted_bytes is not None and memory.peak_allocated_bytes is not None
        assert 0.95 < memory.peak_allocated_bytes / memory.predicted_bytes < 1.05
    assert study.events(e.MemoryCalibrated)[0].trial == 0


def test_a_fixed_list_is_predicted_too_and_run_whether_it_fits_or_not(start: AutoStarter) -> None:
    study = start.study(in_thread=True, values={"search.memory_limit": "40MiB"}, micro_batches=(1, 8))
    state = study.end()
    assert state.study is not None
    small, large = state.study.rows
    assert small.predicted is not None and large.predicted is not None
    assert large.predicted.predicted_bytes is not None and small.predicted.predicted_bytes is not None
    assert small.predicted.predicted_bytes < large.predicted.predicted_bytes
    assert large.result is not None
    began = study.events(e.TrialStarted)
    told = [p for p in study.events(e.MemoryPredicted) if p.trial == 1]
    assert told[0].t < began[0].t


def test_a_worker_that_dies_in_a_search_is_replaced_and_the_search_goes_on(start: AutoStarter) -> None:
    study = start.auto()
    state = study.until(lambda s: s.study is not None and s.study.count(TrialStatus.RUNNING) == 1 and s.study.rows[1:])
    lost = state.study and state.study.running
    assert state.pid is not None and lost is not None
    os.kill(state.pid, signal.SIGKILL)
    state = study.end()
    assert study.exit_code is ExitCode.DONE
    assert state.study is not None and state.restarts == 1
    labels = [row.candidate.label for row in state.study.rows]
    assert len(labels) == len(set(labels)), "nothing was proposed twice"
    row = state.study.row(lost.candidate.id)
    assert row is not None and row.status is TrialStatus.FAILED
    told = [(d.kind, d.what, d.trial) for d in state.study.decisions]
    assert len(told) == len(set(told))
    assert told[-1][0] == "finish"


def test_a_candidate_added_during_a_search_is_run_and_may_win(start: AutoStarter) -> None:
    study = start.auto(in_thread=True, hold=True)
    study.until(lambda s: s.study is not None and s.study.running is not None)
    study.session.send(c.AddCandidate(values={"train.max_grad_norm": 0.5, "micro_batch_size": 8}, queued=True))
    state = study.until(lambda s: s.study is not None and s.study.finished)
    assert state.study is not None
    mine = next(row for row in state.study.rows if "train.max_grad_norm" in row.candidate.values)
    assert mine.status in (TrialStatus.OK, TrialStatus.PRUNED)
    study.session.send(c.Finish())
    study.end()
    assert study.exit_code is ExitCode.DONE


def test_a_search_that_waits_begins_when_all_is_to_be_run(start: AutoStarter) -> None:
    study = start.auto(in_thread=True, queued=False, hold=True, values={"search.budget": "10m"})
    study.until(lambda s: s.study is not None)
    study.session.send(c.RunAll())
    study.until(lambda s: s.study is not None and s.study.finished)
    study.session.send(c.Finish())
    study.end()
    assert study.exit_code is ExitCode.DONE


def test_where_nothing_fits_it_says_what_would_and_no_trial_is_run(start: AutoStarter) -> None:
    study = start.auto(in_thread=True, values={"search.memory_limit": "1MiB"})
    state = study.end()
    assert study.exit_code is ExitCode.NO_FIT
    assert state.outcome == "no_fit" and "no configuration fits in memory" in state.reason
    assert "data.max_length = " in state.next and "predicted" in state.next, state.next
    assert state.study is not None and state.study.rows == ()


def test_knobs_in_mode_auto_go_through_optuna(start: AutoStarter) -> None:
    knobs = {"micro_batch_size": [1, 2, 8], "train.max_grad_norm": [0.5, 1.0]}
    study = start.auto(in_thread=True, knobs=knobs)
    state = study.end()
    assert study.exit_code is ExitCode.DONE
    assert state.study is not None and state.study.mode == "auto"
    assert len(state.study.rows) == 6
    assert state.study.rows[0].candidate.values == {"train.micro_batch_size": 2, "train.max_grad_norm": 1.0}
    (finished,) = study.events(e.StudyFinished)
    assert finished.best == state.study.best
