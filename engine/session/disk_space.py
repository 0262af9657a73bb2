"""Whether the disk of a run is full: its worker cannot tell, since its log lies on that disk."""

from __future__ import annotations

from speedtui.engine.events import Notice
from speedtui.engine.hardware.host import free_bytes
from speedtui.engine.runs import RunFolder
from speedtui.engine.state.snapshot import FULL_DISK_BYTES
from speedtui.engine.units import format_size

LOOK_SECONDS = 1.0
"""Between two looks."""


class DiskSpaceWatch:
    """Looks at the free space where a run is."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder
        self._due = 0.0
        self._full: int | None = None

    def news(self, now: float) -> bool:
        """Whether it is another figure than at the last look; `now`: on the monotonic clock."""
        if now < self._due:
            return False
        self._due, before = now + LOOK_SECONDS, self._full
        try:
            free = free_bytes(self._folder.path)
        except OSError:  # it does not answer: whether it is full is not known
            return False
        self._full = free if free < FULL_DISK_BYTES else None
        return self._full != before

    @property
    def full(self) -> int | None:
        """The free bytes that are left where no more than a few are; None while there is room."""
        return self._full

    def notice(self, t: float) -> Notice:
        """What a person has to do about it."""
        text = f"the disk is full: {format_size(self._full)} free in {self._folder.path}; the job goes on, its log and"
        return Notice(t=t, level="error", text=f"{text} checkpoints wait for room")
