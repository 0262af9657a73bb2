"""Predicted peaks against measured ones; the predictions are made beside the GPU's work."""

from __future__ import annotations

import dataclasses
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import msgspec
import torch

from speedtui.engine.config.settings import Settings
from speedtui.engine.jobs.predicting import device_of
from speedtui.engine.memory.peak_model import MemoryRequest, MemorySurface, Prediction, calibrate
from speedtui.engine.memory.predict import predict
from speedtui.engine.meter.memory import release_memory
from speedtui.engine.search.candidates import apply_candidate, make_candidate
from speedtui.engine.search.space import class_key, memory_request
from speedtui.engine.trial.memory_probe import memory_probe
from speedtui.engine.trial.probe_setup import ProbeSetup
from speedtui.engine.trial.runner import TrialRunner
from speedtui.engine.workload.base import silent
from tests.gpu.material import CHECKPOINTING, GPT2, HALF, LARGE, MICRO, settings_for
from tests.gpu.onsite import Site

RAW, CALIBRATED, UNDER = 0.10, 0.03, 0.02
PREDICTORS = 4
"""At a time, each on a core of its own and beside the GPU's work: one for each model."""
METHOD, AUTOCAST = "train.method", "train.bf16"
FULL: dict[str, Any] = {METHOD: "full"}


@dataclasses.dataclass(frozen=True)
class Load:
    """A model, and what is measured of it while it is there."""

    name: str
    shape: dict[str, Any]
    dtype: str
    cases: tuple[dict[str, Any], ...]


BOTH = ({MICRO: 8}, {MICRO: 8, CHECKPOINTING: True}, {MICRO: 4, **FULL}, {MICRO: 8, CHECKPOINTING: True, **FULL})
LOADS = (
    Load("0.5B bf16", HALF, "bfloat16", BOTH),
    Load("0.5B fp32", HALF, "float32", ({MICRO: 8}, {MICRO: 1}, {MICRO: 4, AUTOCAST: True, **FULL})),
    Load("gpt2 fp32", GPT2, "float32", ({MICRO: 4, AUTOCAST: True, **FULL},)),
    Load("1.5B bf16", LARGE, "bfloat16", BOTH),
)
REHEARSED = (
    Load("tiny", HALF, "float32", ({MICRO: 4}, {MICRO: 4, CHECKPOINTING: True, **FULL})),
    Load("tiny gpt2", GPT2, "float32", ({MICRO: 1, **FULL},)),
)


@dataclasses.dataclass(frozen=True)
class Measured:
    """One configuration."""

    name: str
    settings: Settings
    peak_bytes: int
    reserved_bytes: int | None


def run(site: Site) -> None:
    """One model after the other is loaded and probed."""
    measured: list[Measured] = []
    predicted: dict[str, Prediction] = {}
    with ThreadPoolExecutor(PREDICTORS) as pool:
        asked: list[tuple[list[str], Future[list[Prediction]]]] = []
        for load in site.pick(LOADS, REHEARSED):
            settings = settings_for(site, load.shape, dtype=load.dtype, rows=200)
            with site.runner(settings) as runner:
                chosen = {f"{load.name} {label}": one for label, one in cases(settings, load.cases).items()}
                requests = [request(runner, one) for one in chosen.values()]
                asked.append((list(chosen), pool.submit(predict, requests, silent)))
                for number, (name, one) in enumerate(chosen.items()):
                    measured.append(probe(site, runner, number, name, one))
            release_memory(site.device)
        for names, future in asked:
            predicted |= zip(names, future.result(), strict=True)
    judge(site, measured, predicted)


def cases(settings: Settings, chosen: tuple[dict[str, Any], ...]) -> dict[str, Settings]:
    """By label."""
    candidates = [make_candidate(number, values, settings, "gpu-check") for number, values in enumerate(chosen)]
    return {one.label: apply_candidate(one, settings) for one in candidates}


def request(runner: TrialRunner, settings: Settings) -> MemoryRequest:
    """What the predictor is asked."""
    workload = runner.load(settings)
    masked = not runner.without_mask(settings)
    asked = memory_request(settings, workload.facts, workload.vocabulary, *device_of(runner.device), masked=masked)
    assert asked is not None, class_key(settings)
    return asked


def probe(site: Site, runner: TrialRunner, number: int, name: str, settings: Settings) -> Measured:
    """The engine's own memory probe, without a throughput probe after it."""
    with runner.trial(settings) as (workload, model):
        setup = ProbeSetup(context=runner.context, workload=workload, model=model, settings=settings,
                           device=site.device, trial=number, check=lambda: None)  # fmt: skip
        memory, _ = memory_probe(setup, None)
    del model, setup
    release_memory(site.device)
    assert memory.peak_allocated_bytes is not None
    print(f"{name:<40} {memory.peak_allocated_bytes / 2**30:>7.2f} GiB", flush=True)
    found = Measured(name, settings, memory.peak_allocated_bytes, memory.peak_reserved_bytes)
    site.figures(**{name: {"measured_bytes": found.peak_bytes, "reserved_bytes": found.reserved_bytes}})
    return found


def judge(site: Site, measured: list[Measured], predicted: dict[str, Prediction]) -> None:
    """Raw, and as the engine corrects them: by the first probe of all."""
    off: dict[str, float] = {}
    known: dict[str, int] = {}
    for one in measured:
        outcome = predicted[one.name].outcome
        if not isinstance(outcome, MemorySurface):
            raise RuntimeError(f"{one.name}: {outcome.reason}")
        train = one.settings.train
        accumulates = train.micro_batch_size < train.effective_batch_size
        known[one.name] = expected = outcome.peak_bytes(train.micro_batch_size, accumulates=accumulates)
        off[one.name] = expected / one.peak_bytes - 1
        site.figures(**{one.name: {
            "measured_bytes": one.peak_bytes, "reserved_bytes": one.reserved_bytes, "predicted_bytes": expected,
            "off": off[one.name], "cpu_seconds": predicted[one.name].seconds,
            "breakdown": msgspec.to_builtins(outcome.breakdown(train.micro_batch_size, accumulates=accumulates)),
        }})  # fmt: skip
    first, *others = measured
    ratio = calibrate([(known[first.name], first.peak_bytes)]).ratio
    corrected = {one.name: (1 + off[one.name]) * ratio - 1 for one in others}
    site.figures(ratio=ratio, corrected=corrected, torch=torch.__version__)
    site.claim("raw", max(map(abs, off.values())) <= RAW, furthest(off))
    site.claim("calibrated", max(map(abs, corrected.values())) <= CALIBRATED, furthest(corrected))
    site.claim("never_under", min(corrected.values()) >= -UNDER, furthest(corrected, low=True))


def furthest(off: dict[str, float], *, low: bool = False) -> str:
    """The one that is off most, or too low most."""
    name = min(off, key=lambda n: off[n]) if low else max(off, key=lambda n: abs(off[n]))
    return f"{off[name]:+.1%}, {name}, of {len(off)}"
