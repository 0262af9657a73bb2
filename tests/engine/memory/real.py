"""Real peaks, measured as a trial's memory probe measures them."""

from __future__ import annotations

import gc
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import torch

from speedtui.engine.config.settings import ModelSettings, Settings, TrainSettings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.writer import EventLog
from speedtui.engine.memory.build import config_of
from speedtui.engine.memory.peak_model import MemoryRequest
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState
from speedtui.engine.trial.memory_probe import memory_probe
from speedtui.engine.trial.prepared import make_trainable
from speedtui.engine.trial.probe_setup import ProbeSetup
from speedtui.engine.workload.base import DataFacts, Workload
from speedtui.engine.workload.collate import PadPairs, PadRight
from speedtui.engine.workload.pretrained import DTYPES, auto_model

CPU = torch.device("cpu")
ROWS = 2


def request(
    architecture: dict[str, Any], *, tokens: int, targets: int | None = None, dtype: str = "float32",
    attention: str = "sdpa", kind: str = "causal-lm", **train: Any,
) -> MemoryRequest:  # fmt: skip
    """What to predict for random weights."""
    model = ModelSettings(architecture=architecture, dtype=dtype, attention=attention, kind=kind)  # type: ignore[arg-type]
    return MemoryRequest(
        settings=Settings(model=model, train=TrainSettings(**train)), longest_tokens=tokens,
        longest_target_tokens=targets,
    )  # fmt: skip


def real_peak(request: MemoryRequest, micro_batch_size: int, grad_accum_steps: int, folder: Path) -> int:
    """Bytes of live storages at the peak of two real steps."""
    train = msgspec.structs.replace(
        request.settings.train, micro_batch_size=micro_batch_size,
        effective_batch_size=micro_batch_size * grad_accum_steps,
    )  # fmt: skip
    settings = msgspec.structs.replace(request.settings, train=train)
    workload = _workload(request)
    return peak_of(workload, settings, folder)


def peak_of(workload: Workload, settings: Settings, folder: Path) -> int:
    """The same of any workload."""
    log = EventLog(folder / "events.jsonl", RunClock())
    order = Order(job="tune", started_at=time.time())
    context = JobContext(RunFolder(folder), settings, order, log, RunState(), frozenset())
    model = make_trainable(workload.model, settings)
    setup = ProbeSetup(
        context=context, workload=workload, model=model, settings=settings, device=CPU, trial=0, check=lambda: None
    )
    gc.collect()
    try:
        memory, _ = memory_probe(setup, None)
    finally:
        log.close()
    assert memory.peak_allocated_bytes is not None
    return memory.peak_allocated_bytes


def _workload(request: MemoryRequest) -> Workload:
    model = request.settings.model
    config = config_of(request)
    torch.manual_seed(0)
    built = auto_model(model).from_config(config, dtype=DTYPES[model.dtype], attn_implementation=model.attention)
    pair = model.kind == "seq2seq"
    targets = request.longest_target_tokens or request.longest_tokens
    ids = torch.arange(request.longest_tokens) % (config.vocab_size - 1) + 1
    labels = torch.arange(targets) % (config.vocab_size - 1) + 1
    return Workload(
        name="test",
        model=built.train(),
        tokenizer=None,
        train_dataset=[{"input_ids": ids, "labels": labels}] * ROWS,
        eval_dataset=None,
        collator=PadPairs(0) if pair else PadRight(0),
        lengths=np.full(ROWS, request.longest_tokens, np.int32),
        target_lengths=np.full(ROWS, targets, np.int32) if pair else None,
        facts=DataFacts(train_rows=ROWS, longest_tokens=request.longest_tokens),
        padding="longest",
    )
