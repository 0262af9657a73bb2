from __future__ import annotations

import json
from typing import get_args

import jsonschema
import msgspec
import pytest

from speedtui.engine import commands, events, schema


def step(**changes: object) -> events.StepCompleted:
    base = events.StepCompleted(
        t=12.34, step=7, micro_steps=2, samples=8, tokens=400, seconds=0.41, phases={"forward": 0.2, "backward": 0.2}
    )
    return msgspec.structs.replace(base, **changes)


def test_an_event_is_one_line_that_opens_with_its_version_and_type() -> None:
    line = events.encode(step(loss=1.5))
    assert line.startswith(b'{"v":1,"type":"step_completed","t":12.34,')
    assert line.endswith(b"}\n")
    assert line.count(b"\n") == 1


def test_a_line_reads_back_as_the_event_that_was_written() -> None:
    event = step(loss=1.5, padding_tokens=0, trial=3, probe="throughput")
    assert events.decode(events.encode(event)) == event


def test_a_reader_ignores_fields_and_types_that_it_does_not_know() -> None:
    line = events.encode(step()).replace(b'"step":7', b'"step":7,"colour":"red"')
    assert events.decode(line) == step()
    assert events.decode(b'{"v":1,"type":"moon_landed","t":1.0}') is None


@pytest.mark.parametrize("line", [b"", b"{", b'{"v":1,"type":"step_compl', b"[]", b'{"type":"paused"}', b"nonsense"])
def test_what_is_no_event_is_an_error(line: bytes) -> None:
    with pytest.raises(ValueError, match="not an event"):
        events.decode(line)


def test_a_loss_that_is_not_finite_is_null_on_the_wire() -> None:
    line = json.loads(events.encode(step(loss=float("nan"), nonfinite=True)))
    assert line["loss"] is None
    assert line["nonfinite"] is True


def test_every_event_type_has_a_past_tense_tag_of_its_own_and_a_docstring() -> None:
    kinds = get_args(events.AnyEvent)
    tags = [kind.__struct_config__.tag for kind in kinds]
    assert len(set(tags)) == len(tags)
    assert all(kind.__doc__ and kind.__doc__ != events.Event.__doc__ for kind in kinds)


def test_the_committed_schema_is_the_one_that_the_types_make() -> None:
    assert schema.committed() == schema.render(), "run `make schema`"


def test_lines_satisfy_the_schema_and_a_wrong_line_does_not() -> None:
    validator = jsonschema.Draft202012Validator(schema.event_schema())
    validator.validate(json.loads(events.encode(step())))
    validator.validate(json.loads(events.encode(events.Paused(t=1.0))))
    assert not validator.is_valid({"v": 1, "type": "paused"})
    assert not validator.is_valid({"v": 1, "type": "step_completed", "t": "soon"})


def test_commands_read_back_and_have_ids_of_their_own() -> None:
    first, second = commands.RunTrial(trial=3), commands.RunTrial(trial=3)
    assert commands.decode(commands.encode(first)) == first
    assert first.id != second.id
    assert commands.command_name(first) == "run_trial"
    with pytest.raises(ValueError, match="not a command"):
        commands.decode(b'{"v":1,"type":"self_destruct"}')
