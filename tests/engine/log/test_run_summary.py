"""What a list says of runs: alive, finished, torn, empty, foreign, unreadable."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from speedtui.engine import events as e
from speedtui.engine.locks import hold_lock
from speedtui.engine.log import run_summary as module
from speedtui.engine.log.run_summary import AT_END, RunSummaries, read_summary, status_of
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunStatus, fold
from tests.engine.events_of_a_run import finished, ok, started, step, study, training

END = e.RunFinished(t=60.0, outcome="ok", exit_code=0, next="done")
STEPS = [step(number, t=12.0 + number) for number in range(1, 40)]
TRAINING = [started("train"), training(100), *STEPS]


def make(runs: Path, name: str, events: list[e.AnyEvent], *, age: float = 0.0, rest: bytes = b"") -> RunFolder:
    folder = RunFolder(runs / name)
    folder.path.mkdir(parents=True)
    folder.events.write_bytes(b"".join(e.encode(event) for event in events) + rest)
    os.utime(folder.events, (1e9 - age, 1e9 - age))
    return RunFolder(folder.path.resolve())


def test_those_that_are_alive_come_first_and_then_the_newest(tmp_path: Path) -> None:
    make(tmp_path, "old", [*TRAINING, END], age=300)
    alive = make(tmp_path, "alive", TRAINING, age=200)
    make(tmp_path, "new", [*TRAINING, END], age=100)
    with hold_lock(alive.worker_lock):
        found = RunSummaries(tmp_path).look()
    assert [(one.folder.id, one.alive) for one in found] == [("alive", True), ("new", False), ("old", False)]
    assert [status_of(one) for one in found] == [RunStatus.TRAINING, RunStatus.FINISHED, RunStatus.FINISHED]


def test_a_short_log_says_all_that_its_fold_says(tmp_path: Path) -> None:
    events = [started(), study(0, 1), finished(0, ok(5.0)), END]
    found = read_summary(make(tmp_path, "short", events))
    assert found.whole and found.state == fold(events)


def test_a_run_without_an_end_whose_worker_is_gone_is_lost(tmp_path: Path) -> None:
    torn = read_summary(make(tmp_path, "torn", TRAINING, rest=e.encode(step(40))[:-30]))
    assert (status_of(torn), torn.problem) == (RunStatus.LOST, "")
    assert torn.state.training is not None and torn.state.training.step == 39


def test_what_holds_no_run_says_why(tmp_path: Path) -> None:
    assert read_summary(make(tmp_path, "empty", [])).problem == "nothing written yet"
    foreign = make(tmp_path, "foreign", [], rest=b'{"loss": 1.0}\n\xff\xfe\nplain words\n')
    assert read_summary(foreign).problem == "no event of speedtui in events.jsonl"


def test_an_unreadable_log_is_a_row_with_its_reason(tmp_path: Path) -> None:
    make(tmp_path, "fine", [*TRAINING, END])
    broken = RunFolder(tmp_path / "broken")
    broken.path.mkdir()
    broken.events.symlink_to("/proc/self/mem")  # a file that nobody can read from its beginning
    found = {one.folder.id: one.problem for one in RunSummaries(tmp_path).look()}
    assert found["fine"] == "" and "cannot be read" in found["broken"]


def test_of_a_long_log_the_ends_alone_say_how_far_it_is_and_how_it_ended(tmp_path: Path) -> None:
    many = [step(number, t=12.0 + number) for number in range(1, 6000)]
    eta = e.EtaUpdated(t=6100.0, p50_seconds=50.0, p90_seconds=60.0, verdict="tight", spare_seconds=9.0, terms={})
    going = make(tmp_path, "going", [started("train"), training(9000), *many, eta])
    assert going.events.stat().st_size > 3 * (module.HEAD_BYTES + module.TAIL_BYTES)
    found = read_summary(going)
    state = found.state
    assert not found.whole and state.training is not None
    assert found.step == 5999
    assert (state.training.step, state.training.total_steps, state.training.label) == (5999, 9000, "mb2 ga8")
    assert state.training.eta == eta
    done = read_summary(
        make(tmp_path, "done", [started("train"), training(9000), *many, msgspec.structs.replace(END, t=7e3)])
    )
    assert (done.state.outcome, status_of(done)) == ("ok", RunStatus.FINISHED)


def test_how_far_a_long_run_is_is_found_behind_an_evaluation_and_not_guessed(tmp_path: Path) -> None:
    many = [step(number, t=12.0 + number) for number in range(1, 3000)]
    sample = e.HardwareSampled(t=5000.0, devices=[], host=e.HostSample(cpu_fraction=0.5))
    begin = [started("train"), training(9000), *many]
    some = 2 * module.TAIL_BYTES // len(e.encode(sample))
    assert read_summary(make(tmp_path, "some", [*begin, *[sample] * some])).step == 2999
    many_more = 2 * module.MOST_TAIL_BYTES // len(e.encode(sample))
    assert read_summary(make(tmp_path, "many", [*begin, *[sample] * many_more])).step is None


def test_trials_of_which_a_part_is_not_read_are_not_counted(tmp_path: Path) -> None:
    trials = [step(number, t=12.0 + number, trial=0, probe="throughput") for number in range(1, 3000)]
    cut = read_summary(make(tmp_path, "cut", [started(), study(0, 1), *trials, finished(0, ok(5.0), t=9e3), *trials]))
    assert not cut.whole and cut.state.study is not None
    assert not any(row.status.finished for row in cut.state.study.rows)
    assert e.TrialFinished not in AT_END


def test_a_log_is_read_again_only_when_it_has_grown(tmp_path: Path) -> None:
    folder = make(tmp_path, "run", TRAINING)
    glances = RunSummaries(tmp_path)
    first = glances.look()[0]
    assert glances.look()[0] is first
    with folder.events.open("ab") as file:
        file.write(e.encode(END))
    assert glances.look()[0].state.outcome == "ok"
    folder.events.unlink()
    assert glances.look() == []
