"""A loaded model made ready as a candidate wants it, and put back afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from speedtui.engine.config.settings import Settings
from speedtui.engine.workload.base import Workload
from speedtui.engine.workload.guard import Fingerprint, Snapshot
from speedtui.engine.workload.model import attach_lora, detach_lora, set_attention, set_gradient_checkpointing
from speedtui.engine.workload.precision import require_trainable


def make_trainable(model: nn.Module, settings: Settings) -> nn.Module:
    """The model as it is trained: attention, adapter and gradient checkpointing as the settings say.

    Raises:
        ConfigError: the model cannot do one of them, or its weights cannot be trained in their precision.
    """
    set_attention(model, settings.model.attention)
    trained: nn.Module = attach_lora(model, settings.train.lora) if settings.train.method == "lora" else model
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
    return detach_lora(trained) if settings.train.method == "lora" else trained  # type: ignore[arg-type]


class StateGuard:
    """Puts a model back after each trial and proves it."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self.unchanged: bool | None = None
        """What the last trial's check found."""

    def forget(self) -> None:
        """Another model was loaded."""
        self._snapshot = None

    @contextmanager
    def trial(self, workload: Workload, settings: Settings) -> Iterator[nn.Module]:
        """The trainable model for one trial."""
        model = workload.model
        if settings.train.method == "full" and self._snapshot is None:
            self._snapshot = Snapshot(model)
        before = Fingerprint(model)
        trained = make_trainable(model, settings)
        try:
            yield trained
        finally:
            base = restore_base(trained, settings)
            if settings.train.method == "full" and self._snapshot is not None:
                self._snapshot.restore(base)
            self.unchanged = not before.changed(base)
