"""Commands in every locale, without their descriptors, without a home, with any TERM: real processes."""

from __future__ import annotations

import codecs
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations, product
from pathlib import Path
from typing import NamedTuple

import pytest

from speedtui.engine import events as e
from speedtui.engine.errors import ExitCode
from tests.cli.program import PATIENCE_SECONDS, SCRIPT

RECORDING = Path(__file__).parents[1] / "data" / "recordings" / "demo.jsonl"
RUN = "20260528-essai-déjà-学習-ab12"
SAID = "Größe ≈ 3 µm – 学習 ✓ ░▒▓ 🚀"
"""Somebody's notice in the run: no two of these encodings have the same of it."""
CHARSETS = {"C": "ascii", "POSIX": "ascii", "ISO-8859-1": "latin-1", "EUC-JP": "euc_jp", "UTF-8": "utf-8"}
DEFINED = {"ISO-8859-1": "en_US", "EUC-JP": "ja_JP", "UTF-8": "en_US"}
"""Locales that are made for the test, as systems have few of them."""
PRINTS = {
    "help": ["--help"], "runs": ["runs"], "runs as JSON": ["runs", "--json"],
    "report": ["report", "ab12"], "report as JSON": ["report", "ab12", "--json"], "keys": ["keys"],
    "replay": ["replay", "ab12", "--speed", "1e9"],
}  # fmt: skip
"""Commands that are there to print: without stdout they have failed."""
ACTS: dict[str, tuple[list[str], ExitCode]] = {
    "page": (["report", "ab12", "--html", "page.html"], ExitCode.DONE),
    "export": (["export", "ab12", "--to", "csv", "--out", "tables"], ExitCode.DONE),
    "init": (["init", "--config", "new.toml"], ExitCode.DONE),
    "attach": (["attach", "ab12"], ExitCode.DONE),
    "send": (["send", "ab12", "pause"], ExitCode.USAGE),
    "train without a configuration": (["train", "--config", "none.toml"], ExitCode.USAGE),
    "no command": ([], ExitCode.USAGE),
    "no such command": (["bogus"], ExitCode.USAGE),
}
"""Commands whose result is another one than what they print."""
COMMANDS = {**PRINTS, **{name: arguments for name, (arguments, _) in ACTS.items()}}
CLOSED = {"nothing": "", "stdin": "<&-", "stdout": ">&-", "stderr": "2>&-"}
TERMS = {"xterm": "xterm-256color", "unset": None, "dumb": "dumb"}
BARE_UID = 54321
"""Without an account, as containers are started."""


class Case(NamedTuple):
    """One way to call a command."""

    command: str
    locale: str
    closed: str
    home: str
    term: str


class Surroundings(NamedTuple):
    """What the machine lets a test have."""

    locales: Path
    """For LOCPATH."""
    read_only: Path
    """A folder that nobody may write."""
    bare: Sequence[str]
    """Begins a command that is run by somebody without an account; empty where that is not permitted."""
    template: Path
    """A folder with a run."""

    def factors(self) -> list[list[str]]:
        """Everything a case is made of."""
        locales = [name for name in CHARSETS if name not in DEFINED or (self.locales / name).exists()]
        return [list(COMMANDS), locales, list(CLOSED), ["none", "read-only"], list(TERMS)]

    def environment(self, folder: Path, case: Case) -> dict[str, str]:
        """Nothing of the test's own but where programs are."""
        made = {"PATH": os.environ["PATH"], "TMPDIR": str(folder / "tmp"), "LOCPATH": str(self.locales)}
        made |= {"LC_ALL": case.locale, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        made |= {"HOME": str(self.read_only)} if case.home == "read-only" else {}
        term = TERMS[case.term]
        return made | ({"TERM": term} if term is not None else {})

    def call(self, folder: Path, case: Case, arguments: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
        """Runs it in the folder, which is made its own."""
        bare = self.bare if case.home == "none" else ()
        if bare:
            for path in (folder, *folder.rglob("*")):
                os.chown(path, BARE_UID, BARE_UID)
        shell = ["sh", "-c", f'exec "$@" {CLOSED[case.closed]}', "sh"]
        return subprocess.run(
            [*bare, *shell, str(SCRIPT), *arguments], cwd=folder, env=self.environment(folder, case),
            stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip


def surroundings(folder: Path, read_only: Path) -> Surroundings:
    """Makes the locales and the run."""
    locales = folder / "locales"
    locales.mkdir()
    for charset, language in DEFINED.items():
        if shutil.which("localedef"):
            subprocess.run(
                ["localedef", "-i", language, "-f", charset, str(locales / charset)], capture_output=True, check=False
            )
    template = folder / "template"
    (template / "tmp").mkdir(parents=True)
    run = template / "runs" / RUN
    run.mkdir(parents=True)
    (run / "events.jsonl").write_bytes(_log())
    (template / "train.jsonl").write_text('{"prompt": "où", "response": "là"}\n' * 3, encoding="utf-8")
    return Surroundings(locales, read_only, _bare(), template)


def _log() -> bytes:
    """The recording with the notice in its middle, where the recording's own order of time has room for it."""
    lines = RECORDING.read_bytes().splitlines(keepends=True)
    at = len(lines) // 2
    t = e.decode(lines[at]).t
    return b"".join([*lines[:at], e.encode(e.Notice(t=t, level="warning", text=SAID)), *lines[at:]])


def _bare() -> list[str]:
    """Somebody without an account who may read what this test may, as Python lies below root's home here and there."""
    person = ["--reuid", str(BARE_UID), "--regid", str(BARE_UID), "--clear-groups"]
    command = ["setpriv", *person, "--inh-caps", "+dac_read_search", "--ambient-caps", "+dac_read_search"]
    try:
        subprocess.run([*command, sys.executable, "-c", ""], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return []
    return command


def every_case(factors: Sequence[Sequence[str]]) -> Iterator[Case]:
    """All of them."""
    return (Case(*values) for values in product(*factors))


def covering(factors: Sequence[Sequence[str]]) -> list[Case]:
    """So few that every two values of two factors still meet in one of them (found greedily, always the same)."""
    pairs = list(combinations(range(len(factors)), 2))
    open_ = {(i, a, j, b) for i, j in pairs for a in factors[i] for b in factors[j]}
    cases = []
    while open_:
        i, a, j, b = min(open_)
        chosen: dict[int, str] = {i: a, j: b}
        for place, values in enumerate(factors):
            if place not in chosen:
                chosen[place] = max(values, key=lambda value, at=place: _met(open_, {**chosen, at: value}, at))
        case = Case(*(chosen[place] for place in range(len(factors))))
        open_ -= {(x, case[x], y, case[y]) for x, y in pairs}
        cases.append(case)
    return cases


def _met(open_: set[tuple[int, str, int, str]], chosen: Mapping[int, str], at: int) -> int:
    """How many pairs that are to be met yet a value meets."""
    return sum(
        (min(at, other), chosen[min(at, other)], max(at, other), chosen[max(at, other)]) in open_
        for other in chosen
        if other != at
    )


def expected(case: Case) -> ExitCode:
    """The documented exit code."""
    if case.command in PRINTS:
        return ExitCode.FAILED if case.closed == "stdout" else ExitCode.DONE
    return ACTS[case.command][1]


def complaints(made: Surroundings, folder: Path, case: Case) -> list[str]:
    """Calls the command and says what is wrong with how it ended."""
    shutil.copytree(made.template, folder)
    log = folder / "runs" / RUN / "events.jsonl"
    before = log.read_bytes()
    try:
        ended = made.call(folder, case, COMMANDS[case.command])
    except subprocess.TimeoutExpired:
        return [f"{case}: it hung"]
    said = ended.stdout + ended.stderr
    wrong = [] if ended.returncode == expected(case) else [f"ended {ended.returncode}, not {int(expected(case))}"]
    wrong += ["a traceback"] if b"Traceback" in said or b"bug of speedtui" in said else []
    wrong += ["the log was changed"] if log.read_bytes() != before else []
    as_json = "JSON" in case.command
    charset = "utf-8" if as_json else CHARSETS[case.locale]
    try:
        codecs.decode(said, charset)
    except UnicodeDecodeError as error:
        wrong.append(f"not {charset}: {error}")
    printed = case.command in PRINTS and case.closed != "stdout"
    wrong += ["nothing printed"] if printed and not ended.stdout else []
    wrong += ["not a word"] if expected(case) and case.closed != "stderr" and not ended.stderr else []
    shutil.rmtree(folder)
    return [f"{case}: {', '.join(wrong)}: {said[-600:]!r}"] if wrong else []


def skip_what_is_missing(made: Surroundings) -> None:
    """For the end of a test that has passed: names what this machine did not let it look at."""
    missing = [name for name in DEFINED if not (made.locales / name).exists()]
    missing += [] if made.bare else ["a user without an account"]
    if missing:
        pytest.skip(f"passed, without {', '.join(missing)}, which this machine does not have")
