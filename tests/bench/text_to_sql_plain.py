"""The same training as a plain program with transformers' own Trainer, for monitors to look at.

`python text_to_sql_plain.py CONFIG OUT`: trains as the configuration says, evaluates with beams and the metric and
saves after every epoch, and writes OUT as JSON: wall seconds of the training, and what of it was in steps.
"""

from __future__ import annotations

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from transformers import (
    EvalPrediction,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from speedtui.engine.config.load import load_settings
from speedtui.engine.config.settings import Settings
from speedtui.engine.workload.base import Workload, silent
from speedtui.engine.workload.load import load_workload
from tests.examples.text_to_sql.metric import execution_match


class Steps(TrainerCallback):
    """Wall seconds between the beginning and the end of each step."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._began = 0.0

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self.seconds += time.perf_counter() - self._began


def main(config: Path, out: Path) -> None:
    """Trains."""
    settings = load_settings(config, {})
    workload = load_workload(settings, device=torch.device("cpu"), report=silent)
    rows = [json.loads(line) for line in Path(settings.data.eval or "").read_text().splitlines()]
    steps = Steps()
    trainer = Seq2SeqTrainer(
        model=workload.model, args=arguments(settings, out.with_suffix("")), train_dataset=workload.train_dataset,
        eval_dataset=workload.eval_dataset, data_collator=workload.collator, processing_class=workload.tokenizer,
        compute_metrics=lambda made: scores(made, workload, rows, settings), callbacks=[steps],
    )  # fmt: skip
    began = time.perf_counter()
    trainer.train()
    out.write_text(json.dumps({"wall": time.perf_counter() - began, "steps": steps.seconds}))


def arguments(settings: Settings, folder: Path) -> Seq2SeqTrainingArguments:
    """The configuration's, with transformers' own strategies for evaluating and saving."""
    train, schedule = settings.train, settings.schedule
    return Seq2SeqTrainingArguments(
        output_dir=str(folder), num_train_epochs=train.epochs, per_device_train_batch_size=train.micro_batch_size,
        per_device_eval_batch_size=train.micro_batch_size,
        gradient_accumulation_steps=train.effective_batch_size // train.micro_batch_size,
        learning_rate=train.learning_rate, lr_scheduler_type=train.lr_schedule, warmup_steps=train.lr_warmup_steps,
        optim=train.optimizer, seed=train.seed, use_cpu=True, remove_unused_columns=False, label_names=["labels"],
        eval_strategy="epoch", save_strategy="epoch", save_total_limit=schedule.keep_checkpoints,
        predict_with_generate=True, generation_num_beams=schedule.beams,
        generation_max_length=schedule.max_new_tokens + 1, logging_strategy="no", report_to="none", disable_tqdm=True,
    )  # fmt: skip


def scores(
    made: EvalPrediction, workload: Workload, rows: list[dict[str, Any]], settings: Settings
) -> dict[str, float]:
    """The share of predictions that give what the right query gives."""
    assert workload.tokenizer is not None
    ids = torch.as_tensor(made.predictions)
    ids = ids.masked_fill(ids < 0, workload.tokenizer.pad_token_id)
    texts = workload.tokenizer.batch_decode(ids, skip_special_tokens=True)
    with ThreadPoolExecutor(settings.schedule.metric_threads) as threads:
        matched = threads.map(
            lambda pair: execution_match(pair[0], pair[1]["sql"], pair[1]), zip(texts, rows, strict=True)
        )
        return {"execution_match": sum(matched) / len(rows)}


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
