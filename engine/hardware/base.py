"""What a hardware backend offers."""

from __future__ import annotations

from typing import Protocol

from speedtui.engine.events import Device, DeviceSample


class HardwareReader(Protocol):
    """Reads one kind of accelerator.

    It raises nothing for what it cannot see: the value is None, and a note says why.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        """What it cannot see and why, each once, for people; it may grow while sampling."""

    def devices(self) -> list[Device]:
        """The devices that a worker of this environment would see, in torch's order; empty where there are none."""

    def sample(self) -> list[DeviceSample]:
        """One reading of each device, in the order of `devices`."""

    def close(self) -> None:
        """Lets go of the driver; afterwards there are no devices."""
