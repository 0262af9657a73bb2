"""NVIDIA devices, found and read through the driver."""

from __future__ import annotations

import os

from speedtui.engine.events import Device, DeviceSample
from speedtui.engine.hardware.driver import Driver, DriverError, Lost, Notes
from speedtui.engine.hardware.gpu import Gpu
from speedtui.engine.hardware.visible import visible_indices


class NvmlReader:
    """The NVIDIA devices that CUDA_VISIBLE_DEVICES leaves visible, numbered as torch does.

    Without a driver there are none, and a note says why. It never asks for the list of processes.
    """

    def __init__(self) -> None:
        self.driver_version: str | None = None
        """Such as `580.65.06`; None without a driver."""
        self.cuda_version: tuple[int, int] | None = None
        """The newest CUDA that the driver can run, such as (13, 0)."""
        self.hidden = 0
        """Devices of this machine that CUDA_VISIBLE_DEVICES hides."""
        self.lost: dict[int, str] = {}
        """The driver's reasons, by this machine's numbers, of devices that were lost before they could be opened."""
        self._notes = Notes()
        self._gpus: list[Gpu] = []
        self._driver: Driver | None = None
        try:
            self._driver = Driver()
            self._read_versions(self._driver)
            self._gpus = self._find(self._driver)
        except DriverError as error:
            self._notes.add(f"No NVIDIA device is seen: {error}.")
        self.sample()  # so that what is missing from the start is in the notes from the start

    @property
    def notes(self) -> tuple[str, ...]:
        """What cannot be read and why, each once."""
        return self._notes.all()

    def devices(self) -> list[Device]:
        """The visible devices, in torch's order."""
        return [gpu.device() for gpu in self._gpus]

    def sample(self) -> list[DeviceSample]:
        """One reading of each device."""
        return [gpu.sample() for gpu in self._gpus]

    def close(self) -> None:
        """Shuts the driver library down; afterwards there are no devices."""
        driver, self._driver, self._gpus = self._driver, None, []
        if driver is not None:
            self._notes.ask("shutdown", "this driver", "the driver library", driver.close)

    def _read_versions(self, driver: Driver) -> None:
        here = "this machine"
        self.driver_version = self._notes.ask(
            "driver version", here, here, lambda: driver.text("nvmlSystemGetDriverVersion")
        )
        cuda = self._notes.ask(
            "CUDA version", here, here, lambda: int(driver.call("nvmlSystemGetCudaDriverVersion_v2"))
        )
        self.cuda_version = (cuda // 1000, cuda % 1000 // 10) if cuda else None  # 12040 stands for 12.4

    def _find(self, driver: Driver) -> list[Gpu]:
        setting = os.environ.get("CUDA_VISIBLE_DEVICES")
        if setting is not None and setting.startswith("MIG-"):
            return self._slice(driver, setting)
        handles = self._handles(driver)
        uuids = [self._uuid(driver, handle) for handle in handles]
        chosen = visible_indices(setting, uuids)
        gpus = [Gpu(driver, self._notes, index, handles[number]) for index, number in enumerate(chosen)]
        self.hidden = len(handles) - len(chosen)
        if self.hidden and not gpus:
            self._notes.add(f"CUDA_VISIBLE_DEVICES={setting!r} hides every GPU ({self.hidden} in this machine).")
        self._note_traps(setting, gpus)
        return gpus

    def _handles(self, driver: Driver) -> list[object]:
        """Those of the devices that this process may use; a container may count more than it is allowed to open."""
        handles = []
        for number in range(int(driver.call("nvmlDeviceGetCount"))):
            try:
                handles.append(driver.call("nvmlDeviceGetHandleByIndex", number))
            except Lost as error:
                self.lost[number] = str(error)
            except DriverError as error:
                self._notes.add(f"GPU {number} of this machine cannot be opened: {error}.")
        return handles

    def _uuid(self, driver: Driver, handle: object) -> str:
        here = "this machine"
        try:
            return self._notes.ask("UUID", here, here, lambda: driver.text("nvmlDeviceGetUUID", handle)) or ""
        except Lost:  # between two calls: its samples say so
            return ""

    def _slice(self, driver: Driver, setting: str) -> list[Gpu]:
        """The one MIG slice that CUDA uses, however many are named."""
        return [Gpu(driver, self._notes, 0, driver.call("nvmlDeviceGetHandleByUUID", setting.partition(",")[0]))]

    def _note_traps(self, setting: str | None, gpus: list[Gpu]) -> None:
        by_uuid = setting is not None and setting.startswith("GPU-")
        if len({gpu.name for gpu in gpus}) > 1 and not by_uuid and os.environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
            self._notes.add(
                "The GPUs differ, and CUDA numbers the fastest first: set CUDA_DEVICE_ORDER=PCI_BUS_ID, "
                "else torch's numbers may differ from the ones shown."
            )
        for gpu in gpus:
            if gpu.split():
                self._notes.add(f"GPU {gpu.index} is split by MIG: readings are of the whole device, not of a slice.")
