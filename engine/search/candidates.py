"""Settings by path become a candidate: checked, named, with its accumulation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from speedtui.engine.candidate import Candidate
from speedtui.engine.config.check import check
from speedtui.engine.config.paths import resolve_path, value_at, with_values
from speedtui.engine.config.settings import Scalar, Settings

MICRO_BATCH = "train.micro_batch_size"
RANK = "train.lora.r"
CHECKPOINTING = "train.gradient_checkpointing"
WORKERS = "train.loader_workers"
BF16, FP16, TF32 = "train.bf16", "train.fp16", "train.tf32"
SWITCHES = {
    CHECKPOINTING: "ckpt", "train.compile": "compile", BF16: "bf16", FP16: "fp16", TF32: "tf32", "train.liger": "liger",
}  # fmt: skip
"""What is told where it is on: how a step is computed."""
QUANTIZE = "model.quantize"


def make_candidate(number: int, values: Mapping[str, Scalar], settings: Settings, where: str) -> Candidate:
    """A candidate from settings by path (or by a last part that is unique).

    Raises:
        ConfigError: an unknown path, a value of the wrong type, or one that cannot work.
    """
    full = {resolve_path(name, where): value for name, value in values.items()}
    resolved = with_values(settings, full, where)
    check(resolved, where)
    micro, effective = resolved.train.micro_batch_size, resolved.train.effective_batch_size
    return Candidate(
        id=number,
        values=full,
        micro_batch_size=micro,
        grad_accum_steps=effective // micro,
        label=label(resolved, full),
    )


def apply_candidate(candidate: Candidate, settings: Settings) -> Settings:
    """The configuration with the candidate's settings in it."""
    return with_values(settings, candidate.values, f"candidate #{candidate.id}")


def label(resolved: Settings, named: Iterable[str] = ()) -> str:
    """A short name for a table row: `mb4 ga4 nf4 r16 +ckpt w2 ddpm_mul 4`.

    `named`: paths of what is told besides, with the values that the settings have.
    """
    train = resolved.train
    parts = [f"mb{train.micro_batch_size}", f"ga{train.effective_batch_size // train.micro_batch_size}"]
    if resolved.model.quantize != "none":
        parts.append(resolved.model.quantize)
    if train.method == "lora" and resolved.model.kind != "python":
        parts.append(f"r{train.lora.r}")
    parts += [f"+{name}" for path, name in SWITCHES.items() if value_at(resolved, path)]
    shown: tuple[str, ...] = (MICRO_BATCH, QUANTIZE, RANK, *SWITCHES)
    if train.max_steps is not None:
        shown = (*shown, "train.epochs")  # which it overrides
    others = [path for path in named if path not in shown and value_at(resolved, path) not in (None, 0)]
    return " ".join([*parts, *(_named(path, value_at(resolved, path)) for path in others)])


def _named(path: str, value: Scalar) -> str:
    last = path.rpartition(".")[2]
    if path == WORKERS:
        return f"w{value}"
    if path in ("model.attention", "train.optimizer", "model.dtype"):
        return str(value)
    if path == "train.learning_rate":
        return f"lr {value}"
    return f"+{last}" if value is True else f"{last} {value}"
