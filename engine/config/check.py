"""Values that have the right type and still cannot work."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from speedtui.engine.config.batch import divisors
from speedtui.engine.config.formats import layout_of
from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.config.precision import check_precision
from speedtui.engine.config.settings import Section, Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.units import parse_duration, parse_size

_AT_LEAST: tuple[tuple[str, Callable[[Settings], float | None], float], ...] = (
    ("data.max_length", lambda s: s.data.max_length, 2),
    ("data.eval_rows", lambda s: s.data.eval_rows, 1),
    ("train.max_steps", lambda s: s.train.max_steps, 1),
    ("train.effective_batch_size", lambda s: s.train.effective_batch_size, 1),
    ("train.micro_batch_size", lambda s: s.train.micro_batch_size, 1),
    ("train.lora.r", lambda s: s.train.lora.r, 1),
    ("train.lora.alpha", lambda s: s.train.lora.alpha, 1),
    ("train.lora.dropout", lambda s: s.train.lora.dropout, 0),
    ("train.lr_warmup_steps", lambda s: s.train.lr_warmup_steps, 0),
    ("train.weight_decay", lambda s: s.train.weight_decay, 0),
    ("train.max_grad_norm", lambda s: s.train.max_grad_norm, 0),
    ("train.loader_workers", lambda s: s.train.loader_workers, 0),
    ("search.batches", lambda s: s.search.batches, 1),
    ("schedule.keep_checkpoints", lambda s: s.schedule.keep_checkpoints, 1),
    ("schedule.eval_batch_size", lambda s: s.schedule.eval_batch_size, 1),
    ("schedule.generation_batch_size", lambda s: s.schedule.generation_batch_size, 1),
    ("schedule.beams", lambda s: s.schedule.beams, 1),
    ("schedule.max_new_tokens", lambda s: s.schedule.max_new_tokens, 1),
    ("schedule.metric_threads", lambda s: s.schedule.metric_threads, 1),
    ("schedule.patience", lambda s: s.schedule.patience, 1),
)


def check(settings: Settings, where: str) -> None:
    """Refuses values that no run can use.

    Raises:
        ConfigError: naming the key, the rule and the value.
    """
    _check_numbers(settings, where)
    _check_model(settings, where)
    _check_data(settings, where)
    _check_layout(settings, where)
    check_precision(settings, where)
    _check_texts(settings, where)
    _check_schedule(settings, where)
    check_batch(settings, where)


def check_values(settings: Settings, where: str) -> None:
    """Refuses each value that means nothing by itself, whatever run it is for.

    Raises:
        ConfigError: as `check`.
    """
    _check_numbers(settings, where)
    _check_texts(settings, where)
    check_batch(settings, where)


def check_batch(settings: Settings, where: str) -> None:
    """The micro-batch must divide the effective batch, so that neither changes silently."""
    micro, effective = settings.train.micro_batch_size, settings.train.effective_batch_size
    if effective % micro:
        raise ConfigError(
            f"{where}: train.micro_batch_size {micro} does not divide train.effective_batch_size {effective}",
            f"Take one of {', '.join(map(str, divisors(effective)))}.",
        )


def _check_numbers(settings: Settings, where: str) -> None:
    for path, number in _numbers(settings):
        if not math.isfinite(number):
            raise ConfigError(f"{where}: {path} must be a finite number, got {number:g}")
    for path, value_of, least in _AT_LEAST:
        value = value_of(settings)
        if value is not None and value < least:
            raise ConfigError(f"{where}: {path} must be at least {least:g}, got {value:g}")
    for path, number in (
        ("train.epochs", settings.train.epochs),
        ("train.learning_rate", settings.train.learning_rate),
    ):
        if number <= 0:
            raise ConfigError(f"{where}: {path} must be above zero, got {number:g}")
    if settings.train.lora.dropout >= 1:
        raise ConfigError(f"{where}: train.lora.dropout must be below 1, got {settings.train.lora.dropout:g}")


def _numbers(section: Section, prefix: str = "") -> Iterator[tuple[str, float]]:
    """Every number that is set, with its path; those of the user's own tables are the user's."""
    for name in section.__struct_fields__:
        value = getattr(section, name)
        if isinstance(value, Section):
            yield from _numbers(value, f"{prefix}{name}.")
        elif isinstance(value, float):
            yield prefix + name, value


def _check_model(settings: Settings, where: str) -> None:
    model = settings.model
    if model.kind == "python":
        if not model.recipe:
            raise ConfigError(f'{where}: model.kind "python" needs model.recipe', 'Write recipe = "recipe.py:build".')
        if ":" not in model.recipe:
            raise ConfigError(f"{where}: model.recipe: expected file.py:function, got {model.recipe!r}")
        return
    if model.recipe:
        raise ConfigError(f'{where}: model.recipe goes with kind = "python"', "Set model.kind or remove the recipe.")
    if bool(model.path) == bool(model.architecture):
        raise ConfigError(
            f"{where}: [model] needs either path or architecture",
            'Write path = "a folder or hub id", or architecture = { model_type = "llama", ... } for random weights.',
        )
    if model.architecture and "model_type" not in model.architecture:
        raise ConfigError(f'{where}: model.architecture needs a model_type, such as "llama"')


def _check_data(settings: Settings, where: str) -> None:
    data = settings.data
    if settings.model.kind == "python":
        return
    if not data.train:
        raise ConfigError(f"{where}: data.train is missing", 'Write train = "train.jsonl" under [data].')
    layout_of(data, where)
    for key, given in (("tools", data.tools), ("fold_system", data.fold_system)):
        if given and not data.chat:
            raise ConfigError(f"{where}: data.{key} goes with data.messages", f"Remove data.{key}.")
    share = data.validation_share
    if share is None:
        return
    if not 0 < share < 1:
        raise ConfigError(f"{where}: data.validation_share must be between 0 and 1, got {share:g}", "0.05 is 5 %.")
    if data.eval:
        raise ConfigError(
            f"{where}: data.validation_share holds rows out of data.train, and data.eval names others",
            "Keep one of the two.",
        )


def _check_layout(settings: Settings, where: str) -> None:
    """What goes with one kind of model only."""
    kind, data = settings.model.kind, settings.data
    if kind == "seq2seq" and layout_of(data, where).form != "prompt":
        given = f"data.format {data.format}" if data.format else "data.text" if data.text else "data.messages"
        raise ConfigError(
            f'{where}: {given} does not go with model.kind "seq2seq", which learns a response to a prompt',
            "Name the columns data.prompt and data.response.",
        )
    if data.packing and kind != "causal-lm":
        raise ConfigError(
            f'{where}: data.packing goes with model.kind "causal-lm", not with "{kind}"',
            "Remove data.packing" + ("; train.group_by_length saves padding here." if kind == "seq2seq" else "."),
        )
    if settings.train.group_by_length and kind == "python":
        raise ConfigError(
            f'{where}: train.group_by_length needs the samples\' lengths, which model.kind "python" does not tell',
            "Remove train.group_by_length, or have the recipe's dataset sorted.",
        )


def _check_schedule(settings: Settings, where: str) -> None:
    schedule = settings.schedule
    share = schedule.eval_share
    if share is not None and not 0 < share < 1:
        raise ConfigError(f"{where}: schedule.eval_share must be between 0 and 1, got {share:g}", "0.05 is 5 %.")
    if schedule.metric and ":" not in schedule.metric:
        raise ConfigError(f"{where}: schedule.metric: expected file.py:function, got {schedule.metric!r}")
    if schedule.metric and not schedule.generate:
        raise ConfigError(
            f"{where}: schedule.metric scores what the model generates, and schedule.generate is false",
            "Set schedule.generate = true, or remove the metric.",
        )
    if schedule.generate and settings.data.text:
        raise ConfigError(
            f"{where}: schedule.generate answers prompts, and data.text has none",
            "Name data.prompt and data.response, or set schedule.generate = false.",
        )
    if schedule.generate and settings.model.kind != "python" and not settings.data.evaluates:
        raise ConfigError(
            f"{where}: schedule.generate answers the samples of data.eval, which is missing",
            "Name it, or hold rows out with data.validation_share.",
        )
    if schedule.best_by != "loss" and not schedule.metric:
        raise ConfigError(f"{where}: schedule.best_by {schedule.best_by!r} needs schedule.metric", 'Or write "loss".')
    if (
        (schedule.patience or schedule.save_only_best)
        and settings.model.kind != "python"
        and not settings.data.evaluates
    ):
        key = "patience" if schedule.patience else "save_only_best"
        raise ConfigError(
            f"{where}: schedule.{key} needs evaluations, and data.eval is missing",
            "Name data.eval, or hold rows out with data.validation_share.",
        )


def _check_texts(settings: Settings, where: str) -> None:
    def read(path: str, text: str | None, parse: Callable[[str], object]) -> None:
        if text is not None:
            try:
                parse(text)
            except ValueError as error:
                raise ConfigError(f"{where}: {path}: {error}") from None

    read("search.budget", settings.search.budget, parse_duration)
    read("notify.timeout", settings.notify.timeout, parse_duration)
    read("search.memory_limit", settings.search.memory_limit, parse_size)
    schedule = settings.schedule
    read("schedule.eval_every", schedule.eval_every, parse_frequency)
    read("schedule.fast_eval_every", schedule.fast_eval_every, parse_frequency)
    read("schedule.checkpoint_every", schedule.checkpoint_every, parse_frequency)
    read("schedule.metric_timeout", schedule.metric_timeout, parse_duration)
