"""TensorBoard: an event file in a folder, written record by record without importing torch."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event, SourceMetadata
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from speedtui.engine.export.base import TrackedRun
from speedtui.engine.export.metrics import MetricPoint
from speedtui.engine.files import create, create_beside, make_folder

FILE_VERSION = "brain.Event:2"
"""What TensorBoard looks for in a file's first record."""


class TensorBoardSink:
    """One file for each worker; a run's own files end with its id, so that they are told from others in the folder."""

    def __init__(self, run: TrackedRun) -> None:
        """Begins a file; those of an earlier export are removed once it is complete.

        Raises:
            OSError: the folder or file cannot be made.
        """
        make_folder(run.folder)
        self._folder = run.folder
        earlier, torn = f"events.out.tfevents.*.{run.id}", f".events.out.tfevents.*.{run.id}.*"
        self._replaced = [] if run.live else [*run.folder.glob(earlier), *run.folder.glob(torn)]
        name = f"events.out.tfevents.{time.time_ns() // 1000:d}.{socket.gethostname()}.{os.getpid()}.{run.id}"
        self._path = run.folder / name
        # an export's file is given its name when it is complete, so that it never doubles the one it replaces
        self._file = create(self._path) if run.live else create_beside(self._path)
        self._written_to = Path(self._file.name)
        self._records = RecordWriter(self._file)
        source = SourceMetadata(writer="speedtui")
        self._record(Event(wall_time=time.time(), file_version=FILE_VERSION, source_metadata=source))
        self._file.flush()

    @property
    def where(self) -> str:
        """The command that shows it."""
        return f"tensorboard --logdir {self._folder}"

    def write(self, points: Sequence[MetricPoint]) -> None:
        """Raises OSError: the disk takes no more."""
        for point in points:
            values = [Summary.Value(tag=name, simple_value=value) for name, value in point.values.items()]
            self._record(Event(wall_time=point.time, step=point.step, summary=Summary(value=values)))
        self._file.flush()

    def _record(self, event: Event) -> None:
        self._records.write(event.SerializeToString())

    def close(self) -> None:
        """Raises OSError: the disk takes no more."""
        self._file.close()
        for path in self._replaced:
            path.unlink(missing_ok=True)
        self._written_to.rename(self._path)
