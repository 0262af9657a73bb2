"""A type's name means one thing: whoever meets it in one file knows what it is in another."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import speedtui.engine
import speedtui.profiles
import speedtui.tui

ROOMS = [Path(room.__path__[0]) for room in (speedtui.engine, speedtui.tui, speedtui.profiles)]
TYPE = re.compile(r"[A-Z]\w*[a-z]\w*")
"""Constants are written in capitals and type variables as a single one."""
ALLOWED: dict[str, str] = {}
"""Names that mean more than one thing, each with the reason."""


def type_names(source: str) -> Iterator[str]:
    """Of the classes, protocols and aliases of a module; a private one without its underscore, which tells nobody that
    it is another thing."""
    for node in ast.parse(source).body:
        match node:
            case ast.ClassDef(name=name):
                yield name.lstrip("_")
            case ast.Assign(targets=[ast.Name(id=name)], value=value) if not _is_type_variable(value):
                yield name.lstrip("_")
            case ast.AnnAssign(target=ast.Name(id=name), annotation=ast.Name(id="TypeAlias")):
                yield name.lstrip("_")


def _is_type_variable(value: ast.expr) -> bool:
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id == "TypeVar"


def test_each_type_has_a_name_of_its_own() -> None:
    places: dict[str, list[str]] = defaultdict(list)
    for room in ROOMS:
        for path in sorted(room.rglob("*.py")):
            for name in filter(TYPE.fullmatch, type_names(path.read_text(encoding="utf-8"))):
                places[name].append(f"{room.name}/{path.relative_to(room)}")
    assert len(places) > 500  # the rooms were found
    shared = {name: found for name, found in places.items() if len(found) > 1}
    assert {name: found for name, found in shared.items() if name not in ALLOWED} == {}
    assert ALLOWED.keys() <= shared.keys(), "a name that means one thing by now needs no reason any more"


def test_classes_protocols_and_aliases_count_and_constants_and_type_variables_do_not() -> None:
    source = """
class Trial: ...
class Strategy(Protocol): ...
Point = tuple[float, float]
Lines: TypeAlias = list[str]
Answer = TypeVar("Answer")
T = TypeVar("T")
GIB = 1024**3
class _Own: ...
_CELLS = range(3)
"""
    assert list(filter(TYPE.fullmatch, type_names(source))) == ["Trial", "Strategy", "Point", "Lines", "Own"]
