"""Values that have the right type and still cannot work."""

from __future__ import annotations

from collections.abc import Callable

from speedtui.engine.config.batch import divisors
from speedtui.engine.config.bounds import hint_of, numbers_of, problem_of
from speedtui.engine.config.formats import layout_of
from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.config.precision import check_precision
from speedtui.engine.config.settings import Settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.units import parse_duration, parse_size


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
    for path, number, bounds in numbers_of(settings):
        if problem := problem_of(number, bounds):
            raise ConfigError(f"{where}: {path} {problem}", hint_of(bounds))


def _check_model(settings: Settings, where: str) -> None:
    model = settings.model
    if model.kind == "python":
        if not model.recipe:
            raise ConfigError(f'{where}: model.kind "python" needs model.recipe', 'Write recipe = "recipe.py:build".')
        if ":" not in model.recipe:
            raise ConfigError(f"{where}: model.recipe: expected file.py:function, got {model.recipe!r}")
        return
    if settings.recipe:
        raise ConfigError(
            f'{where}: [recipe] goes with model.kind = "python", and nothing else reads it',
            "Set model.kind or remove the table.",
        )
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
    if data.validation_share is not None and data.eval:
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
