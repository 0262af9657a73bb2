"""A configuration that cannot be used is refused before anything is started."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from speedtui.engine.errors import ExitCode
from tests.cli.program import Ended, Place


def refused(place: Place, *arguments: str, call: Callable[..., Ended] | None = None) -> Ended:
    """What the program says; `call`: in this process."""
    ended = (call or place.run)(*(arguments or ("tune",)))
    assert ended.code == ExitCode.USAGE, ended.err
    assert ended.out == ""
    assert place.untouched
    return ended


def test_a_missing_configuration_is_named_with_the_way_to_one(place: Place) -> None:
    ended = refused(place, "tune", "--config", "other.toml")
    assert ended.message == "other.toml: no such configuration file"
    assert "speedtui init" in ended.hint


def test_a_folder_as_configuration_is_refused(place: Place) -> None:
    assert refused(place, "tune", "--config", ".").message == ".: cannot be read: is a folder where a file is expected"


def test_toml_that_is_none_is_named_with_its_line(place: Place) -> None:
    place.write("speedtui.toml", '[model]\npath = "x"\n[data\n')
    ended = refused(place)
    assert ended.message.startswith("speedtui.toml: not TOML: ")
    assert "line 3" in ended.message


def test_bytes_that_are_no_text_are_refused(place: Place) -> None:
    (place.folder / "speedtui.toml").write_bytes(b'[model]\npath = "caf\xe9"\n')
    assert refused(place).message == "speedtui.toml: cannot be read: not UTF-8 text"


WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("unknown key", {"train": {"epoch": 2}}, "train.epoch is not a setting; did you mean train.epochs?"),
    ("unknown table", {"trian": {"epochs": 2}}, "trian is not a setting; did you mean train?"),
    ("wrong type", {"train": {"epochs": "three"}}, "train.epochs: expected a number, got 'three'"),
    ("wrong item", {"train": {"lora": {"target_modules": ["q", 1]}}},
     "train.lora.target_modules[1]: expected text, got 1"),
    ("unknown value", {"train": {"method": "lorra"}},
     "train.method: expected one of lora, full, got 'lorra'; did you mean lora?"),
    ("micro-batch that does not divide", {"train": {"micro_batch_size": 3}},
     "train.micro_batch_size 3 does not divide train.effective_batch_size 4"),
    ("no epochs", {"train": {"epochs": 0}}, "train.epochs must be above zero, got 0"),
    ("no model", {"model": {"architecture": None}}, "[model] needs either path or architecture"),
    ("no data", {"data": {"train": None}}, "data.train is missing"),
    ("half of a pair", {"data": {"response": None}}, "data.response is missing"),
    ("two forms of data", {"data": {"text": "question"}},
     "[data] must name the columns in one way, not by text and by prompt and response"),
    ("two autocasts", {"train": {"bf16": True, "fp16": True}},
     "train.bf16 and train.fp16 are both true, and one autocast is possible"),
    ("margin over the window", {"window": {"length": "1h", "margin": "2h"}},
     "window.margin of 2h 00m leaves nothing of a window of 1h 00m"),
    ("deadline in the past", {"window": {"deadline": "2020-01-01 10:00"}},
     "window.deadline 2020-01-01 10:00 is in the past"),
    ("no duration", {"window": {"length": "soon"}},
     "window.length: expected a duration such as 90s, 30m or 12h, got 'soon'"),
    ("no frequency", {"schedule": {"eval_every": "often"}},
     "schedule.eval_every: expected 200 steps, 1 epoch, 30m or never, got 'often'"),
    ("unknown mode", {"search": {"mode": "quik"}},
     "search.mode: expected one of minimal, quick, thorough, auto, got 'quik'; did you mean quick?"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "message"), [case[1:] for case in WRONG], ids=[case[0] for case in WRONG])
def test_a_setting_that_cannot_work_is_named_by_its_path(
    place: Place, call: Callable[..., Ended], changes: dict[str, Any], message: str
) -> None:
    place.configure(changes)
    assert refused(place, call=call).message == f"speedtui.toml: {message}"


def test_the_hint_lists_the_micro_batches_that_divide(place: Place) -> None:
    place.configure({"train": {"effective_batch_size": 12, "micro_batch_size": 5}})
    assert refused(place).hint == "Take one of 1, 2, 3, 4, 6, 12."


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tune", "--mode", "quik"), "search.mode: expected one of minimal, quick, thorough, auto, got 'quik'"),
        (("tune", "--batches", "0"), "search.batches must be at least 1, got 0"),
        (("tune", "--budget", "0m"), "search.budget: expected a duration above zero, got '0m'"),
        (("tune", "--memory-limit", "lots"), "search.memory_limit: expected a size such as 24GiB"),
        (("train", "--window", "1h", "--margin", "2h"), "window.margin of 2h 00m leaves nothing"),
        (("train", "--deadline", "2020-01-01 10:00"), "window.deadline 2020-01-01 10:00 is in the past"),
        (("train", "--window", "1h", "--deadline", "18:40"), "window.length and window.deadline exclude each other"),
    ],
)
def test_a_wrong_flag_is_blamed_on_the_command_line(
    place: Place, call: Callable[..., Ended], arguments: tuple[str, ...], message: str
) -> None:
    assert refused(place, *arguments, call=call).message.startswith(f"command line: {message}")


def test_what_is_wrong_in_the_file_is_not_blamed_on_a_flag(place: Place) -> None:
    place.configure({"train": {"epochs": 0}})
    assert refused(place, "tune", "--batches", "2").message.startswith("speedtui.toml: train.epochs")


def test_a_flag_mends_what_is_wrong_in_the_file(place: Place) -> None:
    place.configure({"search": {"batches": 0}, "data": {"train": "absent.jsonl"}})
    assert "absent.jsonl: no such file" in refused(place, "tune", "--batches", "2").message


def test_a_typed_deadline_takes_the_place_of_the_length_in_the_file(place: Place) -> None:
    place.configure({"window": {"length": "12h"}, "data": {"train": "absent.jsonl"}})
    assert "absent.jsonl: no such file" in refused(place, "train", "--deadline", "18:40").message


def test_a_candidate_with_an_unknown_knob_is_named_by_its_number(place: Place) -> None:
    path = place.write("mine.json", '[{"micro_batch_size": 1}, {"train.lora.rr": 8}]')
    message = refused(place, "tune", "--configs", "mine.json").message
    assert message == f"{path}: candidate 2: train.lora.rr is not a setting; did you mean train.lora.r?"


def test_a_candidate_that_cannot_work_is_named_by_its_number(place: Place) -> None:
    path = place.write("mine.json", '[{"micro_batch_size": 3}]')
    message = refused(place, "tune", "--configs", "mine.json").message
    assert message.startswith(f"{path}: candidate 1: train.micro_batch_size 3 does not divide")


def test_a_list_of_candidates_that_is_no_json_is_named_with_its_line(place: Place) -> None:
    path = place.write("mine.json", '[\n  {"micro_batch_size": 1},\n  {"micro_batch_size" 2}\n]')
    assert refused(place, "tune", "--configs", "mine.json").message.startswith(f"{path}:3: not JSON: ")


def test_a_missing_list_of_candidates_is_named(place: Place) -> None:
    message = refused(place, "tune", "--configs", "mine.json").message
    assert message == f"{place.folder / 'mine.json'}: no such file of candidates"


def test_an_unknown_knob_in_the_configuration_is_named(place: Place) -> None:
    place.configure({"search": {"knobs": {"micro_batch": [1, 2]}}})
    message = refused(place).message
    assert message == "search.knobs: micro_batch is not a setting; did you mean train.micro_batch_size?"


@pytest.mark.parametrize("job", ["tune", "train"])
def test_a_precision_that_the_device_passes_over_is_refused_by_the_worker(place: Place, job: str) -> None:
    place.configure({"train": {"fp16": True}})
    ended = place.run(job, "--json", env={"CUDA_VISIBLE_DEVICES": ""})
    assert ended.code == ExitCode.USAGE
    assert "train.fp16 needs a GPU: on the CPU all would be computed in float32" in ended.out + ended.err
    assert "Traceback" not in ended.err
