"""speedtui init"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import click

from speedtui.engine.clean import clean, shell_line, toml_text
from speedtui.engine.config.first_precision import PLAIN, first_precision
from speedtui.engine.config.load import DEFAULT_NAME
from speedtui.engine.config.template import NO_EVALUATION, render_template
from speedtui.engine.errors import ConfigError, ExitCode
from speedtui.engine.files import write_whole
from speedtui.engine.hardware.available import first_gpu
from speedtui.engine.output import say, say_json, warn
from speedtui.engine.units import format_size
from speedtui.engine.workload.recognize import ModelLike, Recognized, evaluation_beside, model_like, recognize
from speedtui.tui.commands.options import Common, common_options

LONGEST = 1024
"""Tokens of `data.max_length`, where the model has places for them."""
EFFECTIVE_BATCH = 16
"""Rows of a step, where the file has as many."""
SHARE_ROWS = 100
"""A file with fewer rows keeps them all: five in a hundred of them say little about the rest."""


@click.command("init")
@common_options
@click.option("--model", default="Qwen/Qwen2.5-0.5B", show_default=True, help="Folder or hub id.")
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path("train.jsonl"), show_default=True, help="Training data."
)
@click.option("--force", is_flag=True, help="Overwrite a configuration that is there.")
def command(common: Common, model: str, data: Path, force: bool) -> ExitCode:
    """Write a commented speedtui.toml for a model and a data file; its columns are read from its first rows."""
    if common.config.exists() and not force:
        raise ConfigError(
            f"{common.config} is there already", "Name another with --config, or overwrite it with --force."
        )
    found, like, gpu = recognize(data), model_like(model), first_gpu()
    precision = first_precision(like.dtype, *gpu) if gpu is not None else PLAIN
    folder = common.config.resolve().parent
    text = render_template(
        model=_quotable(_seen_from(folder, model) if Path(model).is_dir() else model),
        train=_quotable(_seen_from(folder, str(data))),
        columns=_column_lines(found),
        precision=precision,
        kind="seq2seq" if like.encoder_decoder else "",
        evaluation=_evaluation_lines(found, data, folder),
        max_length=min(like.positions or LONGEST, LONGEST),
        effective_batch_size=_effective_batch(found.rows),
    )
    try:
        write_whole(common.config, text)
    except OSError as error:
        raise ConfigError(f"{common.config} cannot be written: {error.strerror}") from None
    for note in (*_notes(found, like, model, data), *([precision.reason] if precision.reason else [])):
        warn(clean(f"speedtui: {note}"))
    if common.json:
        say_json({"config": str(common.config), "columns": found.columns})
    else:
        size = format_size(len(text.encode()))
        first = "Correct [data] in it" if found.problem else "Look it over"
        say(clean(f"{common.config} written ({size}). {first}, then: {_tune(common.config)}"))
    return ExitCode.DONE


def _tune(config: Path) -> str:
    """The command that comes next."""
    return "speedtui tune" if config == Path(DEFAULT_NAME) else f"speedtui tune --config {shell_line(str(config))}"


def _is_path(model: str) -> bool:
    """Whether it can only be a folder: ids of the hub are `owner/name` or a name alone."""
    return Path(model).is_dir() or model.startswith((".", "/", "~")) or model.count("/") > 1


def _seen_from(folder: Path, path: str) -> str:
    """A path typed here as it is written in a configuration in that folder: relative paths count from there."""
    return path if Path(path).is_absolute() else os.path.relpath(path, folder)


def _quotable(text: str) -> str:
    """The text as it stands between the quotes of a TOML string."""
    return toml_text(text)[1:-1]


def _text(value: str | list[str]) -> str:
    return toml_text(value) if isinstance(value, str) else f"[{', '.join(map(toml_text, value))}]"


def _column_lines(found: Recognized) -> str:
    if found.values:
        return "\n".join(f"{key} = {_text(value)}" for key, value in found.values.items())
    there = f"the columns are: {', '.join(found.columns)}" if found.columns else "its columns are not known"
    return f"""\
# Choose how the columns are read, and take the # away ({clean(there)}):
# prompt = "..."                  # what is asked, and
# response = "..."                # what is to be answered
# messages = "..."                # or conversations, through the tokenizer's chat template
# text = "..."                    # or plain text, all of it learned"""


def _evaluation_lines(found: Recognized, data: Path, folder: Path) -> str:
    beside = evaluation_beside(data)
    if beside is not None and recognize(beside).values == found.values:
        return f"eval = {_text(_seen_from(folder, str(beside)))}"
    if found.rows >= SHARE_ROWS:
        return NO_EVALUATION.replace("# validation_share", "validation_share", 1)
    return NO_EVALUATION


def _effective_batch(rows: int) -> int:
    """A power of two that a step can have; `rows`: of the training file, 0 where it could not be read."""
    return 1 << (min(rows or EFFECTIVE_BATCH, EFFECTIVE_BATCH).bit_length() - 1)


def _notes(found: Recognized, like: ModelLike, model: str, data: Path) -> Iterator[str]:
    """What a person has to see to before anything can be trained."""
    if found.problem:
        yield found.problem
    elif not found.values:
        yield f"{data}: which columns are meant cannot be told; they are: {', '.join(found.columns)}. Choose in [data]."
    chat = found.values.get("messages") or found.values.get("format") == "sharegpt"
    if like.encoder_decoder and (chat or "text" in found.values):
        yield f"{model} learns a response to a prompt, and {data} has neither. Take a decoder alone, or other data."
    elif chat and like.chat_template is False:
        yield f"{model} has no chat template, which conversations need: set model.tokenizer to one that has."
    if not like.known and _is_path(model):
        yield f"{model}: no model is there that from_pretrained could load: correct model.path"
    elif not like.known:
        yield f'the config of {model} is not on this machine: of an encoder-decoder such as T5 set kind = "seq2seq"'
