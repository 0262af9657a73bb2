"""A training on a GPU attends as its trials did, and says how."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch.nn.attention import SDPBackend

from speedtui.engine.config.settings import ScheduleSettings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.events import Notice, StepCompleted
from speedtui.engine.jobs.train import run_train
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState
from speedtui.engine.trainer.cudnn_attention import choose
from tests.engine.trainer.kinds import LORA, write_rows
from tests.engine.trainer.test_cudnn_attention import Scripted
from tests.engine.workload.small import LLAMA, load, settings_of
from tests.simulated_cuda import simulated_cuda

NEVER = ScheduleSettings(eval_every="never", checkpoint_every="never")


def test_it_has_no_mask_and_no_plans_that_cost_more_than_they_save(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(torch, "_fused_sdp_choice", lambda *args, **kwargs: SDPBackend.CUDNN_ATTENTION.value)
    model = {"architecture": {**LLAMA, "num_key_value_heads": 1}}
    settings = settings_of(
        write_rows(tmp_path / "rows.jsonl"), model=model, max_steps=2, bf16=True, micro_batch_size=2, **LORA
    )
    settings = msgspec.structs.replace(settings, schedule=NEVER)
    folder = RunFolder(tmp_path)
    log = EventLog(folder.events, RunClock())
    context = JobContext(
        folder, settings, Order(job="train", started_at=time.time()), log, RunState(), frozenset()
    )  # fmt: skip
    enabled: set[bool] = set()
    before = torch.backends.cuda.cudnn_sdp_enabled()
    with simulated_cuda() as cuda:
        workload = load(settings)
        kept = choose(workload.model, workload, settings, torch.device("cuda", 0), Scripted(1.0, 1e-3, 1.1e-3))
        assert kept is not None and not kept.cudnn
        cuda.on_operation = lambda operator: enabled.add(torch.backends.cuda.cudnn_sdp_enabled())
        run_train(context)
    log.close()
    events: list[Any] = list(read_events(folder.events))
    told = [event.text for event in events if isinstance(event, Notice)]
    assert [text for text in told if text.startswith("attention runs without a mask")]
    assert kept.reason in told
    assert False in enabled
    assert torch.backends.cuda.cudnn_sdp_enabled() is before
    assert sum(step.padding_tokens or 0 for step in events if isinstance(step, StepCompleted)) > 0  # still counted
