"""What a transformers.Trainer is told to do, as the settings that everything downstream knows."""

from __future__ import annotations

from typing import Any

from speedtui.engine.config.settings import DataSettings, ModelSettings, ScheduleSettings, Settings, TrainSettings


def settings_of(trainer: Any) -> Settings:
    """The settings of a training that is about to make its first step, as far as speedtui has a name for them.

    `effective_batch_size` counts the rows of all processes.
    """
    args, model = trainer.args, trainer.model
    micro = int(args.per_device_train_batch_size)
    config = getattr(model, "config", None)
    return Settings(
        model=ModelSettings(path=getattr(config, "_name_or_path", "") or type(model).__name__),
        data=DataSettings(),
        train=TrainSettings(
            epochs=float(args.num_train_epochs),
            max_steps=int(args.max_steps) if args.max_steps > 0 else None,
            micro_batch_size=micro,
            effective_batch_size=micro * int(args.gradient_accumulation_steps) * max(int(args.world_size), 1),
            learning_rate=float(args.learning_rate),
            method="lora" if hasattr(model, "peft_config") else "full",
            gradient_checkpointing=bool(args.gradient_checkpointing),
            bf16=bool(args.bf16),
            fp16=bool(args.fp16),
            loader_workers=int(args.dataloader_num_workers),
            seed=int(args.seed),
        ),
        schedule=ScheduleSettings(
            eval_every=_every(args.eval_strategy, trainer.state.eval_steps),
            checkpoint_every=_every(args.save_strategy, trainer.state.save_steps),
            save_only_best=_name(args.save_strategy) == "best",
            check_evaluation=False,
        ),
    )


def _every(strategy: Any, steps: float | None) -> str:
    """By transformers' names: no, steps, epoch, best."""
    name = _name(strategy)
    if name == "steps" and steps:
        return f"{int(steps)} steps"
    return "1 epoch" if name in ("epoch", "best") else "never"


def _name(strategy: Any) -> str:
    return str(getattr(strategy, "value", strategy))
