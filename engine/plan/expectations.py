"""Predicted peaks by configuration, asked for as they are needed and kept."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from speedtui.engine.config.capability import Capability
from speedtui.engine.config.settings import Settings
from speedtui.engine.memory.peak_model import MARGIN, Calibration, DeviceKind, MemorySurface, Unpredictable
from speedtui.engine.memory.predict import predict
from speedtui.engine.plan.resolved_profiles import PredictedPeak
from speedtui.engine.search.space import WithoutMask, class_key, memory_request, with_mask
from speedtui.engine.workload.base import Report, Workload


class Expectations:
    """Peaks on one device. A peak that cannot be predicted is None, and `problem` says why."""

    def __init__(
        self, data_for: Callable[[Settings], Workload], free_bytes: int | None, calibration: Calibration,
        report: Report, *, device: DeviceKind, capability: Capability | None = None,
        without_mask: WithoutMask = with_mask,
    ) -> None:  # fmt: skip
        """`free_bytes`: None where there is no limit; `capability`: of a GPU, where it is known; `without_mask`: as a
        trial decides it, where a model is loaded to tell."""
        self._device, self._capability = device, capability
        self._without_mask = without_mask
        self.calibration = calibration
        self.free_bytes = free_bytes
        self.problem = ""
        self._data_for, self._report = data_for, report
        self._surfaces: dict[bytes, MemorySurface | Unpredictable] = {}

    def prepare(self, settings: Iterable[Settings]) -> None:
        """Predicts all of them in one go, which costs one start of a process."""
        wanted = {self._key(one): one for one in settings}
        requests = {}
        for key, one in wanted.items():
            if key not in self._surfaces:
                workload = self._data_for(one)
                request = memory_request(
                    one, workload.facts, workload.vocabulary, self._device, self._capability,
                    masked=not self._without_mask(one),
                )  # fmt: skip
                if request is None:
                    self._surfaces[key] = Unpredictable(reason="only the recipe knows how large its samples are")
                else:
                    requests[key] = request
        for key, answer in zip(requests, predict(list(requests.values()), self._report), strict=True):
            self._surfaces[key] = answer.outcome
        reasons = [s.reason for key in wanted if isinstance(s := self._surfaces[key], Unpredictable)]
        self.problem = self.problem or next(iter(reasons), "")

    def of(self, settings: Settings) -> PredictedPeak | None:
        """The peak of these settings."""
        self.prepare([settings])
        surface = self._surfaces[self._key(settings)]
        if isinstance(surface, Unpredictable):
            return None
        train = settings.train
        accumulates = train.micro_batch_size < train.effective_batch_size
        breakdown = surface.breakdown(train.micro_batch_size, accumulates=accumulates)
        peak = breakdown.total_bytes
        return PredictedPeak(
            peak_bytes=self.calibration.expected_bytes(peak),
            breakdown=breakdown,
            fits=self.calibration.fits(peak, self.free_bytes) if self.free_bytes is not None else None,
        )

    def _key(self, settings: Settings) -> bytes:
        return class_key(settings, masked=not self._without_mask(settings))

    def memory(self, settings: Settings) -> tuple[int, int] | None:
        """(peak with the margin, limit) in bytes; None where one of them is not known."""
        expected = self.of(settings)
        if expected is None or self.free_bytes is None:
            return None
        return round(expected.peak_bytes * (1 + MARGIN)), self.free_bytes
