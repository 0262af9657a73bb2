"""Tokenizers without offsets, what names a file of tokens, and what a cut leaves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from transformers import ByT5Tokenizer

from speedtui.engine.config.settings import DataSettings
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.data import table_of
from speedtui.engine.workload.pairs import tokenize_pairs
from speedtui.engine.workload.token_store import TokenDataset
from speedtui.engine.workload.tokenize import tokenize
from tests.engine.workload.chats import STYLES, Style, chat, talks
from tests.engine.workload.conftest import WriteRows

MESSAGES, PAIR = DataSettings(messages="m"), DataSettings(prompt="q", response="a")
ASK, TELL = {"role": "user", "content": "why"}, {"role": "assistant", "content": "because"}
SYSTEM = {"role": "system", "content": "Be brief."}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def made(path: Path, data: DataSettings, tokenizer: Any, max_length: int = 512) -> TokenDataset:
    return tokenize(table_of(str(path), data), tokenizer, max_length, silent)


@pytest.mark.parametrize("style", ["chatml", "phi", "llama-2", "harmony", "qwen-reasoning", "trap"])
def test_a_tokenizer_that_tells_no_offsets_gives_the_same(write_rows: WriteRows, style: str) -> None:
    tokenizer: Any = ByT5Tokenizer(
        extra_ids=0, additional_special_tokens=[*STYLES[style].special, "<s>"], bos_token="<s>"
    )
    tokenizer.chat_template = STYLES[style].template
    rows = list(talks())
    dataset = made(write_rows("t.jsonl", [{"m": messages} for messages in rows]), MESSAGES, tokenizer, 4096)
    spans = 0
    for index in range(len(dataset)):
        ids, labels = dataset[index]["input_ids"].tolist(), dataset[index]["labels"].tolist()
        messages = rows[dataset.numbers[index]]
        starts = [at for at in range(1, len(ids)) if labels[at] >= 0 > labels[at - 1]]
        prompts = [
            tokenizer.apply_chat_template(messages[:place], add_generation_prompt=True, return_dict=False)
            for place in range(1, len(messages), 2)
        ]
        assert all(ids[:start] in prompts for start in starts)
        spans += len(starts)
    assert spans == 8


def test_all_that_decides_tokens_names_the_file_in_the_cache(write_rows: WriteRows, own_cache: Path) -> None:
    path = write_rows("t.jsonl", [{"m": [SYSTEM, ASK, TELL], "f": [TOOL]}])
    plain = chat("tool-calls")
    made(path, MESSAGES, plain)
    made(path, DataSettings(messages="m", fold_system=True), plain)
    made(path, DataSettings(messages="m", tools="f"), plain)
    named = chat("tool-calls")
    named.bos_token = "<pad>"
    made(path, MESSAGES, named)
    other = chat("tool-calls")
    other.chat_template = STYLES["chatml"].template
    made(path, MESSAGES, other)
    made(path, MESSAGES, chat("tool-calls"))
    assert len(list((own_cache / "speedtui" / "tokens").iterdir())) == 5


def test_a_cut_conversation_counts_once_for_each_of_its_samples(write_rows: WriteRows) -> None:
    tokenizer = chat("qwen-reasoning")
    path = write_rows("t.jsonl", [{"m": [ASK, TELL, ASK, TELL, ASK, {**TELL, "content": "x" * 90}]}])
    whole = made(path, MESSAGES, tokenizer)
    assert whole.turns.tolist() == [2, 0, 1]
    longest = int(whole.lengths[0])
    dataset = made(path, MESSAGES, tokenizer, max_length=longest - 1)
    assert (dataset.counts.cut_rows, dataset.counts.dropped_rows, len(dataset)) == (1, 0, 3)
    room = int(whole.prompts[0])  # for nothing of the last answer
    shorter = made(path, MESSAGES, tokenizer, max_length=room)
    cut = 1 + sum(int(length) > room for length in whole.lengths[1:])
    assert (shorter.counts.cut_rows, shorter.counts.dropped_rows, shorter.turns.tolist()) == (cut, 0, [0, 1])


def test_pairs_of_a_tokenizer_without_an_end_are_said(write_rows: WriteRows) -> None:
    tokenizer = chat(Style(STYLES["chatml"].template))
    tokenizer.eos_token = None
    table = table_of(str(write_rows("t.jsonl", [{"q": "a", "a": "b"}])), PAIR)
    (note,) = tokenize_pairs(table, tokenizer, 64, silent).counts.notes
    assert note.startswith("the tokenizer has no end-of-sequence token")
