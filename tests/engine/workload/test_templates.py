"""What is trained on, token by token, against what the template writes and what a server sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from speedtui.engine.config.settings import DataSettings
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.data import table_of
from speedtui.engine.workload.token_store import TokenDataset
from speedtui.engine.workload.tokenize import tokenize
from tests.engine.workload.chats import EOS, KINDS, STYLES, backend, dressed, talks
from tests.engine.workload.conftest import WriteRows

Messages = list[dict[str, Any]]


def made(write_rows: WriteRows, conversations: Sequence[Messages], tokenizer: Any) -> TokenDataset:
    path = write_rows("talks.jsonl", [{"m": messages} for messages in conversations])
    return tokenize(table_of(str(path), DataSettings(messages="m")), tokenizer, 4096, silent)


def rendered(tokenizer: Any, messages: Messages, **prompt: bool) -> list[int]:
    ids: list[int] = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, **prompt)
    return ids


def learned_spans(dataset: TokenDataset, index: int) -> list[tuple[int, int]]:
    """(first, last + 1) of each stretch of learned tokens."""
    labels = [int(label) >= 0 for label in dataset[index]["labels"]]
    edges = [place for place, (a, b) in enumerate(zip([False, *labels], [*labels, False], strict=True)) if a != b]
    return list(zip(edges[::2], edges[1::2], strict=True))


@pytest.mark.parametrize("known", [True, False], ids=["special-marks", "marks-as-text"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("style", STYLES)
def test_what_a_server_sends_for_a_turn_is_the_beginning_of_what_was_trained(
    write_rows: WriteRows, style: str, kind: str, known: bool
) -> None:
    """Each turn is learned once, right after its server's prompt, to its very end, and in the tokens of the text."""
    tokenizer = dressed(backend(kind), STYLES[style], known=known)
    conversations = list(talks())
    dataset = made(write_rows, conversations, tokenizer)
    assert dataset.counts.dropped_rows == 0
    samples = [
        (int(dataset.numbers[i]), dataset[i]["input_ids"].tolist(), learned_spans(dataset, i))
        for i in range(len(dataset))
    ]
    asked = [(number, messages, place) for number, messages in enumerate(conversations)
             for place in range(1, len(messages), 2)]  # fmt: skip
    upto: dict[int, list[list[int]]] = {}
    grown: set[int] = set()
    for number, messages, place in asked:
        prompt = rendered(tokenizer, messages[:place], add_generation_prompt=True)
        answers = [
            ids[first:last] for row, ids, spans in samples for first, last in spans
            if row == number and first == len(prompt) and ids[:first] == prompt
        ]  # fmt: skip
        answered = rendered(tokenizer, messages[: place + 1])
        upto.setdefault(number, []).append(answered)
        if answered[: len(prompt)] == prompt:
            (answer,) = answers
            rest = answered[len(prompt) :]
            assert answer == rest[: len(answer)]
            left = tokenizer.decode(rest[len(answer) :]).strip()
            ended = tokenizer.decode(answer).rstrip().endswith("<|end|>")
            assert not left or (style == "phi" and ended and left == EOS), "the end of the turn is learned"
        else:  # the tokenizer lets the two grow together
            grown.add(number)
            whole = tokenizer.decode(answered).split()
            assert "".join(whole) in ["".join(tokenizer.decode(prompt + answer).split()) for answer in answers]
    assert len(asked) == sum(len(spans) for *_, spans in samples) == 8
    assert all(ids in upto[row] for row, ids, _ in samples if row not in grown), "not the tokens of the rendering"


@pytest.mark.parametrize("style", STYLES)
def test_a_conversation_is_parted_only_where_the_template_rewrites_it(write_rows: WriteRows, style: str) -> None:
    """What is written after the end of a turn, as Phi's end of the whole, is no rewriting."""
    dataset = made(write_rows, [messages(3)], dressed(backend("byte-level"), STYLES[style]))
    assert len(dataset) == (3 if style in ("qwen-reasoning", "harmony", "trap") else 1)


def messages(turns: int) -> Messages:
    return [{"role": role, "content": "The sum is 5"} for _ in range(turns) for role in ("user", "assistant")]
