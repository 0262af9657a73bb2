from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from speedtui.engine import optimize_for_dataset
from speedtui.engine.errors import UsageError
from speedtui.engine.profile.load import save_profile


@pytest.fixture(autouse=True)
def no_own_profiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))


def minutes(hours: float) -> str:
    whole = round(hours * 60)
    return f"{whole // 60} h {whole % 60:02d} m"


@pytest.mark.parametrize(
    ("rows", "rate", "tokens", "hours", "clock"),
    [
        (8_000, 800, 12_000_000, 4.17, "4 h 10 m"),
        (8_000, 400, 12_000_000, 8.33, "8 h 20 m"),
        (16_000, 800, 24_000_000, 8.33, "8 h 20 m"),
    ],
)
def test_the_worked_examples_hold_to_the_minute(
    rows: int, rate: float, tokens: float, hours: float, clock: str
) -> None:
    estimate = optimize_for_dataset(rows, 500, 3, tokens_per_second=rate).estimate
    assert estimate.total_tokens == tokens
    assert round(estimate.hours, 2) == hours
    assert minutes(estimate.hours) == clock
    assert estimate.fits_in_window and estimate.source == "given"
    assert estimate.cautious_hours == estimate.hours
    assert estimate.hours + estimate.spare_hours == pytest.approx(11.5)


def test_with_numbers_only_the_profiles_stated_throughput_is_used_as_it_stands() -> None:
    plan = optimize_for_dataset(
        num_samples=8000, avg_tokens_per_sample=500, num_epochs=3, priority="balanced", max_hours=12.0
    )
    assert plan.profile == "balanced"
    assert plan.estimate.hours == 8000 * 500 * 3 / 800 / 3600
    assert plan.estimate.total_steps == 3 * 8000 // 32
    assert plan.estimate.fits_in_window
    assert plan.estimate.basis == "the profile's stated 800 tokens/s on H100 80GB, not measured"
    assert plan.changes == [] and plan.asked == plan.estimate
    assert plan.training_arguments["per_device_train_batch_size"] == 4
    assert plan.training_arguments["gradient_accumulation_steps"] == 8
    assert minutes(optimize_for_dataset(8000, 500, 3, "quality").estimate.hours) == "8 h 20 m"
    assert minutes(optimize_for_dataset(16_000, 500, 3).estimate.hours) == "8 h 20 m"


def test_without_history_caution_counts_on_seven_tenths() -> None:
    estimate = optimize_for_dataset(16_000, 500, 3).estimate
    assert estimate.cautious_hours == pytest.approx(16_000 * 500 * 3 / (0.7 * 800) / 3600)
    assert estimate.fits_in_window and not estimate.fits_cautiously  # 8.3 h and 11.9 h against 11.5 h


def test_what_was_measured_comes_before_what_is_stated_and_what_is_given_before_both() -> None:
    history = {"balanced": 1600.0, "fast": 1.0}
    measured = optimize_for_dataset(8000, 500, 3, history=history).estimate
    assert (measured.hours, measured.source) == (8000 * 500 * 3 / 1600 / 3600, "history")
    assert measured.cautious_hours == measured.hours
    given = optimize_for_dataset(8000, 500, 3, tokens_per_second=400, history=history).estimate
    assert (given.tokens_per_second, given.source) == (400, "given")


@pytest.mark.parametrize(
    ("rows", "mean", "profile", "micro", "accumulation", "max_length", "epochs"),
    [
        (1_500, 500, "quality", 2, 16, 4096, 5),
        (4_999, 500, "quality", 2, 16, 4096, 4),
        (5_000, 500, "balanced", 4, 8, 2048, 3),
        (15_000, 500, "balanced", 4, 8, 2048, 3),
        (15_001, 500, "fast", 8, 4, 1024, 2),
        (8_000, 250, "balanced", 8, 4, 1024, 3),
        (8_000, 900, "balanced", 2, 16, 4096, 3),
        (3_000, 900, "quality", 1, 32, 4096, 4),
        (20_000, 100, "fast", 16, 2, 1024, 2),
    ],
)
def test_the_data_chooses_when_it_is_asked_to(
    rows: int, mean: float, profile: str, micro: int, accumulation: int, max_length: int, epochs: float
) -> None:
    for priority in ("auto", None):
        plan = optimize_for_dataset(rows, mean, priority=priority, max_hours=1e6)
        assert (plan.profile, plan.max_length, plan.epochs) == (profile, max_length, epochs)
        arguments = plan.training_arguments
        assert arguments["per_device_train_batch_size"] == micro
        assert arguments["gradient_accumulation_steps"] == accumulation
        assert f"{rows:,} rows" in plan.reason


@pytest.mark.parametrize(
    ("priority", "profile"),
    [("speed", "fast"), ("fast", "fast"), ("balanced", "balanced"), ("quality", "quality"),
     ("memory", "memory-efficient"), ("memory-efficient", "memory-efficient")],
)  # fmt: skip
def test_a_priority_names_a_profile(priority: str, profile: str) -> None:
    plan = optimize_for_dataset(8_000, 500, priority=priority, max_hours=100)
    assert plan.profile == profile
    assert priority in plan.reason
    if profile != "balanced":
        assert "the data alone would choose balanced" in plan.reason


def test_epochs_that_are_asked_for_come_before_the_datas() -> None:
    assert optimize_for_dataset(1_500, 500, 2.5, priority="auto").epochs == 2.5
    assert optimize_for_dataset(1_500, 500, 2.5).training_arguments["num_train_epochs"] == 2.5


def test_a_run_that_does_not_fit_has_epochs_given_up_and_it_is_said() -> None:
    plan = optimize_for_dataset(30_000, 500, 3)  # 15.6 h of 11.5 h
    assert not plan.asked.fits_in_window
    assert plan.asked.hours == 30_000 * 500 * 3 / 800 / 3600
    assert [(c.path, c.before, c.after, c.gives_up) for c in plan.changes] == [("train.epochs", 3, 2, "1 of 3 epochs")]
    assert plan.changes[0].saves_seconds == pytest.approx(30_000 * 500 / 800)
    assert plan.estimate.fits_in_window and plan.epochs == 2
    assert plan.training_arguments["num_train_epochs"] == 2
    assert plan.note == "fast would take 10h 25m for all of it at its stated 1,200 tokens/s"


def test_where_not_one_epoch_fits_the_most_steps_are_taken() -> None:
    plan = optimize_for_dataset(200_000, 500, 1, max_hours=10, margin_hours=1)
    steps = plan.training_arguments["max_steps"]
    assert plan.estimate.total_steps == steps
    assert steps * 32 * 500 / 800 <= 9 * 3600 < (steps + 1) * 32 * 500 / 800
    assert plan.epochs == pytest.approx(steps / 6250)
    assert plan.estimate.fits_in_window


def test_a_window_too_short_for_a_step_is_said_and_nothing_is_given_up() -> None:
    plan = optimize_for_dataset(8_000, 500, 3, max_hours=0.501)
    assert not plan.estimate.fits_in_window
    assert plan.changes == [] and plan.estimate == plan.asked
    assert plan.note.startswith("not even one optimizer step fits")


def test_a_margin_that_alone_makes_it_too_long_is_said_and_can_be_taken_away() -> None:
    # 1,210 rows x 500 tokens x 3 epochs at 800 tokens/s are 0.63 h
    kept = optimize_for_dataset(1_210, 500, 3, max_hours=1.0, tokens_per_second=800)
    assert (kept.max_hours, kept.margin_hours) == (1.0, 0.5)
    assert kept.changes and not kept.asked.fits_in_window
    assert "all of it would take 0.63 h of the 1 h; margin_hours keeps 0.5 h of them free" in kept.note
    whole = optimize_for_dataset(1_210, 500, 3, max_hours=1.0, tokens_per_second=800, margin_hours=0)
    assert (whole.changes, whole.note, whole.margin_hours) == ([], "", 0.0)
    assert whole.estimate == whole.asked and whole.estimate.fits_in_window
    longer = optimize_for_dataset(2_420, 500, 3, max_hours=1.0, tokens_per_second=800)
    assert "margin" not in longer.note


def test_the_margin_lies_inside_the_window() -> None:
    hours = 8_000 * 500 * 3 / 800 / 3600
    assert optimize_for_dataset(8_000, 500, 3, max_hours=hours + 0.501).asked.fits_in_window
    assert not optimize_for_dataset(8_000, 500, 3, max_hours=hours + 0.499).asked.fits_in_window
    assert optimize_for_dataset(8_000, 500, 3, max_hours=hours + 0.001, margin_hours=0).asked.fits_in_window


def test_a_sample_counts_up_to_the_maximum_length() -> None:
    plan = optimize_for_dataset(8_000, 5_000, 1, max_hours=100)
    assert plan.max_length == 4096
    assert plan.estimate.total_tokens == 8_000 * 4_096
    assert "samples are cut at 4,096 tokens, below the mean" in plan.reason


def test_an_effective_batch_that_is_given_is_kept() -> None:
    arguments = optimize_for_dataset(8_000, 500, priority="speed", effective_batch_size=12).training_arguments
    assert arguments["per_device_train_batch_size"] * arguments["gradient_accumulation_steps"] == 12
    assert arguments["per_device_train_batch_size"] == 6


def test_a_checkpoint_is_due_every_half_hour() -> None:
    plan = optimize_for_dataset(8_000, 500, 3)  # 20 s a step
    assert plan.training_arguments["save_steps"] == 90
    assert (
        optimize_for_dataset(8_000, 500, 3, tokens_per_second=0.1, max_hours=1e9).training_arguments["save_steps"] == 1
    )


@pytest.mark.parametrize("priority", ["speed", "balanced", "quality", "memory", "auto"])
@pytest.mark.parametrize("rows", [100, 8_000, 500_000])
def test_transformers_takes_the_training_arguments_as_they_stand(priority: str, rows: int, tmp_path: Path) -> None:
    from transformers import TrainingArguments

    plan = optimize_for_dataset(rows, 500, priority=priority)
    made = TrainingArguments(output_dir=str(tmp_path), **plan.training_arguments)
    assert made.per_device_train_batch_size * made.gradient_accumulation_steps == 32
    assert (made.save_steps, made.save_total_limit) == (plan.training_arguments["save_steps"], 3)
    assert made.bf16 is False
    if rows == 500_000:
        assert made.max_steps == plan.estimate.total_steps or made.num_train_epochs == plan.epochs
    else:
        assert made.max_steps == -1


def test_bf16_and_the_learning_rate_are_handed_on(tmp_path: Path) -> None:
    from transformers import TrainingArguments

    plan = optimize_for_dataset(8_000, 500, bf16=True, learning_rate=1e-5)
    made = TrainingArguments(output_dir=str(tmp_path), use_cpu=True, **plan.training_arguments)
    assert (made.bf16, made.learning_rate) == (True, 1e-5)


def test_a_profile_of_the_users_own_can_be_the_priority() -> None:
    save_profile("night-run", "", {"train.micro_batch_size": 2, "train.effective_batch_size": 4, "train.epochs": 1.0})
    with pytest.raises(UsageError, match="profile night-run states no tokens per second"):
        optimize_for_dataset(8_000, 500, priority="night-run")
    plan = optimize_for_dataset(8_000, 500, priority="night-run", tokens_per_second=1000)
    assert (plan.profile, plan.estimate.total_steps, plan.epochs) == ("night-run", 2000, 1)
    save_profile("steps", "", {"train.max_steps": 100})
    by_steps = optimize_for_dataset(8_000, 500, priority="steps", tokens_per_second=1000)
    assert by_steps.estimate.total_steps == 100
    assert by_steps.estimate.total_tokens == pytest.approx(100 * 16 * 500)
    assert optimize_for_dataset(8_000, 500, 2, priority="steps", tokens_per_second=1000).estimate.total_steps == 1000


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"num_samples": 0}, "num_samples must be above zero and finite, got 0"),
        ({"num_samples": -8}, "num_samples must be above zero and finite, got -8"),
        ({"num_samples": 2.5}, "num_samples: expected a whole number, got 2.5"),
        ({"num_samples": "8000"}, "num_samples: expected a number, got '8000'"),
        ({"num_samples": True}, "num_samples: expected a number, got True"),
        ({"avg_tokens_per_sample": float("nan")}, "avg_tokens_per_sample must be above zero and finite, got nan"),
        ({"avg_tokens_per_sample": 0}, "avg_tokens_per_sample must be above zero"),
        ({"num_epochs": 0}, "num_epochs must be above zero"),
        ({"num_epochs": float("inf")}, "num_epochs must be above zero and finite, got inf"),
        ({"max_hours": -1}, "max_hours must be above zero"),
        ({"max_hours": 0.5}, "margin_hours of 0.5 leaves nothing of max_hours of 0.5"),
        ({"margin_hours": -1}, "margin_hours must be above zero"),
        ({"margin_hours": False}, "margin_hours: expected a number, got False"),
        ({"tokens_per_second": 0}, "tokens_per_second must be above zero"),
        ({"history": {"balanced": float("nan")}}, r"history\['balanced'\] must be above zero"),
        ({"effective_batch_size": 0}, "effective_batch_size must be above zero"),
        ({"learning_rate": -1e-4}, "learning_rate must be above zero"),
        ({"priority": "qualty"}, "priority: nothing is named 'qualty'; did you mean quality?"),
        ({"priority": "sped"}, "priority: nothing is named 'sped'; did you mean speed?"),
        ({"priority": 3}, "priority: expected a name, got 3"),
    ],
)
def test_a_bad_argument_is_refused_by_its_name(bad: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        optimize_for_dataset(**{"num_samples": 8_000, "avg_tokens_per_sample": 500, **bad})


def loaded_by(line: str) -> list[str]:
    """The modules that a fresh Python has loaded after a line and had not before."""
    code = f"import sys; before = set(sys.modules); {line}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


def test_importing_the_engine_loads_nothing_and_the_call_no_framework() -> None:
    assert set(loaded_by("import speedtui.engine")) <= {"speedtui", "speedtui.engine", "__future__"}
    loaded = loaded_by("from speedtui.engine import optimize_for_dataset as f; f(8000, 500)")
    assert "speedtui.engine.plan.optimize" in loaded
    assert not {"torch", "transformers", "numpy", "textual"} & set(loaded)


def test_a_name_that_the_engine_does_not_have_is_an_attribute_error() -> None:
    import speedtui.engine

    with pytest.raises(AttributeError, match="no attribute 'optimise_for_dataset'"):
        _ = speedtui.engine.optimise_for_dataset  # type: ignore[attr-defined]
