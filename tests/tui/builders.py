"""Recorded runs as lists of events, built from round and consistent numbers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import msgspec

from speedtui.engine import events as e
from speedtui.engine.candidate import Candidate, Measurement, Memory, TrialResult, TrialStatus
from speedtui.engine.config.settings import DataSettings, ModelSettings, Settings, TrainSettings
from speedtui.engine.config.window import Window
from speedtui.engine.efficiency import DeviceConditions, ModelFlops
from speedtui.engine.plan_types import Advice
from speedtui.engine.units import GIB

STARTED_AT = 1_767_225_600.0
"""2026-01-01 00:00:00 UTC; tests set the time zone to UTC."""
GPU = e.Device(index=0, kind="cuda", name="NVIDIA H100 80GB HBM3", memory_bytes=int(79.6 * GIB), capability=(9, 0))
PHASES = {
    "forward": 0.138,
    "backward": 0.221,
    "optimizer": 0.031,
    "data": 0.009,
    "h2d": 0.004,
    "log": 0.001,
    "other": 0.008,
}


def config() -> dict[str, Any]:
    """A resolved configuration, as a worker would report it."""
    settings = Settings(
        model=ModelSettings(path="Qwen/Qwen2.5-0.5B", dtype="bfloat16"),
        data=DataSettings(train="/data/train.jsonl", prompt="question", response="answer"),
        train=TrainSettings(effective_batch_size=16),
    )
    return dict(msgspec.to_builtins(settings))


def run_started(t: float = 0.0, job: e.Job = "tune", *, window: Window | None = None, gpu: bool = True) -> e.RunStarted:
    return e.RunStarted(
        t=t, run="20260101-000000-" + job + "-4f1a", job=job, started_at=STARTED_AT, host="node-7", pid=4182,
        devices=[GPU] if gpu else [e.Device(index=0, kind="cpu", name="AMD EPYC 7763", memory_bytes=None)],
        versions={"torch": "2.13.0"}, config=config(), window=window,
    )  # fmt: skip


def model_loaded(t: float = 14.0) -> e.ModelLoaded:
    return e.ModelLoaded(
        t=t, model="Qwen/Qwen2.5-0.5B", parameters=494_032_768, trainable_parameters=8_798_208, seconds=6.2,
        train_rows=8000, eval_rows=512, longest_tokens=1024, mean_tokens=212.0, cut_rows=37,
    )  # fmt: skip


def hardware(t: float, *, gpu: bool = True, wobble: float = 0.0) -> e.HardwareSampled:
    device = e.DeviceSample(
        index=0, name=GPU.name, utilization=0.93 + 0.02 * math.sin(wobble), memory_used_bytes=int(38.4 * GIB),
        memory_total_bytes=GPU.memory_bytes, power_watts=612.0 + 8 * math.sin(wobble), power_limit_watts=700.0,
        temperature_celsius=61.0, sm_clock_mhz=1980, memory_clock_mhz=2619, throttled=False,
    )  # fmt: skip
    host = e.HostSample(
        cpu_fraction=0.34 + 0.03 * math.sin(wobble), load_1m=5.1, cores=16, rss_bytes=int(11.2 * GIB),
        memory_available_bytes=90 * GIB, disk_read_bytes_per_second=0.0, disk_write_bytes_per_second=2_400_000.0,
        disk_free_bytes=410 * GIB,
    )  # fmt: skip
    return e.HardwareSampled(t=t, devices=[device] if gpu else [], host=host)


def step(t: float, number: int, *, seconds: float = 0.412, loss: float | None = 1.3, trial: int | None = None,
         probe: e.Probe | None = None) -> e.StepCompleted:  # fmt: skip
    scale = seconds / sum(PHASES.values())
    return e.StepCompleted(
        t=t, step=number, micro_steps=2, samples=16, tokens=16_400, padding_tokens=2_000, loss=loss, lr=1.2e-4,
        seconds=seconds, phases={name: value * scale for name, value in PHASES.items()},
        peak_allocated_bytes=int(45.2 * GIB), peak_reserved_bytes=int(48.8 * GIB), trial=trial, probe=probe,
    )  # fmt: skip


def candidate(number: int, micro: int, **more: bool) -> Candidate:
    extra = {f"train.{name}": value for name, value in more.items()}
    names = "".join(f" +{'ckpt' if name == 'gradient_checkpointing' else name}" for name in more)
    return Candidate(id=number, values={"train.micro_batch_size": micro, **extra}, micro_batch_size=micro,
                     grad_accum_steps=16 // micro, label=f"mb{micro} ga{16 // micro}{names}")  # fmt: skip


CANDIDATES = [
    candidate(0, 1), candidate(1, 2), candidate(2, 4), candidate(3, 8), candidate(4, 16),
    candidate(5, 16, gradient_checkpointing=True), candidate(6, 8, compile=True), candidate(7, 8, bf16=True),
]  # fmt: skip


def ok_result(seconds: float, peak_gib: float) -> TrialResult:
    scale = seconds / sum(PHASES.values())
    measured = Measurement(
        batches=10, warmup_batches=2, micro_step_seconds=seconds / 4, optimizer_seconds=0.031, step_seconds=seconds,
        step_seconds_low=seconds * 0.98, step_seconds_high=seconds * 1.02, samples_per_second=16 / seconds,
        tokens_per_second=16_400 / seconds, padding_fraction=0.11, loss=1.301,
        phases={name: value * scale for name, value in PHASES.items()},
    )  # fmt: skip
    memory = Memory(peak_allocated_bytes=int(peak_gib * 0.94 * GIB), peak_reserved_bytes=int(peak_gib * GIB),
                    predicted_bytes=int(peak_gib * 0.98 * GIB), limit_bytes=GPU.memory_bytes,
                    longest_tokens=1024)  # fmt: skip
    return TrialResult(status=TrialStatus.OK, seconds=14.0, measurement=measured, memory=memory,
                       full_run_seconds=1500 * seconds + 240)  # fmt: skip


def out_of_memory_result() -> TrialResult:
    memory = Memory(peak_reserved_bytes=int(79.1 * GIB), predicted_bytes=int(84.0 * GIB), limit_bytes=GPU.memory_bytes,
                    longest_tokens=1024)  # fmt: skip
    return TrialResult(
        status=TrialStatus.OUT_OF_MEMORY, seconds=6.0, memory=memory,
        reason="out of memory in backward of the memory probe: 4.3 GiB more were asked for with 0.5 GiB free",
    )  # fmt: skip


def trial_events(t: float, number: int, result: TrialResult, seconds: float) -> Iterator[e.AnyEvent]:
    """A trial from its start to its result."""
    yield e.TrialStarted(t=t, trial=number)
    yield step(t + 2.0, 1, seconds=seconds * 1.6, trial=number, probe="memory")
    if result.status is TrialStatus.OK:
        for i in range(12):
            took = probe_seconds(number, seconds * (1 + 0.8 * math.exp(-i / 1.5)))
            yield step(t + 3 + i * seconds, i + 1, seconds=took, trial=number, probe="throughput")
    yield e.TrialFinished(t=t + 14.0, trial=number, result=result)


def probe_seconds(number: int, seconds: float) -> float:
    """Of a step of two micro-batches, where one of the training's with all of its own takes so long."""
    optimizer = seconds * PHASES["optimizer"] / sum(PHASES.values())
    return (seconds - optimizer) * 2 / CANDIDATES[number].grad_accum_steps + optimizer


def study_started(t: float = 15.0, *, queued: bool = True) -> e.StudyStarted:
    return e.StudyStarted(t=t, mode="quick", batches=10, candidates=CANDIDATES, queued=queued,
                          memory_limit_bytes=GPU.memory_bytes, budget_seconds=900.0)  # fmt: skip


def loading_log(*, gpu: bool = True) -> list[e.AnyEvent]:
    return [
        run_started(gpu=gpu),
        hardware(1.0, gpu=gpu),
        e.ProgressMade(t=4.0, what="tokenizing train.jsonl", done=3200, total=8000),
    ]


def study_log(*, window: bool = True, finished: bool = False) -> list[e.AnyEvent]:
    """Three trials ok, one out of memory, the fifth being measured; or all of them done."""
    limit = Window(deadline=STARTED_AT + 4 * 3600, margin_seconds=1200.0) if window else None
    log: list[e.AnyEvent] = [run_started(window=limit), hardware(1.0), model_loaded(), study_started()]
    measured = [(0, 0.746, 31.2), (1, 0.517, 40.1), (2, 0.412, 48.8), (3, 0.405, 66.2)]
    results = [(number, seconds, ok_result(seconds, peak)) for number, seconds, peak in measured]
    results.append((4, 0.4, out_of_memory_result()))
    t = 16.0
    for number, seconds, result in results:
        log += trial_events(t, number, result, seconds)
        log.append(hardware(t + 14.0, wobble=t))
        t += 16.0
    if not finished:
        log += [e.TrialStarted(t=t, trial=5), step(t + 2, 1, seconds=0.9, trial=5, probe="memory")]
        log += [
            step(t + 3 + i * 0.58, i + 1, seconds=0.58 + 0.01 * (i % 3), trial=5, probe="throughput") for i in range(3)
        ]
        return log
    failed = TrialResult(
        status=TrialStatus.FAILED, seconds=40.0, reason="torch.compile: no C++ compiler was found (g++)"
    )
    log += trial_events(t, 5, ok_result(0.575, 38.0), 0.575)
    log += trial_events(t + 16, 6, failed, 0.4)
    log += trial_events(t + 60, 7, ok_result(0.398, 64.9), 0.398)
    log.append(e.StudyFinished(t=t + 75, best=7, files={"trials.json": "trials.json", "train.sh": "train.sh"}))
    return log


def idle_study_log() -> list[e.AnyEvent]:
    """A study whose candidates wait to be run."""
    return [run_started(), hardware(1.0), model_loaded(), study_started(queued=False)]


def training_log(
    steps: int = 7578, *, verdict: e.Verdict = "on_track", every: int = 25, gpu: bool = True
) -> list[e.AnyEvent]:
    """A training of 18000 steps in a window of 3 h 20 m, up to a step."""
    window = Window(deadline=STARTED_AT + 3 * 3600 + 1200, margin_seconds=1200.0)
    log: list[e.AnyEvent] = [run_started(job="train", window=window, gpu=gpu), model_loaded(41.0)]
    log.append(e.TrainingStarted(t=41.0, total_steps=18_000, epochs=3.0, micro_batch_size=8, grad_accum_steps=2,
                                 label="mb8 ga2 +bf16", trial=7))  # fmt: skip
    last = 0
    for number in [*range(every, steps, every), steps]:
        t = 41 + number * 0.412
        log.append(coalesced(t, number, number - last, loss=loss_at(number)))
        last = number
        if number % 1200 == 0:
            log.append(e.EvaluationCompleted(t=t, step=number, loss=loss_at(number) + 0.06, seconds=14.2, rows=512))
        if number % 2400 == 0:
            log.append(e.CheckpointSaved(t=t, step=number, path=f"checkpoints/{number}", bytes=int(2.1e9), seconds=3.8))
    t = 41 + steps * 0.412
    log += [hardware(t - 600 + i * 5, gpu=gpu, wobble=i / 5) for i in range(121)]
    log.append(eta(t, steps, verdict))
    return log


def coalesced(t: float, number: int, count: int, *, loss: float) -> e.StepCompleted:
    """Several fast steps in one line."""
    seconds = 0.412 + 0.009 * math.sin(number)
    one = step(t, number, seconds=seconds, loss=loss)
    return msgspec.structs.replace(
        one, steps=count, seconds=seconds * count, samples=16 * count, tokens=16_400 * count,
        padding_tokens=2_000 * count,
        phases={name: value * count for name, value in one.phases.items()},
    )  # fmt: skip


def loss_at(number: int) -> float:
    return 1.2 + 1.6 * math.exp(-number / 1800) + 0.03 * math.sin(number / 40)


def eta(t: float, steps: int, verdict: e.Verdict = "on_track") -> e.EtaUpdated:
    left = (18_000 - steps) * 0.412
    p50 = {"on_track": left, "tight": left + 3600, "late": left + 7200, "measuring": left}[verdict]
    known = verdict != "measuring"
    return e.EtaUpdated(
        t=t, p50_seconds=p50 if known else None, p90_seconds=p50 + 480 if known else None, verdict=verdict,
        spare_seconds=10_800 - t - p50 if known else None,
        terms={"steps": left, "evals": 128.0, "saves": 15.2, "final": 20.0}, steps_per_hour=3600 / 0.412,
    )  # fmt: skip


def finished_training_log() -> list[e.AnyEvent]:
    log = training_log(18_000)
    return [
        *log,
        e.TrainingFinished(t=7700.0, steps=18_000, seconds=7640.0, first_loss=2.79, last_loss=1.21, model_path="model"),
        e.RunFinished(t=7705.0, outcome="ok", exit_code=0, next="The model is in model/."),
    ]


def late_training_log(steps: int = 7578) -> list[e.AnyEvent]:
    """A training that will be late, with evaluations that score, one of the loss alone, books and levers."""
    log = training_log(steps, verdict="late")
    started, rest = log[0], [event for event in log[1:] if not isinstance(event, e.EvaluationCompleted)]
    assert isinstance(started, e.RunStarted)
    schedule = {"eval_every": "1200 steps", "fast_eval_every": "600 steps", "generate": True, "metric": "/m.py:score"}
    settings = {**started.config, "schedule": {**started.config["schedule"], **schedule}}
    settings["data"] = {**settings["data"], "eval": "/data/eval.jsonl"}
    t = log[-1].t
    evaluations = [evaluation(number) for number in range(600, steps, 600)]
    rest = sorted([*rest, *evaluations], key=lambda event: event.t)
    spent = {"load": 41.0, "forward": 1000.0, "backward": 1600.0, "eval": 60.0, "generate": 140.0, "metric": 90.0,
             "checkpoint": 10.0, "other": 80.0}  # fmt: skip
    wall = sum(spent.values()) + 4.0
    return [
        msgspec.structs.replace(started, config=settings), *rest,
        e.BooksUpdated(t=t, books=e.Books(wall=wall, phases=spent, unaccounted=4.0)),
        e.LeversFound(t=t, levers=LEVERS, short_seconds=4000.0),
    ]  # fmt: skip


def trouble_log() -> list[e.AnyEvent]:
    """A late training whose checkpoint could not be saved and in whose evaluation nothing happens any more."""
    log = late_training_log()
    t = log[-1].t
    failed = e.CheckpointFailed(t=t, step=7500, reason="No space left on device", retry_seconds=60.0)
    stall = e.Stalled(t=t + 1, phase="eval", seconds=312.0, budget_seconds=120.0)
    return [*log, e.ProgressMade(t=t, what="generating", done=120, total=512), failed, stall, hardware(t + 20)]


def evaluation(step_number: int) -> e.EvaluationCompleted:
    """Every second one is of the loss alone; the best is the one at 4800."""
    full, t, loss = step_number % 1200 == 0, 41 + step_number * 0.412, loss_at(step_number) + 0.06
    if not full:
        return e.EvaluationCompleted(t=t, step=step_number, loss=loss, seconds=2.1, rows=512, kind="loss")
    return e.EvaluationCompleted(
        t=t, step=step_number, loss=loss, seconds=14.2, rows=512, metrics={"exact": 0.41 + step_number / 60_000},
        phases={"eval": 2.1, "generate": 8.0, "metric": 4.1}, best=step_number <= 4800,
    )  # fmt: skip


LEVERS = [
    Advice(
        kind="too_slow", lever="evaluate every 6000 steps instead of every 1200 steps",
        evidence="8 full evaluations are still to come, 14.2 s each; this saves 1h 10m: it finishes 3m 20s inside the "
        "margin",
        changes={"schedule.eval_every": "6000 steps"}, gain_seconds=4200.0,
    ),
    Advice(
        kind="too_slow", lever="generate no answers",
        evidence="8 full evaluations are still to come, 14.2 s each; generation takes 8.0 s of each; this saves 48m "
        "00s: 18m 40s are still missing",
        changes={"schedule.generate": False, "schedule.metric": ""}, gain_seconds=2880.0,
    ),
    Advice(
        kind="too_slow", lever="stop at step 12000", evidence="6000 steps fewer; this saves 41m 12s",
        changes={"train.max_steps": 12_000}, gain_seconds=2472.0,
    ),
]  # fmt: skip
"""Of a late training, the largest gain first."""

FLOPS = ModelFlops(per_sample=1.02e13, per_token=1.0e10, peak=989.5e12, precision="bfloat16")
"""At 39.8k tokens a second an MFU of 40 %."""


def used_training_log() -> list[e.AnyEvent]:
    """A training that tells its MFU and had steps profiled, on a device that is held at its power limit."""
    log = training_log()
    busy = e.DeviceBusyMeasured(
        t=60.0, step=25, steps=3, cost_seconds=1.4, phases={name: 3 * seconds for name, seconds in PHASES.items()},
        busy={"forward": 3 * 0.131, "backward": 3 * 0.219, "optimizer": 3 * 0.028, "h2d": 3 * 0.004, "data": 0.0},
    )  # fmt: skip
    changed = [msgspec.structs.replace(x, flops=FLOPS) if isinstance(x, e.TrainingStarted) else x for x in log]
    capped = [msgspec.structs.replace(x, devices=[msgspec.structs.replace(d, power_capped=True) for d in x.devices])
              if isinstance(x, e.HardwareSampled) else x for x in changed]  # fmt: skip
    return [*capped[:3], busy, *capped[3:]]


def used_result() -> TrialResult:
    """A trial whose device was watched."""
    result = ok_result(0.412, 48.8)
    assert result.measurement is not None
    busy = {name: seconds * (0.97 if name in ("forward", "backward") else 0.4) for name, seconds in PHASES.items()}
    seen = DeviceConditions(
        readings=4, sm_clock_mhz=1755.0, lowest_sm_clock_mhz=1710, highest_celsius=71.0, power_watts=694.0,
        throttled_fraction=0.0, power_capped_fraction=0.75,
    )  # fmt: skip
    measured = msgspec.structs.replace(result.measurement, busy_phases=busy, flops=FLOPS)
    return msgspec.structs.replace(result, measurement=measured, conditions=seen)
