"""Configurations as the search moves between them, and what of them decides how much memory they need."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache

import msgspec

from speedtui.engine.candidate import Candidate
from speedtui.engine.config.batch import divisors
from speedtui.engine.config.capability import Capability
from speedtui.engine.config.paths import value_at
from speedtui.engine.config.settings import (
    Scalar,
    ScheduleSettings,
    SearchSettings,
    Settings,
    TrainSettings,
    WindowSettings,
)
from speedtui.engine.memory.peak_model import DeviceKind, MemoryRequest
from speedtui.engine.search.candidates import MICRO_BATCH, apply_candidate, make_candidate
from speedtui.engine.workload.base import DataFacts

Knobs = tuple[tuple[str, Scalar], ...]
"""Settings by full path, sorted; hashable."""
WithoutMask = Callable[[Settings], bool]
"""Whether attention goes without the mask of the padding in a run with these settings, see `trainer.needless_mask`."""


def with_mask(settings: Settings) -> bool:
    """The `WithoutMask` of the CPU, and of a model that nobody has looked at."""
    return False


Refusal = Callable[[Settings], str]
"""Why a run with these settings is refused on this machine, whatever its memory; empty where it is not."""


def no_refusal(settings: Settings) -> str:
    """The `Refusal` of a machine that has everything."""
    return ""


class SearchPoint(msgspec.Struct, frozen=True):
    """One configuration: a micro-batch, and every other setting that the search moves."""

    micro_batch_size: int
    knobs: Knobs

    def value(self, path: str) -> Scalar:
        """Of one knob."""
        return dict(self.knobs)[path]

    def moved(self, path: str, value: Scalar) -> SearchPoint:
        """The same with another value of one knob."""
        return SearchPoint(self.micro_batch_size, tuple(sorted({**dict(self.knobs), path: value}.items())))

    def sized(self, micro_batch_size: int) -> SearchPoint:
        """The same with another micro-batch."""
        return SearchPoint(micro_batch_size, self.knobs)


class Space:
    """The configurations around a run's own settings."""

    def __init__(self, settings: Settings, paths: Iterable[str], without_mask: WithoutMask = with_mask) -> None:
        """`paths`: full paths of the settings that are moved, besides the micro-batch."""
        self.settings = settings
        self._without_mask = without_mask
        self._paths = sorted(paths)
        # a replay asks for the same points again and again, and building settings takes a millisecond
        self.settings_of = lru_cache(maxsize=None)(self._settings_of)
        self.key = lru_cache(maxsize=None)(self._key)

    @property
    def effective_batch_size(self) -> int:
        """Never changed."""
        return self.settings.train.effective_batch_size

    @property
    def start(self) -> SearchPoint:
        """The run's own settings."""
        knobs = tuple((path, value_at(self.settings, path)) for path in self._paths)
        return SearchPoint(self.settings.train.micro_batch_size, knobs)

    def values(self, point: SearchPoint) -> dict[str, Scalar]:
        """As a candidate has them: the micro-batch, and what differs from the run's settings."""
        return {MICRO_BATCH: point.micro_batch_size} | {
            path: value for path, value in point.knobs if value != value_at(self.settings, path)
        }

    def values_of(self, candidate: Candidate) -> dict[str, Scalar]:
        """A candidate's settings written in the same way, whoever made it."""
        differing = {p: v for p, v in candidate.values.items() if v != value_at(self.settings, p)}
        return differing | {MICRO_BATCH: candidate.micro_batch_size}

    def label(self, point: SearchPoint) -> str:
        """Such as `mb4 ga4 r16 +ckpt`."""
        return make_candidate(0, self.values(point), self.settings, "search").label

    def _settings_of(self, point: SearchPoint) -> Settings:
        candidate = make_candidate(0, self.values(point), self.settings, "search")
        return apply_candidate(candidate, self.settings)

    def _key(self, point: SearchPoint) -> bytes:
        settings = self.settings_of(point)
        return class_key(settings, masked=not self._without_mask(settings))


def memory_class(settings: Settings) -> Settings:
    """The settings without what does not change the peak, which two configurations of one class share.

    Compiling does, where it brings back the mask that attention goes without else: that is no matter of the settings
    alone, see `class_key`.
    """
    plain = TrainSettings()
    train = msgspec.structs.replace(
        settings.train, micro_batch_size=1, effective_batch_size=1, loader_workers=0, compile=False, tf32=False,
        learning_rate=plain.learning_rate, lr_schedule=plain.lr_schedule, lr_warmup_steps=0, epochs=plain.epochs,
        max_steps=None, seed=plain.seed,
    )  # fmt: skip
    return msgspec.structs.replace(
        settings, train=train, search=SearchSettings(), window=WindowSettings(), schedule=ScheduleSettings()
    )


def class_key(settings: Settings, *, masked: bool = True) -> bytes:
    """The same for all configurations of a memory class. `masked`: attention gets the mask of the padding."""
    return msgspec.json.encode((memory_class(settings), masked), order="deterministic")


def memory_request(
    settings: Settings, facts: DataFacts, vocabulary: int | None, device: DeviceKind,
    capability: Capability | None = None, *, masked: bool = True,
) -> MemoryRequest | None:  # fmt: skip
    """What to predict for the class of these settings; None where the longest sample is not known.

    `facts`: of the data of these very settings, so that each side's longest is known after its own cut.
    `capability`: of a GPU, where it is known; `masked`: as far as is known attention gets the mask of the padding.
    """
    longest = facts.longest_tokens
    if longest is None and settings.model.kind != "python":
        return None
    return MemoryRequest(
        settings=settings,
        longest_tokens=settings.data.max_length if longest is None else longest,
        longest_target_tokens=facts.longest_target_tokens,
        vocabulary=vocabulary,
        device=device,
        capability=capability,
        masked=masked,
    )


def half_of(micro_batch_size: int, effective_batch_size: int) -> int | None:
    """The largest micro-batch up to half of this one; None below 1."""
    return max((n for n in divisors(effective_batch_size) if n <= micro_batch_size / 2), default=None)


def as_key(values: Mapping[str, Scalar]) -> frozenset[tuple[str, Scalar]]:
    """Settings as something to look up by."""
    return frozenset(values.items())
