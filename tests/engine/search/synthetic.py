"""A made-up device on which a search can be run in milliseconds; its figures are invented and stand for nothing real.

2,016 configurations: 28 micro-batches of an effective batch of 960, checkpointing, three kinds of attention, three
numbers of loader workers, two forms of an optimizer, compiled or not. The optimum is known: all can be computed.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import product
from typing import Any

import msgspec

from speedtui.engine.candidate import Candidate, Measurement, Memory, TrialResult, TrialStatus
from speedtui.engine.config.batch import divisors
from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings, TrainSettings
from speedtui.engine.memory.peak_model import MARGIN, Calibration, LinearBytes, MemorySurface, PeakMoment
from speedtui.engine.search.auto import Auto, memory_classes
from speedtui.engine.search.base import Ask, Compare, Compared, Strategy, Trial, Try
from speedtui.engine.search.candidates import apply_candidate, make_candidate
from speedtui.engine.search.knobs import Machine
from speedtui.engine.search.space import WithoutMask, class_key, with_mask
from speedtui.engine.units import GIB

EFFECTIVE = 960
FREE = 80 * GIB
TOTAL_STEPS = 2000
MACHINE = Machine(cuda=True, cores=4, flash_attention=True)
NOISE = 0.015
"""Standard deviation of a trial's step time; a comparison in turns has a third of it."""
ATTENTION = {"eager": 1.25, "sdpa": 1.08, "flash_attention_2": 1.0}


def run_settings(**train: Any) -> Settings:
    attention = train.pop("attention", "sdpa")
    return Settings(
        model=ModelSettings(path="m", dtype="bfloat16", attention=attention),
        data=DataSettings(train="t", text="t"),
        train=TrainSettings(**{"effective_batch_size": EFFECTIVE, **train}),
    )


GOOD = run_settings(loader_workers=2)
NAIVE = run_settings(attention="eager", optimizer="adamw_torch")


class Device:
    """Says how fast a configuration is and what it needs; each seed is another model on another machine."""

    def __init__(self, seed: int, free_bytes: int = FREE) -> None:
        self.random = random.Random(seed)
        self.free_bytes = free_bytes
        vary = self.random.uniform
        self.weights = vary(14, 55) * GIB
        self.per_row = {False: vary(1.6, 3.0) * GIB, True: vary(0.25, 0.5) * GIB}
        self.eager_row = vary(0.2, 0.6) * GIB
        self.ratio, self.gap = vary(1.0, 1.08), round(vary(0.2, 0.9) * GIB)
        self.launch, self.row = vary(0.02, 0.25), vary(0.02, 0.05)
        self.padding = vary(0.0, 0.015)
        self.recompute = vary(1.2, 1.33)
        self.fetch = vary(0.001, 0.006)
        self.optimizer = vary(0.05, 0.3)
        self.compiled, self.compiling = vary(0.82, 1.02), vary(30, 90)

    def surface(self, settings: Settings) -> MemorySurface:
        """What a perfect predictor of tensors would say, which knows of no allocator."""
        per_row = self.per_row[settings.train.gradient_checkpointing]
        per_row += self.eager_row * (settings.model.attention == "eager")
        zero = LinearBytes(fixed=0.0, per_row=0.0)
        moment = PeakMoment(
            name="backward", weights=LinearBytes(fixed=self.weights, per_row=0.0), gradients=zero, optimizer=zero,
            activations=LinearBytes(fixed=0.0, per_row=per_row), logits=zero,
        )  # fmt: skip
        return MemorySurface(
            accumulating=(moment,), at_once=(moment,), single=(moment,), single_at_once=(moment,)
        )  # fmt: skip

    def peak(self, settings: Settings) -> tuple[int, int]:
        """(allocated, reserved) bytes of the real peak."""
        micro = settings.train.micro_batch_size
        predicted = self.surface(settings).peak_bytes(micro, accumulates=micro < EFFECTIVE)
        return round(predicted * self.ratio), round(predicted * self.ratio) + self.gap

    def phases(self, settings: Settings) -> dict[str, float]:
        """Seconds of a step by what takes them, without noise."""
        train = settings.train
        micro = train.micro_batch_size
        compute = self.launch + micro * self.row * (1 + self.padding * micro**0.5)
        compute *= ATTENTION.get(settings.model.attention, ATTENTION["sdpa"])
        compute *= self.recompute if train.gradient_checkpointing else 1.0
        compute *= self.compiled if train.compile else 1.0
        fetch = micro * self.fetch
        waiting = fetch if train.loader_workers == 0 else max(fetch / train.loader_workers - compute, 0.0)
        optimizer = self.optimizer * (1.0 if train.optimizer == "adamw_torch" else 0.4)
        steps = EFFECTIVE / micro
        return {"data": waiting * steps, "forward": compute * steps, "optimizer": optimizer}

    def speed(self, settings: Settings) -> float:
        """Samples a second without noise."""
        return EFFECTIVE / sum(self.phases(settings).values())

    def everything(self, settings: Settings) -> Iterator[Settings]:
        """Every configuration that there is."""
        for micro, checkpointing, attention, workers, optimizer, compiled in product(
            divisors(EFFECTIVE),
            (False, True),
            ATTENTION,
            (0, 2, 4),
            ("adamw_torch", "adamw_torch_fused"),
            (False, True),
        ):
            train = msgspec.structs.replace(
                settings.train, micro_batch_size=micro, gradient_checkpointing=checkpointing, loader_workers=workers,
                optimizer=optimizer, compile=compiled,
            )  # fmt: skip
            model = msgspec.structs.replace(settings.model, attention=attention)
            yield msgspec.structs.replace(settings, train=train, model=model)

    def optimum(self, settings: Settings) -> float:
        """The most samples a second of those that fit and leave the margin; a compilation counts."""
        fitting = [s for s in self.everything(settings) if self.peak(s)[1] * (1 + MARGIN) <= self.free_bytes]
        return max(map(self.worth, fitting))

    def worth(self, settings: Settings) -> float:
        """Samples a second over the whole run, the compilation counted."""
        step = EFFECTIVE / self.speed(settings) + settings.train.compile * self.compiling / TOTAL_STEPS
        return EFFECTIVE / step

    def run(self, settings: Settings) -> TrialResult:
        """A trial with its noise."""
        allocated, reserved = self.peak(settings)
        if reserved > self.free_bytes:
            return TrialResult(
                status=TrialStatus.OUT_OF_MEMORY, reason="no room", seconds=2.5, memory=Memory()
            )  # fmt: skip
        noise = self.random.gauss(1.0, NOISE)
        phases = {name: seconds * noise for name, seconds in self.phases(settings).items()}
        step = sum(phases.values())
        measured = Measurement(
            batches=10, warmup_batches=2, micro_step_seconds=0.0, optimizer_seconds=phases["optimizer"],
            step_seconds=step, step_seconds_low=step / 1.02, step_seconds_high=step * 1.02,
            samples_per_second=EFFECTIVE / step, tokens_per_second=0.0, padding_fraction=0.0, loss=None,
            phases=phases,
        )  # fmt: skip
        memory = Memory(peak_allocated_bytes=allocated, peak_reserved_bytes=reserved, limit_bytes=self.free_bytes)
        seconds = 12 + settings.train.compile * self.compiling
        return TrialResult(status=TrialStatus.OK, seconds=seconds, measurement=measured, memory=memory)

    def compare(self, incumbent: Settings, challenger: Settings) -> tuple[float, float, float]:
        """(ratio, low, high) with the noise of a comparison in turns."""
        ratio = self.speed(challenger) / self.speed(incumbent) * self.random.gauss(1.0, NOISE / 3)
        return ratio, ratio * (1 - NOISE / 1.5), ratio * (1 + NOISE / 1.5)


class Study:
    """Runs a strategy to its end on a made-up device."""

    def __init__(self, device: Device, settings: Settings, strategy: Strategy | None = None) -> None:
        self.device = device
        self.settings = settings
        self.strategy = strategy or new_auto(device, settings)
        self.trials: list[Trial] = []
        self.compared: list[Compared] = []

    def run(self, most: int = 60) -> Study:
        while (ask := self.strategy.ask(self.trials, self.compared)) is not None:
            assert len(self.trials) < most, "it does not come to an end"
            self.answer(ask)
        return self

    def answer(self, ask: Ask) -> None:
        if isinstance(ask, Compare):
            by_id = {trial.candidate.id: trial.candidate for trial in self.trials}
            both = [apply_candidate(by_id[i], self.settings) for i in (ask.incumbent, ask.challenger)]
            ratio, low, high = self.device.compare(*both)
            self.compared.append(
                Compared(incumbent=ask.incumbent, challenger=ask.challenger, ratio=ratio, low=low, high=high)
            )
        else:
            self.trials.append(self.try_(ask))

    def try_(self, ask: Try) -> Trial:
        candidate = make_candidate(len(self.trials), ask.values, self.settings, "test")
        return Trial(candidate=candidate, result=self.device.run(apply_candidate(candidate, self.settings)))

    def tried(self, candidate: Candidate) -> Settings:
        return apply_candidate(candidate, self.settings)

    @property
    def winner(self) -> Settings:
        trial = next(t for t in self.trials if t.candidate.id == self.strategy.incumbent)
        return self.tried(trial.candidate)

    @property
    def reached(self) -> float:
        """The winner's share of the optimum."""
        return self.device.worth(self.winner) / self.device.optimum(self.settings)

    @property
    def burst(self) -> int:
        return sum(trial.result.status is TrialStatus.OUT_OF_MEMORY for trial in self.trials)

    @property
    def seconds(self) -> float:
        """Of trials, and a minute's fifth for each comparison."""
        return sum(trial.result.seconds for trial in self.trials) + 12 * len(self.compared)

    def told(self, kind: str) -> list[str]:
        return [f"{d.what}: {d.reason}" for d in self.strategy.decisions if d.kind == kind]


def new_auto(
    device: Device, settings: Settings, *, machine: Machine = MACHINE, past: Calibration | None = None,
    predicted: bool = True, without_mask: WithoutMask = with_mask,
) -> Auto:  # fmt: skip
    classes = memory_classes(settings, machine, without_mask)
    surfaces = {class_key(s, masked=not without_mask(s)): device.surface(s) for s in classes} if predicted else {}
    return Auto(
        settings, surfaces, free_bytes=device.free_bytes, machine=machine, total_steps=TOTAL_STEPS, past=past,
        without_mask=without_mask,
    )  # fmt: skip
