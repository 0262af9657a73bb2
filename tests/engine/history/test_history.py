from __future__ import annotations

import sqlite3
from pathlib import Path

import msgspec
import pytest

from speedtui.engine.candidate import Curve, CurvePoint
from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.history import history as history_module
from speedtui.engine.history.history import History, history_path
from speedtui.engine.history.keys import (
    evaluating_settings,
    key_of_settings,
    model_name,
    settings_key,
    shape_key,
    shape_name,
    telling_settings,
    versions_key,
)
from speedtui.engine.history.records import PastEvaluation, PastMeasurement, PastOutcome
from speedtui.engine.history.schema import STEPS

GIB = 1024**3
H100, A100 = "NVIDIA H100 80GB HBM3", "NVIDIA A100-SXM4-80GB"
VERSIONS = "torch 2.13.0, transformers 5.23.0"
SETTINGS = Settings(model=ModelSettings(path="Qwen/Qwen2.5-0.5B"), train=TrainSettings(micro_batch_size=4))
MODEL = shape_key(SETTINGS, 494_032_768)
CURVE = Curve(
    fixed=0.02,
    per_token=1.5e-5,
    per_square=2e-9,
    optimizer_seconds=0.011,
    spread=0.03,
    uncertainty=0.01,
    points=(CurvePoint(micro_batch_size=4, tokens=512, seconds=0.055),),
)


def measured(at: float, profile: str = "balanced", settings: Settings = SETTINGS, **figures: object) -> PastMeasurement:
    record = PastMeasurement(
        at=at,
        device=H100,
        model=MODEL,
        versions=VERSIONS,
        profile=profile,
        settings=telling_settings(settings),
        tokens_per_second=800.0,
        curve=CURVE,
    )
    return msgspec.structs.replace(record, **figures)


def outcome(at: float, estimated: float, actual: float, device: str = H100) -> PastOutcome:
    return PastOutcome(
        at=at, run=f"run-{at:g}", device=device, model=MODEL, estimated_p50_seconds=estimated, actual_seconds=actual
    )


def test_the_newest_measurement_of_these_settings_is_found_with_its_age_and_curve(tmp_path: Path) -> None:
    with History.open(tmp_path / "h.sqlite") as history:
        history.record_measurement(measured(at=1000.0, tokens_per_second=700.0))
        history.record_measurement(measured(at=5000.0, tokens_per_second=810.0, save_seconds=1.25))
    with History.open(tmp_path / "h.sqlite") as history:
        found = history.latest_measurement(H100, MODEL, settings_key(SETTINGS), now=5000.0 + 2 * 86400)
    assert found is not None
    assert (found.tokens_per_second, found.save_seconds) == (810.0, 1.25)
    assert found.age_seconds == 2 * 86400
    assert found.curve == CURVE
    assert history.problem is None


def test_other_settings_another_device_and_another_model_are_not_the_same(tmp_path: Path) -> None:
    larger = msgspec.structs.replace(SETTINGS, train=TrainSettings(micro_batch_size=8))
    with History.open(tmp_path / "h.sqlite") as history:
        history.record_measurement(measured(at=1000.0))
        assert history.latest_measurement(H100, MODEL, settings_key(larger)) is None
        assert history.latest_measurement(A100, MODEL, settings_key(SETTINGS)) is None
        assert history.latest_measurement(H100, shape_key(SETTINGS, 1), settings_key(SETTINGS)) is None


def test_a_throughput_of_the_profile_comes_before_a_newer_one_of_another(tmp_path: Path) -> None:
    with History.open(tmp_path / "h.sqlite") as history:
        history.record_measurement(measured(at=1.0, profile="quality", tokens_per_second=400.0))
        history.record_measurement(measured(at=2.0, profile="balanced", tokens_per_second=800.0))
        history.record_measurement(measured(at=3.0, profile="quality", tokens_per_second=None))
        of_quality = history.nearest_throughput(H100, MODEL, "quality")
        of_fast = history.nearest_throughput(H100, MODEL, "fast")
        elsewhere = history.nearest_throughput(A100, MODEL, "quality")
    assert of_quality is not None and of_quality.tokens_per_second == 400.0
    assert of_fast is not None and (of_fast.profile, of_fast.tokens_per_second) == ("balanced", 800.0)
    assert elsewhere is None


def test_calibration_gives_the_newest_twenty_peaks_of_the_model_without_their_gap(tmp_path: Path) -> None:
    with History.open(tmp_path / "h.sqlite") as history:
        for n in range(25):
            history.record_measurement(
                measured(at=100.0 + n, peak_bytes=(11 + n) * GIB, gap_bytes=GIB, predicted_bytes=10 * GIB)
            )
        history.record_measurement(measured(at=200.0, peak_bytes=GIB))
        history.record_measurement(measured(at=201.0, peak_bytes=GIB, predicted_bytes=GIB, versions="torch 2.14.0"))
        other = shape_key(Settings(model=ModelSettings(kind="python", recipe="lstm.py:build")), 1000)
        history.record_measurement(measured(at=202.0, peak_bytes=GIB, predicted_bytes=GIB, model=other))
        peaks = history.calibration(H100, VERSIONS, model_name(SETTINGS), now=300.0)
    assert len(peaks) == 20
    assert (peaks[0].predicted_bytes, peaks[0].measured_bytes, peaks[0].gap_bytes) == (10 * GIB, 34 * GIB, GIB)
    assert peaks[0].ratio == pytest.approx(3.4)
    assert peaks[0].age_seconds == 300.0 - 124.0
    assert [peak.measured_bytes // GIB for peak in peaks] == list(range(34, 14, -1))


def test_accuracy_is_the_estimate_over_the_actual_time(tmp_path: Path) -> None:
    with History.open(tmp_path / "h.sqlite") as history:
        history.record_outcome(outcome(at=1.0, estimated=900.0, actual=1000.0))
        history.record_outcome(outcome(at=2.0, estimated=1100.0, actual=1000.0))
        history.record_outcome(outcome(at=3.0, estimated=1.0, actual=1000.0, device=A100))
        assert [past.accuracy for past in history.accuracies(H100)] == [1.1, 0.9]


def test_only_the_newest_rows_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history_module, "KEPT_ROWS", 10)
    with History.open(tmp_path / "h.sqlite") as history:
        for n in range(25):
            history.record_measurement(measured(at=float(n)))
            history.record_outcome(outcome(at=float(n), estimated=n + 1.0, actual=1.0))
        assert [past.at for past in history.accuracies(H100)] == [float(n) for n in range(24, 14, -1)]
    rows = sqlite3.connect(tmp_path / "h.sqlite").execute("SELECT count(*), min(at) FROM measurement").fetchone()
    assert rows == (10, 15.0)


def test_a_row_that_cannot_be_read_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with History.open(path) as history:
        history.record_measurement(measured(at=1.0))
        history.record_measurement(measured(at=2.0))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE measurement SET record = '{\"at\": tor' WHERE at = 2.0")
    connection.close()
    with History.open(path) as history:
        found = history.latest_measurement(H100, MODEL, settings_key(SETTINGS))
    assert found is not None and found.at == 1.0
    assert history.problem is None


def test_a_field_of_a_later_version_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with History.open(path) as history:
        history.record_measurement(measured(at=1.0))
    with sqlite3.connect(path) as connection:
        connection.execute('UPDATE measurement SET record = replace(record, \'{"at"\', \'{"watts": 612, "at"\')')
    connection.close()
    with History.open(path) as history:
        assert history.latest_measurement(H100, MODEL, settings_key(SETTINGS)) is not None


def test_a_file_of_an_earlier_version_is_brought_forward_with_its_rows(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with History.open(path) as history:
        history.record_measurement(measured(at=7.0))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE outcome")
        connection.execute("DROP TABLE evaluation")
        connection.execute("PRAGMA user_version = 1")
    connection.close()
    with History.open(path) as history:
        history.record_outcome(outcome(at=8.0, estimated=1.0, actual=1.0))
        assert history.problem is None
        assert history.latest_measurement(H100, MODEL, settings_key(SETTINGS)) is not None
        assert len(history.accuracies(H100)) == 1
    assert sqlite3.connect(path).execute("PRAGMA user_version").fetchone()[0] == len(STEPS)


def test_it_lies_in_the_users_data_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    with History.open() as history:
        history.record_outcome(outcome(at=1.0, estimated=1.0, actual=1.0))
    assert (tmp_path / "data" / "speedtui" / "history.sqlite").is_file()
    monkeypatch.setenv("XDG_DATA_HOME", "relative/is/ignored")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert history_path() == tmp_path / "home/.local/share/speedtui/history.sqlite"


def test_a_model_keeps_its_history_when_it_is_moved_and_a_namesake_has_its_own() -> None:
    def at(path: str, parameters: int) -> str:
        return shape_key(Settings(model=ModelSettings(path=path)), parameters)

    assert at("Qwen/Qwen2.5-0.5B", 494_032_768) == at("/data/models/Qwen2.5-0.5B/", 494_032_768)
    assert at("Qwen/Qwen2.5-0.5B", 494_032_768) != at("mine/Qwen2.5-0.5B", 493_000_000)
    assert shape_name(at("Qwen/Qwen2.5-0.5B", 494_032_768)) == "Qwen2.5-0.5B 494M"


def test_an_architecture_is_told_apart_by_what_is_in_it_and_not_by_its_order() -> None:
    def of(**architecture: object) -> str:
        return shape_key(Settings(model=ModelSettings(architecture=architecture)), 1_000_000)

    assert of(model_type="llama", hidden_size=64) == of(hidden_size=64, model_type="llama")
    assert of(model_type="llama", hidden_size=64) != of(model_type="llama", hidden_size=128)
    assert shape_name(of(model_type="llama", hidden_size=64)) == "llama 1.0M"


def test_the_key_of_settings_follows_what_a_micro_step_depends_on_and_nothing_else() -> None:
    key = settings_key(SETTINGS)
    same = msgspec.structs.replace(SETTINGS, train=TrainSettings(micro_batch_size=4, epochs=9, learning_rate=1.0))
    assert settings_key(same) == key
    for train in (TrainSettings(micro_batch_size=2), TrainSettings(micro_batch_size=4, bf16=True)):
        assert settings_key(msgspec.structs.replace(SETTINGS, train=train)) != key
    assert settings_key(msgspec.structs.replace(SETTINGS, data=DataSettings(max_length=2048))) != key
    assert settings_key(msgspec.structs.replace(SETTINGS, recipe={"ddpm_mul": 4})) != key


def test_versions_are_those_that_bring_kernels_and_model_code() -> None:
    assert versions_key({"python": "3.11", "transformers": "5.23.0", "torch": "2.13.0"}) == VERSIONS


def evaluated(at: float, settings: Settings = SETTINGS, **figures: object) -> PastEvaluation:
    record = PastEvaluation(
        at=at, run=f"run-{at:g}", device=H100, model=MODEL, versions=VERSIONS, settings=evaluating_settings(settings),
        rows=100, at_a_time=8, evaluations=5, eval_seconds=2.0, generate_seconds=40.0, metric_seconds=12.0,
    )  # fmt: skip
    return msgspec.structs.replace(record, **figures)


def answering(**schedule: object) -> Settings:
    whole = ScheduleSettings(**{"generate": True, "beams": 4, "metric": "a/metric.py:score", **schedule})
    return msgspec.structs.replace(SETTINGS, schedule=whole, data=DataSettings(eval="here/eval.jsonl"))


def latest(history: History, settings: Settings, **asked: object) -> PastEvaluation | None:
    key = key_of_settings(evaluating_settings(settings))
    return history.latest_evaluation(H100, MODEL, key, **{"versions": VERSIONS, "at_a_time": 8, "now": 900.0, **asked})


def test_what_a_runs_evaluations_took_is_found_with_its_age_and_comes_before_what_a_trial_says(tmp_path: Path) -> None:
    with History.open(tmp_path / "h.sqlite") as history:
        history.record_evaluation(evaluated(100.0, answering(), evaluations=0, generate_seconds=90.0))
        found = latest(history, answering())
        assert found is not None and (found.generate_seconds, found.evaluations) == (90.0, 0)
        history.record_evaluation(evaluated(200.0, answering()))
        history.record_evaluation(evaluated(300.0, answering(), evaluations=0, generate_seconds=95.0))
        found = latest(history, answering())
    assert found is not None and history.problem is None
    assert (found.generate_seconds, found.metric_seconds, found.eval_seconds) == (40.0, 12.0, 2.0)
    assert (found.rows, found.age_seconds) == (100, 700.0)


@pytest.mark.parametrize(
    "other",
    [{"beams": 1}, {"max_new_tokens": 32}, {"metric": "a/metric.py:other"}, {"metric_threads": 2},
     {"generation_batch_size": 16}, {"eval_batch_size": 4}],
)  # fmt: skip
def test_another_price_is_another_key(tmp_path: Path, other: dict[str, object]) -> None:
    with History.open(tmp_path / "h.sqlite") as history:
        history.record_evaluation(evaluated(200.0, answering()))
        assert latest(history, answering(**other)) is None
        assert latest(history, answering(), at_a_time=16) is None
        assert latest(history, answering(), versions="torch 3.0.0") is None
        assert latest(history, answering(patience=3, metric="b/metric.py:score")) is not None


def test_a_history_from_before_evaluations_were_kept_opens_with_its_rows_and_takes_new_ones(tmp_path: Path) -> None:
    path = tmp_path / "h.sqlite"
    with History.open(path) as history:
        history.record_measurement(measured(at=1000.0))
    with sqlite3.connect(path) as connection:
        connection.execute("DROP TABLE evaluation")
        connection.execute("PRAGMA user_version = 2")
    with History.open(path) as history:
        assert history.problem is None
        assert history.latest_measurement(H100, MODEL, settings_key(SETTINGS)) is not None
        history.record_evaluation(evaluated(200.0, answering()))
        assert latest(history, answering()) is not None


def test_a_recipe_with_another_knob_may_answer_at_another_price(tmp_path: Path) -> None:
    slow, fast = (msgspec.structs.replace(answering(), recipe={"candidates": count}) for count in (8, 1))
    with History.open(tmp_path / "h.sqlite") as history:
        history.record_evaluation(evaluated(200.0, slow))
        assert latest(history, slow) is not None
        assert latest(history, fast) is None
