"""The documents of the repository, taken apart for the tests that hold them against the code."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parent.parent
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/architecture.md")
PLACE = re.compile(
    r"(?<![\w/.~-])((?:\.ci|engine|tui|profiles|tests|docs|screenshots)/(?:[\w./-]*\w)?)(?::([A-Za-z_][\w.]*))?"
)
"""`engine/timing/verdict.py:judge`: a path, and a name that is defined there."""


def text_of(document: str) -> str:
    return (ROOT / document).read_text("utf-8")


def stale_places(text: str) -> Iterator[str]:
    """What a document points to and the tree does not have, each with its line and what to do."""
    for number, line in enumerate(text.splitlines(), 1):
        for path, name in PLACE.findall(line):
            if not (ROOT / path).exists():
                yield f"line {number}: {path} is not there any more: say what it is called now"
            elif name and name not in defined_in(ROOT / path):
                yield f"line {number}: {path} has no {name}: say where it is now"


def code_spans(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) between backticks, and each line of a block of shell."""
    shell = False
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("```"):
            shell = line == "```sh"
        elif shell:
            yield number, line.partition("#")[0].strip()
        else:
            yield from ((number, span) for span in re.findall(r"`([^`]+)`", line))


def table_after(text: str, words: str) -> list[tuple[str, ...]]:
    """The cells of the first table below these words, without its head."""
    below = text.partition(words)[2].splitlines()
    first = next(number for number, line in enumerate(below) if line.startswith("|"))
    rows = []
    for line in below[first + 2 :]:
        if not line.startswith("|"):
            break
        rows.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    return rows


@cache
def defined_in(path: Path) -> frozenset[str]:
    """Names that a module binds, and those in its classes as `Class.name`."""
    return frozenset(_bound(ast.parse(path.read_text("utf-8")).body, ""))


def _bound(body: list[ast.stmt], prefix: str) -> Iterator[str]:
    for node in body:
        match node:
            case ast.ClassDef(name=name, body=inner):
                yield prefix + name
                yield from _bound(inner, f"{prefix}{name}.")
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                yield prefix + name
            case ast.Assign(targets=targets):
                yield from (
                    prefix + name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
                )
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield prefix + name
