"""No module needs, through others, itself: read alone, each is understood from what lies below it.

Imports within a function, or for the type checker alone, count as any other: they let a circle run, and leave it one.
"""

from __future__ import annotations

from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest


def circle(*packages: str) -> str:
    """One circle of imports in these packages, `a -> b -> a` with -> for "imports"; empty where there is none."""
    graph = grimp.build_graph(*packages, cache_dir=None)
    order = TopologicalSorter({name: graph.find_modules_directly_imported_by(name) for name in graph.modules})
    try:
        order.prepare()
    except CycleError as error:
        return " -> ".join(reversed(error.args[1]))  # it tells of what is imported first
    return ""


def test_modules_import_each_other_in_no_circle() -> None:
    assert circle("speedtui.engine", "speedtui.tui", "speedtui.profiles") == ""


LAST_ARROWS = {
    "plain": "from circular.a import A",
    "in a function": "def f():\n    from circular import a",
    "for the type checker": "if TYPE_CHECKING:\n    from circular.a import A",
}


@pytest.mark.parametrize("last", LAST_ARROWS.values(), ids=LAST_ARROWS)
def test_a_circle_is_named_however_it_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, last: str) -> None:
    package = tmp_path / "circular"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "a.py").write_text("from circular.b import B\nclass A: ...\n")
    (package / "b.py").write_text("from circular.c import C\nclass B: ...\n")
    (package / "c.py").write_text(f"from typing import TYPE_CHECKING\n{last}\nclass C: ...\n")
    monkeypatch.syspath_prepend(tmp_path)
    a, b, c = "circular.a", "circular.b", "circular.c"
    assert circle("circular") in (f"{a} -> {b} -> {c} -> {a}", f"{b} -> {c} -> {a} -> {b}", f"{c} -> {a} -> {b} -> {c}")
