"""A rule over the source: text reaches a terminal through the cleaner, and nothing that runs writes markup."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import speedtui.engine
import speedtui.profiles
import speedtui.tui

OUTPUT = "engine/output.py"
STREAMS = ("stdout", "stderr", "__stdout__", "__stderr__")
HARMLESS = ("isatty", "fileno", "flush", "reconfigure", "close")
"""What may be asked of a stream anywhere."""
SHOWING = ("Static", "Label", "Button", "Toast")
"""Widgets that read markup in their text unless they are told not to."""
TITLES = ("border_title", "border_subtitle", "tooltip")
"""Attributes in which Textual reads markup."""


def sources() -> Iterator[tuple[str, ast.Module]]:
    for package in (speedtui.engine, speedtui.tui, speedtui.profiles):
        folder = Path(next(iter(package.__path__))).resolve()
        for path in sorted(folder.rglob("*.py")):
            yield f"{folder.name}/{path.relative_to(folder)}", ast.parse(path.read_text(encoding="utf-8"))


def is_stream(node: ast.AST) -> bool:
    return isinstance(node, ast.Attribute) and node.attr in STREAMS and ast.unparse(node.value) == "sys"


def is_literal(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant)


def plain_writes(tree: ast.Module) -> Iterator[str]:
    """Whatever writes to a terminal by itself; a literal holds nothing from outside."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_stream(node.value) and node.attr not in (*HARMLESS, "write"):
            yield f"{node.lineno}: {ast.unparse(node)}"
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        handed = [*node.args, *(keyword.value for keyword in node.keywords)]
        if name == "print" or name.startswith(("click.echo", "click.secho", "traceback.print", "warnings.warn")):
            yield f"{node.lineno}: {name}"
        elif any(map(is_stream, handed)) and name != "isinstance" and not name.startswith("faulthandler."):
            yield f"{node.lineno}: {ast.unparse(node)}"
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "write" and is_stream(node.func.value):
            if not all(map(is_literal, node.args)):
                yield f"{node.lineno}: {ast.unparse(node)}"
        elif name == "os.write" and is_literal(node.args[0]):
            yield f"{node.lineno}: {ast.unparse(node)}"


def markup(tree: ast.Module) -> Iterator[str]:
    """Where Textual would read markup in text that is known only when it runs."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).rpartition(".")[2]
            said = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if said.get("markup", "False") not in ("False", "markup") or name == "from_markup":
                yield f"{node.lineno}: {ast.unparse(node)}"
            if (name in SHOWING and said.get("markup") != "False") or name == "Input":  # Field cleans what is typed
                yield f"{node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            titled = any(isinstance(target, ast.Attribute) and target.attr in TITLES for target in targets)
            content = isinstance(node.value, ast.Call) and ast.unparse(node.value.func) == "Content"
            if titled and node.value is not None and not content and not is_literal(node.value):
                yield f"{node.lineno}: {ast.unparse(node)}"


def test_text_leaves_through_one_module() -> None:
    found = [f"{path}:{line}" for path, tree in sources() if path != OUTPUT for line in plain_writes(tree)]
    assert not found, "write with speedtui.engine.output: " + "\n".join(found)


def test_no_text_that_is_known_only_at_run_time_is_read_as_markup() -> None:
    found = [f"{path}:{line}" for path, tree in sources() for line in markup(tree)]
    assert not found, "markup=False, or a Content: " + "\n".join(found)


@pytest.mark.parametrize(
    "line",
    [
        "print(text)", "sys.stdout.write(text)", "sys.stderr.buffer.write(line)", "click.echo(text, err=True)",
        "traceback.print_exc()", "print(x, file=sys.stderr)", "show(sys.stdout, text)", "os.write(1, data)",
        "sys.__stderr__.write(f'{name} ended')", "sys.stdout.writelines(lines)",
    ],
)  # fmt: skip
def test_the_rule_sees_a_way_around(line: str) -> None:
    assert list(plain_writes(ast.parse(line)))


@pytest.mark.parametrize(
    "line",
    ["Static(text)", "app.notify(text, markup=True)", "box.border_title = heading", "Content.from_markup(text)",
     "box.border_subtitle = f'{name} here'"],
)  # fmt: skip
def test_the_rule_sees_markup(line: str) -> None:
    assert list(markup(ast.parse(line)))
