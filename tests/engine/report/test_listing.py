"""The list of runs: each is read by itself, kept once it is over, and found by its start or a link's name."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.errors import RunFolderError
from speedtui.engine.locks import hold_lock
from speedtui.engine.log import run_summary as glances
from speedtui.engine.report import listing
from speedtui.engine.report.listing import RunEntry, list_entries
from speedtui.engine.report.lookup import find_trial
from speedtui.engine.runs import RunFolder, find_recording, find_run, list_runs
from tests.engine.events_of_a_run import finished, ok, started, step, study, training
from tests.engine.plan.plans import plan

END = e.RunFinished(t=60.0, outcome="ok", exit_code=0)
TRAINING = [started("train"), training(100), *[step(number, t=12.0 + number) for number in range(1, 40)]]


def encoded(events: list[e.AnyEvent]) -> bytes:
    return b"".join(map(e.encode, events))


def make(runs: Path, name: str, log: bytes) -> RunFolder:
    folder = RunFolder(runs / name)
    folder.path.mkdir(parents=True)
    folder.events.write_bytes(log)
    return folder


def rows(runs: Path, cache: Path | None = None) -> dict[str, RunEntry]:
    return {entry.run: entry for entry in list_entries(runs, kept=cache)}


def test_one_run_that_cannot_be_read_costs_its_own_row_whatever_is_in_the_place_of_its_log(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    make(runs, "20260102-000000-train-aaaa", encoded([*TRAINING, END]))
    make(runs, "20260103-000000-train-bbbb", b"")
    make(runs, "20260104-000000-train-cccc", b"garbage\n\x00\x01\n")
    make(runs, "20260105-000000-train-dddd", b'{"v":7,"type":"run_started","t":0}\n' * 3)
    make(runs, "20260106-000000-train-eeee", encoded(TRAINING) + b"x" * 50 + b"\n" + encoded([END]))
    pipe, folder = RunFolder(runs / "pipe"), RunFolder(runs / "folder")
    pipe.path.mkdir()
    os.mkfifo(pipe.events)
    folder.events.mkdir(parents=True)
    os.mkfifo(runs / "20260102-000000-train-aaaa" / "worker.lock")
    os.mkfifo(runs / "20260102-000000-train-aaaa" / "owner.lock")
    found = rows(runs)
    assert {name[-4:]: (row.state, row.result, row.passed_over) for name, row in found.items()} == {
        "aaaa": ("ok", "step 39 of 100, loss 2.000", ""),
        "bbbb": ("unreadable", "nothing written yet", ""),
        "cccc": ("unreadable", "no event of speedtui in events.jsonl", ""),
        "dddd": ("unreadable", "written by a newer speedtui: 3 lines not understood", ""),
        "eeee": ("ok", "step 39 of 100, loss 2.000", "1 damaged line of the log (50 bytes) passed over"),
        "pipe": ("unreadable", "events.jsonl is a pipe where a file is expected", ""),
        "lder": ("unreadable", "events.jsonl is a folder where a file is expected", ""),
    }
    assert all(row.seconds is None for row in found.values() if row.state == "unreadable"), "nothing lasted 0 s"
    assert [one.folder.id for one in glances.RunSummaries(runs).look()] == [folder.id for folder in list_runs(runs)]


def test_a_plan_is_listed_with_what_it_came_to_and_a_search_by_what_it_tried(tmp_path: Path) -> None:
    tried, end = [study(0, 1), finished(0, ok(5.0))], e.RunFinished(t=9.0, outcome="ok", exit_code=0)
    make(tmp_path, "plan", encoded([started("plan"), *tried, e.PlanMade(t=8.0, plan=plan()), end]))
    make(tmp_path, "tune", encoded([started(), *tried, end]))
    seen = rows(tmp_path)
    assert seen["plan"].result == "balanced, 2h 08m" and seen["tune"].result.startswith("1 of 2 trials")


def test_the_newest_run_is_the_one_that_was_started_last_and_no_copy_of_it(tmp_path: Path) -> None:
    new = make(tmp_path, "20260301-120000-train-aaaa", encoded([*TRAINING, END]))
    old = make(tmp_path, "20260228-120000-train-bbbb", encoded([*TRAINING, END]))
    own = make(tmp_path, "of my own name", encoded([started("train", started_at=1.9e9), END]))
    os.utime(old.events, (3e9, 3e9))
    copied = tmp_path / f"{new.id}-copy"
    shutil.copytree(new.path, copied)
    os.utime(copied / "events.jsonl", (4e9, 4e9))
    assert [folder.id for folder in list_runs(tmp_path)] == [own.id, new.id, copied.name, old.id]
    shutil.rmtree(own.path)
    assert find_run(tmp_path, None).id == new.id


def test_a_link_to_a_run_is_no_other_run_and_its_name_finds_it(tmp_path: Path) -> None:
    run = make(tmp_path, "20260301-120000-train-aaaa", encoded([*TRAINING, END]))
    make(tmp_path, "20260301-130000-train-bbbb", encoded([*TRAINING, END]))
    (tmp_path / "latest").symlink_to(run.id)
    (tmp_path / "loop").symlink_to("loop")
    assert [folder.id for folder in list_runs(tmp_path)] == ["20260301-130000-train-bbbb", run.id]
    for name in ("latest", run.id, "aaaa"):
        assert find_run(tmp_path, name).id == run.id
    assert find_run(tmp_path, str(tmp_path / "latest")).id == run.id
    assert find_recording(tmp_path, "latest").id == run.id
    with pytest.raises(RunFolderError, match="2 runs match"):
        find_run(tmp_path, "train")


def test_a_run_that_is_over_is_read_once_and_again_when_its_log_is_another_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs, cache = tmp_path / "runs", tmp_path / "cache"
    done = make(runs, "20260301-120000-train-aaaa", encoded([*TRAINING, END]))
    going = make(runs, "20260301-130000-train-bbbb", encoded(TRAINING))
    read: list[str] = []
    monkeypatch.setattr(listing, "read_summary", lambda folder: read.append(folder.id) or glances.read_summary(folder))
    with hold_lock(going.worker_lock):
        first = rows(runs, cache)
        assert rows(runs, cache) == first and read == [going.id, done.id] * 2, "what has just changed is not kept"
        monkeypatch.setattr(listing, "SETTLED_SECONDS", -1.0)
        read.clear()
        assert rows(runs, cache) == rows(runs, cache) == first
        assert read == [going.id, done.id, going.id], "one that goes on is read each time"
    read.clear()
    before = done.events.stat()
    done.events.write_bytes(encoded([*TRAINING, END]).replace(b'"outcome":"ok"', b'"outcome":"ok"'))
    os.utime(done.events, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert rows(runs, cache)[done.id] == first[done.id] and done.id in read, "same size and time, another content"
    aside = done.path / "aside"
    aside.write_bytes(encoded([*TRAINING, END]).replace(b'"step":39', b'"step":38'))
    os.replace(aside, done.events)
    assert rows(runs, cache)[done.id].result.startswith("step 38 of")
    assert not [path for path in done.path.iterdir() if path.name not in ("events.jsonl", "worker.lock")]
    (file,) = cache.iterdir()
    for damage in (b"", b"[", b"[1,{}]", b'[1,{"a":[[1],5]}]', b"[" * 100_000):
        file.write_bytes(damage)
        assert rows(runs, cache)[done.id].result.startswith("step 38 of")


def test_a_log_of_200_gb_is_a_row_like_any_other(tmp_path: Path) -> None:
    run = make(tmp_path, "20260301-120000-train-aaaa", encoded(TRAINING))
    with run.events.open("r+b") as file:
        file.seek(200 << 30)
        file.write(b"\n" + encoded([step(77, t=90.0), END]))
    (row,) = list_entries(tmp_path)
    assert (row.state, row.result.partition(",")[0]) == ("ok", "step 77 of 100")


def test_the_newest_study_is_found_beside_runs_that_cannot_be_read(tmp_path: Path) -> None:
    config = b'[model]\npath = "m"\n[data]\ntrain = "d"\n'
    make(tmp_path, "20260301-120000-tune-aaaa", encoded([started(), study(0, 1), finished(0, ok(5.0)), END]))
    (tmp_path / "20260301-120000-tune-aaaa" / "config.toml").write_bytes(config)
    make(tmp_path, "20260302-120000-tune-bbbb", b"torn")
    os.mkfifo(make(tmp_path, "20260303-120000-tune-cccc", b"").path / "pipe")
    os.replace(tmp_path / "20260303-120000-tune-cccc/pipe", tmp_path / "20260303-120000-tune-cccc/events.jsonl")
    assert find_trial(tmp_path, "0").values == {"train.micro_batch_size": 2}
