"""What of a row is learned, what is left out, and that it is said."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from speedtui.engine.config.settings import DataSettings
from speedtui.engine.context.context import JobContext
from speedtui.engine.context.order import Order
from speedtui.engine.errors import DataError
from speedtui.engine.events import Notice
from speedtui.engine.log.clock import RunClock
from speedtui.engine.log.tail import read_events
from speedtui.engine.log.writer import EventLog
from speedtui.engine.runs import RunFolder
from speedtui.engine.state import RunState
from speedtui.engine.trainer.loaded import tell_loaded
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.data import table_of
from speedtui.engine.workload.token_store import TokenDataset
from speedtui.engine.workload.tokenize import tokenize
from tests.engine.workload.chats import KINDS, STYLES, Style, chat, talks
from tests.engine.workload.conftest import TINY, WriteRows
from tests.engine.workload.small import LLAMA, T5, load, settings_of

MESSAGES, PAIR = DataSettings(messages="m"), DataSettings(prompt="q", response="a")
ASK, TELL = {"role": "user", "content": "why"}, {"role": "assistant", "content": "because"}
SYSTEM = {"role": "system", "content": "Be brief."}
CALL = {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": {"x": 1}}}]}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def made(path: Path, data: DataSettings, tokenizer: Any, max_length: int = 512) -> TokenDataset:
    return tokenize(table_of(str(path), data), tokenizer, max_length, silent)


def learned(dataset: TokenDataset, tokenizer: Any, index: int = 0) -> str:
    labels = dataset[index]["labels"]
    return str(tokenizer.decode(labels[labels != -100]))


# -- prompts and responses -------------------------------------------------------------------------


@pytest.mark.parametrize("response", ["The sum is 5", " The sum is 5", "\nThe sum is 5", "5"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_answer_is_learned_as_it_follows_its_prompt(write_rows: WriteRows, kind: str, response: str) -> None:
    """Whatever the tokenizer, the prompt's own tokens come first, and then no mark as at the beginning of a text."""
    tokenizer = chat("chatml", kind)
    asked, both = "The sum of 2 and 3?\n", f"The sum of 2 and 3?\n{response}"
    dataset = made(write_rows("t.jsonl", [{"q": asked[:-1], "a": response}]), PAIR, tokenizer)
    ids = dataset[0]["input_ids"].tolist()
    prompt = tokenizer(asked, add_special_tokens=False)["input_ids"]
    whole = tokenizer(both, add_special_tokens=False)["input_ids"]
    assert ids[: len(prompt)] == prompt
    assert [label >= 0 for label in dataset[0]["labels"].tolist()] == [
        place >= len(prompt) for place in range(len(ids))
    ]
    assert dataset.prompts.tolist() == [len(prompt)]
    if whole[: len(prompt)] == prompt:
        assert ids == [*whole, tokenizer.eos_token_id]
    else:
        assert tokenizer.decode(ids[:-1]) == tokenizer.decode(whole)


def test_a_tokenizer_without_an_end_is_said(write_rows: WriteRows, tmp_path: Path) -> None:
    tokenizer = chat(Style(STYLES["chatml"].template))
    tokenizer.eos_token = None
    path = write_rows("t.jsonl", [{"question": "2 + 2 =", "answer": "4"}])
    tokenizer.save_pretrained(tmp_path / "endless")
    said = "the tokenizer has no end-of-sequence token: the end of an answer is not learned, and only "
    for kind, architecture in (("causal-lm", LLAMA), ("seq2seq", T5)):
        model = {"tokenizer": str(tmp_path / "endless"), "kind": kind, "architecture": architecture}
        (note,) = load(settings_of(path, model=model, data={"eval": str(path)})).facts.notes
        assert note.startswith(said)
    with_end = settings_of(path, model={"architecture": LLAMA})
    assert list(load(with_end).facts.notes) == []


# -- turns that say so -----------------------------------------------------------------------------


@pytest.mark.parametrize("mark", [{"weight": 0}, {"train": False}])
def test_a_turn_that_says_so_is_read_and_not_learned(write_rows: WriteRows, mark: dict[str, Any]) -> None:
    tokenizer = chat("chatml")
    rows = [{"m": [ASK, {"role": "assistant", "content": "WRONG", **mark}, ASK, TELL]}]
    dataset = made(write_rows("t.jsonl", rows), MESSAGES, tokenizer)
    assert learned(dataset, tokenizer) == "because<|im_end|>\n"
    assert "WRONG" in tokenizer.decode(dataset[0]["input_ids"])


def test_a_call_of_a_tool_is_learned_as_the_template_writes_it(write_rows: WriteRows) -> None:
    tokenizer = chat("tool-calls")
    rows = [{"m": [ASK, CALL, {"role": "tool", "content": "4"}, TELL], "tools": [TOOL]}]
    dataset = made(write_rows("t.jsonl", rows), MESSAGES, tokenizer)
    call = '<tool_call>\n{"name": "f", "arguments": {"x": 1}}\n</tool_call><|im_end|>\n'
    assert learned(dataset, tokenizer) == f"{call}because<|im_end|>\n"
    assert '<tools>[{"type": "function"' in tokenizer.decode(dataset[0]["input_ids"])
    assert list(dataset.counts.notes) == []


def test_what_a_template_does_not_write_is_counted_and_named(write_rows: WriteRows) -> None:
    tokenizer = chat("chatml")
    rows = [{"m": [ASK, TELL]}, {"m": [ASK, CALL, ASK, TELL], "tools": [TOOL]}, {"m": [ASK, CALL]}]
    path = write_rows("t.jsonl", rows)
    dataset = made(path, MESSAGES, tokenizer)
    assert [learned(dataset, tokenizer, index) for index in range(2)] == ["because<|im_end|>\n"] * 2
    assert (dataset.numbers.tolist(), dataset.counts.dropped_rows) == ([0, 1], 1)
    assert list(dataset.counts.notes) == [
        f"2 assistant turns not learned; the first: {path} line 2 message 2: the chat template writes nothing of its "
        "tool calls",
        "the chat template does not write the tools of the conversations: the model learns without them",
    ]
    with pytest.raises(DataError, match=r"nothing to learn from in any of its 1 rows.* nothing of its tool calls"):
        made(write_rows("u.jsonl", rows[2:]), MESSAGES, tokenizer)


def test_a_content_that_a_template_leaves_out_or_changes(write_rows: WriteRows) -> None:
    mute = chat(Style("{% for m in messages %}{{ m.role + ': ' + (m.content if m.role == 'user' else '') + '\n' }}"
                      "{% endfor %}{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}"))  # fmt: skip
    with pytest.raises(DataError, match=r"line 1 message 2: the chat template writes nothing of its content"):
        made(write_rows("t.jsonl", [{"m": [ASK, TELL]}]), MESSAGES, mute)
    loud = chat(Style(STYLES["chatml"].template.replace("m.content", "m.content | upper"), STYLES["chatml"].special))
    assert learned(made(write_rows("u.jsonl", [{"m": [ASK, TELL]}]), MESSAGES, loud), loud) == "BECAUSE<|im_end|>\n"


def test_dropped_rows_and_empty_turns_are_said_with_their_reasons(write_rows: WriteRows) -> None:
    empty, odd = {**TELL, "content": ""}, {"role": "Narrator", "content": "so"}
    rows = [[ASK, TELL], [ASK, empty], [ASK, odd], [ASK, empty], [ASK, empty, ASK, TELL]]
    dataset = made(write_rows("t.jsonl", [{"m": messages} for messages in rows]), MESSAGES, chat("chatml"))
    assert (len(dataset), dataset.counts.dropped_rows) == (2, 3)
    assert list(dataset.counts.notes) == [
        "2 rows dropped: every assistant turn is empty",
        "1 row dropped: no message is the assistant's: the roles are user, Narrator",
        "1 assistant turn not learned: empty, in rows that have others",
    ]


# -- templates -------------------------------------------------------------------------------------


def test_a_template_without_a_system_role_names_the_setting_that_helps(write_rows: WriteRows) -> None:
    tokenizer = chat("gemma")
    path = write_rows("t.jsonl", [{"m": [ASK, TELL]}, {"m": [SYSTEM, ASK, TELL]}])
    with pytest.raises(DataError) as caught:
        made(path, MESSAGES, tokenizer)
    assert "line 2: message 1 (system): the chat template refuses the conversation: System role" in caught.value.message
    assert "data.fold_system = true" in caught.value.hint
    folded = made(path, DataSettings(messages="m", fold_system=True), tokenizer)
    assert tokenizer.decode(folded[1]["input_ids"]).startswith("<s><start_of_turn>user\nBe brief.\n\nwhy<end_of_turn>")
    assert learned(folded, tokenizer, 1) == "because<end_of_turn>\n"


def test_a_refusal_names_the_message_that_the_template_stops_at(write_rows: WriteRows) -> None:
    path = write_rows("t.jsonl", [{"m": [ASK, TELL]}, {"m": [ASK, TELL, ASK, ASK, TELL]}])
    with pytest.raises(
        DataError, match=r"line 2: message 4 \(user\): .* refuses the conversation: roles must alternate"
    ):
        made(path, MESSAGES, chat("mistral"))


@pytest.mark.parametrize("inside", ["m.content + '<|im_end|>'", "m.content"], ids=["with the end", "without"])
@pytest.mark.parametrize("kind", KINDS)
def test_generation_markers_say_what_is_learned(write_rows: WriteRows, kind: str, inside: str) -> None:
    """As transformers has it, and the end of the turn in any case: a model must learn to stop."""
    style = STYLES["markers"]
    template = style.template
    if inside == "m.content":
        template = template.replace("m.content + '<|im_end|>'", "m.content").replace(
            "{{ '\\n' }}", "{{ '<|im_end|>\\n' }}"
        )
    tokenizer = chat(Style(template, style.special, style.eos), kind)
    messages = next(talks())
    dataset = made(write_rows("t.jsonl", [{"m": messages}]), MESSAGES, tokenizer)
    marked = tokenizer.apply_chat_template(messages, return_dict=True, return_assistant_tokens_mask=True)
    expected = [bool(one) for one in marked["assistant_masks"]]
    if inside == "m.content":
        expected[max(place for place, one in enumerate(expected) if one) + 1] = True
    assert dataset[0]["input_ids"].tolist() == marked["input_ids"]
    assert [label >= 0 for label in dataset[0]["labels"].tolist()] == expected


def test_a_turn_that_is_asked_for_otherwise_than_it_is_written_is_said(write_rows: WriteRows) -> None:
    template = STYLES["chatml"].template.replace("assistant\\n' }}{% endif %}", "assistant\\n<think>\\n' }}{% endif %}")
    tokenizer = chat(Style(template, STYLES["chatml"].special, "<|im_end|>"))
    dataset = made(write_rows("t.jsonl", [{"m": [ASK, TELL, ASK, TELL]}]), MESSAGES, tokenizer)
    assert learned(dataset, tokenizer) == "because<|im_end|>\n" * 2
    (note,) = dataset.counts.notes
    assert note.startswith("2 assistant turns begin otherwise than the chat template asks for an answer")


def test_a_template_that_ends_no_answer_is_said(write_rows: WriteRows) -> None:
    endless = Style("{% for m in messages %}{{ m.role + ': ' + m.content + '\n' }}{% endfor %}"
                    "{% if add_generation_prompt %}{{ 'assistant: ' }}{% endif %}")  # fmt: skip
    dataset = made(write_rows("t.jsonl", [{"m": [ASK, TELL]}]), MESSAGES, chat(endless))
    (note,) = dataset.counts.notes
    assert note.startswith("the chat template writes nothing after an answer: the end of an answer is not learned")


@pytest.mark.parametrize("wants", ["messages[0].role != 'system'", "messages | length < 4"], ids=["a system", "more"])
def test_an_end_that_cannot_be_seen_is_said(write_rows: WriteRows, wants: str) -> None:
    style = STYLES["chatml"]
    template = f"{{% if {wants} %}}{{{{ raise_exception('no') }}}}{{% endif %}}{style.template}"
    tokenizer = chat(Style(template, style.special))
    dataset = made(write_rows("t.jsonl", [{"m": [SYSTEM, ASK, {**TELL, "weight": 0}, ASK, TELL]}]), MESSAGES, tokenizer)
    unseen = [note for note in dataset.counts.notes if "cannot be seen" in note]
    assert len(unseen) == (wants == "messages | length < 4")


def test_the_notes_of_evaluation_rows_are_told_apart(write_rows: WriteRows, tmp_path: Path) -> None:
    chat("chatml").save_pretrained(tmp_path / "tokenizer")
    path = write_rows("t.jsonl", [{"m": [ASK, TELL]}])
    held = write_rows("e.jsonl", [{"m": [ASK, TELL]}, {"m": [ASK]}])
    model = {"tokenizer": str(tmp_path / "tokenizer"), "architecture": TINY}
    data = {"eval": str(held), "messages": "m", "prompt": None, "response": None}
    notes = load(settings_of(path, model=model, data=data)).facts.notes
    assert list(notes) == ["evaluation data: 1 row dropped: no message is the assistant's: the roles are user"]


def test_the_log_is_told_as_a_warning(write_rows: WriteRows, tmp_path: Path) -> None:
    tokenizer = chat(Style(STYLES["chatml"].template))
    tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path / "endless")
    model = {"tokenizer": str(tmp_path / "endless"), "architecture": TINY}
    settings = settings_of(write_rows("t.jsonl", [{"question": "2 + 2 =", "answer": "4"}]), model=model)
    log = EventLog(tmp_path / "events.jsonl", RunClock())
    order = Order(job="train", started_at=0.0)
    tell_loaded(
        JobContext(RunFolder(tmp_path), settings, order, log, RunState(), frozenset()), load(settings), settings, 0.0
    )
    log.close()
    told = [event for event in read_events(tmp_path / "events.jsonl") if isinstance(event, Notice)]
    assert [(event.level, event.text.partition(":")[0]) for event in told] == [
        ("warning", "the tokenizer has no end-of-sequence token")
    ]
