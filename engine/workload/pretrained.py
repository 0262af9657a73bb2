"""Models and tokenizers from a folder or the hub."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoTokenizer,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.models.auto.modeling_auto import MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING

from speedtui.engine.clean import clean
from speedtui.engine.config.settings import Attention, ModelSettings
from speedtui.engine.errors import ModelError
from speedtui.engine.files import as_without_us
from speedtui.engine.workload.failures import is_the_devices
from speedtui.engine.workload.hub import check_source, require_model_in
from speedtui.engine.workload.quantized import freeze, quantization, require_quantizable

FLASH_PACKAGES = {"flash_attention_2": "flash-attn", "flash_attention_3": "flash-attn-3"}
"""By the attention that is asked for: the distribution it is from."""
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def implementation(attention: Attention) -> str | None:
    """What transformers is asked for; None has it take sdpa where the model supports it, else eager."""
    return None if attention == "auto" else attention


def auto_model(settings: ModelSettings) -> Any:
    """The class of transformers that makes a model of this kind."""
    return AutoModelForSeq2SeqLM if settings.kind == "seq2seq" else AutoModelForCausalLM


def require_kind(settings: ModelSettings) -> None:
    """Refuses an encoder-decoder under kind "causal-lm", and what is none under "seq2seq", before anything is slow.

    transformers would load the decoder of a BART alone as a causal language model, without a word.

    Raises:
        ModelError: it is of the other kind, or its config cannot be read.
    """
    config = _config(settings)
    key = "model.architecture" if settings.architecture else f"model.path {Path(settings.path or '').name}"
    if settings.kind == "causal-lm" and getattr(config, "is_encoder_decoder", False):
        raise ModelError(
            f'{key}: {config.model_type} is an encoder-decoder, which model.kind "causal-lm" cannot train',
            'Set model.kind = "seq2seq" and name the columns data.prompt and data.response.',
        )
    own_code = "AutoModelForSeq2SeqLM" in (getattr(config, "auto_map", None) or {})
    if settings.kind == "seq2seq" and not own_code and type(config) not in MODEL_FOR_SEQ_TO_SEQ_CAUSAL_LM_MAPPING:
        raise ModelError(
            f'{key}: {config.model_type} is no encoder-decoder for text, which model.kind "seq2seq" trains',
            'Set model.kind = "causal-lm" for a decoder alone, or take a model such as T5 or BART.',
        )


def _config(settings: ModelSettings) -> Any:
    if settings.architecture:
        return CONFIG_MAPPING[settings.architecture["model_type"]]()
    path = settings.path or ""
    local = check_source(path, "model.path")
    if Path(path).is_dir():
        require_model_in(Path(path))
    with clear_errors(path, settings), as_without_us():
        return AutoConfig.from_pretrained(path, trust_remote_code=settings.trust_remote_code, local_files_only=local)


def complete_config(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Gives an encoder-decoder the ids it shifts its labels with, where its config lacks them.

    Raises:
        ModelError: neither it nor the tokenizer has a pad token.
    """
    config: Any = model.config
    if getattr(config, "pad_token_id", None) is None:
        config.pad_token_id = tokenizer.pad_token_id
    if getattr(config, "decoder_start_token_id", None) is None:
        config.decoder_start_token_id = config.pad_token_id  # as T5 does
    if config.decoder_start_token_id is None or config.pad_token_id is None:
        raise ModelError(
            f"{name}: neither the model nor the tokenizer has a pad token, which an encoder-decoder begins with",
            "Take a tokenizer with a pad token (model.tokenizer), or set pad_token_id in the model's config.json.",
        )


def load_pretrained(settings: ModelSettings, device: torch.device) -> PreTrainedModel:
    """`settings.path` through `from_pretrained`, on the device, in training mode; quantized where that is asked for.

    Raises:
        ModelError: no such folder or hub id, not a model of this kind, broken files, attention not available, weights
            that cannot be quantized.
    """
    path = settings.path or ""
    config = _config(settings)
    require_quantizable(settings, config)
    local = check_source(path, "model.path")
    with clear_errors(path, settings), as_without_us():
        model = auto_model(settings).from_pretrained(
            path,
            dtype=DTYPES[settings.dtype],
            attn_implementation=implementation(settings.attention),
            trust_remote_code=settings.trust_remote_code,
            local_files_only=local,
            **quantizing(settings, config, device),
        )
    return freeze(model, path).train() if settings.quantize != "none" else place(model, device)


def quantizing(settings: ModelSettings, config: Any, device: torch.device) -> dict[str, Any]:
    """The arguments that have `from_pretrained` quantize, on the device, where the weights then stay."""
    wanted = quantization(settings, config)
    if wanted is None:
        return {}
    stored = getattr(config, "quantization_config", None) is not None
    return {"device_map": {"": device}} if stored else {"device_map": {"": device}, "quantization_config": wanted}


def place(model: Any, device: torch.device) -> PreTrainedModel:
    """The model on the device, in training mode."""
    placed: PreTrainedModel = model.to(device).train()
    return placed


def load_tokenizer(settings: ModelSettings) -> PreTrainedTokenizerBase:
    """The tokenizer of `settings.tokenizer`, by default of `settings.path`, with a pad token.

    Raises:
        ModelError: there is none, or it cannot be read.
    """
    key = "model.tokenizer" if settings.tokenizer else "model.path"
    path = settings.tokenizer or settings.path or ""
    local = check_source(path, key)
    try:
        with as_without_us():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                path, trust_remote_code=settings.trust_remote_code, local_files_only=local
            )
    except Exception as error:  # the tokenizer libraries raise what they like, bare Exception included
        absent = "instantiate the backend tokenizer" in str(error)  # ten lines on where it has looked
        raise ModelError(
            f"{path}: no tokenizer that can be loaded: {'it holds none' if absent else _first_line(error)}",
            "Set model.tokenizer to a folder or hub id that has one.",
        ) from error
    with_pad_token(tokenizer)
    return tokenizer


def with_pad_token(tokenizer: PreTrainedTokenizerBase) -> None:
    """Pads with the end-of-sequence token where there is no other: padding is masked and not learned."""
    if tokenizer.pad_token_id is None and tokenizer.eos_token_id is not None:
        tokenizer.pad_token = tokenizer.eos_token


def check_vocabulary(model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, name: str) -> None:
    """Refuses a tokenizer with ids the model has no embedding for; on a GPU they would poison the device.

    Raises:
        ModelError: naming both sizes.
    """
    embeddings: Any = model.get_input_embeddings()
    rows = int(embeddings.num_embeddings)
    if rows < len(tokenizer):
        raise ModelError(
            f"{name}: the model knows {rows} tokens (vocab_size), the tokenizer has {len(tokenizer)}",
            "Take the tokenizer that belongs to the model, or set vocab_size in model.architecture.",
        )


@contextlib.contextmanager
def clear_errors(name: str, settings: ModelSettings) -> Iterator[None]:
    """Turns what transformers raises while it builds a model into one line.

    Raises:
        ModelError: with the original as its cause. A failure of the device is passed on as it is.
    """
    try:
        yield
    except ModelError:
        raise
    except ImportError as error:
        raise ModelError(f"{name}: {_missing_package(error, settings)}", _attention_hint(settings, error)) from error
    except Exception as error:
        if is_the_devices(error):
            raise
        raise ModelError(f"{name}: cannot be loaded: {_first_line(error)}", _attention_hint(settings, error)) from error


def _missing_package(error: ImportError, settings: ModelSettings) -> str:
    return flash_missing(settings.attention, error) or f"cannot be loaded: {_first_line(error)}"


def flash_missing(attention: str, error: Exception) -> str:
    """Why a flash attention cannot be had, in words; empty where the error is of something else."""
    package = FLASH_PACKAGES.get(attention)
    if package is None or not isinstance(error, ImportError) or "lash" not in str(error):
        return ""
    if "seem to be installed" in str(error):
        return f"model.attention {attention} needs the package {package}, which is not installed"
    return f"model.attention {attention} cannot be had here: {_reason(error)}"


def _reason(error: Exception) -> str:
    """Without the sentence in front that says that something is wrong."""
    return _first_line(error).rpartition("following error:")[2].strip()


def _attention_hint(settings: ModelSettings, error: Exception) -> str:
    text = str(error).lower()
    if "flash" in text:
        package = FLASH_PACKAGES.get(settings.attention, "flash-attn")
        return f'Set model.attention = "auto", or install {package} where there is a GPU for it.'
    if "scaled_dot_product_attention" in text or "attention implementation" in text:
        return 'Set model.attention = "auto", which takes what the model supports, or "eager".'
    if "trust_remote_code" in text:
        return "Set model.trust_remote_code = true if you trust the code in that repository."
    return "See worker.log for the whole error."


def _first_line(error: Exception) -> str:
    """Or the first two, where the first only announces the second."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    if not lines:
        return type(error).__name__
    shown = " ".join(lines[:2]) if lines[0].endswith(":") else lines[0]
    return f"{clean(shown, 300)}"
