"""The JSON Schema of the event log, made from the event types. Run as a module it prints the committed file."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any, get_args

import msgspec

from speedtui.engine.events import VERSION, AnyEvent
from speedtui.engine.output import say

FILE_NAME = "events.schema.json"


def event_schema() -> dict[str, Any]:
    """One line of events.jsonl. Readers ignore fields and types that they do not know, so it forbids none."""
    kinds = get_args(AnyEvent)
    references, components = msgspec.json.schema_components(kinds, ref_template="#/$defs/{name}")
    for kind in kinds:
        definition = components[kind.__name__]
        definition["properties"] = {"v": {"const": VERSION}, **definition["properties"]}
        definition["required"] = ["v", *definition["required"]]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "speedtui event",
        "description": "One line of events.jsonl, and of stdout with --json.",
        "oneOf": list(references),
        "$defs": components,
    }


def render() -> str:
    """The text of the committed file."""
    return json.dumps(event_schema(), indent=1, ensure_ascii=False) + "\n"


def committed() -> str:
    """The text that ships with the package."""
    return resources.files("speedtui.engine").joinpath(FILE_NAME).read_text(encoding="utf-8")


if __name__ == "__main__":
    say(render())
