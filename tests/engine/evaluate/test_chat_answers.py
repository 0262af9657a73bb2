"""A model that knows twelve answers by heart gives them under every chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.evaluate.answers import chat_frame
from speedtui.engine.evaluate.evaluator import Evaluator
from speedtui.engine.evaluate.generation import Generation
from speedtui.engine.meter.phases import PhaseClock
from speedtui.engine.workload.base import silent
from tests.engine.evaluate.conftest import write_rows
from tests.engine.workload.chats import KINDS, STYLES, Style, dressed
from tests.engine.workload.small import CPU, load

NUMBERS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]
ANSWERS = [f"It is {number}." for number in NUMBERS]

TINY: dict[str, Any] = {
    "model_type": "llama", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 1,
    "num_attention_heads": 4, "num_key_value_heads": 4, "initializer_range": 0.1,
}  # fmt: skip


def conversations() -> list[dict[str, Any]]:
    """The first goes on after its answer, with a turn that is not learned."""
    rows = []
    for number, answer in enumerate(ANSWERS):
        talk = [{"role": "user", "content": f"number {number}"}, {"role": "assistant", "content": answer}]
        if number == 0:
            talk += [{"role": "user", "content": "again"}, {"role": "assistant", "content": answer, "weight": 0}]
        rows.append({"m": talk})
    return rows


def learned_by_heart(settings: Settings) -> Any:
    """The product's workload, its model fitted to the product's own samples."""
    workload = load(settings)
    batch = workload.collator([workload.train_dataset[row] for row in range(len(workload.train_dataset))])
    wanted = batch["labels"][:, 1:]
    optimizer = torch.optim.AdamW(workload.model.parameters(), lr=5e-3)
    for _ in range(300):
        made = workload.model(**batch)
        wrong = (made.logits[:, :-1].argmax(-1) != wanted) & (wanted >= 0)
        if made.loss.item() < 0.01 and not wrong.any():
            return workload
        made.loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    pytest.fail("the model has not learned its answers")


def settings_for(folder: Path, style: Style, kind: str, *, known: bool = True) -> Settings:
    dressed(KINDS[kind](), style, known=known).save_pretrained(folder)
    rows = write_rows(folder / "rows.jsonl", conversations())
    (folder / "metric.py").write_text("def right(prediction, reference):\n    return prediction == reference\n")
    return Settings(
        model=ModelSettings(architecture=TINY, tokenizer=str(folder)),
        data=DataSettings(train=str(rows), eval=str(rows), messages="m", max_length=256),
        train=TrainSettings(method="full", effective_batch_size=12, micro_batch_size=12),
        schedule=ScheduleSettings(generate=True, max_new_tokens=48, metric=f"{folder / 'metric.py'}:right"),
    )  # fmt: skip


def answers(settings: Settings, workload: Any, **schedule: Any) -> list[str]:
    """What the model writes to each sample of the evaluation data."""
    one = Generation(settings, workload, CPU, silent, print)
    asked = msgspec.structs.replace(settings.schedule, **schedule)
    return one.texts(workload.model, asked, range(len(workload.eval_dataset)))


def score(settings: Settings, workload: Any, samples: int = 12) -> dict[str, float]:
    evaluator = Evaluator(settings, workload, CPU, phases=PhaseClock(), report=silent, notice=print)
    try:
        scores = evaluator.score(workload.model, settings.schedule)
    finally:
        evaluator.close()
    assert (scores.samples, scores.unscored) == (samples, 0)
    return scores.metrics


@pytest.mark.parametrize(
    ("style", "kind", "known"),
    [
        *((style, "byte-level", True) for style in STYLES),
        ("llama-2", "prepend", True), ("zephyr", "metaspace-always", True), ("trap", "unigram", True),
        ("harmony", "word-piece", True), ("gemma", "metaspace-first", False),
    ],
)  # fmt: skip
def test_twelve_answers_known_by_heart_are_twelve_right_ones(
    tmp_path: Path, style: str, kind: str, known: bool
) -> None:
    settings = settings_for(tmp_path, STYLES[style], kind, known=known)
    assert score(settings, learned_by_heart(settings)) == {"right": 1.0}


def test_each_sample_of_a_conversation_is_scored_by_the_turn_that_it_asks(tmp_path: Path) -> None:
    """Where the template rewrites the turns before, each of them is asked by itself."""
    settings = settings_for(tmp_path, STYLES["qwen-reasoning"], "byte-level")
    talks = [one["m"] + two["m"][:2] for one, two in zip(conversations()[1:7], conversations()[7:], strict=False)]
    write_rows(tmp_path / "rows.jsonl", [{"m": talk} for talk in talks])
    workload = learned_by_heart(settings)
    assert len(workload.eval_dataset) == 2 * len(talks) == 10
    assert workload.facts.notes[0].startswith("5 conversations became 10 samples")
    assert score(settings, workload, samples=10) == {"right": 1.0}


def test_an_end_of_several_tokens_ends_beams_too(tmp_path: Path) -> None:
    settings = settings_for(tmp_path, STYLES["gemma"], "metaspace-first", known=False)
    assert answers(settings, learned_by_heart(settings), beams=2) == ANSWERS


@pytest.mark.parametrize(
    ("style", "ends"),
    [("chatml", ["<|im_end|>"]), ("llama-2", ["</s>"]), ("llama-3", ["</s>", "<|eot_id|>"]),
     ("gemma", ["</s>", "<end_of_turn>"]), ("phi", ["</s>", "<|end|>"]), ("harmony", ["<|return|>"]),
     ("trap", ["</s>", "<close>"])],
)  # fmt: skip
def test_what_ends_an_answer_comes_from_the_template(style: str, ends: list[str]) -> None:
    tokenizer = dressed(KINDS["byte-level"](), STYLES[style])
    assert [tokenizer.convert_ids_to_tokens(list(end)) for end in chat_frame(tokenizer).ends] == [[end] for end in ends]


def test_an_end_that_is_no_token_of_its_own_is_its_tokens_in_a_row() -> None:
    tokenizer = dressed(KINDS["prepend"](), STYLES["gemma"], known=False)
    eos, closing = chat_frame(tokenizer).ends
    assert eos == (tokenizer.eos_token_id,)
    assert "".join(tokenizer.convert_ids_to_tokens(list(closing))) == "<end_of_turn>"
