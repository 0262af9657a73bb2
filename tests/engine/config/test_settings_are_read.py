"""A setting that nothing reads changes nothing, however well it is described: the sources are searched for each one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import speedtui.engine
import speedtui.tui
from speedtui.engine.config import settings as definitions
from speedtui.engine.config.described import described_settings

NO_USE = ("config/check.py", "config/described.py", "config/settings.py")
"""Whoever looks whether a value can be, or says what it is, does nothing with it."""
Read = tuple[str, str]
"""(table, setting)."""


def table_of(annotation: ast.expr | None) -> str:
    """`lora` of `LoraSettings`; empty for any other type."""
    name = ast.unparse(annotation) if annotation is not None else ""
    return name.removesuffix("Settings").lower() if hasattr(definitions, name) else ""


def reads(source: str) -> Iterator[Read]:
    """`settings.train.lora.r`, `lora.r` of a name or attribute as the table is called, `settings.r` where that is
    annotated as `LoraSettings`, and `lora.get("r")` of a recorded configuration."""
    tree = ast.parse(source)
    arguments = [node for node in ast.walk(tree) if isinstance(node, ast.arg)]
    tables = {argument.arg: table for argument in arguments if (table := table_of(argument.annotation))}
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id=name) | ast.Attribute(attr=name), attr=attribute, ctx=ast.Load()):
                yield name.strip("_"), attribute
                yield tables.get(name, ""), attribute
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id=name), attr="get"), args=[ast.Constant(value=str(key)), *_]
            ):
                yield name, key


def unread(paths: Iterator[str] | list[str], sources: Iterator[str] | list[str]) -> list[str]:
    """Of these settings, those that none of the sources reads."""
    found = {read for source in sources for read in reads(source)}
    return [path for path in paths if tuple(f"settings.{path}".split(".")[-2:]) not in found]


def test_every_setting_is_read_by_what_it_changes() -> None:
    rooms = [Path(room.__path__[0]) for room in (speedtui.engine, speedtui.tui)]
    files = [path for room in rooms for path in sorted(room.rglob("*.py")) if not str(path).endswith(NO_USE)]
    left = unread([setting.path for setting in described_settings()], [path.read_text("utf-8") for path in files])
    assert left == [], f"nothing reads {', '.join(left)}: have it do something, or remove it"


@pytest.mark.parametrize(
    ("source", "missing"),
    [
        ("def f(settings):\n    return settings.train.lora.r", []),
        ("def f(settings: LoraSettings):\n    return settings.r", []),
        ("def f(lora):\n    return lora.get('r')", []),
        ("class A:\n    def f(self):\n        return self._lora.r", []),
        ("def f(settings):\n    settings.lora.r = 1", ["train.lora.r"]),
        ("def f(circle):\n    return circle.r + circle.get('r')", ["train.lora.r"]),
        ("PATHS = ['train.lora.r']", ["train.lora.r"]),
    ],
)
def test_a_read_is_told_from_a_namesake(source: str, missing: list[str]) -> None:
    assert unread(["train.lora.r"], [source]) == missing
