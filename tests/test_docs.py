"""What the documents say of the code is what the code is."""

from __future__ import annotations

import ast
import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest

from speedtui.engine.config.described import settings_page
from speedtui.engine.errors import ExitCode
from speedtui.engine.jobs import result
from speedtui.tui.cli import COMMANDS
from tests.documents import DOCUMENTS, ROOT, code_spans, stale_places, table_after, text_of

ARCHITECTURE = "docs/architecture.md"
STARTS = re.compile(r"\b(?:Thread|Popen)\(|\bos\.fork\(|\bsubprocess\.run\(|\bthread=True\b")
"""A thread or a process, of Python's own or of Textual's."""
each_document = pytest.mark.parametrize("document", DOCUMENTS)


def test_the_page_of_the_settings_is_the_one_they_write() -> None:
    assert text_of("docs/settings.md") == settings_page(), "run `make docs`"


@each_document
def test_what_a_document_points_to_is_there(document: str) -> None:
    assert [f"{document} {stale}" for stale in stale_places(text_of(document))] == []


@pytest.mark.parametrize(
    ("text", "stale"),
    [
        ("see `engine/errors.py:ExitCode.told` and tui/panes, tests/bench/results.", ""),
        ("first\nthen engine/advise/lateness.py", "line 2: engine/advise/lateness.py is not there"),
        ("`engine/errors.py:ExitCodes`", "line 1: engine/errors.py has no ExitCodes"),
    ],
)
def test_a_place_that_is_gone_is_told_with_its_line(text: str, stale: str) -> None:
    found = list(stale_places(text))
    assert bool(found) == bool(stale) and all(one.startswith(stale) for one in found)


@each_document
def test_targets_and_commands_of_a_document_are_there(document: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", text_of("Makefile"), re.MULTILINE))
    stale = []
    for line, span in code_spans(text_of(document)):
        if (made := re.match(r"make ([a-z-]+)", span)) and made[1] not in targets:
            stale.append(f"{document} line {line}: the Makefile has no {made[1]}")
        if (said := re.match(r"speedtui ([a-z]+)", span)) and said[1] not in COMMANDS:
            stale.append(f"{document} line {line}: there is no command {said[1]}")
    assert stale == []


@each_document
def test_links_of_a_document_lead_somewhere(document: str) -> None:
    links = re.findall(r"\]\((?!http)([^)#]+)\)", text_of(document))
    assert [link for link in links if not (ROOT / document).parent.joinpath(link).exists()] == []


def test_the_rooms_of_the_engine_are_those_that_the_linter_knows() -> None:
    contracts = tomllib.loads(text_of("pyproject.toml"))["tool"]["importlinter"]["contracts"]
    (layers,) = [contract["layers"] for contract in contracts if contract["type"] == "layers"]
    block = text_of(ARCHITECTURE).partition("Rooms of the engine")[2].split("```")[1].strip().splitlines()
    rooms = [re.match(r"\w+(?: \| \w+)*", line) for line in block]
    assert [room[0] for room in rooms if room is not None] == layers


def test_whatever_starts_a_thread_or_a_process_is_in_the_tables_of_them() -> None:
    files = [path for room in ("engine", "tui") for path in (ROOT / room).rglob("*.py")]
    starting = {str(path.relative_to(ROOT)) for path in files if STARTS.search(path.read_text("utf-8"))}
    tables = [table_after(text_of(ARCHITECTURE), words) for words in ("\nProcesses:\n", "\nThreads:\n")]
    told = {path for table in tables for _, by, _ in table for path in re.findall(r"`([^`]+)`", by)} - {"tui/cli.py"}
    assert starting - told == set(), "docs/architecture.md does not name what these start"
    assert told - starting == set(), "these start nothing any more: take them out of docs/architecture.md"


def meanings(source: Path, within: str = "") -> dict[str, str]:
    """The text below each constant of a module, or of a class of it, on one line."""
    body = ast.parse(source.read_text("utf-8")).body
    if within:
        body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == within)
    return {
        ast.unparse(field.targets[0]): " ".join(text.value.value.split())
        for field, text in pairwise(body)
        if isinstance(field, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
    }


def test_the_tables_of_exit_codes_are_those_of_the_code() -> None:
    said = meanings(ROOT / "engine/errors.py", "ExitCode")
    assert table_after(text_of(ARCHITECTURE), "Of every command") == [
        (str(code.value), code.name, said[code.name]) for code in ExitCode
    ]
    inside = meanings(ROOT / "engine/jobs/result.py")
    codes = sorted((value, name) for name, value in vars(result).items() if isinstance(value, int))
    assert table_after(text_of(ARCHITECTURE), "Between a worker and its session") == [
        (str(value), name, inside[name]) for value, name in codes
    ]


def test_the_readme_names_each_exit_code() -> None:
    (told,) = re.findall(r"^Exit codes: ((?:.+\n)+)", text_of("README.md"), re.MULTILINE)
    assert re.findall(r"(?:^|[,\n] ?)(\d+) ", told) == [str(code.value) for code in ExitCode]


def test_the_readme_names_each_command() -> None:
    named = {span.removeprefix("speedtui ").split()[0] for _, span in code_spans(text_of("README.md")) if span.strip()}
    assert COMMANDS.keys() - named == set()
