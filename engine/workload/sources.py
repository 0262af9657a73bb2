"""What can be seen to be wrong with a model, its data and its metric before a worker, and with it torch, is started."""

from __future__ import annotations

from pathlib import Path

from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings
from speedtui.engine.errors import ConfigError, UsageError
from speedtui.engine.trust import require_program
from speedtui.engine.workload.data import naming, require_first_row, table_of
from speedtui.engine.workload.files import kind_of, require_file
from speedtui.engine.workload.hub import check_folder, require_model_in
from speedtui.engine.workload.recipe import require_recipe

ROW_BY_ROW = (".jsonl", ".ndjson", ".csv", ".tsv")
"""Files whose first row is read without the rest, and without a library that takes a second to import."""


def check_sources(settings: Settings, where: str) -> None:
    """Looks at the files that the configuration `where` names, and at the first row of the data.

    Raises:
        DataError, ModelError, RecipeError, ConfigError: naming the key and the file. What only reading everything
            shows, or the hub, is left to the worker.
    """
    model = settings.model
    try:
        if model.kind == "python":
            require_recipe(Path((model.recipe or "").rpartition(":")[0]))
        else:
            _check_model(model)
            _check_data(settings.data)
        _check_metric(settings.schedule.metric)
    except UsageError as error:
        raise type(error)(f"{where}: {error.message}", error.hint) from None


def _check_model(model: ModelSettings) -> None:
    for key, name in (("model.path", model.path), ("model.tokenizer", model.tokenizer)):
        if name and check_folder(name, key) and key == "model.path":
            require_model_in(Path(name))


def _check_data(data: DataSettings) -> None:
    if data.train:
        _check_file(data.train, data)
    if data.eval:
        with naming("data.eval"):
            _check_file(data.eval, data)


def _check_file(path: str, data: DataSettings) -> None:
    require_file(Path(path))
    kind, compression = kind_of(Path(path))
    if kind in ROW_BY_ROW and compression in ("", ".gz"):
        require_first_row(table_of(path, data))


def _check_metric(metric: str | None) -> None:
    if not metric:
        return
    file = Path(metric.rpartition(":")[0])
    if not file.is_file():
        raise ConfigError(f"schedule.metric: {file}: no such file", 'Write metric = "file.py:function".')
    require_program(file, "schedule.metric", ConfigError)
