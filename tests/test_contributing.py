"""CONTRIBUTING.md is proven: each recipe's list is where its example stands, and the code it shows works."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from speedtui.engine.advise import advise as rules
from speedtui.engine.events import HardwareSampled, Notice
from speedtui.engine.hardware.host import HostReader
from speedtui.engine.hardware.sampler import HardwareSampler
from speedtui.engine.log.tail import read_events
from speedtui.engine.profile.load import find_profile, own_folder
from speedtui.engine.state.fold import fold
from speedtui.tui.drawing.text import plain
from speedtui.tui.frame import Frame
from tests.documents import ROOT, text_of
from tests.engine.advise.cases import case

READ = (".py", ".json", ".toml", ".tcss")
"""Endings of files in which an example may stand."""


def recipes() -> dict[str, str]:
    """Each recipe's text by its title."""
    _, _, below = text_of("CONTRIBUTING.md").partition("## Recipes\n")
    return dict(part.split("\n", 1) for part in below.split("\n### ")[1:])


FOLLOWED = {title: text for title, text in recipes().items() if re.search(r"\b[Ff]ollow `", text)}


@cache
def sources() -> Mapping[str, str]:
    files = [path for room in ("engine", "tui", "profiles") for path in (ROOT / room).rglob("*") if path.suffix in READ]
    paths = [*files, ROOT / "docs/settings.md", ROOT / "pyproject.toml"]
    return {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in paths}


def where(words: list[str], texts: Mapping[str, str]) -> set[str]:
    """Paths of the texts in which one of the words stands whole."""
    wanted = re.compile("|".join(rf"(?<!\w){re.escape(word)}(?!\w)" for word in words))
    return {path for path, text in texts.items() if wanted.search(text)}


def differences(recipe: str, texts: Mapping[str, str]) -> list[str]:
    """What is wrong with a recipe's list, in words."""
    sentence = re.search(r"\b[Ff]ollow ((?:`[^`]+`(?:, )?)+)", recipe)
    assert sentence is not None
    words = re.findall(r"`([^`]+)`", sentence[1])
    listed = {
        path
        for line in recipe.splitlines()
        if line.startswith("- ")
        for path in re.findall(r"`([^`]+)`", line.split(": ")[0])
    }
    found, named = where(words, texts), " or ".join(words)
    return [f"{named} stands in {path} as well: say what for" for path in sorted(found - listed)] + [
        f"{named} does not stand in {path} any more: take it off the list" for path in sorted(listed - found)
    ]


def code_of(title: str) -> dict[str, Any]:
    """What the Python of a recipe defines."""
    (block,) = re.findall(r"```python\n(.*?)```", recipes()[title], re.DOTALL)
    defined: dict[str, Any] = {"__name__": "recipe"}
    exec(compile(f"from __future__ import annotations\n{block}", f"CONTRIBUTING.md, {title}", "exec"), defined)
    return defined


@pytest.mark.parametrize("title", FOLLOWED)
def test_a_recipe_names_every_place_of_its_example(title: str) -> None:
    assert [f"CONTRIBUTING.md, {title}: {wrong}" for wrong in differences(FOLLOWED[title], sources())] == []


def test_a_place_that_was_forgotten_or_is_gone_is_told() -> None:
    texts = {"engine/a.py": "class Made: ...", "engine/b.py": "Made()", "tui/c.py": "MadeUp, made"}
    recipe = "Follow `Made`.\n\n- `engine/a.py`: the struct, as Made in tui/c.py.\n"
    assert differences(recipe, texts) == ["Made stands in engine/b.py as well: say what for"]
    assert differences(f"{recipe}- `engine/b.py`, `tui/c.py`: its use.\n", texts) == [
        "Made does not stand in tui/c.py any more: take it off the list"
    ]


def test_the_recipes_are_those_that_are_asked_for() -> None:
    assert [*FOLLOWED] == [
        "A setting", "An event", "A row of a pane", "A command", "A key", "A rule of the advisor",
        "A knob of the search", "A tracker", "A data layout", "A pane", "A hardware backend", "A screenshot",
    ]  # fmt: skip


def test_the_rule_gives_its_advice_among_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    rule = code_of("A rule of the advisor")["unlooked_at"]
    monkeypatch.setattr(rules, "RULES", (*rules.RULES, rule))
    given = rules.advise(case(6.0, "fits"))
    assert {"data.validation_share": 0.05} in [advice.changes for advice in given]


def test_the_profile_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    own_folder().mkdir(parents=True)
    (block,) = re.findall(r"```toml\n(.*?)```", recipes()["A profile"], re.DOTALL)
    (own_folder() / "long.toml").write_text(block)
    assert find_profile("long").values["data.max_length"] == 8192
    assert block in text_of("README.md")


def test_the_pane_draws_a_recorded_training() -> None:
    run = fold(read_events(ROOT / "tests/data/recordings/demo.jsonl"))
    assert run.training is not None and run.training.step > 0
    (line,) = code_of("A pane")["StepsDonePane"]().draw(Frame(run=run, study=run, clock=0.0), 40, 1)
    assert plain(line) == f"steps {run.training.step:,}"


def test_the_backend_is_sampled(tmp_path: Path) -> None:
    reader = code_of("A hardware backend")["OneAccelerator"]()
    told: list[HardwareSampled | Notice] = []
    sampler = HardwareSampler(told.append, lambda: 1.0, reader, HostReader(tmp_path))
    sampler._sample()
    (event,) = told
    assert isinstance(event, HardwareSampled) and event.devices == reader.sample()
    assert reader.devices()[0].name == event.devices[0].name and event.devices[0].utilization is None
