"""Which profile the data asks for (requirement B5)."""

from __future__ import annotations

import msgspec

from speedtui.engine.config.batch import largest_divisor
from speedtui.engine.plan_types import Choice
from speedtui.engine.profile.profile import EFFECTIVE_BATCH, EPOCHS, MAX_LENGTH, MICRO_BATCH, Profile
from speedtui.engine.units import plural

FEW_ROWS, MANY_ROWS = 5_000, 15_000
"""Both belong to balanced: below the one quality, above the other fast."""
FIVE_EPOCHS_BELOW = 2_000
"""The rule says 4 to 5 epochs for quality. Ours: 5 below so many rows, where an epoch has the fewest steps."""
SHORT_TOKENS, LONG_TOKENS = 300, 800
"""Mean tokens of a sample; exactly these change nothing."""
SHORT_LENGTH, LONG_LENGTH = 1024, 4096
LENGTHS = {"fast": 1024, "balanced": 2048, "quality": 4096}
"""Maximum length by profile where the mean changes nothing."""
FITTED_TO_LENGTHS = tuple(LENGTHS)
"""Profiles whose batch and length follow the data. memory-efficient keeps its own, since it is taken for want of
memory, and the user's own say what they mean."""


def choose(rows: int, mean_tokens: float | None, longest_tokens: int | None = None) -> Choice:
    """The profile for a dataset: by its rows, then by the mean tokens of a sample.

    `mean_tokens` is None where it is not known, and then only the rows count; `longest_tokens` is the longest sample
    before any cutting, and only tells whether samples are cut.
    """
    profile, epochs, why = _by_rows(rows)
    max_length = length_for(mean_tokens, LENGTHS[profile])
    reason = f"{why}: {profile}, {epochs:g} epochs; {_about_lengths(mean_tokens)}"
    if longest_tokens is not None and longest_tokens > max_length:
        reason += f"; samples are cut at {max_length:,} tokens, the longest has {longest_tokens:,}"
    return Choice(profile=profile, epochs=epochs, max_length=max_length, reason=reason)


def chosen_profile(choice: Choice, profile: Profile, mean_tokens: float | None) -> Profile:
    """The profile that was chosen, with the epochs, the length and the micro-batch that the data asks for.

    `profile` is the one of the choice's name. The user's own is returned as it stands.
    """
    if profile.own:
        return profile
    fitted = fit_to_lengths(profile, mean_tokens)
    return msgspec.structs.replace(fitted, values={**fitted.values, EPOCHS: choice.epochs})


def fit_to_lengths(profile: Profile, mean_tokens: float | None) -> Profile:
    """Short samples double the micro-batch and take 1,024 tokens, long ones halve it and take 4,096.

    The effective batch stays, so accumulation moves the other way. Only the built-in profiles that the data chooses
    from are fitted.
    """
    factor = _micro_batch_factor(mean_tokens)
    if profile.own or profile.name not in FITTED_TO_LENGTHS or factor == 1:
        return profile
    values = dict(profile.values)
    wanted = max(int(int(values[MICRO_BATCH]) * factor), 1)
    values[MICRO_BATCH] = largest_divisor(int(values[EFFECTIVE_BATCH]), wanted)
    values[MAX_LENGTH] = length_for(mean_tokens, int(values[MAX_LENGTH]))
    return msgspec.structs.replace(profile, values=values)


def length_for(mean_tokens: float | None, otherwise: int) -> int:
    """The maximum length that the mean asks for."""
    factor = _micro_batch_factor(mean_tokens)
    if factor == 1:
        return otherwise
    return SHORT_LENGTH if factor > 1 else LONG_LENGTH


def _by_rows(rows: int) -> tuple[str, float, str]:
    """(profile, epochs, why)."""
    if rows < FEW_ROWS:
        epochs = 5.0 if rows < FIVE_EPOCHS_BELOW else 4.0
        below = FIVE_EPOCHS_BELOW if rows < FIVE_EPOCHS_BELOW else FEW_ROWS
        return "quality", epochs, f"{_rows(rows)} below {below:,}"
    if rows <= MANY_ROWS:
        border = " (both included)" if rows in (FEW_ROWS, MANY_ROWS) else ""
        return "balanced", 3.0, f"{_rows(rows)} between {FEW_ROWS:,} and {MANY_ROWS:,}{border}"
    return "fast", 2.0, f"{_rows(rows)} above {MANY_ROWS:,}"


def _rows(rows: int) -> str:
    return f"{plural(rows, 'row')} {'is' if rows == 1 else 'are'}"


def _micro_batch_factor(mean_tokens: float | None) -> float:
    if mean_tokens is None or SHORT_TOKENS <= mean_tokens <= LONG_TOKENS:
        return 1
    return 2 if mean_tokens < SHORT_TOKENS else 0.5


def _about_lengths(mean_tokens: float | None) -> str:
    if mean_tokens is None:
        return "the mean length of a sample is not known and changes nothing"
    mean = f"{mean_tokens:,.10g}" if mean_tokens == round(mean_tokens) else f"{mean_tokens:,.1f}"
    if mean_tokens < SHORT_TOKENS:
        return (
            f"{mean} tokens on average are below {SHORT_TOKENS}: twice the micro-batch at the same effective batch, "
            f"{SHORT_LENGTH:,} tokens at most"
        )
    if mean_tokens > LONG_TOKENS:
        return (
            f"{mean} tokens on average are above {LONG_TOKENS}: half the micro-batch at the same effective batch, "
            f"{LONG_LENGTH:,} tokens at most"
        )
    return f"{mean} tokens on average change nothing"
