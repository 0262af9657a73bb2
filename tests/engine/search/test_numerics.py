"""Mode auto changes the arithmetic where the user allows it, says so in the label, and nowhere else."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from speedtui.engine.config.settings import Settings
from speedtui.engine.search.auto import memory_classes
from speedtui.engine.search.candidates import BF16, FP16, TF32
from speedtui.engine.search.knobs import Machine, stacked_knobs
from tests.engine.search.synthetic import GOOD, MACHINE, Device, Study, new_auto

AMPERE = msgspec.structs.replace(MACHINE, tf32=True, flash_attention_3=True)
VOLTA = msgspec.structs.replace(MACHINE, bf16=False, flash_attention=False)
CPU = Machine(cores=4)


class Precise(Device):
    """On which fewer bits are faster."""

    def phases(self, settings: Settings) -> dict[str, float]:
        train, phases = settings.train, super().phases(settings)
        factor = 0.4 if train.bf16 or train.fp16 else 0.7 if train.tf32 else 1.0
        return {**phases, "forward": phases["forward"] * factor}


def asked(numerics: str, **model: Any) -> Settings:
    settings = msgspec.structs.replace(GOOD, search=msgspec.structs.replace(GOOD.search, numerics=numerics))
    return msgspec.structs.replace(settings, model=msgspec.structs.replace(GOOD.model, **{"dtype": "float32", **model}))


def study(settings: Settings, machine: Machine, seed: int = 0) -> Study:
    device = Precise(seed)
    return Study(device, settings, new_auto(device, settings, machine=machine)).run()


def precision_of(settings: Settings) -> tuple[bool, bool, bool]:
    return settings.train.bf16, settings.train.fp16, settings.train.tf32


@pytest.mark.parametrize("machine", [AMPERE, VOLTA, CPU])
@pytest.mark.parametrize("seed", range(3))
def test_unless_it_is_allowed_no_trial_has_another_arithmetic(machine: Machine, seed: int) -> None:
    for trial in study(asked("same"), machine, seed).trials:
        assert precision_of(Study(Precise(seed), asked("same")).tried(trial.candidate)) == (False, False, False)


@pytest.mark.parametrize(("machine", "won"), [(AMPERE, BF16), (VOLTA, FP16), (CPU, BF16)])
@pytest.mark.parametrize("seed", range(3))
def test_where_it_is_allowed_what_the_device_has_is_tried_and_named(machine: Machine, won: str, seed: int) -> None:
    done = study(asked("may change"), machine, seed)
    last = won.rpartition(".")[2]
    assert getattr(done.winner.train, last) is True
    best = next(t.candidate for t in done.trials if t.candidate.id == done.strategy.incumbent)
    assert f"+{last}" in best.label.split() and best.values[won] is True
    assert not (done.winner.train.bf16 and done.winner.train.fp16)
    assert done.burst == 0, "the memory of autocast is predicted like everything else"


def test_tf32_is_not_tried_where_no_float32_is_multiplied_any_more() -> None:
    done = study(asked("may change"), AMPERE)
    assert "tf32 on: matrices are multiplied in bfloat16 already" in done.told("drop")
    assert not any(trial.candidate.values.get(TF32) for trial in done.trials)


def test_tf32_shares_its_memory_with_the_same_without_it() -> None:
    with_it = [s for s in memory_classes(asked("may change"), AMPERE) if s.train.tf32]
    assert with_it == []


def test_weights_in_half_precision_and_a_choice_that_was_made_are_left_alone() -> None:
    moved = (BF16, FP16, TF32)
    half = stacked_knobs(asked("may change", dtype="bfloat16"), AMPERE)
    assert not [knob for knob in half if knob.path in moved]
    chosen = msgspec.structs.replace(
        asked("may change"), train=msgspec.structs.replace(GOOD.train, bf16=True, tf32=True)
    )  # fmt: skip
    assert not [knob for knob in stacked_knobs(chosen, AMPERE) if knob.path in moved]


def test_eager_attention_costs_no_trial_on_a_gpu() -> None:
    for machine, expected in ((AMPERE, []), (CPU, ["eager"])):
        knobs = stacked_knobs(asked("same"), machine)
        assert [v for knob in knobs for v in knob.values if v == "eager"] == expected


@pytest.mark.parametrize("half", ["bf16", "fp16"])
def test_flash_attention_is_tried_under_autocast_with_float32_weights(half: str) -> None:
    def flash(settings: Settings) -> list[object]:
        return [v for knob in stacked_knobs(settings, AMPERE) for v in knob.values if str(v).startswith("flash")]

    plain = asked("same")
    assert flash(plain) == []
    autocast = msgspec.structs.replace(plain, train=msgspec.structs.replace(plain.train, **{half: True}))
    assert flash(autocast) == ["flash_attention_2", "flash_attention_3"]
