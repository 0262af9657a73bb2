"""The packages that training needs, looked at by their metadata: nothing is imported."""

from __future__ import annotations

import importlib.util
import re
from importlib import metadata

from speedtui.engine.config.settings import ModelSettings
from speedtui.engine.errors import UsageError

NEEDED = ("torch", "transformers", "peft", "accelerate", "datasets")
OLDEST = {"transformers": "5.3"}
"""Versions without which figures would be wrong, as pyproject.toml asks for them. transformers: clipping has a method
of its own, `_clip_grad_norm`, from 5.3 on; before that the optimizer's time would be told as another phase's."""


LIGER = "liger_kernel"
OLDEST_BITSANDBYTES = "0.49"
"""Before it, memory cannot be predicted: 4-bit kernels end the process where a layer has no weights."""


def require_training_packages(model: ModelSettings | None = None) -> None:
    """Refuses to go on without what training needs, and what this model needs besides.

    Raises:
        UsageError: naming the package that is missing or too old.
    """
    for package in NEEDED:
        if importlib.util.find_spec(package) is None:
            raise UsageError(f"{package} is not installed", "pip install 'speedtui[train]'")
    for package, oldest in OLDEST.items():
        found = installed(package)
        if found is not None and numbers(found) < numbers(oldest):
            raise UsageError(
                f"{package} {found} is too old: speedtui needs {oldest} or newer", f"pip install '{package}>={oldest}'"
            )
    if model is not None and model.quantize != "none":
        _require_bitsandbytes(model.quantize)


def _require_bitsandbytes(quantize: str) -> None:
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UsageError(
            f'model.quantize "{quantize}": bitsandbytes is not installed', "pip install 'speedtui[quantize]'"
        )
    found = installed("bitsandbytes")
    if found is not None and numbers(found) < numbers(OLDEST_BITSANDBYTES):
        raise UsageError(
            f"bitsandbytes {found} is too old: model.quantize needs {OLDEST_BITSANDBYTES} or newer",
            f"pip install 'bitsandbytes>={OLDEST_BITSANDBYTES}'",
        )


def require_liger_package() -> None:
    """Refuses `train.liger` without the package whose kernels it is.

    Raises:
        UsageError: it is not installed.
    """
    if importlib.util.find_spec(LIGER) is None:
        raise UsageError("train.liger needs liger-kernel, which is not installed", "pip install 'speedtui[liger]'")


def installed(package: str) -> str | None:
    """The version of a package; None where nothing says it."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def numbers(version: str) -> tuple[int, ...]:
    """(2, 13, 0) of `2.13.0+cpu`; what follows the numbers does not matter here."""
    match = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in match[0].split(".")) if match else ()
