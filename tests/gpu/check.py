"""Settles on a real GPU what a CPU cannot tell, without a network, and says of each claim what came of it.

    python3 tests/gpu/check.py --block A        finds crashes, in less than five minutes
    python3 tests/gpu/check.py --block B        measures, in seven; without --block both
    python3 tests/gpu/check.py --cpu            the same command line with tiny models, as a rehearsal

speedtui need not be installed; what its engine needs must be: torch, transformers, peft, accelerate, psutil,
nvidia-ml-py. Wheels in build/gpu-wheels, as tests/gpu/wheels.py brings them, are used from there.

Exit status 0: all that is claimed was seen to hold; 1: something does not, or was not reached; 2: there is no CUDA.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
SOUND, UNSOUND, NO_CUDA = 0, 1, 2
REHEARSED_PATIENCE = 5.0
"""Two cores, and other tests at work on them."""
WHEELS = REPOSITORY / "build" / "gpu-wheels"
RESULTS, REHEARSALS = REPOSITORY / "tests" / "gpu" / "results", REPOSITORY / "build" / "gpu-check"


def main() -> int:
    """Runs the blocks that were asked for."""
    arguments = parsed()
    sys.path[:1] = [str(REPOSITORY), str(REPOSITORY / "tests" / "bench")]  # names of this folder would hide others
    if arguments.only:
        return run_one(arguments)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        make_importable(Path(folder), arguments.wheels, rehearsal=arguments.cpu)
        try:
            preload(rehearsal=arguments.cpu)
        except ImportError as error:
            print(f"gpu-check: nothing was checked: {error}")
            return NO_CUDA
        return check(arguments, Path(folder))


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--block", choices=("A", "B"), help="which half; default: one after the other")
    parser.add_argument("--out", type=Path, help="folder of the figures; default tests/gpu/results, with --cpu build/")
    parser.add_argument("--cpu", action="store_true", help="rehearse on the CPU with tiny models")
    parser.add_argument("--wheels", type=Path, default=WHEELS, help="folder of wheels that are not installed here")
    parser.add_argument("--only", metavar="NAME", help="one block in this very process")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--found", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args(namespace=argparse.Namespace(began=time.monotonic()))


def make_importable(folder: Path, wheels: Path, *, rehearsal: bool) -> None:
    """The import names of the wheel for this process and all below it, from links as an editable install has them."""
    package = REPOSITORY / "build" / "editable" / "speedtui"
    package.mkdir(parents=True, exist_ok=True)
    for name in ("engine", "tui", "profiles"):
        link = package / name
        if not link.exists():
            link.unlink(missing_ok=True)  # one that leads nowhere
            link.symlink_to(Path("..", "..", "..", name), target_is_directory=True)
    from tests.gpu.wheels import unpack

    paths = [package.parent, unpack(wheels, folder / "packages")]
    earlier = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join([*map(str, paths), *filter(None, earlier)])
    sys.path[:0] = map(str, paths)
    os.environ.update({"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    os.environ.setdefault("PYTORCH_CUDA_ALLOC_CONF", "expandable_segments:True")  # as a worker has it
    for name in ("CACHE", "DATA", "CONFIG"):
        os.environ[f"XDG_{name}_HOME"] = str(folder / name.lower())
    if rehearsal:
        os.environ.update({"CUDA_VISIBLE_DEVICES": "", "TORCHDYNAMO_DISABLE": "1"})  # compiling takes minutes
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # with more, whatever else runs makes threads wait for each other


def preload(*, rehearsal: bool) -> None:
    """What every block imports, once for all of them: they are forked from this process, which never uses a device."""

    if rehearsal:  # what several of them come to import besides, on the few cores that a test has
        import speedtui.engine.jobs.training
        import speedtui.engine.memory.compute
        import speedtui.engine.session.start  # noqa: F401


def check(arguments: argparse.Namespace, folder: Path) -> int:
    """All parts that were asked for."""
    from tests.gpu.apart import run_apart, take_responsibility
    from tests.gpu.drive import Lines, drive, sound, summary
    from tests.gpu.found import Findings
    from tests.gpu.rows import MACHINE, PARTS, Block

    def start(block: Block, findings: Findings) -> None:
        if used_device_before():
            words = ["--only", block.name, "--folder", str(folder), "--found", str(findings.path)]
            os.execv(sys.executable, [sys.executable, __file__, *words, *(["--cpu"] if arguments.cpu else [])])
        run_block(block.run, findings, folder, rehearsal=arguments.cpu)

    take_responsibility()
    out: Path = arguments.out or (REHEARSALS if arguments.cpu else RESULTS)
    out.mkdir(parents=True, exist_ok=True)
    patience = REHEARSED_PATIENCE if arguments.cpu else 1.0
    findings = Findings(folder / "machine.found")
    ended = run_apart(lambda: start(MACHINE, findings), out / "machine.log", patience * MACHINE.seconds)
    machine: dict[str, Any] = findings.read()[1]
    print(json.dumps(machine, indent=2))
    if not machine or machine["problem"]:
        print(f"gpu-check: nothing was checked: {machine.get('problem') or ended.reason}")
        return NO_CUDA
    if arguments.cpu:
        from tests.gpu.foreseen import foresee

        run_apart(lambda: foresee(folder), out / "machine.log", patience * MACHINE.seconds)
    well, began = True, arguments.began
    for part in [PARTS[arguments.block]] if arguments.block else PARTS.values():
        lines = Lines(out / f"{part.name}.jsonl")
        lines.add({"part": part.name, "rehearsal": arguments.cpu, "machine": machine})
        told = drive(part.blocks, start, lines, out / f"{part.name}.log", folder, 
                     seconds=part.seconds - (time.monotonic() - began), rehearsal=arguments.cpu,
                     patience=patience)  # fmt: skip
        table = summary(told)
        (out / f"{part.name}.txt").write_text(table + "\n")
        print("", table, f"figures in {out / part.name}.jsonl", "", sep="\n", flush=True)
        well, began = well and sound(told, rehearsal=arguments.cpu), time.monotonic()
    return SOUND if well else UNSOUND


def used_device_before() -> bool:
    """Whether an import has asked CUDA for its devices: then no fork of it can use them, and starts afresh."""
    import torch

    return bool(torch.cuda._is_in_bad_fork())


def run_block(run: str, findings: Any, folder: Path, *, rehearsal: bool) -> None:
    """Calls the function of a block, in this process."""
    from tests.gpu.onsite import Site

    module, _, function = run.partition(":")
    with ExitStack() as stack:
        device = None
        if rehearsal:
            from tests.gpu.rehearsal import simulated

            device = stack.enter_context(simulated())
        getattr(importlib.import_module(module), function)(Site(findings, folder, device))


def run_one(arguments: argparse.Namespace) -> int:
    """One block by itself: what it finds is printed unless somebody wants it in a file."""
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        place: Path = arguments.folder or Path(folder)
        if arguments.folder is None:
            make_importable(place, arguments.wheels, rehearsal=arguments.cpu)
        from tests.gpu.found import Findings
        from tests.gpu.rows import MACHINE, PARTS

        blocks = {block.name: block for part in PARTS.values() for block in part.blocks}
        blocks[MACHINE.name] = MACHINE
        if arguments.only not in blocks:
            print(f"gpu-check: no block {arguments.only}; there are {', '.join(blocks)}", file=sys.stderr)
            return NO_CUDA
        findings = Findings(arguments.found or place / "one.found")
        run_block(blocks[arguments.only].run, findings, place, rehearsal=arguments.cpu)
        if arguments.found is None:
            print(json.dumps(findings.read(), indent=2))
    return SOUND


if __name__ == "__main__":
    sys.exit(main())
