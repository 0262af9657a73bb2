"""A check whose blocks go wrong in every way there is: `python planted.py OUT`. What it writes must say so of each."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path[0] = str(REPOSITORY)

from tests.gpu.apart import take_responsibility  # noqa: E402
from tests.gpu.drive import Lines, drive, summary  # noqa: E402
from tests.gpu.found import Findings  # noqa: E402
from tests.gpu.rows import Block  # noqa: E402

CLAIMS = {"first": "it begins", "second": "it ends"}
LEFT_ALONE = "a process of a session of its own"
"""Among the words of its command line."""
ONLY_HANGING = "hanging"
"""The argument after which nothing but a block that hangs is run, for a minute."""
SECONDS = {"hangs": 0.1, "too long": 1e4}
"""What a block is meant to take, where it is not next to nothing."""


def run(block: Block, findings: Findings) -> None:
    """Finds something, then does what its name says."""
    findings.figures({"began": True})
    findings.claim("first", True, "it did")
    match block.name:
        case "raises":
            raise ValueError("something is wrong")
        case "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        case "leaves":
            os._exit(3)
        case "hangs":
            sleeping = [sys.executable, "-c", "import time; time.sleep(600)", LEFT_ALONE]
            subprocess.Popen(sleeping, start_new_session=True)
            time.sleep(600)
        case "cut off":
            with findings.path.open("a") as file:
                file.write('{"claim": "second", "he')
            return
    findings.claim("second", block.name != "refuted", "it did")


def main(out: Path, *words: str) -> None:
    """One block of each kind; the one that would take too long comes before the last."""
    names = ("ok", "refuted", "raises", "crashes", "leaves", "hangs", "cut off", "too long", "last")
    hanging = ONLY_HANGING in words
    blocks = [Block(name, SECONDS.get(name, 0.0), "", CLAIMS) for name in (("hangs",) if hanging else names)]
    take_responsibility()
    told = drive(blocks, run, Lines(out / "lines.jsonl"), out / "log", out, seconds=60.0, rehearsal=False,
                 starting=60.0 if hanging else 1.0)  # fmt: skip
    print(summary(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
