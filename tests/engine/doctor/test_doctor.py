from __future__ import annotations

import ctypes.util
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from speedtui.engine.doctor import Check, render
from speedtui.engine.doctor.machine import check_disk, check_home
from speedtui.engine.doctor.packages import check_optional, check_package, check_python, oldest_version
from speedtui.engine.home import NOWHERE

Row = dict[str, str]
Examine = Callable[..., dict[str, Row]]


@pytest.mark.skipif(ctypes.util.find_library("nvidia-ml") is not None, reason="this machine has an NVIDIA driver")
def test_a_machine_without_a_gpu_has_no_problem_but_is_told_what_it_means(examine: Examine, tmp_path: Path) -> None:
    rows = examine(LC_ALL="C.UTF-8")
    assert rows["GPU"]["status"] == "warning"
    assert "no NVIDIA driver library" in rows["GPU"]["found"]
    assert "nvidia-smi" in rows["GPU"]["advice"]
    assert rows["runs folder"]["status"] == "ok"
    assert not [row for row in rows.values() if row["status"] != "ok" and not row.get("advice")]
    assert list(tmp_path.iterdir()) == []


def test_the_driver_and_each_of_its_devices_are_listed(examine: Examine, two_devices: Path) -> None:
    rows = examine(LD_LIBRARY_PATH=str(two_devices), without=("CUDA_VISIBLE_DEVICES",))
    assert rows["NVIDIA driver"]["found"] == "999.10, CUDA up to 12.4"
    assert rows["GPU 0"]["found"] == rows["GPU 1"]["found"] == "Stand-in 80, 79.0 GiB"


def test_a_lost_device_is_a_problem(examine: Examine, two_devices: Path, tmp_path: Path) -> None:
    (tmp_path / "lost").touch()
    rows = examine(
        LD_LIBRARY_PATH=str(two_devices), STAND_IN_LOST=str(tmp_path / "lost"), without=("CUDA_VISIBLE_DEVICES",)
    )
    assert rows["GPU 0"]["status"] == "ok"
    assert rows["GPU 1 of this machine"]["status"] == "problem"
    assert rows["GPU 1 of this machine"]["found"] == "lost: the driver says 'GPU is lost'"
    assert "nvidia-smi" in rows["GPU 1 of this machine"]["advice"]


def test_a_torch_that_cannot_use_the_devices_is_a_problem(examine: Examine, two_devices: Path) -> None:
    pytest.importorskip("torch")
    row = examine(LD_LIBRARY_PATH=str(two_devices), CUDA_VISIBLE_DEVICES="1")["torch devices"]
    if row["status"] == "ok":
        pytest.skip("torch has a real device here")
    assert row["status"] == "problem"
    assert "no GPU usable" in row["found"]
    assert row["advice"]


def test_hidden_devices_are_named_as_the_reason(examine: Examine, two_devices: Path) -> None:
    row = examine(LD_LIBRARY_PATH=str(two_devices), CUDA_VISIBLE_DEVICES="")["GPU"]
    assert "hides every GPU" in row["found"]
    assert "CUDA_VISIBLE_DEVICES" in row["advice"]


def test_a_device_asked_for_that_is_not_there_is_a_problem_as_jobs_are_refused(
    examine: Examine, two_devices: Path
) -> None:
    row = examine(LD_LIBRARY_PATH=str(two_devices), CUDA_VISIBLE_DEVICES="7")["GPU"]
    assert row["status"] == "problem"
    assert row["found"].startswith("CUDA_VISIBLE_DEVICES=7 names none. ")
    assert row["advice"].startswith("Jobs are refused: ")


@pytest.mark.skipif(ctypes.util.find_library("nvidia-ml") is not None, reason="this machine has an NVIDIA driver")
def test_a_device_without_nvml_is_there_and_judged_as_jobs_judge_it(examine: Examine, unread_device: Path) -> None:
    rows = examine(LD_LIBRARY_PATH=str(unread_device), without=("CUDA_VISIBLE_DEVICES",))
    assert rows["GPU"]["status"] == "warning"
    assert rows["GPU"]["found"].startswith("Stand-in 139: there, and cannot be read. ")
    assert rows["torch devices"]["found"].startswith("no GPU usable")


def test_a_torch_that_crashes_on_import_is_a_problem(examine: Examine, tmp_path: Path) -> None:
    broken = tmp_path / "site" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    row = examine(PYTHONPATH=str(broken.parent))["torch devices"]
    assert row["status"] == "problem"
    assert "killed by signal 11" in row["found"]


def test_the_reason_of_a_failed_import_is_quoted(examine: Examine, tmp_path: Path) -> None:
    broken = tmp_path / "site" / "torch"
    broken.mkdir(parents=True)
    (broken / "__init__.py").write_text("raise ImportError('libcudart.so.12 is missing')\n")
    row = examine(PYTHONPATH=str(broken.parent))["torch devices"]
    assert "libcudart.so.12 is missing" in row["found"]


def test_the_interpreter_is_named() -> None:
    assert check_python().status == "ok"
    assert sys.executable in check_python().found


def test_a_package_that_is_not_there_comes_with_its_install_command() -> None:
    row = check_package("no-such-package-anywhere")
    assert (row.status, row.found) == ("problem", "not installed")
    assert row.advice == "Install it: pip install no-such-package-anywhere"


def test_a_package_that_only_some_settings_need_is_no_problem_and_its_extra_is_named() -> None:
    row = check_optional("no-such-package-anywhere", "quantize", "some settings")
    assert (row.status, row.found) == ("ok", "not installed")
    assert row.advice == "Only some settings need it: pip install 'speedtui[quantize]'"
    assert check_optional("torch", "quantize", "some settings") == check_package("torch")


def test_the_oldest_versions_are_those_of_our_own_metadata() -> None:
    assert oldest_version("msgspec") == "0.19"
    assert oldest_version("torch") == "2.6"
    assert oldest_version("no-such-package-anywhere") is None


def test_a_package_that_is_too_old_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "peft-0.4.1.dist-info"
    old.mkdir()
    (old / "METADATA").write_text("Metadata-Version: 2.1\nName: peft\nVersion: 0.4.1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    row = check_package("peft")
    assert (row.status, row.found) == ("problem", "0.4.1")
    assert "pip install 'peft>=" in row.advice


def test_a_home_that_is_not_there_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (check_home().status, check_home().found) == ("ok", str(tmp_path))
    monkeypatch.setenv("HOME", NOWHERE)
    assert check_home().status == "warning"
    assert check_home().advice == "Set HOME."


def test_a_runs_folder_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    writable, room = check_disk(tmp_path / "file" / "runs")
    assert writable.status == "problem"
    assert "cannot be written" in writable.found
    assert room.name == "free disk"


NOBODY = 65534


@pytest.fixture
def not_as_root() -> Iterator[None]:
    """Root may write everywhere: as somebody else meanwhile."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    yield
    os.seteuid(0)


def test_a_read_only_runs_folder_cannot_be_written(not_as_root: None) -> None:
    with tempfile.TemporaryDirectory() as folder:  # below no folder of root's alone
        Path(folder).chmod(0o500)
        assert check_disk(Path(folder))[0].status == "problem"


def test_few_open_files_are_a_warning() -> None:
    script = (
        "from speedtui.engine.doctor.machine import check_open_files as c; print(c().status, c().found, c().advice)"
    )

    def lower() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))

    done = subprocess.run([sys.executable, "-c", script], preexec_fn=lower, capture_output=True, text=True, check=True)
    assert done.stdout == "warning 256 Loaders with several workers may run out: ulimit -n 512\n"


def test_the_text_is_aligned_and_says_each_status_in_words() -> None:
    checks = [
        Check(name="Python", status="ok", found="3.11.7"),
        Check(name="free disk", status="warning", found="8 GiB", advice="Make room."),
        Check(name="torch", status="problem", found="not installed", advice="pip install torch"),
    ]
    assert render(checks) == (
        "ok       Python     3.11.7\n"
        "warning  free disk  8 GiB\n"
        "                    -> Make room.\n"
        "problem  torch      not installed\n"
        "                    -> pip install torch\n"
        "\n"
        "1 problem and 1 warning.\n"
    )


def test_when_all_is_well_the_summary_says_so() -> None:
    assert render([Check(name="Python", status="ok", found="3.11.7")]).endswith("\n\nEverything works.\n")
    assert render([]) == "\nEverything works.\n"


def test_a_check_survives_json() -> None:
    check = Check(name="torch", status="problem", found="not installed", advice="pip install torch")
    assert msgspec.json.decode(msgspec.json.encode(check), type=Check) == check
