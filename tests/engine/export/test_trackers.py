"""The real packages where they are installed; where one is not, that this is said."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest

from speedtui.engine.errors import ExitCode
from speedtui.engine.runs import RunFolder
from tests.engine.export.recorded_run import ESTIMATE, RUN, training_events, write_run

EXPORT = [sys.executable, "-c", """
import atexit, sys
atexit.register(lambda: print(*sorted({"torch", "textual", "transformers"} & set(sys.modules)), file=sys.stderr))
from speedtui.tui.cli import main
main()
""", "export", RUN, "--json"]  # fmt: skip


def export(folder: RunFolder, tracker: str, out: Path) -> subprocess.CompletedProcess[str]:
    """In a process of its own: a tracker leaves threads and hooks behind."""
    home = out.parent / "home"
    environment = {
        **os.environ, "WANDB_MODE": "offline", "HOME": str(home), "WANDB_CACHE_DIR": str(home),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
    }  # fmt: skip
    home.mkdir(exist_ok=True)
    command = [*EXPORT, "--runs", str(folder.path.parent), "--to", tracker, "--out", str(out)]
    return subprocess.run(
        command, cwd=out.parent, env=environment, capture_output=True, text=True, timeout=120, check=False
    )  # fmt: skip


def tensorboard_rows(out: Path) -> list[tuple[int, float]]:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(out))
    events.Reload()
    assert events.Scalars("optimization/time_accuracy")[0].value == pytest.approx(0.9)
    return [(event.step, event.value) for event in events.Scalars("train/loss")]


def trackio_rows(out: Path) -> list[tuple[int, float]]:
    import sqlite3

    with sqlite3.connect(out / "speedtui.db") as database:
        rows = database.execute("SELECT step, metrics FROM metrics ORDER BY id").fetchall()
    values = [(step, json.loads(metrics)) for step, metrics in rows]
    assert [value["optimization/time_accuracy"] for _, value in values if "optimization/time_accuracy" in value] == [
        pytest.approx(0.9)
    ]
    return [(step, value["train/loss"]) for step, value in values if "train/loss" in value]


def wandb_rows(out: Path) -> list[tuple[int, float]]:
    """From the records of the one offline run that is there."""
    from wandb.proto import wandb_internal_pb2

    (path,) = (out / "wandb").glob(f"offline-run-*/run-{RUN}.wandb")
    rows = []
    for data in log_records(path.read_bytes()):
        record = wandb_internal_pb2.Record()
        record.ParseFromString(data)
        if record.WhichOneof("record_type") == "history":
            row = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
            if "train/loss" in row:
                rows.append((int(row["_step"]), float(row["train/loss"])))
    return rows


def log_records(data: bytes) -> list[bytes]:
    """LevelDB's log format, after a header of 7 bytes: blocks of 32 KiB, in them (crc, length, type) and the bytes."""
    records, whole, at = [], b"", 7
    while at + 7 <= len(data):
        if 32_768 - at % 32_768 < 7:
            at += 32_768 - at % 32_768
            continue
        length, kind = int.from_bytes(data[at + 4 : at + 6], "little"), data[at + 6]
        whole += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):  # whole, or the last part
            records.append(whole)
            whole = b""
    return records


READERS: dict[str, Callable[[Path], list[tuple[int, float]]]] = {
    "tensorboard": tensorboard_rows, "wandb": wandb_rows, "trackio": trackio_rows,
}  # fmt: skip


@pytest.mark.parametrize("tracker", READERS)
def test_an_export_is_there_once_however_often_it_is_made(tracker: str, tmp_path: Path) -> None:
    folder = write_run(tmp_path / "runs", training_events(), estimate=ESTIMATE)
    out = tmp_path / "out"
    ended = export(folder, tracker, out)
    if find_spec(tracker) is None:
        assert ended.returncode == ExitCode.USAGE
        assert ended.stderr.splitlines()[:2] == [
            f"speedtui: {tracker} is not installed", "Install it: pip install 'speedtui[trackers]'",
        ]  # fmt: skip
        assert ended.stdout == ""
        return
    assert ended.returncode == ExitCode.DONE, ended.stderr
    assert json.loads(ended.stdout)["points"] == 10
    assert ended.stderr.splitlines()[-1:] == [""], "it imports neither torch nor textual"
    assert READERS[tracker](out) == [(1, 2.0), (2, 1.5), (3, 1.25)]
    assert export(folder, tracker, out).returncode == ExitCode.DONE
    assert READERS[tracker](out) == [(1, 2.0), (2, 1.5), (3, 1.25)]
