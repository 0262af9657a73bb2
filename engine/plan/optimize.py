"""The plan from Python: a few numbers about the data become a profile, an estimate and training arguments."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from speedtui.engine.config.paths import nearest
from speedtui.engine.config.settings import Settings, TrainSettings
from speedtui.engine.errors import UsageError
from speedtui.engine.plan.numbers import (
    HOUR,
    OptimizeRequest,
    Rate,
    TimeEstimate,
    above_zero,
    as_estimate,
    margin,
    throughput,
    time_of,
    trained_epochs,
    whole,
)
from speedtui.engine.plan_types import Change
from speedtui.engine.profile.apply import apply_profile
from speedtui.engine.profile.fit import Adjusted, fit_to_window
from speedtui.engine.profile.load import find_profile, list_profiles
from speedtui.engine.profile.profile import EFFECTIVE_BATCH, EPOCHS, MAX_LENGTH, MAX_STEPS, Profile
from speedtui.engine.profile.select import choose, chosen_profile, fit_to_lengths
from speedtui.engine.units import format_span

PRIORITIES = {"speed": "fast", "memory": "memory-efficient"}
"""Other words for profiles; a priority may also be a profile's name, or "auto"."""
SAVE_SECONDS = 30 * 60
"""Between checkpoints (requirement B8)."""


class OptimizedPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What to train with, and how long it takes."""

    profile: str
    epochs: float
    """0.4 for two fifths of one, where a number of steps is all that fits."""
    max_length: int
    """Tokens; for the tokenizer, transformers.TrainingArguments has none."""
    reason: str
    """Why this profile, in words."""
    estimate: TimeEstimate
    """With the changes."""
    asked: TimeEstimate
    """Without them."""
    training_arguments: dict[str, Any]
    """For transformers.TrainingArguments, which needs an output_dir besides."""
    changes: list[Change]
    """What was given up so that it fits into the window; empty where it fits as asked."""
    max_hours: float
    """The window, as it was given."""
    margin_hours: float
    """Kept free at its end: `estimate` is held against the window less this."""
    note: str = ""
    """What else there is to know: nothing fits, the margin alone is what does not, or another profile would fit as
    asked."""


def optimize_for_dataset(
    num_samples: int,
    avg_tokens_per_sample: float,
    num_epochs: float | None = None,
    priority: str | None = "balanced",
    max_hours: float = 12.0,
    tokens_per_second: float | None = None,
    history: Mapping[str, float] | None = None,
    margin_hours: float = 0.5,
    *,
    effective_batch_size: int | None = None,
    learning_rate: float = TrainSettings().learning_rate,
    bf16: bool = False,
) -> OptimizedPlan:
    """A profile, an estimate and training arguments from numbers alone; nothing is loaded or run.

    `priority` is speed, balanced, quality or memory, the name of any profile (the user's own, too), or "auto" (also
    None), which lets the data choose. Short and long samples move the micro-batch and the maximum length of fast,
    balanced and quality either way. `num_epochs` defaults to the profile's, with "auto" to the data's.

    `hours` = rows x tokens x epochs / throughput / 3600, where a sample counts up to the maximum length. The
    throughput is `tokens_per_second` if given, else what `history` measured for the profile (tokens a second by
    profile's name), else the profile's stated figure as it stands: a starting point, measured nowhere. For that last
    case `cautious_hours` counts on 0.7 of it. `fits_in_window` goes by `hours`, so that the arithmetic holds for the
    numbers given; `fits_cautiously` by the other.

    Where `hours` do not leave `margin_hours` of `max_hours`, epochs are given up, and then steps, until they do;
    `changes` says which, and `note` where without the margin all would have fitted. A larger batch or another order
    may be faster, but that is not known without measuring.

    `effective_batch_size` is the profile's if left out. bf16 is off, since it is refused where no GPU supports it.

    Raises:
        UsageError: a number that is no number, not above zero, or a margin that leaves nothing of the window; an
            unknown priority; a throughput that is not known.
    """
    request = OptimizeRequest(
        rows=whole("num_samples", num_samples),
        mean_tokens=above_zero("avg_tokens_per_sample", avg_tokens_per_sample),
        epochs=above_zero("num_epochs", num_epochs) if num_epochs is not None else None,
        max_hours=above_zero("max_hours", max_hours),
        margin_hours=margin(margin_hours, max_hours),
        tokens_per_second=None if tokens_per_second is None else above_zero("tokens_per_second", tokens_per_second),
        history={name: above_zero(f"history[{name!r}]", rate) for name, rate in (history or {}).items()},
    )
    train = TrainSettings(learning_rate=above_zero("learning_rate", learning_rate), bf16=bool(bf16))
    kept: tuple[str, ...] = ()
    if effective_batch_size is not None:
        effective = whole("effective_batch_size", effective_batch_size)
        train, kept = msgspec.structs.replace(train, effective_batch_size=effective), (EFFECTIVE_BATCH,)
    profile, reason = _profile_for(priority, request)
    settings = apply_profile(Settings(train=train), profile, kept).settings
    return _plan(profile, reason, settings, request, throughput(profile, request))


def _plan(profile: Profile, reason: str, settings: Settings, request: OptimizeRequest, rate: Rate) -> OptimizedPlan:
    adjusted = fit_to_window(
        settings, lambda changed: as_estimate(time_of(changed, request, rate)), request.window.safe_until
    )
    estimate, asked = time_of(adjusted.settings, request, rate), time_of(settings, request, rate)
    if request.mean_tokens > settings.data.max_length:
        reason += f"; samples are cut at {settings.data.max_length:,} tokens, below the mean"
    return OptimizedPlan(
        profile=profile.name,
        epochs=trained_epochs(adjusted.settings, request.rows),
        max_length=settings.data.max_length,
        reason=reason,
        estimate=estimate,
        asked=asked,
        training_arguments=_training_arguments(adjusted.settings, estimate),
        changes=adjusted.changes,
        max_hours=request.max_hours,
        margin_hours=request.margin_hours,
        note="; ".join(filter(None, (_of_margin(asked, request), _note(profile, settings, request, adjusted)))),
    )


def _of_margin(asked: TimeEstimate, request: OptimizeRequest) -> str:
    """Where all that was asked for fits into the window and not into what the margin leaves of it."""
    if asked.fits_in_window or asked.hours > request.max_hours:
        return ""
    return (
        f"all of it would take {asked.hours:.2f} h of the {request.max_hours:g} h; margin_hours keeps "
        f"{request.margin_hours:g} h of them free"
    )


def _profile_for(priority: str | None, request: OptimizeRequest) -> tuple[Profile, str]:
    """The profile as the data and the epochs asked for want it, and why this one."""
    choice = choose(request.rows, request.mean_tokens)
    if priority is None or priority == "auto":
        profile = chosen_profile(choice, find_profile(choice.profile), request.mean_tokens)
        return _with_epochs(profile, request.epochs), choice.reason
    name = _named(priority)
    asked = find_profile(name)
    profile = fit_to_lengths(asked, request.mean_tokens)
    reason = f"{name} was asked for" if priority == name else f"priority {priority} asks for {name}"
    if profile is not asked:
        reason += f", with the batch and length for {request.mean_tokens:g} tokens on average"
    if choice.profile != name:
        reason += f"; the data alone would choose {choice.profile}: {choice.reason.partition(':')[0]}"
    return _with_epochs(profile, request.epochs), reason


def _named(priority: object) -> str:
    """The name of the profile that a priority means."""
    hint = "Take speed, balanced, quality, memory, auto, or the name of a profile."
    if not isinstance(priority, str):
        raise UsageError(f"priority: expected a name, got {priority!r}", hint)
    name = PRIORITIES.get(priority, priority)
    listed = [profile.name for profile in list_profiles().profiles]
    if name not in listed:
        raise UsageError(
            f"priority: nothing is named {priority!r}{nearest(priority, [*PRIORITIES, 'auto', *listed])}", hint
        )
    return name


def _with_epochs(profile: Profile, epochs: float | None) -> Profile:
    """Epochs that were asked for come before the profile's, and before its number of steps."""
    if epochs is None:
        return profile
    values = {path: value for path, value in profile.values.items() if path != MAX_STEPS}
    return msgspec.structs.replace(profile, values={**values, EPOCHS: epochs})


def _training_arguments(settings: Settings, estimate: TimeEstimate) -> dict[str, Any]:
    """Names of transformers 5; what is its default and no matter of the profile is left out."""
    train = settings.train
    step_seconds = estimate.hours * HOUR / estimate.total_steps
    arguments: dict[str, Any] = {
        "per_device_train_batch_size": train.micro_batch_size,
        "gradient_accumulation_steps": train.effective_batch_size // train.micro_batch_size,
        "num_train_epochs": train.epochs,
        "learning_rate": train.learning_rate,
        "lr_scheduler_type": train.lr_schedule,
        "warmup_steps": train.lr_warmup_steps,
        "weight_decay": train.weight_decay,
        "max_grad_norm": train.max_grad_norm,
        "optim": train.optimizer,
        "bf16": train.bf16,
        "seed": train.seed,
        "dataloader_num_workers": train.loader_workers,
        "save_strategy": "steps",
        "save_steps": max(round(SAVE_SECONDS / step_seconds), 1),
        "save_total_limit": settings.schedule.keep_checkpoints,
    }
    if train.max_steps is not None:
        arguments["max_steps"] = train.max_steps
    if train.gradient_checkpointing:
        arguments["gradient_checkpointing"] = True
    if train.compile:
        arguments["torch_compile"] = True
    return arguments


def _note(profile: Profile, settings: Settings, request: OptimizeRequest, adjusted: Adjusted) -> str:
    """Why nothing fits, or the stated figure of a built-in profile with which all would have fitted."""
    if adjusted.note or not adjusted.changes or request.tokens_per_second is not None:
        return adjusted.note
    for other in list_profiles().profiles:
        rate = request.history.get(other.name, other.baseline.tokens_per_second)
        fits_whole = request.mean_tokens <= int(fit_to_lengths(other, request.mean_tokens).values.get(MAX_LENGTH, 0))
        if other.name == profile.name or rate is None or not fits_whole:
            continue
        seconds = request.rows * request.mean_tokens * settings.train.epochs / rate
        if request.fits(seconds):
            known = "measured" if other.name in request.history else "stated"
            return f"{other.name} would take {format_span(seconds)} for all of it at its {known} {rate:,.10g} tokens/s"
    return ""
