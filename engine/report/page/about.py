"""What ran, with what, on what: configuration, data, machine, versions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from speedtui.engine.advise.words import value_words
from speedtui.engine.config.recorded import shareable
from speedtui.engine.config.settings import Scalar
from speedtui.engine.report.page.markup import Markup, facts, join, section, tag
from speedtui.engine.report.words import use_words
from speedtui.engine.row_counts import held_out_words, lacking_words
from speedtui.engine.state import RunState
from speedtui.engine.units import format_count, format_size, length_words


def configuration_section(state: RunState) -> Markup:
    """Every setting that has a value, table by table; those that were changed say what they were."""
    changed = state.training.changed if state.training is not None else {}
    tables = [
        join([tag("h3", f"[{name}]"), facts(list(_settings(values, name, changed)))])
        for name, values in shareable(state.config).items()
        if isinstance(values, Mapping) and list(_settings(values, name, changed))
    ]
    return (
        section("Configuration", tag("div", *(tag("div", one) for one in tables), class_="pair"))
        if tables
        else join([])
    )


def _settings(values: Mapping[str, Any], path: str, changed: Mapping[str, Scalar]) -> Iterator[tuple[str, str]]:
    top = path.partition(".")[2]
    for key, value in values.items():
        name = f"{top}.{key}" if top else key
        if isinstance(value, Mapping):
            yield from _settings(value, f"{path}.{key}", changed)
        elif value not in (None, "", [], ()) or f"{path}.{key}" in changed:
            yield name, _value(value, changed.get(f"{path}.{key}"))


def _value(value: Any, now: Scalar | None) -> str:
    text = value_words(value) or "unset"
    return text if now is None else f"{value_words(now) or 'unset'} (at first {text})"


def machine_section(state: RunState) -> Markup:
    """Model and data as they were loaded, the machine, the versions."""
    return section(
        "Model, data, machine",
        tag("div", facts(_model(state)), facts(_machine(state)), facts(list(state.versions.items())), class_="pair"),
    )


def _model(state: RunState) -> list[tuple[str, str]]:
    model = state.model
    if model is None:
        return [("model", "was never loaded")]
    trainable = model.trainable_parameters
    lengths = length_words(
        model.longest_tokens, model.mean_tokens, model.longest_target_tokens, model.mean_target_tokens
    )  # fmt: skip
    return [
        ("model", model.model),
        ("parameters", format_count(model.parameters)),
        ("trained", format_count(trainable) if trainable is not None else ""),
        ("rows", f"{model.train_rows:,} to train, {model.eval_rows:,} to evaluate"),
        ("held out", held_out_words(model)),
        ("tokens", lengths),
        ("not all", ", ".join(lacking_words(model))),
    ]


def _machine(state: RunState) -> list[tuple[str, str]]:
    devices = [(f"device {device.index}", _device(device.name, device.memory_bytes)) for device in state.devices]
    training = state.training
    use = use_words(training) if training is not None else ""
    return [("host", state.host), *devices, ("used", use)]


def _device(name: str, memory_bytes: int | None) -> str:
    return f"{name}, {format_size(memory_bytes)}" if memory_bytes is not None else name
