"""What a history does with a file that it cannot use: it says so once, and everything else goes on."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import textwrap
from pathlib import Path

import pytest

from speedtui.engine.history.history import History
from speedtui.engine.history.records import PastOutcome
from speedtui.engine.history.schema import STEPS

NOBODY = 65534
OUTCOME = PastOutcome(at=1.0, run="r", device="cpu", model="m", estimated_p50_seconds=1.0, actual_seconds=2.0)


def use(history: History) -> None:
    """Everything a caller does with it."""
    history.record_outcome(OUTCOME)
    assert history.accuracies("cpu") == []
    assert history.calibration("cpu", "torch 2.13.0", "llama") == []
    assert history.latest_measurement("cpu", "m", "k") is None
    assert history.nearest_throughput("cpu", "m", "fast") is None
    history.close()


def run_python(script: str, *arguments: object) -> str:
    result = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_a_locked_file_is_a_history_without_content(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with History.open(path) as history:
        history.record_outcome(OUTCOME)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("PRAGMA locking_mode = EXCLUSIVE")
    holder.execute("BEGIN EXCLUSIVE")
    history = History.open(path)
    assert history.problem == f"history: {path} is locked by another program; estimates go without it"
    assert history.hint == "Close what holds it, then start again."
    use(history)
    holder.close()
    with History.open(path) as history:
        assert history.problem is None
        assert len(history.accuracies("cpu")) == 1


def test_a_write_lock_held_too_long_costs_the_record_and_not_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with History.open(path) as history:
        history.record_outcome(OUTCOME)
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        history.record_outcome(OUTCOME)
        assert history.problem is not None and "is locked" in history.problem
        assert len(history.accuracies("cpu")) == 1
        holder.execute("ROLLBACK")
        history.record_outcome(OUTCOME)
        assert len(history.accuracies("cpu")) == 2
        holder.close()


def test_a_damaged_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    garbage = b"this is no database, " * 500
    path.write_bytes(garbage)
    history = History.open(path)
    assert history.problem == f"history: {path} is damaged; estimates go without it"
    use(history)
    assert path.read_bytes() == garbage


def test_damage_inside_the_file_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with History.open(path) as history:
        for _ in range(200):
            history.record_outcome(OUTCOME)
    content = bytearray(path.read_bytes())
    content[8192:] = b"\xa5" * (len(content) - 8192)
    path.write_bytes(content)
    with History.open(path) as history:
        assert history.accuracies("cpu") == []
        history.record_outcome(OUTCOME)
        assert history.problem is not None and "is damaged" in history.problem


def test_a_folder_in_its_place_and_a_file_in_its_folders_place(tmp_path: Path) -> None:
    (tmp_path / "h.sqlite").mkdir()
    history = History.open(tmp_path / "h.sqlite")
    assert history.problem is not None and "unable to open database file" in history.problem
    use(history)
    (tmp_path / "file").write_text("")
    history = History.open(tmp_path / "file" / "speedtui" / "h.sqlite")
    assert history.problem is not None and "cannot be used: Not a directory" in history.problem
    use(history)


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed whom permissions bind")
@pytest.mark.parametrize("writable_folder", [False, True])
def test_a_file_that_may_only_be_read_is_read(writable_folder: bool) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "h.sqlite"
        with History.open(path) as history:
            history.record_outcome(OUTCOME)
        os.chmod(path, 0o644)
        os.chmod(folder, 0o777 if writable_folder else 0o755)
        printed = run_python(
            """
            import os, sys
            from pathlib import Path
            from speedtui.engine.history.history import History
            from speedtui.engine.history.records import PastOutcome
            os.setuid(int(sys.argv[2]))
            history = History.open(Path(sys.argv[1]))
            print(len(history.accuracies("cpu")))
            history.record_outcome(
                PastOutcome(at=2.0, run="r", device="cpu", model="m", estimated_p50_seconds=1.0, actual_seconds=2.0)
            )
            print(history.problem)
            """,
            path,
            NOBODY,
        )
        assert printed.splitlines() == ["1", f"history: {path} cannot be written; new figures are not kept"]


@pytest.mark.skipif(os.geteuid() != 0, reason="another user is needed whom permissions bind")
def test_a_folder_that_cannot_be_written_is_no_reason_to_fail() -> None:
    printed = run_python(
        """
        import os, sys
        from speedtui.engine.history.history import History
        os.setuid(int(sys.argv[1]))
        os.environ["XDG_DATA_HOME"] = "/proc/nowhere"
        print(History.open().problem)
        os.environ["XDG_DATA_HOME"] = "/"
        print(History.open().problem)
        """,
        NOBODY,
    )
    assert [line.split("cannot be used: ")[1] for line in printed.splitlines()] == [
        "No such file or directory; estimates go without it",
        "Permission denied; estimates go without it",
    ]


def test_another_programs_database_is_not_written_into(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE places (url TEXT)")
    connection.close()
    before = path.read_bytes()
    history = History.open(path)
    assert history.problem == f"history: {path} is a database of another program; estimates go without it"
    use(history)
    assert path.read_bytes() == before


def test_a_file_of_a_later_version_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    History.open(path).close()
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()
    history = History.open(path)
    assert history.problem is not None
    assert f"was written by a later speedtui (version {len(STEPS) + 1}, this one knows" in history.problem
    use(history)


def test_a_full_disk_costs_the_new_figures_and_keeps_the_old(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    printed = run_python(
        """
        import resource, sys
        from pathlib import Path
        from speedtui.engine.history.history import History
        from speedtui.engine.history.records import PastOutcome
        path = Path(sys.argv[1])
        history = History.open(path)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
        for n in range(2000):
            history.record_outcome(PastOutcome(at=float(n), run="r" * 500, device="cpu", model="m",
                                               estimated_p50_seconds=1.0, actual_seconds=2.0))
            if history.problem:
                break
        print(n)
        print(history.problem)
        print(history.hint)
        """,
        path,
    )
    count, problem, hint = printed.splitlines()
    assert 0 < int(count) < 1999
    assert str(path) in problem and "disk" in problem + hint
    with History.open(path) as history:
        assert history.problem is None
        assert history.accuracies("cpu")[0].at == int(count) - 1


def test_processes_that_begin_and_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "new" / "h.sqlite"
    script = """
        import sys
        from pathlib import Path
        from speedtui.engine.history.history import History
        from speedtui.engine.history.records import PastOutcome
        sys.stdin.readline()
        history = History.open(Path(sys.argv[1]))
        for n in range(30):
            history.record_outcome(PastOutcome(at=float(n), run=sys.argv[2], device="cpu", model="m",
                                               estimated_p50_seconds=1.0, actual_seconds=2.0))
        print(history.problem)
    """
    writers = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(script), str(path), str(n)], text=True,
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for n in range(3)
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert [writer.communicate()[0].strip() for writer in writers] == ["None"] * 3
    with History.open(path) as history:
        runs = [past.run for past in history.accuracies("cpu")]
    assert {run: runs.count(run) for run in "012"} == {"0": 30, "1": 30, "2": 30}
