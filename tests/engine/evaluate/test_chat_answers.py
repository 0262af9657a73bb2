"""A model that knows twelve answers by heart gives them under every chat template."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings, TrainSettings
from speedtui.engine.evaluate.evaluator import Evaluator
from speedtui.engine.evaluate.frame import chat_frame
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
    optimizer = torch.optim.AdamW(workload.model.parameters(), lr=1e-2)
    for _ in range(120):
        loss = workload.model(**batch).loss
        if loss.item() < 0.005:
            break
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    assert loss.item() < 0.05, "the model has not learned its answers"
    return workload


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


def score(settings: Settings, workload: Any) -> dict[str, float]:
    evaluator = Evaluator(settings, workload, CPU, phases=PhaseClock(), report=silent, notice=print)
    try:
        scores = evaluator.score(workload.model, settings.schedule)
    finally:
        evaluator.close()
    assert (scores.samples, scores.unscored) == (12, 0)
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
