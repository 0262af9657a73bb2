"""speedtui init"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import click
import msgspec

from speedtui.engine.config.template import render_template
from speedtui.engine.errors import ConfigError, ExitCode
from speedtui.engine.units import format_size
from speedtui.tui.commands.options import Common, common_options

_PAIRS = (("prompt", "response"), ("question", "answer"), ("instruction", "output"), ("instruction", "response"),
          ("input", "output"), ("prompt", "completion"))  # fmt: skip


@click.command("init")
@common_options
@click.option("--model", default="Qwen/Qwen2.5-0.5B", show_default=True, help="Folder or hub id.")
@click.option(
    "--data", type=click.Path(path_type=Path), default=Path("train.jsonl"), show_default=True, help="Training data."
)
@click.option("--force", is_flag=True, help="Overwrite a configuration that is there.")
def command(common: Common, model: str, data: Path, force: bool) -> ExitCode:
    """Write a commented speedtui.toml for a model and a data file; its columns are read from its first row."""
    if common.config.exists() and not force:
        raise ConfigError(
            f"{common.config} is there already", "Name another with --config, or overwrite it with --force."
        )
    columns = _columns(data)
    folder = common.config.resolve().parent
    text = render_template(
        model=_quotable(_seen_from(folder, model) if Path(model).is_dir() else model),
        train=_quotable(_seen_from(folder, str(data))),
        columns=_column_lines(columns),
        dtype="float32",
    )
    try:
        common.config.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{common.config} cannot be written: {error.strerror}") from None
    if common.json:
        click.echo(msgspec.json.encode({"config": str(common.config), "columns": columns}))
    else:
        if not columns:
            click.echo(f"speedtui: {data} has no columns that can be read here; correct [data] by hand", err=True)
        click.echo(f"{common.config} written ({format_size(len(text.encode()))}). Look it over, then: speedtui tune")
    return ExitCode.DONE


def _seen_from(folder: Path, path: str) -> str:
    """A path typed here as it is written in a configuration in that folder: relative paths count from there."""
    return path if Path(path).is_absolute() else os.path.relpath(path, folder)


def _quotable(text: str) -> str:
    """The text as it stands between the quotes of a TOML string, whose escapes are those of JSON."""
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _columns(data: Path) -> list[str]:
    """The columns of the first row of a JSON lines or CSV file; none where they cannot be read."""
    try:
        with data.open(encoding="utf-8") as file:
            first = file.readline().strip().removeprefix("\ufeff")
    except (OSError, UnicodeDecodeError):
        return []
    if data.suffix == ".csv":
        return next(csv.reader([first]), [])
    try:
        row = json.loads(first)
    except json.JSONDecodeError:
        return []
    return list(row) if isinstance(row, dict) else []


def _column_lines(columns: list[str]) -> str:
    for prompt, response in _PAIRS:
        if prompt in columns and response in columns:
            return f'prompt = "{prompt}"\nresponse = "{response}"'
    if "messages" in columns:
        return 'messages = "messages"              # chat, through the tokenizer\'s template'
    if "text" in columns:
        return 'text = "text"'
    return 'prompt = "prompt"                  # or text = "text", or messages = "messages"\nresponse = "response"'
