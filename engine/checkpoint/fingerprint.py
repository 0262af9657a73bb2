"""What tells one trained model's checkpoints from another's."""

from __future__ import annotations

import hashlib

from torch import nn

COMPILED = "_orig_mod."
"""What torch.compile puts before the names of a model's parameters."""
DIGITS = 16
"""Of a SHA-256: 64 bits keep any number of models apart that one folder will see."""


def model_fingerprint(model: nn.Module) -> str:
    """A short hash of the parameters' names, shapes and dtypes, and of which are trainable.

    No weight is read, so that it is the same all through a training, and on any device. Of a bias beside a quantized
    weight the dtype is left out: bitsandbytes makes it that of whatever the layer was given last.
    """
    parameters = dict(model.named_parameters())
    lines = sorted(
        f"{name.replace(COMPILED, '')} {tuple(parameter.shape)} {_dtype(name, parameters)} {parameter.requires_grad}"
        for name, parameter in parameters.items()
    )
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:DIGITS]


def _dtype(name: str, parameters: dict[str, nn.Parameter]) -> str:
    weight = parameters.get(f"{name.removesuffix('.bias')}.weight") if name.endswith(".bias") else None
    return str(parameters[name].dtype) if weight is None or weight.is_floating_point() else "any"
