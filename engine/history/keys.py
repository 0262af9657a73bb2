"""What two runs must have in common for a figure of one to serve the other, as short texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from speedtui.engine.config.paths import value_at
from speedtui.engine.config.settings import Scalar, Settings
from speedtui.engine.units import format_count

HASH_DIGITS = 12
"""48 bits: two of a few thousand records meet with a chance below one in ten million."""
TELLING = (
    "train.micro_batch_size", "data.max_length", "train.method", "train.gradient_checkpointing", "model.dtype",
    "train.bf16", "model.attention", "train.optimizer", "data.packing", "train.group_by_length",
    "train.loader_workers", "train.compile",
)  # fmt: skip
"""Settings that a micro-step's time and memory depend on; accumulation is none, since a step is so many of them."""
TELLING_ON = ("train.fp16", "train.tf32", "train.liger", "model.quantize")
"""Others that count where they are on, for an evaluation too: what was kept before there were any is still found."""
TELLING_LORA = ("train.lora.r", "train.lora.target_modules")
EVALUATING = ("train.method", "model.dtype", "train.bf16", "model.attention", "schedule.eval_batch_size",
              "schedule.generate")  # fmt: skip
"""Settings that the price of an evaluation depends on, and below those of its answers and of their scores."""
ANSWERING = ("schedule.beams", "schedule.max_new_tokens", "schedule.generation_batch_size")
SCORING = ("schedule.metric_threads", "schedule.metric_timeout")
TELLING_PACKAGES = ("torch", "transformers")
"""Another version of one of them may have other kernels or another model code."""


def shape_key(settings: Settings, parameters: int | None) -> str:
    """The model's shape, such as `Qwen2.5-0.5B 494M 5d1c0a9be3f7`: a name, its parameters, a hash.

    Only the last part of a path or hub id counts, so that a model keeps its history when it is downloaded or
    moved; the parameter count tells apart what merely has the same name. `parameters` is the base model's,
    without an adapter.
    """
    model = settings.model
    name = model_name(settings)
    identity = [model.kind, name, parameters, model.architecture]
    return f"{name} {format_count(parameters)} {_hash(identity)}"


def name_in(key: str) -> str:
    """The model's name in a shape key, as `model_name` gives it."""
    return key.rsplit(" ", 2)[0]


def shape_name(key: str) -> str:
    """The readable part of a shape key."""
    return key.rpartition(" ")[0]


def telling_settings(settings: Settings) -> dict[str, Scalar | None]:
    """The settings that time and memory of a micro-step depend on, by path; the recipe's own knobs are among them."""
    paths = TELLING + (TELLING_LORA if settings.train.method == "lora" else ())
    values = {path: _scalar(value_at(settings, path)) for path in paths}
    if values["model.attention"] == "auto":
        values["model.attention"] = "sdpa"  # what it comes to for all but a few models
    return values | _switched_on(settings) | _knobs(settings)


def settings_key(settings: Settings) -> str:
    """A hash of `telling_settings`."""
    return key_of_settings(telling_settings(settings))


def key_of_settings(values: Mapping[str, Scalar | None]) -> str:
    """The same from what `telling_settings` gave."""
    return _hash(dict(values))


def evaluating_settings(settings: Settings) -> dict[str, Scalar | None]:
    """The settings that an evaluation's loss, answers and scores depend on, by path, besides its rows and its data."""
    schedule = settings.schedule
    values: dict[str, Scalar | None] = {path: _scalar(value_at(settings, path)) for path in EVALUATING}
    if schedule.generate:
        values |= {path: _scalar(value_at(settings, path)) for path in ANSWERING}
        values["schedule.metric"] = _last_part(schedule.metric) if schedule.metric else None
        values |= {path: _scalar(value_at(settings, path)) for path in SCORING} if schedule.metric else {}
    if settings.data.eval:
        values["data.eval"] = _last_part(settings.data.eval)
    elif settings.data.validation_share and settings.data.train:
        values["data.train"] = _last_part(settings.data.train)
        values["data.validation_share"] = settings.data.validation_share
    return values | _switched_on(settings) | _knobs(settings)


def versions_key(versions: Mapping[str, str]) -> str:
    """Such as `torch 2.13.0, transformers 5.23.0`; other packages do not count."""
    return ", ".join(f"{name} {versions[name]}" for name in TELLING_PACKAGES if name in versions)


def model_name(settings: Settings) -> str:
    """The last part of the model's path or of its recipe, else the architecture."""
    model = settings.model
    if model.kind == "python" and model.recipe:
        return _last_part(model.recipe)
    if model.path:
        return _last_part(model.path)
    return str((model.architecture or {}).get("model_type", "model"))


def _last_part(path: str) -> str:
    """Of a path, with forward or backward slashes; bytes that are no UTF-8 become question marks."""
    last = path.replace("\\", "/").rstrip("/").rpartition("/")[2] or path
    return last.encode(errors="replace").decode()


def _switched_on(settings: Settings) -> dict[str, Scalar | None]:
    values = {path: value_at(settings, path) for path in TELLING_ON}
    return {path: value for path, value in values.items() if value not in (False, "none")}


def _knobs(settings: Settings) -> dict[str, Scalar | None]:
    """A recipe's own, by path: what they change is for the recipe to know."""
    return {f"recipe.{name}": _scalar(value) for name, value in sorted(settings.recipe.items())}


def _scalar(value: Any) -> Scalar | None:
    """A value that has no columns of its own becomes its JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return _canonical(value).decode()


def _hash(parts: Any) -> str:
    return hashlib.sha256(_canonical(parts)).hexdigest()[:HASH_DIGITS]


def _canonical(parts: Any) -> bytes:
    return msgspec.json.encode(parts, order="deterministic")
