"""Runs studies and a training on a real GPU, without network, and says what came of it.

    python3 tests/gpu/check.py --out FOLDER      on a machine with CUDA; exit status 2 where there is none
    python3 tests/gpu/check.py --out FOLDER --cpu    the same path with a tiny model, as a rehearsal

speedtui need not be installed; what its engine needs must be: torch, transformers, peft, accelerate, datasets,
msgspec, psutil, nvidia-ml-py, tomli-w.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import random
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from studies import Finished

    from speedtui.engine.config.settings import Settings
    from speedtui.engine.events import AnyEvent, StepCompleted

REPOSITORY = Path(__file__).resolve().parents[2]
NO_CUDA = 2
"""Exit status: nothing was checked."""
BOOKS_OPEN = 0.01
"""Share of the wall time that no phase may leave unaccounted."""
CALLS_MICROSECONDS = 20.0
EFFECTIVE_BATCH, PAIRS, STEPS = 32, 12, 200
TRAINING_STEPS = 40
LARGE = {"hidden_size": 1024, "intermediate_size": 2816, "num_hidden_layers": 24, "num_attention_heads": 16,
         "num_key_value_heads": 8}  # fmt: skip
"""About 0.3 billion parameters."""
TINY = {"hidden_size": 64, "intermediate_size": 160, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 2}  # fmt: skip


def main() -> int:
    """Runs everything; 0 when all that was checked holds, 1 when something does not, 2 without CUDA."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=REPOSITORY / "build" / "gpu-check", help="folder of the JSON file")
    parser.add_argument("--cpu", action="store_true", help="rehearse on the CPU with a tiny model")
    arguments = parser.parse_args()
    if not arguments.cpu and (reason := why_no_cuda()):
        print(f"gpu-check: nothing was checked: {reason}")
        return NO_CUDA
    make_importable(arguments.cpu)
    with tempfile.TemporaryDirectory(prefix="gpu-check-") as folder:
        figures, misses = check(Path(folder), on_cpu=arguments.cpu)
    arguments.out.mkdir(parents=True, exist_ok=True)
    target = arguments.out / "gpu_check.json"
    target.write_text(json.dumps({**figures, "misses": misses}, indent=2) + "\n")
    print("", *(f"MISSED: {miss}" for miss in misses), f"figures in {target}", sep="\n")
    return 1 if misses else 0


def why_no_cuda() -> str:
    """Empty where there is a CUDA device."""
    if importlib.util.find_spec("torch") is None:
        return "torch is not installed"
    import torch

    return "" if torch.cuda.is_available() else f"torch {torch.__version__} sees no CUDA device"


def make_importable(on_cpu: bool) -> None:
    """The import names of the wheel for this process and its workers, from links as an editable install has them."""
    package = REPOSITORY / "build" / "editable" / "speedtui"
    package.mkdir(parents=True, exist_ok=True)
    for name in ("engine", "tui", "profiles"):
        link = package / name
        if not link.exists():
            link.unlink(missing_ok=True)  # one that leads nowhere
            link.symlink_to(Path("..", "..", "..", name), target_is_directory=True)
    paths = [str(package.parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(path for path in paths if path)
    os.environ.update({"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"})
    if on_cpu:
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ.setdefault("OMP_NUM_THREADS", "1")  # with more, whatever else runs makes threads wait for each other
    sys.path[:0] = [str(package.parent), str(REPOSITORY / "tests" / "bench")]


def check(folder: Path, *, on_cpu: bool) -> tuple[dict[str, Any], list[str]]:
    """All figures, and what does not hold."""
    from figures import machine
    from studies import run_study, with_candidates

    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    settings = configuration(folder, on_cpu=on_cpu)
    facts = {"machine": machine(), "device": device_facts(on_cpu)}
    print(json.dumps(facts, indent=2))
    misses: list[str] = []
    figures: dict[str, Any] = {**facts, "studies": {}}
    lora = with_candidates(settings, folder / "lora.json", lora_candidates(on_cpu))
    full = with_candidates(limited(settings, on_cpu), folder / "full.json", full_candidates(on_cpu))
    best: tuple[float, dict[str, Any]] | None = None
    for name, study in (("lora", lora), ("full, limited memory", full)):
        finished = run_study(study, folder / "runs" / name)
        figures["studies"][name] = describe(name, finished)
        misses += what_misses(name, finished, limited_memory=name != "lora")
        best = best or fastest(finished)
    figures["training"] = train(settings, best, folder / "runs" / "train") if best else None
    figures["meter"] = meter_costs(folder, on_cpu=on_cpu)
    calls = figures["meter"]["calls"]["whole_step"]["median"]
    if calls > CALLS_MICROSECONDS:
        misses.append(f"the meter's calls cost {calls:.1f} us a step, more than {CALLS_MICROSECONDS:g}")
    return figures, misses


def configuration(folder: Path, *, on_cpu: bool) -> Settings:
    """A Llama with random weights and a tokenizer trained on a generated corpus."""
    from speedtui.engine.config.settings import (
        DataSettings,
        ModelSettings,
        ScheduleSettings,
        SearchSettings,
        Settings,
        TrainSettings,
    )  # fmt: skip

    longest = 256 if on_cpu else 1024
    train = folder / "train.jsonl"
    write_texts(train, rows=400 if on_cpu else 4000, parts=2 if on_cpu else 8)
    shape = {"model_type": "llama", "max_position_embeddings": longest, "tie_word_embeddings": True}
    return Settings(
        model=ModelSettings(
            architecture=shape | (TINY if on_cpu else LARGE), dtype="float32" if on_cpu else "bfloat16"
        ),
        data=DataSettings(train=str(train), prompt="prompt", response="response", max_length=longest),
        train=TrainSettings(method="lora", effective_batch_size=EFFECTIVE_BATCH, max_steps=TRAINING_STEPS),
        schedule=ScheduleSettings(eval_every="never", checkpoint_every="never"),
        search=SearchSettings(batches=10, early_stop=False),
    )  # fmt: skip


def write_texts(path: Path, *, rows: int, parts: int) -> None:
    """The demo's tasks, up to `parts` of them in a row, so that lengths differ as they do in real data."""
    from speedtui.engine.demo.corpus import samples

    chance = random.Random(1)
    tasks = iter(samples(rows * parts, seed=2))
    with path.open("w", encoding="utf-8") as file:
        for _ in range(rows):
            chosen = [next(tasks) for _ in range(chance.randint(1, parts))]
            row = {"prompt": "\n".join(p for p, _ in chosen), "response": "\n".join(r for _, r in chosen)}
            file.write(json.dumps(row) + "\n")


def lora_candidates(on_cpu: bool) -> list[dict[str, Any]]:
    micro, checkpointing = "train.micro_batch_size", "train.gradient_checkpointing"
    sizes = (2, 4) if on_cpu else (1, 2, 4, 8, 16, 32)
    plain = [{micro: size} for size in sizes]
    return [*plain, {micro: sizes[-1], checkpointing: True}, {micro: sizes[-1], "train.lora.r": 64}]


def full_candidates(on_cpu: bool) -> list[dict[str, Any]]:
    """The largest is more than the limit allows, and a small one comes after it on the same worker."""
    sizes = (2, 4) if on_cpu else (1, 4, 32, 2)
    return [{"train.micro_batch_size": size} for size in sizes]


def limited(settings: Settings, on_cpu: bool) -> Settings:
    """Full fine-tuning; on a GPU in less memory than the largest candidate needs."""
    import msgspec

    replace = msgspec.structs.replace
    search = replace(settings.search, memory_limit=None if on_cpu else "6GiB")
    return replace(settings, train=replace(settings.train, method="full"), search=search)


def device_facts(on_cpu: bool) -> dict[str, Any]:
    import torch

    if on_cpu:
        return {"kind": "cpu"}
    properties = torch.cuda.get_device_properties(0)
    return {"kind": "cuda", "name": properties.name, "memory_bytes": properties.total_memory,
            "cuda": torch.version.cuda, "capability": f"{properties.major}.{properties.minor}"}  # fmt: skip


def describe(name: str, finished: Finished) -> dict[str, Any]:
    """The table of trials, printed, and the same as figures."""
    from figures import table
    from msgspec import to_builtins

    assert finished.state.study is not None
    rows = []
    for row in finished.state.study.rows:
        result = row.result
        measured, memory = (result.measurement, result.memory) if result is not None else (None, None)
        rows.append([
            row.candidate.label, row.status.value, measured.samples_per_second if measured else None,
            measured.tokens_per_second if measured else None,
            memory.peak_bytes / 2**30 if memory and memory.peak_bytes else None,
            result.seconds if result else None, result.reason if result else "",
        ])  # fmt: skip
    print(table([name, "status", "samples/s", "tok/s", "peak GiB", "seconds", "reason"], rows))
    books = to_builtins(finished.state.books)
    print(f"load {finished.load_seconds:.1f} s, wall {finished.wall_seconds:.1f} s, books {json.dumps(books)}")
    return {"trials": to_builtins(finished.results), "labels": [row[0] for row in rows], "books": books,
            "load_seconds": finished.load_seconds, "wall_seconds": finished.wall_seconds}  # fmt: skip


def what_misses(name: str, finished: Finished, *, limited_memory: bool) -> Iterable[str]:
    """What a study on a sound machine would not show."""
    allowed = {"ok", "out_of_memory"} if limited_memory else {"ok"}
    for number, result in enumerate(finished.results):
        if result.status.value not in allowed:
            yield f"{name}: trial {number} is {result.status.value}: {result.reason}"
        if result.base_weights_unchanged is False:
            yield f"{name}: trial {number} changed the base weights"
    if finished.state.restarts:
        yield f"{name}: the worker was started again {finished.state.restarts} times"
    books = finished.state.books
    if books is None or abs(books.unaccounted) > BOOKS_OPEN * books.wall:
        yield f"{name}: the books do not close: {books}"


def fastest(finished: Finished) -> tuple[float, dict[str, Any]] | None:
    """(expected seconds a step, settings) of the fastest trial that fits."""
    assert finished.state.study is not None
    rows = [row for row in finished.state.study.rows if row.result is not None and row.result.status.value == "ok"]
    measured = [(row.result.measurement, row.candidate.values) for row in rows if row.result and row.result.measurement]
    if not measured:
        return None
    best, values = max(measured, key=lambda pair: pair[0].samples_per_second)
    return best.step_seconds, dict(values)


def train(settings: Settings, best: tuple[float, dict[str, Any]], runs: Path) -> dict[str, Any]:
    """A short training with the winner, held against what its trial expected."""
    from figures import table

    from speedtui.engine import events as e
    from speedtui.engine.config.paths import with_values
    from speedtui.engine.log.tail import read_events
    from speedtui.engine.session.start import StartOptions, start_training

    expected, values = best
    options = StartOptions(runs=runs, where="gpu-check", train_command=["speedtui", "train"])
    session = start_training(with_values(settings, values, "gpu-check"), options)
    code = session.run()
    known: list[AnyEvent] = list(read_events(session.folder.events))
    steps = [event for event in known if isinstance(event, e.StepCompleted)]
    later = [line for line in steps if line.step > TRAINING_STEPS // 4]
    figures = {
        "exit_code": int(code), "expected_step_seconds": expected,
        "step_seconds": sum(line.seconds for line in later) / max(sum(line.steps for line in later), 1),
        "cpu_phases": phases_of(later, "phases"), "device_phases": phases_of(later, "device_phases"),
    }  # fmt: skip
    rows = [[name, *(figures[column].get(name) for column in ("cpu_phases", "device_phases"))]
            for name in figures["cpu_phases"]]  # fmt: skip
    print(table(["share of the training's steps", "CPU clock", "device clock"], rows))
    print(f"seconds a step: expected {expected:.4f}, trained {figures['step_seconds']:.4f}")
    return figures


def phases_of(lines: list[StepCompleted], column: str) -> dict[str, float]:
    """Shares by phase; empty where the device tells none."""
    parts = [part for line in lines if (part := getattr(line, column)) is not None]
    total = sum(sum(part.values()) for part in parts)
    return {name: sum(part[name] for part in parts) / total for name in parts[0]} if total else {}


def meter_costs(folder: Path, *, on_cpu: bool) -> dict[str, Any]:
    """CPU microseconds a step that metering adds on this device, and what the meter's calls cost by themselves."""
    import torch
    from figures import median_of, table
    from msgspec import to_builtins
    from overhead import BareArm, MeteredArm, SilentArm, call_costs, compare, tiny_arguments

    device = torch.device("cpu") if on_cpu else torch.device("cuda", 0)
    arms = {"bare": BareArm(), "silent": SilentArm(), "metered": MeteredArm(folder / "events.jsonl", device)}
    costs = compare(arms, tiny_arguments(folder, STEPS, 1, device), PAIRS)
    for arm in arms.values():
        arm.close()
    found = {name: median_of(values) for name, values in costs.items()}
    for other in ("bare", "silent"):
        pairs = zip(costs["metered"], costs[other], strict=True)
        found[f"metered - {other}"] = median_of([one - two for one, two in pairs])
    calls = call_costs(1, device=device)
    rows = [[name, m.median, m.low, m.high] for name, m in {**found, "the meter's calls": calls.whole_step}.items()]
    print(table(["CPU us a step", "median", "low", "high"], rows))
    return {"microseconds": to_builtins(found), "calls": to_builtins(calls)}


if __name__ == "__main__":
    sys.exit(main())
