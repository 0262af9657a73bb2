"""Chat templates in the styles of well-known models, and small tokenizers of every kind that models have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast


@dataclass(frozen=True)
class Style:
    """A template and the tokens that its model's tokenizer has for it."""

    template: str
    special: tuple[str, ...] = ()
    eos: str = "</s>"


def _style(template: str, *special: str, eos: str = "</s>") -> Style:
    """Line ends and what stands before a line are there for the reader."""
    return Style("".join(line.strip() for line in template.splitlines()), special, eos)


STYLES = {
    "chatml": _style(
        r"""{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
        "<|im_start|>", "<|im_end|>", eos="<|im_end|>",
    ),
    "llama-2": _style(
        r"""{% if messages[0].role == 'system' %}
        {% set lead = '<<SYS>>\n' + messages[0].content + '\n<</SYS>>\n\n' %}{% set rest = messages[1:] %}
        {% else %}{% set lead = '' %}{% set rest = messages %}{% endif %}
        {% for m in rest %}
        {% if m.role == 'user' %}
        {{ bos_token + '[INST] ' + (lead if loop.first else '') + m.content.strip() + ' [/INST]' }}
        {% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}""",
    ),
    "llama-3": _style(
        r"""{{ bos_token }}{% for m in messages %}
        {{ '<|start_header_id|>' + m.role + '<|end_header_id|>\n\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}
        {% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}""",
        "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>",
    ),
    "mistral": _style(
        r"""{{ bos_token }}{% for m in messages %}
        {% if (m.role == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('roles must alternate') }}{% endif %}
        {% if m.role == 'user' %}{{ '[INST] ' + m.content + '[/INST]' }}
        {% else %}{{ ' ' + m.content + eos_token }}{% endif %}{% endfor %}""",
        "[INST]", "[/INST]",
    ),
    "gemma": _style(
        r"""{{ bos_token }}
        {% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}
        {% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}
        {{ '<start_of_turn>' + role + '\n' + m.content | trim + '<end_of_turn>\n' }}{% endfor %}
        {% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}""",
        "<start_of_turn>", "<end_of_turn>",
    ),
    "phi": _style(
        r"""{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + '<|end|>\n' }}{% endfor %}
        {% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% else %}{{ eos_token }}{% endif %}""",
        "<|user|>", "<|assistant|>", "<|system|>", "<|end|>",
    ),
    "qwen-reasoning": _style(
        r"""{% set ns = namespace(last=0) %}
        {% for m in messages %}{% if m.role == 'user' %}{% set ns.last = loop.index0 %}{% endif %}{% endfor %}
        {% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}
        {% if m.role == 'assistant' and loop.index0 > ns.last %}
        {{ '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' }}{% endif %}
        {{ m.content + '<|im_end|>\n' }}{% endfor %}
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
        "<|im_start|>", "<|im_end|>", eos="<|im_end|>",
    ),
    "harmony": _style(
        r"""{% for m in messages %}{% if m.role == 'assistant' %}
        {{ '<|start|>assistant<|channel|>final<|message|>' + m.content }}
        {{ '<|return|>' if loop.last and not add_generation_prompt else '<|end|>' }}
        {% else %}{{ '<|start|>' + m.role + '<|message|>' + m.content + '<|end|>' }}{% endif %}{% endfor %}
        {% if add_generation_prompt %}{{ '<|start|>assistant' }}{% endif %}""",
        "<|start|>", "<|channel|>", "<|message|>", "<|end|>", "<|return|>", eos="<|return|>",
    ),
    "tool-calls": _style(
        r"""{% if tools %}{{ '<|im_start|>system\n<tools>' + tools | tojson + '</tools><|im_end|>\n' }}{% endif %}
        {% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content }}
        {% for c in m.tool_calls or [] %}{{ '<tool_call>\n' + c.function | tojson + '\n</tool_call>' }}{% endfor %}
        {{ '<|im_end|>\n' }}{% endfor %}
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
        "<|im_start|>", "<|im_end|>", "<tool_call>", "</tool_call>", eos="<|im_end|>",
    ),
    "markers": _style(
        r"""{% for m in messages %}{% if m.role == 'assistant' %}{{ '<|im_start|>assistant\n' }}
        {% generation %}{{ m.content + '<|im_end|>' }}{% endgeneration %}{{ '\n' }}
        {% else %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endif %}{% endfor %}
        {% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}""",
        "<|im_start|>", "<|im_end|>", eos="<|im_end|>",
    ),
    "zephyr": _style(
        r"""{% for m in messages %}{{ '<|' + m.role + '|>\n' + m.content + eos_token + '\n' }}{% endfor %}
        {% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}""",
    ),
    "trap": _style(
        r"""{{ bos_token }}{% for m in messages %}{% if m.role == 'assistant' %}
        {{ '<turn>assistant\n' + ('<seal>' if loop.last else '') }}
        {{ '<answer> ' + m.content | trim + ' </answer>\n<close>' }}
        {% else %}{{ '<turn>' + m.role + '\n' + m.content + '<close>' }}{% endif %}{% endfor %}
        {% if add_generation_prompt %}{{ '<turn>assistant\n' }}{% else %}{{ eos_token }}{% endif %}""",
        "<turn>", "<seal>", "<close>",
    ),
}  # fmt: skip
"""The last opens answers with a special token that it writes on the last turn alone, puts them between tags, trims
them and closes the conversation, and not the turn, with the end-of-sequence token."""

BOS, EOS, PAD, UNK = "<s>", "</s>", "<pad>", "<unk>"
CORPUS = [
    "The sum of 2 and 3 is 5, isn't it? Yes: the answer is 5.", "user assistant system tool model final answer",
    "What is the capital of France?\nIt is Paris.\n\nAnd of Norway?\nIt is Oslo.", "naïve café déjà vu",
    "abcdefghijklmnopqrstuvwxyz0123456789 9876543210zyxwvutsrqponmlkjihgfedcba",
    "number one two three four five six seven eight nine ten eleven twelve 0 1 2 3 4 5 6 7 8 9",
]  # fmt: skip
SPECIAL = [UNK, BOS, EOS, PAD]


def _letters() -> list[str]:
    return [chr(code) for code in range(33, 127)] + ["\n", "▁"]


def _byte_level() -> Tokenizer:
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=SPECIAL, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )  # fmt: skip
    made.train_from_iterator(CORPUS * 20, trainer)
    return made


def _metaspace(scheme: Any) -> Callable[[], Tokenizer]:
    def make() -> Tokenizer:
        made = Tokenizer(models.BPE(unk_token=UNK))
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme)
        made.decoder = decoders.Metaspace(prepend_scheme=scheme)
        trainer = trainers.BpeTrainer(
            vocab_size=300, special_tokens=SPECIAL, show_progress=False, initial_alphabet=_letters()
        )
        made.train_from_iterator(CORPUS * 20, trainer)
        return made

    return make


def _prepend() -> Tokenizer:
    """As Llama-2's: no pre-tokenizer, a normalizer that opens every text with a mark, newlines apart."""
    made = Tokenizer(models.BPE(unk_token=UNK))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split("\n", "isolated"), pre_tokenizers.Split("▁", "merged_with_next")]
    )
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=SPECIAL, show_progress=False, initial_alphabet=_letters()
    )
    made.train_from_iterator(CORPUS * 20, trainer)
    return made


def _word_piece() -> Tokenizer:
    made = Tokenizer(models.WordPiece(unk_token=UNK))
    made.normalizer = normalizers.BertNormalizer(lowercase=False)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    trainer = trainers.WordPieceTrainer(
        vocab_size=320, special_tokens=SPECIAL, show_progress=False, initial_alphabet=_letters()
    )
    made.train_from_iterator(CORPUS * 20, trainer)
    return made


def _unigram() -> Tokenizer:
    """Its segmentation of a word depends on the whole of it, so that a prompt and its answer can grow together."""
    made = Tokenizer(models.Unigram())
    made.pre_tokenizer = pre_tokenizers.Metaspace()
    made.decoder = decoders.Metaspace()
    trainer = trainers.UnigramTrainer(
        vocab_size=260, special_tokens=SPECIAL, unk_token=UNK, show_progress=False, initial_alphabet=_letters()
    )
    made.train_from_iterator(CORPUS * 20, trainer)
    return made


KINDS: dict[str, Callable[[], Tokenizer]] = {
    "byte-level": _byte_level, "metaspace-first": _metaspace("first"), "metaspace-always": _metaspace("always"),
    "prepend": _prepend, "word-piece": _word_piece, "unigram": _unigram,
}  # fmt: skip


def dressed(backend: Tokenizer, style: Style, *, known: bool = True) -> Any:
    """A tokenizer with a style's template; where its marks are not `known` they are text like any other."""
    copy = Tokenizer.from_str(backend.to_str())
    copy.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in style.special if known])
    eos = style.eos if known else EOS
    tokenizer: Any = PreTrainedTokenizerFast(
        tokenizer_object=copy, bos_token=BOS, eos_token=eos, pad_token=PAD, unk_token=UNK,
        additional_special_tokens=list(style.special) if known else [],
    )  # fmt: skip
    tokenizer.chat_template = style.template
    return tokenizer


@cache
def backend(kind: str) -> Tokenizer:
    """The tokenizer of a kind, trained once."""
    return KINDS[kind]()


def chat(style: str | Style, kind: str = "byte-level") -> Any:
    """A style's tokenizer of a kind."""
    return dressed(backend(kind), STYLES[style] if isinstance(style, str) else style)


def talks() -> Iterator[list[dict[str, Any]]]:
    """Conversations that every style takes, with what trips a piecewise tokenization."""
    pairs = [
        ("The sum of 2 and 3?", "The sum is 5"),
        ("and 4?", " The sum is 9. "),
        ("why", "\nnaïve café\n\n- a\n- b"),
    ]
    turns = [
        [{"role": "user", "content": ask}, {"role": "assistant", "content": tell, "reasoning_content": "so"}]
        for ask, tell in pairs
    ]
    yield turns[0]
    yield turns[0] + turns[1]
    yield turns[2] + turns[1] + turns[0]
    yield turns[1] + turns[2]
