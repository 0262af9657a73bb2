"""The check of a GPU, run here as it will be run there: nothing it finds is lost, whatever becomes of a block."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.gpu import planted, wheels
from tests.gpu.drive import sound
from tests.gpu.rows import PARTS

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
]  # a rehearsal is a minute of work, on cores that others may have
FOLDER = Path(__file__).parent
Line = dict[str, Any]


def lines_of(path: Path) -> list[Line]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture(scope="module")
def rehearsal(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The folder of both parts, and what was printed."""
    out = tmp_path_factory.mktemp("rehearsal")
    command = [sys.executable, str(FOLDER / "check.py"), "--cpu", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    logs = "\n".join(path.read_text()[-6000:] for path in sorted(out.glob("*.log")))
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{logs}"
    return out, done.stdout


@pytest.fixture(params=list(PARTS))
def rehearsed(request: pytest.FixtureRequest, rehearsal: tuple[Path, str]) -> tuple[str, Path, str]:
    """(name of a part, the folder, what was printed)"""
    return request.param, *rehearsal


def test_every_block_of_a_rehearsal_tells_of_itself_and_of_each_of_its_claims(
    rehearsed: tuple[str, Path, str],
) -> None:
    name, out, printed = rehearsed
    head, *lines = lines_of(out / f"{name}.jsonl")
    assert (head["part"], head["rehearsal"], head["machine"]["device"]) == (name, True, "Simulated GPU")
    assert head["machine"]["packages"]["torch"] and head["machine"]["python"]
    blocks = PARTS[name].blocks
    assert [line["block"] for line in lines] == [block.name for block in blocks]
    for line, block in zip(lines, blocks, strict=True):
        assert line["status"] == "ok", line
        assert line["figures"], line
        assert [claim["claim"] for claim in line["claims"]] == list(block.claims.values())
        assert all(claim["found"] in printed for claim in line["claims"])
    assert f"figures in {out / name}.jsonl" in printed


def test_a_rehearsal_proves_nothing_of_a_gpu(rehearsed: tuple[str, Path, str]) -> None:
    name, out, _ = rehearsed
    verdicts = {claim["verdict"] for line in lines_of(out / f"{name}.jsonl")[1:] for claim in line["claims"]}
    assert verdicts <= {"rehearsed", "not reached"}


def test_what_needs_no_gpu_to_be_true_is_true_in_the_rehearsal(rehearsed: tuple[str, Path, str]) -> None:
    name, out, _ = rehearsed
    held = {(line["block"], claim["key"]): claim for line in lines_of(out / f"{name}.jsonl")[1:]
            for claim in line["claims"]}  # fmt: skip
    everywhere = {
        "A": [("contract", "kept"), ("contract", "stays_broken"), ("returned", "bytes"),
              ("returned", "after_out_of_memory"), ("failures", "too_large"), ("failures", "over_fraction"),
              ("failures", "assert"), ("studies", "all_ok"), ("studies", "one_out_of_memory"),
              ("studies", "same_worker"), ("poisoned", "replaced_once"), ("poisoned", "study_ends")],
        "B": [("fragmentation", "retries"), ("finders", "out_of_memory")],
    }  # fmt: skip
    assert [key for key in everywhere[name] if held[key]["held"] is not True] == [], held


@pytest.fixture(scope="module")
def gone_wrong(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Line], str]:
    """The lines of the planted blocks by name, and the table."""
    out = tmp_path_factory.mktemp("planted")
    done = subprocess.run([sys.executable, planted.__file__, str(out)], capture_output=True, text=True, check=True)
    return {line["block"]: line for line in lines_of(out / "lines.jsonl")}, done.stdout


@pytest.mark.parametrize(
    ("name", "status", "reason"),
    [
        ("ok", "ok", ""),
        ("raises", "failed", "ValueError: something is wrong"),
        ("crashes", "crashed", "killed by SIGSEGV"),
        ("leaves", "crashed", "exit status 3"),
        ("hangs", "timed out", "killed after 1 s"),
        ("too long", "left out", "no time was left for it"),
        ("last", "ok", ""),
    ],
)
def test_a_block_that_goes_wrong_says_how_and_the_others_go_on(
    gone_wrong: tuple[dict[str, Line], str], name: str, status: str, reason: str
) -> None:
    line = gone_wrong[0][name]
    assert (line["status"], line["reason"]) == (status, reason)


def test_what_a_block_had_found_before_it_went_wrong_is_kept(gone_wrong: tuple[dict[str, Line], str]) -> None:
    for name in ("raises", "crashes", "leaves", "hangs", "cut off"):
        line = gone_wrong[0][name]
        assert line["figures"] == {"began": True}
        assert [claim["verdict"] for claim in line["claims"]] == ["holds", "not reached"]
    assert [claim["verdict"] for claim in gone_wrong[0]["too long"]["claims"]] == ["not reached"] * 2


def test_the_table_counts_what_holds_what_is_refuted_and_what_was_not_reached(
    gone_wrong: tuple[dict[str, Line], str],
) -> None:
    lines, table = gone_wrong
    assert table.rstrip().endswith("10 holds, 1 refuted, 7 not reached")
    assert "refuted      refuted   it ends: it did" in table
    assert "hangs timed out: killed after 1 s" in table
    assert not sound(list(lines.values()), rehearsal=False)
    assert sound([lines["ok"], lines["last"]], rehearsal=False)
    assert not sound([lines["refuted"]], rehearsal=False)


def test_nothing_that_a_killed_block_has_started_is_left(gone_wrong: tuple[dict[str, Line], str]) -> None:
    assert [command for command in commands_of(psutil.process_iter()) if planted.LEFT_ALONE in command] == []


def test_asked_to_end_it_ends_with_all_that_it_has_started(tmp_path: Path) -> None:
    check = subprocess.Popen([sys.executable, planted.__file__, str(tmp_path), planted.ONLY_HANGING])
    while not any(planted.LEFT_ALONE in command for command in commands_below(check.pid)):
        assert check.poll() is None
    check.terminate()
    assert check.wait() == 143
    assert [command for command in commands_of(psutil.process_iter()) if planted.LEFT_ALONE in command] == []


def commands_below(pid: int) -> list[list[str]]:
    return commands_of(psutil.Process(pid).children(recursive=True))


def commands_of(processes: Iterable[psutil.Process]) -> list[list[str]]:
    """Command lines of those that are still there."""
    found = []
    for process in processes:
        with contextlib.suppress(psutil.Error):
            found.append(process.cmdline())
    return found


def test_without_a_cuda_device_nothing_is_checked(tmp_path: Path) -> None:
    command = [sys.executable, str(FOLDER / "check.py"), "--block", "A", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "gpu-check: nothing was checked: torch" in done.stdout
    assert "sees no CUDA device" in done.stdout


def test_a_block_can_be_run_by_itself_and_an_unknown_one_is_refused() -> None:
    command = [sys.executable, str(FOLDER / "check.py"), "--cpu", "--only", "clocks"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("gpu-check: no block clocks; there are facts, contract, clock,")


def test_wheels_of_a_folder_can_be_imported_without_an_install(tmp_path: Path, new_wheel: Callable[..., None]) -> None:
    new_wheel(tmp_path / "brought-1.0-py3-none-any.whl", {"brought/__init__.py": "WHAT = 'a wheel'\n"})
    unpacked = wheels.unpack(tmp_path, tmp_path / "packages")
    program = "import brought; print(brought.WHAT)"
    done = subprocess.run([sys.executable, "-c", program], env={"PYTHONPATH": str(unpacked)}, capture_output=True)
    assert done.stdout == b"a wheel\n", done.stderr
    assert list(wheels.unpack(tmp_path / "there is none", tmp_path / "empty").iterdir()) == []


def test_wheels_for_another_python_and_of_what_is_there_are_left_alone(
    tmp_path: Path, new_wheel: Callable[..., None]
) -> None:
    this, other = f"cp3{sys.version_info.minor}", f"cp3{sys.version_info.minor + 1}"
    new_wheel(tmp_path / f"mine-1.0-{this}-{this}-manylinux2014_x86_64.whl", {"mine.py": ""})
    new_wheel(tmp_path / f"others-1.0-{other}-{other}-manylinux2014_x86_64.whl", {"others.py": ""})
    new_wheel(tmp_path / "msgspec-9.0-py3-none-any.whl", {"msgspec/__init__.py": ""})
    assert [path.name for path in wheels.unpack(tmp_path, tmp_path / "packages").iterdir()] == ["mine.py"]


@pytest.fixture
def new_wheel() -> Callable[[Path, dict[str, str]], None]:
    """Writes one."""
    import zipfile

    def write(path: Path, files: dict[str, str]) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)

    return write


def test_the_wheels_are_the_versions_that_the_tests_run_with() -> None:
    pinned = dict(
        line.split("==") for line in (FOLDER.parents[1] / "constraints.txt").read_text().split() if "==" in line
    )
    brought = [package.split("==") for group in wheels.PACKAGES.values() for package in group if "==" in package]
    same = {name: version for name, version in brought if name in pinned}
    assert {"datasets", "msgspec", "tomli_w", "optuna"} <= same.keys()
    assert same == {name: pinned[name] for name in same}
