"""Calls the metric for the samples of a request, in the metric's own process."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from speedtui.engine.errors import DataError
from speedtui.engine.evaluate.metric import Metric, NoScore, described, number_of, tell
from speedtui.engine.evaluate.scorer_messages import Began, Scored, ScorerReply, ScoringRequest, SetScored, Unread
from speedtui.engine.workload.data import Content, DataTable, answer_of

Send = Callable[[ScorerReply], None]

PLURAL = {"predictions": "prediction", "references": "reference", "rows": "row"}


class Calls:
    """Answers requests; keeps the rows that it has read for the next one."""

    def __init__(self, metric: Metric, send: Send) -> None:
        self._metric = metric
        self._send_line = send
        self._lock = threading.Lock()
        self._rows: dict[int, tuple[Mapping[str, Any], Content | None]] = {}
        self._source: DataTable | None = None
        self._told = False
        """Of one request the first error is written to the log, not thousands that are like it."""

    def answer(self, request: ScoringRequest) -> None:
        """Scores what is asked, and says it as it goes on."""
        try:
            samples = self._samples(request)
        except Exception as error:  # the libraries of Parquet files and saved datasets raise what they like
            tell(error)
            self._send(Unread(reason=str(error) or type(error).__name__))
            return
        self._told = False
        self._send(Began(at=time.monotonic()))
        if self._metric.form == "set":
            self._send(self._whole(samples, request.threads))
        else:
            self._each(samples, request.threads)

    # -- what is scored ----------------------------------------------------------------------------

    def _samples(self, request: ScoringRequest) -> list[dict[str, Any]]:
        """Prediction, reference and row of each, as far as the metric takes them."""
        taken = {PLURAL.get(name, name) for name in self._metric.takes}
        samples: list[dict[str, Any]] = [{"prediction": text} for text in request.predictions]
        if request.source is not None and taken & {"reference", "row"}:
            self._read(request.source, request.numbers, whole="row" in taken)
            for sample, number, turn in zip(samples, request.numbers, request.turns, strict=True):
                sample["row"], content = self._rows[number]
                sample["reference"] = answer_of(content, turn)
            return samples
        for name, given in (("reference", request.references), ("row", request.rows)):
            for sample, value in zip(samples, given or (), strict=given is not None):
                sample[name] = value
        return samples

    def _read(self, source: DataTable, numbers: list[int], *, whole: bool) -> None:
        """Keeps the rows of these numbers.

        Raises:
            DataError: they are not there any more.
        """
        if source != self._source:
            self._rows, self._source = {}, source
        missing = set(numbers) - self._rows.keys()
        if not missing:
            return
        rows = itertools.islice(source.answered_rows(whole=whole), max(missing) + 1)
        self._rows.update((number, row) for number, row in enumerate(rows) if number in missing)
        if lost := missing - self._rows.keys():
            raise DataError(f"{source.path}: it has no row {min(lost) + 1} any more")

    # -- one by one --------------------------------------------------------------------------------

    def _each(self, samples: list[dict[str, Any]], threads: int) -> None:
        queue = enumerate(samples)
        workers = [
            threading.Thread(target=self._work, args=(queue,), daemon=True) for _ in range(min(threads, len(samples)))
        ]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def _work(self, queue: Iterator[tuple[int, dict[str, Any]]]) -> None:
        for place, sample in queue:  # the next of an enumerated list is one step under Python's lock
            self._send(self._score(place, sample))

    def _score(self, place: int, sample: dict[str, Any]) -> Scored:
        try:
            return Scored(sample=place, score=number_of(self._metric.call(sample)))
        except BaseException as error:  # sys.exit too: it would end a thread and nothing else
            return Scored(sample=place, error=self._described(error))

    # -- all at once -------------------------------------------------------------------------------

    def _whole(self, samples: list[dict[str, Any]], threads: int) -> SetScored:
        given: dict[str, Any] = {
            plural: [sample[name] for sample in samples] for plural, name in PLURAL.items() if name in samples[0]
        }
        try:
            returned = self._metric.call({**given, "threads": threads})
            return self._numbers(returned if isinstance(returned, Mapping) else {self._metric.name: returned})
        except BaseException as error:
            return SetScored(metrics={}, error=self._described(error))

    def _numbers(self, returned: Mapping[Any, Any]) -> SetScored:
        metrics: dict[str, float | None] = {}
        error = None if returned else "it returned an empty dict"
        for key, value in returned.items():
            try:
                metrics[str(key)] = number_of(value)
            except NoScore as problem:
                metrics[str(key)] = None
                error = error or (str(problem) if len(returned) == 1 else f"{key}: {problem}")
        return SetScored(metrics=metrics, error=error)

    def _described(self, error: BaseException) -> str:
        if not self._told:
            self._told = True
            tell(error)
        return described(error, self._metric.path)

    def _send(self, message: ScorerReply) -> None:
        with self._lock:
            self._send_line(message)
