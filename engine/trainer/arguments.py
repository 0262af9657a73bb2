"""Settings as transformers.TrainingArguments."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import TrainingArguments

from speedtui.engine.config.settings import Settings
from speedtui.engine.workload.float32 import kept_float32

GROUPED = "group_by_length"
"""transformers' name for the order that `train.group_by_length` asks for; `MeteredTrainer` makes it itself."""


def training_arguments(
    settings: Settings, output: Path, device: torch.device, *, max_steps: int | None = None,
    grad_accum_steps: int | None = None, eval_rows: int | None = None,
) -> TrainingArguments:  # fmt: skip
    """The arguments of a training, or of a probe of `max_steps` steps with its own accumulation.

    `eval_rows`: of an evaluation batch; None where nothing is evaluated.
    Logging, evaluating and saving are left to the caller's callbacks: they decide by steps, epochs or time.
    """
    with kept_float32():  # transformers turns TF32 on for the process where it compiles
        return _arguments(settings, output, device, max_steps, grad_accum_steps, eval_rows)


def _arguments(
    settings: Settings, output: Path, device: torch.device, max_steps: int | None, grad_accum_steps: int | None,
    eval_rows: int | None,
) -> TrainingArguments:  # fmt: skip
    train = settings.train
    steps = max_steps if max_steps is not None else train.max_steps
    accumulation = grad_accum_steps or train.effective_batch_size // train.micro_batch_size
    arguments = TrainingArguments(
        output_dir=str(output),
        per_device_train_batch_size=train.micro_batch_size,
        per_device_eval_batch_size=eval_rows or train.micro_batch_size,
        gradient_accumulation_steps=accumulation,
        max_steps=steps if steps is not None else -1,
        num_train_epochs=train.epochs,
        learning_rate=train.learning_rate,
        lr_scheduler_type=train.lr_schedule,
        warmup_steps=train.lr_warmup_steps,
        weight_decay=train.weight_decay,
        max_grad_norm=train.max_grad_norm,
        optim=train.optimizer,
        bf16=train.bf16,
        fp16=train.fp16,
        torch_compile=train.compile,
        seed=train.seed,
        data_seed=train.seed,
        dataloader_num_workers=train.loader_workers,
        dataloader_pin_memory=device.type == "cuda",
        use_cpu=device.type == "cpu",
        remove_unused_columns=False,
        prediction_loss_only=True,
        label_names=["labels"],
        logging_strategy="no",
        logging_nan_inf_filter=False,  # it would wait for the device after every micro-step
        eval_strategy="no",
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
    )
    if train.group_by_length:
        arguments.train_sampling_strategy = GROUPED  # not by its constructor: older versions have no such argument
    arguments._n_gpu = min(arguments.n_gpu, 1)  # with more, transformers would spread each batch by DataParallel
    return arguments
