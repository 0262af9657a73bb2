"""From rows to tokens and labels, and the cache between."""

from __future__ import annotations

import pickle
import threading
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoTokenizer

from speedtui.engine.config.settings import DataSettings
from speedtui.engine.errors import DataError, ModelError
from speedtui.engine.workload.aside import aside, left_behind
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.conversation import require_chat_template
from speedtui.engine.workload.data import table_of
from speedtui.engine.workload.encode import Encoder
from speedtui.engine.workload.token_store import TokenDataset
from speedtui.engine.workload.tokenize import made_or_kept, tokenize

PAIR = DataSettings(prompt="question", response="answer")
TEXT = DataSettings(text="text")
MESSAGES = DataSettings(messages="messages")

TALK = [
    {"role": "user", "content": "hello"},
    {"role": "assistant", "content": "hi"},
    {"role": "user", "content": "bye"},
    {"role": "assistant", "content": "see you"},
]

FORGETFUL = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n"
    "{% if m['role'] == 'assistant' and loop.last %}(thinking){% endif %}{{ m['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""Writes an answer otherwise once another turn follows it, as templates of reasoning models do."""


@pytest.fixture
def tokenizer(model_folder: Path) -> Any:
    return AutoTokenizer.from_pretrained(model_folder)


def made(path: Path, data: DataSettings, tokenizer: Any, max_length: int = 64) -> TokenDataset:
    return tokenize(table_of(str(path), data), tokenizer, max_length, silent)


def learned(dataset: TokenDataset, index: int, tokenizer: Any) -> str:
    labels = dataset[index]["labels"]
    return str(tokenizer.decode(labels[labels != -100]))


def whole(dataset: TokenDataset, index: int, tokenizer: Any) -> str:
    return str(tokenizer.decode(dataset[index]["input_ids"]))


def test_only_the_response_and_the_end_are_learned(pairs_file: Path, tokenizer: Any) -> None:
    dataset = made(pairs_file, PAIR, tokenizer)
    assert whole(dataset, 1, tokenizer) == "the capital of France is\nParis<|endoftext|>"
    assert learned(dataset, 1, tokenizer) == "Paris<|endoftext|>"
    assert dataset.lengths.tolist() == [len(dataset[i]["input_ids"]) for i in range(3)]


def test_all_of_a_text_is_learned(write_rows: Any, tokenizer: Any) -> None:
    dataset = made(write_rows("t.jsonl", [{"text": "hello"}, {"text": "bye<|endoftext|>"}]), TEXT, tokenizer)
    assert learned(dataset, 0, tokenizer) == "hello<|endoftext|>"
    assert learned(dataset, 1, tokenizer) == "bye<|endoftext|>"


def test_a_tokenizer_that_opens_texts_with_a_token_does_so_here(write_rows: Any, tokenizer: Any) -> None:
    from tokenizers.processors import TemplateProcessing

    tokenizer.bos_token = "<|im_start|>"
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", tokenizer.bos_token_id)]
    )
    dataset = made(write_rows("t.jsonl", [{"text": "hello"}]), TEXT, tokenizer)
    assert whole(dataset, 0, tokenizer) == "<|im_start|>hello<|endoftext|>"
    assert learned(dataset, 0, tokenizer) == "hello<|endoftext|>"


def test_the_assistants_turns_are_learned(write_rows: Any, tokenizer: Any) -> None:
    dataset = made(write_rows("m.jsonl", [{"messages": TALK}]), MESSAGES, tokenizer)
    assert learned(dataset, 0, tokenizer) == "hi<|im_end|>\nsee you<|im_end|>\n"
    assert whole(dataset, 0, tokenizer) == tokenizer.apply_chat_template(TALK, tokenize=False)


def test_a_turn_that_the_template_rewrites_later_is_a_sample_of_its_own(write_rows: Any, tokenizer: Any) -> None:
    """As the model is to write it, after what it is then asked; not as it is shown in what comes later."""
    tokenizer.chat_template = FORGETFUL
    dataset = made(write_rows("m.jsonl", [{"messages": TALK}, {"messages": TALK[:2]}]), MESSAGES, tokenizer)
    assert [learned(dataset, index, tokenizer) for index in range(3)] == [
        "(thinking)see you<|im_end|>\n", "(thinking)hi<|im_end|>\n", "(thinking)hi<|im_end|>\n",
    ]  # fmt: skip
    assert (dataset.numbers.tolist(), dataset.turns.tolist()) == ([0, 0, 1], [1, 0, 0])
    assert whole(dataset, 0, tokenizer) == tokenizer.apply_chat_template(TALK, tokenize=False)
    assert whole(dataset, 1, tokenizer) == tokenizer.apply_chat_template(TALK[:2], tokenize=False)
    assert list(dataset.counts.notes) == [
        "1 conversation became 2 samples: a turn is written or tokenized otherwise once more follow it"
    ]


def test_a_conversation_that_the_template_refuses_is_named(write_rows: Any, tokenizer: Any) -> None:
    tokenizer.chat_template = "{{ raise_exception('roles must alternate') }}"
    path = write_rows("m.jsonl", [{"messages": TALK}])
    with pytest.raises(
        DataError, match=r"line 1: message 1 \(user\): the chat template refuses the conversation: roles must alternate"
    ):
        made(path, MESSAGES, tokenizer)


def test_messages_need_a_chat_template(tokenizer: Any) -> None:
    tokenizer.chat_template = None
    with pytest.raises(ModelError, match="base: the tokenizer has no chat template"):
        require_chat_template(tokenizer, "base")


def test_a_long_sample_is_cut_at_its_end_and_counted(write_rows: Any, tokenizer: Any) -> None:
    path = write_rows("long.jsonl", [{"text": "x" * 100}, {"text": "y"}])
    dataset = made(path, TEXT, tokenizer, max_length=8)
    assert dataset.lengths.tolist() == [8, 2]
    assert dataset.counts.cut_rows == 1
    assert "<|endoftext|>" not in whole(dataset, 0, tokenizer)


def test_rows_without_anything_to_learn_are_dropped_and_counted(write_rows: Any, tokenizer: Any) -> None:
    rows = [{"question": "q", "answer": ""}, {"question": "z" * 50, "answer": "a"}, {"question": "q", "answer": "a"}]
    dataset = made(write_rows("gaps.jsonl", rows), PAIR, tokenizer, max_length=10)
    assert (len(dataset), dataset.counts.dropped_rows, dataset.counts.cut_rows) == (1, 2, 0)
    assert dataset.counts.tokens == int(dataset.lengths.sum())


def test_prompts_that_leave_no_room_for_any_response_are_refused(write_rows: Any, tokenizer: Any) -> None:
    path = write_rows("full.jsonl", [{"question": "z" * 50, "answer": "a"}])
    with pytest.raises(DataError, match="within max_length 10"):
        made(path, PAIR, tokenizer, max_length=10)


def cached_files(cache: Path) -> list[Path]:
    return sorted((cache / "speedtui" / "tokens").iterdir())


def test_tokens_are_kept_and_used_again(pairs_file: Path, tokenizer: Any, own_cache: Path) -> None:
    first = made(pairs_file, PAIR, tokenizer)
    (kept,) = cached_files(own_cache)
    stored = kept.stat().st_ino
    again = made(pairs_file, PAIR, tokenizer)
    assert (kept.stat().st_ino, again.counts) == (stored, first.counts)
    assert again[2]["input_ids"].tolist() == first[2]["input_ids"].tolist()


def test_other_data_settings_or_another_tokenizer_make_other_tokens(
    pairs_file: Path, tokenizer: Any, own_cache: Path
) -> None:
    made(pairs_file, PAIR, tokenizer)
    made(pairs_file, PAIR, tokenizer, max_length=63)
    tokenizer.add_tokens(["hello"])
    made(pairs_file, PAIR, tokenizer)
    pairs_file.write_text(pairs_file.read_text().replace("Paris", "Lyon"))
    assert learned(made(pairs_file, PAIR, tokenizer), 1, tokenizer) == "Lyon<|endoftext|>"
    assert len(cached_files(own_cache)) == 4


@pytest.mark.parametrize("damage", ["truncated", "changed", "empty"])
def test_a_damaged_cache_is_made_anew(pairs_file: Path, tokenizer: Any, own_cache: Path, damage: str) -> None:
    first = made(pairs_file, PAIR, tokenizer)[0]["input_ids"].tolist()
    (kept,) = cached_files(own_cache)
    data = bytearray(kept.read_bytes())
    data[0] ^= 255
    kept.write_bytes({"truncated": bytes(data[:40]), "changed": bytes(data), "empty": b""}[damage])
    assert made(pairs_file, PAIR, tokenizer)[0]["input_ids"].tolist() == first


def test_without_a_folder_for_the_cache_tokens_are_held_in_memory(
    pairs_file: Path, tokenizer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert learned(made(pairs_file, PAIR, tokenizer), 1, tokenizer) == "Paris<|endoftext|>"


def test_samples_can_be_sent_to_a_loaders_worker(pairs_file: Path, tokenizer: Any) -> None:
    dataset = made(pairs_file, PAIR, tokenizer)
    assert pickle.loads(pickle.dumps(dataset))[1]["labels"].tolist() == dataset[1]["labels"].tolist()


def test_nothing_is_left_behind_when_the_data_is_refused(write_rows: Any, tokenizer: Any, own_cache: Path) -> None:
    path = write_rows("full.jsonl", [{"question": "z" * 50, "answer": "a"}])
    with pytest.raises(DataError):
        made(path, PAIR, tokenizer, max_length=10)
    assert cached_files(own_cache) == []


class Interrupted(Exception):
    """What a report raises where the run is to end."""


@pytest.mark.parametrize("stopped", [False, True])
def test_a_row_of_megabytes_is_named_while_it_is_tokenized_and_can_be_interrupted(
    write_rows: Any, tokenizer: Any, stopped: bool
) -> None:
    told, heard = threading.Event(), []

    class Waiting(Encoder):
        def encode(self, batch: Any) -> Any:
            if any(len(content[0]) > 1_000_000 for _, content in batch):
                assert told.wait(60), "nothing was reported while the row was tokenized"
            return super().encode(batch)

    def report(what: str, done: int, total: int | None) -> None:
        heard.append((what, done, total))
        if "line 2" in what:
            if stopped:
                raise Interrupted
            told.set()

    rows = write_rows("long.jsonl", [{"text": "hello"}, {"text": "word " * 220_000}, {"text": "bye"}])
    encoder = Waiting(table_of(str(rows), TEXT), tokenizer, 64)
    if stopped:
        with pytest.raises(Interrupted):
            made_or_kept(encoder, tokenizer, report)
        assert left_behind()
        told.set()
    else:
        assert made_or_kept(encoder, tokenizer, report).lengths.tolist()[1] == 64
        assert not left_behind()
    assert ("tokenizing long.jsonl, line 2: 1.1M characters", 0, 3) in heard


def test_what_a_call_aside_raises_is_raised_where_it_was_asked_for() -> None:
    def call() -> None:
        raise DataError("why")

    with pytest.raises(DataError, match="why"):
        aside(call, lambda: None)
