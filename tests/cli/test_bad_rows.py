"""What only a worker can find: it ends with one clear line, the documented exit code and a valid log."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from speedtui.engine.errors import ExitCode
from speedtui.engine.events import RunFinished
from speedtui.engine.log.tail import read_events
from tests.cli.program import Ended, Place, pairs

RECIPE = """\
def build():
    layers = {}
    return layers["model"]
"""


@dataclass(frozen=True)
class Refusal:
    place: Place
    ended: Ended

    @property
    def finished(self) -> RunFinished:
        """The last line of the log."""
        *_, last = read_events(self.place.run_folder.events)
        assert isinstance(last, RunFinished)
        return last


def broken_line(place: Place) -> tuple[str, ...]:
    lines = [json.dumps(row) for row in pairs(40)]
    lines[34] = '{"question": "say apple", "answer": '
    place.write("train.jsonl", "\n".join(lines) + "\n")
    return ("tune",)


def no_model(place: Place) -> tuple[str, ...]:
    (place.folder / "empty").mkdir()
    place.write("empty/config.json", "{}")
    place.configure({"model": {"architecture": None, "path": "empty"}})
    return ("train", "--json")


def raising_recipe(place: Place) -> tuple[str, ...]:
    place.write("mine.py", RECIPE)
    place.configure({"model": {"architecture": None, "kind": "python", "recipe": "mine.py:build"}})
    return ("tune",)


CASES = {case.__name__: case for case in (broken_line, no_model, raising_recipe)}


@pytest.fixture(scope="module")
def refusals(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Refusal]:
    """All of them, side by side: most of the time goes into importing torch."""
    places = {name: Place(tmp_path_factory.mktemp(name)) for name in CASES}
    programs = {name: places[name].start(*case(places[name])) for name, case in CASES.items()}
    return {name: Refusal(places[name], program.end()) for name, program in programs.items()}


@pytest.mark.parametrize("name", CASES)
def test_it_is_a_usage_error_and_the_log_ends_with_it(refusals: dict[str, Refusal], name: str) -> None:
    refusal = refusals[name]
    assert refusal.ended.code == ExitCode.USAGE
    finished = refusal.finished
    assert (finished.outcome, finished.exit_code) == ("failed", ExitCode.USAGE)
    assert f"speedtui: {finished.reason}" in refusal.ended.err.splitlines()
    assert refusal.ended.err.splitlines()[-1] == finished.next
    assert not refusal.place.run_folder.worker_alive()


def test_a_row_that_is_no_json_is_named_with_its_line(refusals: dict[str, Refusal]) -> None:
    refusal = refusals["broken_line"]
    where = f"{refusal.place.folder / 'train.jsonl'} line 35"
    assert refusal.ended.message == f"{where}: not JSON: Expecting value at column 37"
    assert refusal.ended.hint == "Each line must be one JSON object."


def test_with_json_stdout_stays_the_log(refusals: dict[str, Refusal]) -> None:
    refusal = refusals["no_model"]
    assert refusal.ended.out == refusal.place.run_folder.events.read_text()


def test_a_folder_that_is_no_model_is_named(refusals: dict[str, Refusal]) -> None:
    refusal = refusals["no_model"]
    assert refusal.ended.message == f"{refusal.place.folder / 'empty'}: no tokenizer that can be loaded: it holds none"
    assert "model.tokenizer" in refusal.ended.hint


def test_a_recipe_that_raises_is_named_with_its_line_and_the_exception(refusals: dict[str, Refusal]) -> None:
    refusal = refusals["raising_recipe"]
    assert refusal.ended.message == f"{refusal.place.folder / 'mine.py'} line 3: build raised KeyError: 'model'"
    assert str(refusal.place.run_folder.worker_log) in refusal.ended.hint
    assert "KeyError" in refusal.place.run_folder.worker_log.read_text()


def test_with_v_the_traceback_is_shown(refusals: dict[str, Refusal]) -> None:
    place = refusals["raising_recipe"].place
    assert "Traceback" not in place.run("attach").err
    shown = place.run("attach", "-v")
    assert shown.code == ExitCode.USAGE
    assert "Traceback" in shown.err
    assert 'return layers["model"]' in shown.err


def test_a_study_that_tried_nothing_shows_no_empty_table(refusals: dict[str, Refusal]) -> None:
    assert "samples/s" not in refusals["broken_line"].ended.out
    report = refusals["broken_line"].place.run("report").out
    assert report.startswith("failed: ")
    assert "line 35" in report
