"""Models with random weights, from the fields of a config; needs no download."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase
from transformers import PreTrainedTokenizerFast as FastTokenizer
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

from speedtui.engine.config.paths import nearest
from speedtui.engine.config.settings import ModelSettings
from speedtui.engine.errors import ModelError
from speedtui.engine.workload.base import Report
from speedtui.engine.workload.cache import cache_folder, key_of, replacing, touch
from speedtui.engine.workload.data import DataTable
from speedtui.engine.workload.messages import Conversation
from speedtui.engine.workload.pretrained import (
    DTYPES,
    auto_model,
    clear_errors,
    implementation,
    place,
    quantizing,
)
from speedtui.engine.workload.quantized import freeze, require_quantizable

DEFAULT_VOCABULARY = 4096
"""Tokens of a tokenizer trained on the data: small enough to train in seconds, large enough for words."""

TRAINING_ROWS = 20_000
"""Rows a tokenizer is trained on; more change a small vocabulary little and take minutes."""

TRAINING_CHARACTERS = 50_000_000
"""As many rows of books would take hours, and change as little."""

LONGEST_WORD = 256
"""Characters of a run without a space that are taken for one word in training, whose time grows with the square of a
word's length: a picture in base64 is megabytes of one."""

RUN_CHARACTERS = 1_000_000
"""Of what goes on after the beginning of such runs: each piece is a word of its own, and millions take minutes."""

VERSION = 1
"""Counts changes in how a tokenizer is trained."""

_TOO_LONG = re.compile(rf"\S{{{LONGEST_WORD}}}(?=\S)|\s{{{LONGEST_WORD}}}(?=\s)")

EOS, PAD, TURN, END_OF_TURN = "<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
"""ChatML, the commonest layout of conversations."""


def build_architecture(
    settings: ModelSettings, tokenizer: PreTrainedTokenizerBase, device: torch.device, seed: int
) -> PreTrainedModel:
    """`settings.architecture` with random weights, the same for the same seed; the vocabulary fits the tokenizer.

    Raises:
        ModelError: an unknown model_type, fields that do not fit together, attention not available, weights that
            cannot be quantized.
    """
    fields: dict[str, Any] = {"vocab_size": len(tokenizer), **special_ids(tokenizer)}
    if settings.kind == "seq2seq":  # T5's own choice; BART's default names a token of its own vocabulary
        fields["decoder_start_token_id"] = tokenizer.pad_token_id
    config = architecture_config(settings, fields)
    name = f"model.architecture {config.model_type}"
    with clear_errors(name, settings):
        require_quantizable(settings, config)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = auto_model(settings).from_config(
                config, dtype=DTYPES[settings.dtype], attn_implementation=implementation(settings.attention)
            )
        if settings.quantize == "none":
            return place(model, device)
        quantized = type(model).from_pretrained(  # which alone quantizes, and takes weights from memory too
            None, config=model.config, state_dict=model.state_dict(), dtype=DTYPES[settings.dtype],
            attn_implementation=implementation(settings.attention), **quantizing(settings, config, device),
        )  # fmt: skip
    quantized.name_or_path = quantized.config.name_or_path = model.name_or_path  # it is of no folder, and not of "None"
    frozen: PreTrainedModel = freeze(quantized, name).train()
    return frozen


def special_ids(tokenizer: PreTrainedTokenizerBase) -> dict[str, int | None]:
    """The config's ids of special tokens, as the tokenizer has them."""
    return {
        "bos_token_id": tokenizer.bos_token_id,
        "eos_token_id": tokenizer.eos_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }


def architecture_config(settings: ModelSettings, defaults: Mapping[str, Any]) -> PreTrainedConfig:
    """The config of `settings.architecture`; `defaults`: fields that it need not name.

    Raises:
        ModelError: an unknown model_type, fields that its config does not have, or that do not fit together.
    """
    written = dict(settings.architecture or {})
    model_type = _known_model_type(written.pop("model_type"))
    with clear_errors(f"model.architecture {model_type}", settings):
        config: PreTrainedConfig = CONFIG_MAPPING[model_type](**{**defaults, **written})
        _refuse_unknown(config, written, "model.architecture")
    return config


def _refuse_unknown(config: PreTrainedConfig, written: Mapping[str, Any], path: str) -> None:
    """transformers keeps whatever it is given as an attribute that no model ever reads.

    What it renames or takes for something else, as older configs have it, leaves no attribute of that name.

    Raises:
        ModelError: with the nearest name.
    """
    default = type(config)()
    for key, value in written.items():
        if key in vars(config) and not hasattr(default, key) and not _reads(config, key):
            known = [name for name in {**vars(default), **default.attribute_map} if not name.startswith("_")]
            raise ModelError(
                f"{path}.{key} is not a setting of {config.model_type}{nearest(key, known)}",
                "Correct it or leave it out: the model would be made without it.",
            )
        inner = getattr(config, key, None)
        if isinstance(value, Mapping) and isinstance(inner, PreTrainedConfig):
            _refuse_unknown(inner, value, f"{path}.{key}")


def _reads(config: PreTrainedConfig, key: str) -> bool:
    """Whether the model's code asks for it though its config does not declare it, as many do for `head_dim`."""
    asked = re.compile(rf"""config(\.|, ["']){re.escape(key)}\b""")
    files = Path(inspect.getfile(type(config))).parent.glob("modeling_*.py")
    return any(asked.search(file.read_text(encoding="utf-8")) for file in files)


def _known_model_type(model_type: Any) -> str:
    known = list(CONFIG_MAPPING.keys())
    if model_type in known:
        return str(model_type)
    close = difflib.get_close_matches(str(model_type), known, n=1)
    raise ModelError(
        f"model.architecture: unknown model_type {model_type!r}" + (f"; did you mean {close[0]}?" if close else ""),
        'Take a model_type that transformers has, such as "llama" or "qwen2".',
    )


def tokenizer_for(table: DataTable, vocabulary: int, report: Report) -> PreTrainedTokenizerBase:
    """A byte-level BPE tokenizer trained on the table's texts, from the cache where it was trained before.

    Raises:
        DataError: the data is not what the configuration says.
    """
    key = key_of([VERSION, table.identity(), vocabulary])
    path = cache_folder("tokenizers") / f"{key}.json"
    kept = _read_tokenizer(path)
    if kept is None:
        report("training a tokenizer", 0, None)
        kept = train_tokenizer(_texts(table), vocabulary)
        _keep(kept, path)
    return wrap_tokenizer(kept)


def _read_tokenizer(path: Path) -> Tokenizer | None:
    """None where there is none, or it is damaged."""
    try:
        tokenizer = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception:  # the library raises bare Exception for what it cannot read
        return None
    touch(path)
    return tokenizer


def _keep(tokenizer: Tokenizer, path: Path) -> None:
    try:
        with replacing(path) as file:
            file.write(tokenizer.to_str().encode())
    except OSError:
        return


def _texts(table: DataTable) -> Iterator[str]:
    for _, content in islice(table.contents(), TRAINING_ROWS):
        yield from (
            (message["content"] for message in content.messages)
            if isinstance(content, Conversation)
            else (content or ())
        )


def train_tokenizer(texts: Iterator[str], vocabulary: int) -> Tokenizer:
    """Byte-level BPE with at most `vocabulary` tokens, at least the 256 bytes and the special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=[EOS, PAD, TURN, END_OF_TURN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_bounded(texts), trainer)
    return tokenizer


def _bounded(texts: Iterator[str]) -> Iterator[str]:
    """The texts as far as they are trained on, cut within words that are too long and nowhere else."""
    left, runs = TRAINING_CHARACTERS, RUN_CHARACTERS
    for text in texts:
        start = 0
        for run in _TOO_LONG.finditer(text[:left]):
            goes_on = start > 0 and run.start() == start
            runs -= LONGEST_WORD * goes_on
            if runs > 0 or not goes_on:
                yield text[start : run.end()]
            start = run.end()
        yield text[start:left]
        left -= len(text)
        if left <= 0:
            return


def wrap_tokenizer(tokenizer: Tokenizer) -> PreTrainedTokenizerBase:
    """As transformers knows it: with its special tokens and a chat template."""
    wrapped: PreTrainedTokenizerBase = FastTokenizer(  # type: ignore[no-untyped-call]  # transformers leaves it bare
        tokenizer_object=tokenizer, eos_token=EOS, pad_token=PAD, additional_special_tokens=[TURN, END_OF_TURN]
    )
    wrapped.chat_template = CHAT_TEMPLATE
    return wrapped
