"""What is seen to be wrong before a worker is started."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings
from speedtui.engine.errors import ConfigError, DataError
from speedtui.engine.workload.sources import check_sources
from tests.engine.workload.conftest import WriteRows
from tests.engine.workload.small import changed


def settings(model: Path, train: Path, **schedule: str) -> Settings:
    return Settings(
        model=ModelSettings(path=str(model)),
        data=DataSettings(train=str(train), eval=str(train), prompt="question", response="answer"),
        schedule=ScheduleSettings(generate=True, **schedule),  # type: ignore[arg-type]  # texts, all of them
    )


def test_a_metrics_file_must_be_there(model_folder: Path, pairs_file: Path, tmp_path: Path) -> None:
    metric = tmp_path / "metric.py"
    asked = settings(model_folder, pairs_file, metric=f"{metric}:score")
    with pytest.raises(ConfigError) as caught:
        check_sources(asked, "speedtui.toml")
    assert caught.value.message == f"speedtui.toml: schedule.metric: {metric}: no such file"
    metric.touch()
    check_sources(asked, "speedtui.toml")
    check_sources(settings(model_folder, pairs_file, metric=""), "speedtui.toml")


def test_a_recipes_metric_is_looked_for_too(tmp_path: Path) -> None:
    (tmp_path / "recipe.py").touch()
    model = ModelSettings(kind="python", recipe=f"{tmp_path}/recipe.py:build")
    schedule = ScheduleSettings(generate=True, metric=f"{tmp_path}/metric.py:score")
    with pytest.raises(ConfigError, match=r"metric\.py: no such file"):
        check_sources(Settings(model=model, schedule=schedule), "speedtui.toml")


def test_an_evaluation_file_is_named_by_its_key(model_folder: Path, pairs_file: Path, write_rows: WriteRows) -> None:
    empty = write_rows("empty.jsonl", ["", ""])
    asked = changed(settings(model_folder, pairs_file), "data", eval=str(empty))
    with pytest.raises(DataError) as caught:
        check_sources(asked, "speedtui.toml")
    assert caught.value.message == f"speedtui.toml: data.eval: {empty}: there are no rows in it"
