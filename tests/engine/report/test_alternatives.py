"""What a training takes over from a study besides the trial that it is made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate
from speedtui.engine.config.load import dump_settings
from speedtui.engine.config.settings import DataSettings, ModelSettings, Scalar, Settings, TrainSettings
from speedtui.engine.report.lookup import find_trial
from speedtui.engine.runs import RunFolder
from speedtui.engine.session.new_run import create_run
from tests.engine.events_of_a_run import finished, ok, out_of_memory, started

SETTINGS = Settings(
    model=ModelSettings(path="model"), data=DataSettings(train="train.jsonl", text="text"),
    train=TrainSettings(effective_batch_size=16, micro_batch_size=2, optimizer="adamw_torch"),
)  # fmt: skip


def trial(number: int, **values: Scalar) -> Candidate:
    paths = {f"train.{name}" if name != "attention" else "model.attention": value for name, value in values.items()}
    micro = int(values.get("micro_batch_size", 2))
    return Candidate(id=number, values=paths, micro_batch_size=micro, grad_accum_steps=16 // micro, label=f"t{number}")


def study(runs: Path, candidates: list[Candidate], rates: dict[int, float]) -> RunFolder:
    """Samples a second by trial; one without a rate ran out of memory."""
    folder = create_run(runs, "tune")
    folder.config.write_text(dump_settings(SETTINGS))
    events: list[e.AnyEvent] = [
        started(),
        e.StudyStarted(t=1.0, mode="quick", batches=10, candidates=candidates, queued=True),
    ]
    for one in candidates:
        result = ok(rates[one.id]) if one.id in rates else out_of_memory()
        events += [e.TrialStarted(t=2.0, trial=one.id), finished(one.id, result)]
    folder.events.write_bytes(b"".join(e.encode(event) for event in events))
    return folder


def test_other_trials_that_train_the_same_numbers_come_along_the_fastest_first(tmp_path: Path) -> None:
    candidates = [
        trial(0),
        trial(1, micro_batch_size=4),
        trial(2, micro_batch_size=8, gradient_checkpointing=True),
        trial(3, micro_batch_size=16),
        trial(4, learning_rate=1e-3),
        trial(5, optimizer="adamw_torch_fused", attention="eager"),
        trial(6, optimizer="sgd"),
        trial(7, micro_batch_size=4, bf16=True),
    ]
    rates = {0: 16.0, 1: 32.0, 2: 64.0, 4: 99.0, 5: 20.0, 6: 99.0, 7: 99.0}
    folder = study(tmp_path, candidates, rates)
    found = find_trial(tmp_path, f"{folder.id}#0")
    assert found.step_seconds == 1.0
    assert [(other.label, other.step_seconds, other.values) for other in found.alternatives] == [
        ("t2", 0.25, {"train.micro_batch_size": 8, "train.gradient_checkpointing": True}),
        ("t1", 0.5, {"train.micro_batch_size": 4}),
        ("t5", 0.8, {"train.optimizer": "adamw_torch_fused", "model.attention": "eager"}),
    ]


def test_seen_from_another_trial_the_configurations_own_values_are_the_alternative(tmp_path: Path) -> None:
    folder = study(tmp_path, [trial(0), trial(1, micro_batch_size=4)], {0: 16.0, 1: 32.0})
    found = find_trial(tmp_path, f"{folder.id}#1")
    assert [(other.label, other.values) for other in found.alternatives] == [("t0", {"train.micro_batch_size": 2})]


@pytest.mark.parametrize("text", ["", "not toml ["])
def test_a_configuration_that_cannot_be_read_any_more_has_no_alternatives(tmp_path: Path, text: str) -> None:
    folder = study(tmp_path, [trial(0), trial(1, micro_batch_size=4)], {0: 16.0, 1: 32.0})
    folder.config.write_text(text)
    found = find_trial(tmp_path, f"{folder.id}#0")
    assert (found.step_seconds, found.alternatives) == (1.0, [])


def test_a_trial_that_failed_has_measured_nothing(tmp_path: Path) -> None:
    folder = study(tmp_path, [trial(0), trial(1, micro_batch_size=4)], {1: 32.0})
    found = find_trial(tmp_path, f"{folder.id}#0")
    assert found.step_seconds is None
    assert [other.label for other in found.alternatives] == ["t1"]
