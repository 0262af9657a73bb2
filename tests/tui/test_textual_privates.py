"""Each private of Textual and plotext that is used, by name: a version that moves one fails with that name, and no
file but `tui/textual_privates.py` uses any."""

from __future__ import annotations

import ast
import importlib
import inspect
import pkgutil
import re
import textwrap
from collections.abc import Iterator
from functools import cache
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import pytest
import textual.app
import textual.screen
from plotext._figure import _figure_class as Figure
from textual._compositor import ChopsUpdate, Compositor
from textual.app import App
from textual.css.stylesheet import Stylesheet
from textual.drivers._writer_thread import WriterThread
from textual.drivers.linux_driver import LinuxDriver
from textual.screen import Screen

from speedtui import tui
from speedtui.tui import textual_privates
from speedtui.tui.textual_privates import TRIED_WITH, tightened

LIBRARIES = ("textual", "rich", "plotext", "textual_plotext")
ATTRIBUTES: list[tuple[type, str]] = [
    (App, "_driver"), (App, "_css_update_count"), (Screen, "_css_update_count"), (Stylesheet, "_parse_cache"),
    (ChopsUpdate, "chops"), (ChopsUpdate, "spans"), (ChopsUpdate, "chop_ends"),
    (Screen, "_compositor"), (Screen, "_dirty_widgets"), (Compositor, "_dirty_regions"),
    (LinuxDriver, "_writer_thread"), (WriterThread, "_queue"), (LinuxDriver, "_mouse"), (Figure, "_set_size"),
]  # fmt: skip
OVERRIDDEN: list[tuple[type, str, list[str], ModuleType, str]] = [
    (App, "_load_screen_css", ["self", "screen"], textual.app, "self._load_screen_css("),
    (App, "_display", ["self", "screen", "renderable"], textual.screen, "app._display(self, update)"),
    (Screen, "_compositor_refresh", ["self"], textual.screen, "self._compositor_refresh()"),
    (Screen, "_refresh_layout", ["self", "size", "scroll"], textual.screen, "self._refresh_layout("),
]
"""(class, method, its parameters, where and how Textual calls it)."""
MODULES = {"_compositor": "textual._compositor"}
"""Private modules by the name that they are imported by."""
OWN_PRIVATES = {"_replace", "_asdict", "_fields", "_exit", "_xoptions"}
"""Of named tuples, `os` and `sys`: public in spite of their names."""


def private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name != "_"


def moved(owner: type, name: str) -> str:
    library = owner.__module__.partition(".")[0]
    return (
        f"{owner.__module__}.{owner.__qualname__}.{name}: {library} {version(library)} has it no more, or in another "
        f"way, than {TRIED_WITH[library]}; see speedtui/tui/textual_privates.py"
    )


@cache
def names_of(cls: type) -> frozenset[str]:
    """What a class defines in its body or uses of itself."""
    body = ast.parse(textwrap.dedent(inspect.getsource(cls))).body[0]
    assert isinstance(body, ast.ClassDef)
    return frozenset([*_defined(body), *_of_itself(body)])


def _defined(body: ast.ClassDef) -> Iterator[str]:
    for node in body.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name
        for target in node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]:
            if isinstance(target, ast.Name):
                yield target.id


def _of_itself(body: ast.ClassDef) -> Iterator[str]:
    for node in ast.walk(body):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            yield node.attr


def known_to(cls: type) -> set[str]:
    """What a class or what it is made from defines or uses of itself."""
    return {name for base in cls.__mro__ if base.__module__ != "builtins" for name in names_of(base)}


@pytest.mark.parametrize(("owner", "name"), ATTRIBUTES)
def test_each_private_is_where_it_was(owner: type, name: str) -> None:
    assert name in known_to(owner), moved(owner, name)


@pytest.mark.parametrize(("owner", "name", "parameters", "caller", "call"), OVERRIDDEN)
def test_each_private_method_is_called_as_it_was(
    owner: type, name: str, parameters: list[str], caller: ModuleType, call: str
) -> None:
    method = getattr(owner, name, None)
    assert method is not None, moved(owner, name)
    assert list(inspect.signature(method).parameters) == parameters, moved(owner, name)
    assert call in inspect.getsource(caller), moved(owner, name)


def test_an_update_of_spans_is_made_as_it_was() -> None:
    assert list(inspect.signature(ChopsUpdate).parameters) == ["chops", "spans", "chop_ends"], moved(
        ChopsUpdate, "chops"
    )
    assert isinstance(tightened(ChopsUpdate([], [], [])), ChopsUpdate)


def test_every_private_of_the_file_is_named_here_and_is_still_used() -> None:
    tree = ast.parse(inspect.getsource(textual_privates))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    used |= {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    used |= {
        part for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) for part in str(node.module).split(".")
    }
    named = {name for _, name in ATTRIBUTES} | {name for _, name, *_ in OVERRIDDEN} | set(MODULES)
    assert {name for name in used if private(name)} == {name for name in named if private(name)}


def test_the_versions_that_it_was_tried_with_are_those_of_the_constraints() -> None:
    constraints = (Path(__file__).parents[2] / "constraints.txt").read_text()
    for library, tried in TRIED_WITH.items():
        assert re.search(rf"^{library}=={re.escape(tried)}$", constraints, re.MULTILINE), library


def other_modules() -> Iterator[ModuleType]:
    for found in pkgutil.walk_packages(tui.__path__, f"{tui.__name__}."):
        if not found.name.endswith(("textual_privates", "__main__")):
            yield importlib.import_module(found.name)


def imported_privates(tree: ast.Module) -> Iterator[str]:
    """Private modules of the libraries."""
    for node in ast.walk(tree):
        names = [str(node.module)] if isinstance(node, ast.ImportFrom) else []
        names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        yield from (name for name in names if name.startswith(LIBRARIES) and any(map(private, name.split("."))))


def privates_of_others(tree: ast.Module) -> Iterator[str]:
    """Privates that are taken from anything but oneself, and that this module does not define."""
    own = OWN_PRIVATES | {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    taken = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and private(node.attr)]
    for node in taken:
        if node.attr not in own and ast.unparse(node.value) not in ("self", "cls"):
            yield ast.unparse(node)


def privates_shared_with_a_base(module: ModuleType) -> Iterator[str]:
    """Private names of a class here that a class of a library which it is made from has, too: by intent or not."""
    for cls in vars(module).values():
        if inspect.isclass(cls) and cls.__module__ == module.__name__:
            bases = [base for base in cls.__mro__ if base.__module__.partition(".")[0] in LIBRARIES]
            theirs = {name for base in bases for name in names_of(base)}
            yield from (f"{cls.__name__}.{name}" for name in names_of(cls) & theirs if private(name))


def test_no_other_file_uses_a_private_of_textual() -> None:
    found = {}
    for module in other_modules():
        tree = ast.parse(Path(str(module.__file__)).read_text())
        privates = [*imported_privates(tree), *privates_of_others(tree), *privates_shared_with_a_base(module)]
        if privates:
            found[module.__name__] = privates
    assert found == {}
