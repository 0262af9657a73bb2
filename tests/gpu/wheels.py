"""Packages that the target lacks, as wheels for its Python: fetched here, used there without an install.

python3 tests/gpu/wheels.py             what the engine needs, into build/gpu-wheels
python3 tests/gpu/wheels.py search      and optuna
python3 tests/gpu/wheels.py quantize    and bitsandbytes
python3 tests/gpu/wheels.py liger       and liger-kernel
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
FOLDER = REPOSITORY / "build" / "gpu-wheels"
PYTHON = "3.12"
PLATFORMS = tuple(f"manylinux{name}_x86_64" for name in ("_2_28", "_2_27", "_2_24", "_2_17", "2014", "1"))
PACKAGES = {
    "engine": ("datasets==5.2.0", "dill==0.4.1", "multiprocess==0.70.19", "msgspec==0.22.0", "tomli_w==1.2.0"),
    "search": ("optuna==5.0.0", "alembic", "colorlog", "SQLAlchemy", "Mako"),
    "quantize": ("bitsandbytes==0.50.2",),
    "liger": ("liger-kernel==0.8.0",),
}
MOST_BYTES = 64 << 20
"""Of the tracked files and the wheels together: what a machine that only lends its GPU may take."""


def fetch(names: list[str], folder: Path = FOLDER) -> int:
    """Downloads them; 1 where they and the repository are too large together."""
    packages = [package for name in dict.fromkeys(["engine", *names]) for package in PACKAGES[name]]
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.whl"):
        old.unlink()
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
                    "--only-binary=:all:", "--python-version", PYTHON, "--implementation", "cp", *platforms,
                    "-d", str(folder), *packages], check=True)  # fmt: skip
    wheels, tracked = sum(path.stat().st_size for path in folder.glob("*.whl")), tracked_bytes()
    size = wheels + tracked
    print(f"{wheels / 2**20:.1f} MiB of wheels in {folder}, {size / 2**20:.1f} MiB with the repository")
    if size > MOST_BYTES:
        print(f"more than {MOST_BYTES >> 20} MiB: leave out a group, or the screenshots", file=sys.stderr)
    return int(size > MOST_BYTES)


def tracked_bytes() -> int:
    """Of the files that git knows."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=REPOSITORY, capture_output=True, check=True).stdout
    paths = [REPOSITORY / name for name in listed.decode().split("\0") if name]
    return sum(path.stat().st_size for path in paths if path.is_file())


def unpack(wheels: Path, folder: Path) -> Path:
    """The folder with what is in the wheels that this Python lacks and can use, for PYTHONPATH.

    Unpacked, because a compiled module cannot be imported from a zip.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for wheel in sorted(wheels.glob("*.whl")):
        if fits(wheel) and not installed(wheel.name.partition("-")[0]):
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder)
    return folder


def fits(wheel: Path) -> bool:
    """Whether it is made for this Python; whether for this machine, whoever fetched it has seen to."""
    python = wheel.stem.split("-")[-3]
    minor = sys.version_info.minor
    return bool({"py3", f"py3{minor}", f"cp3{minor}"} & set(python.split(".")))


def installed(package: str) -> bool:
    """Whether there is one already, of whatever version."""
    try:
        metadata.version(package)
    except metadata.PackageNotFoundError:
        return False
    return True


if __name__ == "__main__":
    unknown = [name for name in sys.argv[1:] if name not in PACKAGES]
    if unknown:
        sys.exit(f"{unknown[0]}: there are {', '.join(PACKAGES)}")
    sys.exit(fetch(sys.argv[1:]))
