from __future__ import annotations

import msgspec
import pytest

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings, TrainSettings
from speedtui.engine.memory.peak_model import MARGIN, Calibration, LinearBytes, MemorySurface
from speedtui.engine.search.auto import Auto, memory_classes
from speedtui.engine.search.base import Compare, Try
from speedtui.engine.search.candidates import apply_candidate, make_candidate
from speedtui.engine.search.knobs import Machine
from speedtui.engine.search.memory_fit import CAUTION, RETREAT
from speedtui.engine.search.space import class_key
from speedtui.engine.units import GIB
from tests.engine.search.synthetic import EFFECTIVE, GOOD, MACHINE, NAIVE, TOTAL_STEPS, Device, Study, new_auto


@pytest.mark.parametrize("seed", range(8))
def test_a_good_start_ends_near_the_optimum_in_few_trials_and_without_out_of_memory(seed: int) -> None:
    study = Study(Device(seed), GOOD).run()
    assert study.reached >= 0.98
    assert len(study.trials) <= 16
    assert study.burst == 0


@pytest.mark.parametrize("seed", range(8))
def test_a_naive_start_ends_there_too_with_the_second_pass(seed: int) -> None:
    study = Study(Device(seed), NAIVE).run()
    assert study.reached >= 0.98
    assert len(study.trials) <= 24
    assert study.burst == 0


def test_there_are_2016_configurations_and_the_start_is_far_from_the_best() -> None:
    device = Device(0)
    assert len(list(device.everything(GOOD))) == 2016
    assert device.worth(GOOD) < 0.9 * device.optimum(GOOD)


def test_a_new_strategy_goes_on_where_another_one_was_at_every_moment() -> None:
    device = Device(3)
    study = Study(device, NAIVE)
    while (ask := study.strategy.ask(study.trials, study.compared)) is not None:
        fresh = new_auto(device, NAIVE)
        assert fresh.ask(study.trials, study.compared) == ask
        assert list(fresh.decisions) == list(study.strategy.decisions)
        study.answer(ask)
    assert len(study.compared) >= 2


def test_comparisons_that_were_lost_are_asked_for_again_and_no_trial_is() -> None:
    study = Study(Device(3), NAIVE).run()
    ask = new_auto(study.device, NAIVE).ask(study.trials, [])
    first = study.compared[0]
    assert ask == Compare(incumbent=first.incumbent, challenger=first.challenger)


def test_nothing_that_the_user_decided_is_changed() -> None:
    study = Study(Device(1), NAIVE).run()
    for trial in study.trials:
        tried = study.tried(trial.candidate)
        assert tried.train.effective_batch_size == EFFECTIVE
        same = msgspec.structs.replace(
            tried.train, micro_batch_size=1, gradient_checkpointing=False, loader_workers=0, compile=False,
            optimizer=NAIVE.train.optimizer,
        )  # fmt: skip
        assert same == NAIVE.train
        assert tried.train.optimizer in ("adamw_torch", "adamw_torch_fused")
        assert tried.data == NAIVE.data
        assert msgspec.structs.replace(tried.model, attention=NAIVE.model.attention) == NAIVE.model


def test_an_optimizer_that_learns_differently_is_left_alone() -> None:
    settings = msgspec.structs.replace(GOOD, train=msgspec.structs.replace(GOOD.train, optimizer="adafactor"))
    study = Study(Device(0), settings).run()
    assert {study.tried(t.candidate).train.optimizer for t in study.trials} == {"adafactor"}


def test_the_first_trial_stays_well_below_the_limit_unless_the_device_is_known() -> None:
    device = Device(2)
    surface = device.surface(GOOD)

    def first(past: Calibration | None) -> int:
        ask = new_auto(device, GOOD, past=past).ask([], [])
        assert isinstance(ask, Try)
        return int(ask.values["train.micro_batch_size"])

    careful, bold = first(None), first(Calibration(ratio=1.0, gap_bytes=0, probes=3))
    assert surface.peak_bytes(careful, accumulates=True) <= CAUTION * device.free_bytes
    assert careful < bold
    assert surface.peak_bytes(bold, accumulates=True) * (1 + MARGIN) <= device.free_bytes


def test_a_class_that_never_fits_is_dropped_with_its_figures_and_never_run() -> None:
    device = Device(0)
    device.per_row[False] = 70 * GIB
    study = Study(device, GOOD).run()
    assert all(study.tried(t.candidate).train.gradient_checkpointing for t in study.trials)
    dropped = study.told("drop")
    assert any("mb1 ga960 r16:" in line and "GiB free" in line and "predicted" in line for line in dropped), dropped
    assert study.burst == 0


@pytest.mark.parametrize("seed", range(8))
def test_a_prediction_that_is_wrong_for_some_classes_costs_one_out_of_memory_at_most(seed: int) -> None:
    device = Device(seed)
    right = device.peak

    def wrong(settings: Settings) -> tuple[int, int]:
        allocated, reserved = right(settings)
        factor = 1.25 if settings.train.gradient_checkpointing else 1.0
        return round(allocated * factor), round(reserved * factor)

    device.peak = wrong  # type: ignore[method-assign]
    study = Study(device, GOOD).run()
    assert study.burst <= 1
    assert study.strategy.incumbent is not None


def test_after_an_out_of_memory_nothing_near_that_peak_is_tried() -> None:
    device = Device(0)
    device.ratio = 1.3
    past = Calibration(ratio=1.0, gap_bytes=0, probes=5)  # of another driver, say
    study = Study(device, GOOD, new_auto(device, GOOD, past=past)).run()
    assert study.burst == 1
    assert study.trials[0].result.status is TrialStatus.OUT_OF_MEMORY

    def predicted(number: int) -> int:
        tried = study.tried(study.trials[number].candidate)
        return device.surface(tried).peak_bytes(tried.train.micro_batch_size, accumulates=True)

    burst = predicted(0)
    assert all(predicted(n) <= RETREAT * burst for n in range(1, len(study.trials)))
    assert any("ran out of memory at a predicted" in line for line in study.told("drop"))


@pytest.mark.parametrize("seed", range(8))
def test_without_predictions_it_starts_at_one_and_goes_by_what_it_measures(seed: int) -> None:
    study = Study(Device(seed), GOOD, new_auto(Device(seed), GOOD, predicted=False)).run()
    sizes = [trial.candidate.micro_batch_size for trial in study.trials]
    assert sizes[:2] == [1, 2]
    assert study.reached >= 0.95
    assert study.burst <= 1


def test_where_nothing_fits_nothing_is_run_and_the_least_is_named() -> None:
    device = Device(0, free_bytes=8 * GIB)
    study = Study(device, GOOD).run()
    assert study.trials == []
    assert study.strategy.incumbent is None
    assert study.strategy.dead_end.startswith("mb1 ga960 r16 +ckpt")
    assert "8.0 GiB free" in study.strategy.dead_end


def test_what_is_predicted_to_just_not_fit_is_tried_once() -> None:
    device = Device(0)
    device.ratio, device.gap = 0.9, 0
    least = device.surface(msgspec.structs.replace(GOOD, train=msgspec.structs.replace(
        GOOD.train, gradient_checkpointing=True)))  # fmt: skip
    device.free_bytes = round(least.peak_bytes(1, accumulates=True) * 0.99)
    study = Study(device, GOOD).run()
    assert study.trials[0].candidate.label == "mb1 ga960 r16 +ckpt"
    assert study.strategy.incumbent is not None


def test_checkpointing_is_not_tried_where_it_buys_no_larger_micro_batch() -> None:
    device = Device(0, free_bytes=10_000 * GIB)
    study = Study(device, GOOD).run()
    assert not any(study.tried(t.candidate).train.gradient_checkpointing for t in study.trials)
    assert any("+ckpt" in line and "micro-batch" in line for line in study.told("drop")), study.told("drop")


def test_checkpointing_wins_where_memory_is_short() -> None:
    winners = [Study(Device(seed), GOOD).run().winner.train.gradient_checkpointing for seed in range(10)]
    assert any(winners)
    assert not all(winners)


def test_a_compilation_is_charged_its_warm_up() -> None:
    device = Device(0)
    device.compiled, device.compiling = 0.9, 60.0
    step = EFFECTIVE / device.speed(Study(device, GOOD).run().winner)

    def compiled(total_steps: int) -> tuple[bool, list[str]]:
        study = Study(device, GOOD)
        study.strategy = Auto(
            GOOD, {class_key(s): device.surface(s) for s in memory_classes(GOOD, MACHINE)},
            free_bytes=device.free_bytes, machine=MACHINE, total_steps=total_steps,
        )  # fmt: skip
        study.run()
        return study.winner.train.compile, [*study.told("drop"), *study.told("reject")]

    assert compiled(TOTAL_STEPS)[0]
    short, reasons = compiled(round(300 / step))  # saves 30 s and costs 60
    assert not short
    assert any("to begin" in reason for reason in reasons), reasons
    none, reasons = compiled(round(20 / step))
    assert not none
    assert any("too short to pay" in reason for reason in reasons), reasons


class Masking(Device):
    """Compiled steps keep the mask that others go without."""

    def surface(self, settings: Settings) -> MemorySurface:
        found = super().surface(settings)
        more = 1.4 if settings.train.compile else 1.0
        moment = found.single[0]
        line = LinearBytes(fixed=0.0, per_row=moment.activations.per_row * more)
        moments = (msgspec.structs.replace(moment, activations=line),)
        return MemorySurface(accumulating=moments, at_once=moments, single=moments, single_at_once=moments)


@pytest.mark.parametrize("seed", range(8))
def test_compiled_steps_that_keep_a_mask_get_the_micro_batch_that_fits_with_it(seed: int) -> None:
    def bare(settings: Settings) -> bool:
        return not settings.train.compile

    device = Masking(seed)
    device.compiled = 0.7  # so that it is worth it
    study = Study(device, GOOD, new_auto(device, GOOD, without_mask=bare)).run()
    assert study.burst == 0
    assert any(study.tried(trial.candidate).train.compile for trial in study.trials)
    unknown = Study(device, GOOD, new_auto(device, GOOD, without_mask=bare, predicted=False)).run()
    assert any(unknown.tried(trial.candidate).train.compile for trial in unknown.trials)


def test_loader_workers_are_not_tried_where_nothing_waits_for_data() -> None:
    device = Device(0)
    device.fetch = 0.0
    study = Study(device, NAIVE).run()
    assert {study.tried(t.candidate).train.loader_workers for t in study.trials} == {0}
    assert any(line.startswith("loader workers 2: data takes 0.0 %") for line in study.told("drop"))


def test_a_trial_that_the_user_ran_already_is_not_run_again() -> None:
    device = Device(4)
    study = Study(device, GOOD)
    first = study.strategy.ask([], [])
    assert isinstance(first, Try)
    mine = make_candidate(0, {**first.values, "train.gradient_checkpointing": False}, GOOD, "mine")
    study.trials.append(study.try_(Try(values=dict(mine.values), why="")))
    second = study.strategy.ask(study.trials, [])
    assert isinstance(second, Try)
    assert second.values != first.values


def test_a_recipe_has_its_micro_batch_and_its_loader_searched_only() -> None:
    settings = Settings(
        model=ModelSettings(kind="python", recipe="r.py:build"), data=DataSettings(),
        train=TrainSettings(effective_batch_size=16, method="full"),
    )  # fmt: skip
    device = Device(0)
    study = Study(device, settings, new_auto(device, settings, machine=Machine(cores=4), predicted=False)).run()
    tried = [apply_candidate(t.candidate, settings) for t in study.trials]
    assert {(s.model.attention, s.train.gradient_checkpointing, s.train.optimizer) for s in tried} == {
        ("auto", False, "adamw_torch_fused")
    }
    assert len({s.train.micro_batch_size for s in tried}) >= 3


def test_every_decision_carries_a_trial_or_its_figures() -> None:
    study = Study(Device(5), NAIVE).run()
    kept = study.told("keep")
    assert kept
    assert all("x [" in line for line in kept), kept
    assert study.told("finish") == [
        f"{study.strategy.decisions[-1].what}: {len(study.trials)} trials and {len(study.compared)} comparisons"
    ]
