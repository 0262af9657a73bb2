"""Which implementation of attention a model is run with where the settings leave it open."""

from __future__ import annotations

from typing import Any

import msgspec
from transformers import AutoConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from speedtui.engine.config.settings import Attention, ModelSettings, Settings
from speedtui.engine.workload.pretrained import auto_model


def with_own_attention(settings: Settings) -> Settings:
    """With `model.attention` "auto" replaced by what the model is run with, where that can be told before it is loaded.

    It cannot for a recipe, a model of the hub that is not here yet, or one of the user's own code.
    """
    model = settings.model
    own = own_attention(model) if model.attention == "auto" else None
    if own is None:
        return settings
    return msgspec.structs.replace(settings, model=msgspec.structs.replace(model, attention=own))


def own_attention(model: ModelSettings) -> Attention | None:
    """sdpa where the model's class supports it, else eager; None where that cannot be told."""
    if model.kind == "python":
        return None
    try:
        built = auto_model(model)._model_mapping[type(_config(model))]
    except Exception:  # whatever is wrong with the model is said when it is loaded
        return None
    return "sdpa" if getattr(built, "_supports_sdpa", False) else "eager"


def _config(model: ModelSettings) -> Any:
    if model.architecture:
        return CONFIG_MAPPING[model.architecture["model_type"]]()
    # not left open: of a folder with code of its own transformers would ask on the terminal, and wait for an answer
    return AutoConfig.from_pretrained(model.path or "", local_files_only=True, trust_remote_code=False)
