"""Models and texts that the blocks work with: made here, nothing is downloaded."""

from __future__ import annotations

import json
import os
import random
from pathlib import Path
from typing import Any

import msgspec

from speedtui.engine.candidate import TrialResult
from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, SearchSettings, Settings
from speedtui.engine.config.settings import TrainSettings as Train
from speedtui.engine.demo.corpus import WORDS
from speedtui.engine.search.candidates import make_candidate
from speedtui.engine.trial.runner import TrialRunner
from tests.gpu.onsite import Site

MICRO, CHECKPOINTING, RANK = "train.micro_batch_size", "train.gradient_checkpointing", "train.lora.r"
NOTHING_ELSE = ScheduleSettings(eval_every="never", checkpoint_every="never")
REHEARSED_BATCHES = 4
VOCABULARY = 32_000
"""Of the models on a GPU: with a small one the logits, often the peak, would hide."""

TINY: dict[str, Any] = {
    "model_type": "qwen2", "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 2, "vocab_size": 512,
}  # fmt: skip
SMALL: dict[str, Any] = {
    "model_type": "qwen2", "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12,
    "num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": VOCABULARY,
}  # fmt: skip
"""0.1 billion parameters."""
LLAMA: dict[str, Any] = {**SMALL, "model_type": "llama"}
HALF: dict[str, Any] = {
    "model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
    "num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": VOCABULARY,
}  # fmt: skip
"""The layers of a Qwen2.5 with 0.5 billion parameters."""
LARGE: dict[str, Any] = {
    "model_type": "qwen2", "hidden_size": 1536, "intermediate_size": 8960, "num_hidden_layers": 28,
    "num_attention_heads": 12, "num_key_value_heads": 2, "vocab_size": VOCABULARY,
}  # fmt: skip
"""Those of one with 1.5 billion."""
GPT2: dict[str, Any] = {"model_type": "gpt2", "vocab_size": VOCABULARY, "n_embd": 768, "n_layer": 12, "n_head": 12}
TINY_GPT2: dict[str, Any] = {"model_type": "gpt2", "vocab_size": 512, "n_embd": 32, "n_layer": 1, "n_head": 2}


def settings_for(
    site: Site, shape: dict[str, Any], *, dtype: str = "bfloat16", longest: int = 1024, rows: int = 2000,
    schedule: ScheduleSettings = NOTHING_ELSE, evaluated: int = 0, batches: int = 10, **train: Any,
) -> Settings:  # fmt: skip
    """Random weights over texts of 64 to `longest` words; in a rehearsal tiny ones over 8 to 48, in float32.

    `evaluated`: rows of other texts to evaluate on.
    """
    small = TINY_GPT2 if shape["model_type"] == "gpt2" else {**TINY, "model_type": shape["model_type"]}
    longest, rows = site.pick((longest, rows), (48, 260))
    texts = write_texts(site.folder / f"texts-{longest}-{rows}.jsonl", rows, longest, seed=1)
    other = write_texts(site.folder / f"other-{longest}.jsonl", evaluated, longest, seed=2) if evaluated else None
    positions = {"n_positions" if shape["model_type"] == "gpt2" else "max_position_embeddings": longest}
    return Settings(
        model=ModelSettings(
            architecture={**site.pick(shape, small), **positions}, dtype=site.pick(dtype, "float32"), attention="sdpa"
        ),
        data=DataSettings(train=str(texts), eval=str(other) if other else None, text="text", max_length=longest),
        train=Train(**{"effective_batch_size": site.pick(32, 8), "method": "lora", "max_steps": 100, **train}),
        schedule=schedule,
        search=SearchSettings(batches=site.pick(batches, min(batches, REHEARSED_BATCHES)), early_stop=False),
    )


def write_texts(path: Path, rows: int, longest: int, seed: int) -> Path:
    """Words at random, which a tokenizer trained on them takes for a token each; the first row is the longest."""
    if not path.exists():
        chance = random.Random(seed)
        counts = [longest * 2, *(chance.randint(min(64, longest // 6), longest - 1) for _ in range(rows - 1))]
        lines = (json.dumps({"text": " ".join(chance.choices(WORDS, k=count))}) + "\n" for count in counts)
        aside = path.with_suffix(f".{os.getpid()}")
        aside.write_text("".join(lines))
        aside.replace(path)
    return path


def changed(settings: Settings, section: str, **values: Any) -> Settings:
    """With other values in one section."""
    return msgspec.structs.replace(
        settings, **{section: msgspec.structs.replace(getattr(settings, section), **values)}
    )  # fmt: skip


def attempt(runner: TrialRunner, number: int, values: dict[str, Any]) -> TrialResult:
    """One trial, printed."""
    candidate = make_candidate(number, values, runner.context.settings, "gpu-check")
    result = runner.run(candidate, None)
    speed = result.measurement.tokens_per_second if result.measurement else None
    peak = result.memory.peak_bytes if result.memory else None
    print(f"{candidate.label:<30} {result.status.value:<14} {speed or 0:>12,.0f} tok/s {(peak or 0) / 2**30:>7.2f} GiB "
          f"{result.seconds:>6.1f} s {result.reason}", flush=True)  # fmt: skip
    return result


def told(result: TrialResult) -> dict[str, Any]:
    """A trial as figures."""
    measured, memory = result.measurement, result.memory
    return {
        "status": result.status.value, "reason": result.reason, "seconds": result.seconds,
        "tokens_per_second": measured.tokens_per_second if measured else None,
        "samples_per_second": measured.samples_per_second if measured else None,
        "step_seconds": measured.step_seconds if measured else None,
        "peak_allocated_bytes": memory.peak_allocated_bytes if memory else None,
        "peak_reserved_bytes": memory.peak_reserved_bytes if memory else None,
    }  # fmt: skip
