"""A loaded model made ready as a candidate wants it, and put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from speedtui.engine.config.settings import Settings
from speedtui.engine.output import warn_traceback
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.failures import kind_and_first_line
from speedtui.engine.workload.float32 import float32_precision
from speedtui.engine.workload.liger import apply_liger, remove_liger
from speedtui.engine.workload.model import attach_lora, detach_lora, set_attention, set_gradient_checkpointing
from speedtui.engine.workload.precision import require_trainable
from speedtui.engine.workload.quantized import set_compute_dtype
from speedtui.engine.workload.weights_guard import Fingerprint, Snapshot


def make_trainable(model: nn.Module, settings: Settings) -> nn.Module:
    """The model as it is trained: attention, kernels, adapter and gradient checkpointing as the settings say.

    Raises:
        ConfigError: the model cannot do one of them, or its weights cannot be trained in their precision.
    """
    set_attention(model, settings.model.attention)
    set_compute_dtype(model, settings)
    if settings.train.liger:
        apply_liger(model)
    try:
        trained: nn.Module = attach_lora(model, settings.train.lora) if settings.train.method == "lora" else model
    except BaseException:
        remove_liger(model)
        raise
    try:
        require_trainable(trained, settings)
        set_gradient_checkpointing(trained, settings.train.gradient_checkpointing)
    except BaseException:
        restore_base(trained, settings)
        raise
    return trained


def restore_base(trained: nn.Module, settings: Settings) -> nn.Module:
    """Undoes `make_trainable`; the weights of a full fine-tuning stay as they were trained."""
    set_gradient_checkpointing(trained, False)
    base = detach_lora(trained) if settings.train.method == "lora" else trained  # type: ignore[arg-type]
    remove_liger(base)
    return base


class StateGuard:
    """Puts a model, and how the process multiplies float32, back after each trial, and proves it of the model."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._snapshot: Snapshot | None = None
        self.unchanged: bool | None = None
        """What the last trial's check found; None where there was none."""
        self.lost = ""
        """Why the model could not be put back after the last trial; empty where it was."""

    def forget(self) -> None:
        """Another model was loaded."""
        self._snapshot = None

    def begin(self) -> None:
        """Another trial begins: nothing is known of it."""
        self.unchanged, self.lost = None, ""

    @contextmanager
    def trial(self, workload: Workload, settings: Settings) -> Iterator[nn.Module]:
        """The trainable model for one trial.

        That it cannot be put back afterwards raises nothing: what happened in the trial comes first. See `lost`.
        """
        model = workload.model
        self.begin()
        if settings.train.method == "full" and self._snapshot is None:
            self._snapshot = Snapshot(model)
        before = Fingerprint(model)
        trained = make_trainable(model, settings)
        try:
            with float32_precision(self._device, tf32=settings.train.tf32):
                yield trained
        finally:
            self._put_back(trained, settings, before)

    def _put_back(self, trained: nn.Module, settings: Settings, before: Fingerprint) -> None:
        try:
            base = restore_base(trained, settings)
            if settings.train.method == "full" and self._snapshot is not None:
                self._snapshot.restore(base)
            self.unchanged = not before.changed(base)
        except Exception as error:
            warn_traceback(error)
            self.lost = f"the model could not be put back: {kind_and_first_line(error)}"
