"""What metering costs: wall time of a real training, and of one where launching is all there is."""

from __future__ import annotations

import gc
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from figures import median_of
from overhead import BareArm, MeteredArm, SilentArm, compare, tiny_arguments
from torch import nn
from torch.utils.data import SequentialSampler
from transformers import Trainer

from speedtui.engine.config.settings import Settings
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.meter.device import device_clock
from speedtui.engine.meter.meter import Meter
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.trainer.arguments import training_arguments
from speedtui.engine.trainer.trainer import MeteredTrainer
from speedtui.engine.workload.base import Workload, token_counts
from tests.gpu.material import HALF, settings_for
from tests.gpu.onsite import Site

TURNS, STEPS = 4, 12
"""Of ABBA: each turn has both arms twice, each arm so many optimizer steps."""
TINY_STEPS, TINY_TURNS = 200, 8
WALL, MICROSECONDS = 0.01, 20.0


class BareTrainer(Trainer):
    """transformers' own, with the rows as they come: others have other lengths, and take another time."""

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        return SequentialSampler(self.train_dataset)  # type: ignore[arg-type]


def run(site: Site) -> None:
    """The tiny one first: it says what the other one's noise may hide."""
    launch_bound(site)
    wall(site)


def launch_bound(site: Site) -> None:
    """CPU microseconds a step of the training thread, of a model with next to nothing to compute."""
    arms = {"bare": BareArm(), "silent": SilentArm(), "metered": MeteredArm(site.folder / "tiny.jsonl", site.device)}
    steps = site.pick(TINY_STEPS, 30)
    costs = compare(arms, tiny_arguments(site.folder, steps, 1, site.device), site.pick(TINY_TURNS, 1))
    for arm in arms.values():
        arm.close()
    added = median_of([one - two for one, two in zip(costs["metered"], costs["silent"], strict=True)])
    whole = median_of([one - two for one, two in zip(costs["metered"], costs["bare"], strict=True)])
    site.figures(microseconds={name: str(median_of(values)) for name, values in costs.items()},
                 metered_over_silent=str(added), metered_over_bare=str(whole))  # fmt: skip
    site.claim("launch_bound", added.median <= MICROSECONDS, f"{added} us; {whole} us over transformers' own trainer")


def wall(site: Site) -> None:
    """Seconds of the same steps with the 0.5 B model, bare and metered in turns."""
    settings = settings_for(site, HALF, rows=site.pick(STEPS * 32, 64), micro_batch_size=site.pick(8, 4))
    with site.runner(settings) as runner, runner.trial(settings) as (workload, model):
        ways: dict[str, Callable[[], float]] = {
            "bare": lambda: bare(site, workload, model, settings),
            "metered": lambda: metered(site, workload, model, settings),
        }
        for way in ways.values():
            way()  # what the first run allocates and compiles is no step's cost
        ratios = []
        for turn in range(site.pick(TURNS, 1)):
            order = ["bare", "metered", "metered", "bare"][:: 1 if turn % 2 == 0 else -1]
            took: dict[str, float] = dict.fromkeys(ways, 0.0)
            for name in order:
                took[name] += ways[name]()
            ratios.append(took["metered"] / took["bare"] - 1)
            site.figures(wall=ratios)
    site.claim("wall", statistics.median(ratios) <= WALL, f"{statistics.median(ratios):+.2%}, from {min(ratios):+.2%} "
               f"to {max(ratios):+.2%}")  # fmt: skip


def bare(site: Site, workload: Workload, model: nn.Module, settings: Settings) -> float:
    """transformers' own trainer."""
    return timed(site, BareTrainer(**common(site, workload, model, settings)))


def metered(site: Site, workload: Workload, model: nn.Module, settings: Settings) -> float:
    """The engine's, with its log's pump at work."""
    log = EventLog(site.folder / "metered.jsonl", RunClock())
    meter = Meter(PhaseClock(), log.clock, log.emit, token_counts=token_counts, device=device_clock(site.device))
    log.add_source(meter.pump)
    trainer = MeteredTrainer(**common(site, workload, model, settings), meter=meter, in_order=True)
    try:
        return timed(site, trainer)
    finally:
        log.close()


def common(site: Site, workload: Workload, model: nn.Module, settings: Settings) -> dict[str, Any]:
    """What both have."""
    folder: Path = site.folder / "meter"
    arguments = training_arguments(settings, folder, site.device, max_steps=site.pick(STEPS, 2))
    return {"model": model, "args": arguments, "train_dataset": workload.train_dataset,
            "data_collator": workload.collator}  # fmt: skip


def timed(site: Site, trainer: Trainer) -> float:
    """Wall seconds of its training."""
    gc.collect()
    torch.cuda.synchronize()
    began = time.perf_counter()
    trainer.train()
    torch.cuda.synchronize()
    return time.perf_counter() - began
