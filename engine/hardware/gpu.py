"""One NVIDIA device, each value read on its own."""

from __future__ import annotations

from speedtui.engine.config.capability import Capability
from speedtui.engine.events import Device, DeviceSample
from speedtui.engine.hardware.driver import Driver, DriverError, Lost, Notes

TEMPERATURE_SENSOR = 0
"""NVML_TEMPERATURE_GPU, the sensor on the chip."""
SM_CLOCK = 1
"""NVML_CLOCK_SM."""
MEMORY_CLOCK = 2
"""NVML_CLOCK_MEM."""
SLOWED_DOWN = 0x008 | 0x010 | 0x020 | 0x040 | 0x080 | 0x200 | 0x400
"""Clock event reasons that keep a device below what it should do: hardware slowdown, sync boost, software and hardware
thermal slowdown, power brake, board limit, reliability. Left out are idle (0x001) and clocks that somebody set (0x002,
0x100), which are no fault, and the power cap, which is none either."""
POWER_CAPPED = 0x004
"""The software power cap: the driver holds the clock where the power limit is kept, as it does at any full load."""


class Gpu:
    """A device that torch would see as `cuda:<index>`. A value that cannot be read is None, and a note says why."""

    def __init__(self, driver: Driver, notes: Notes, index: int, handle: object) -> None:
        self.index = index
        self._driver = driver
        self._notes = notes
        self._handle = handle
        self._which = f"GPU {index}"
        self._lost = False
        self._uuid = ""
        self.name = "NVIDIA GPU"
        try:
            read_name = notes.ask("name", self._which, self._which, lambda: driver.text("nvmlDeviceGetName", handle))
            self.name = read_name or self.name
            self._uuid = driver.text("nvmlDeviceGetUUID", handle)
        except DriverError:  # lost since it was found, or without a UUID, by which it would be found again
            pass

    def device(self) -> Device:
        """What it is."""
        try:
            memory = self._memory()[1]
        except Lost:
            memory = None
        return Device(
            index=self.index, kind="cuda", name=self.name, memory_bytes=memory, capability=self._capability()
        )  # fmt: skip

    def _capability(self) -> Capability | None:
        try:
            major, minor = self._driver.call("nvmlDeviceGetCudaComputeCapability", self._handle)
        except DriverError:
            return None
        return int(major), int(minor)

    def sample(self) -> DeviceSample:
        """What it does now; of a lost one no more than that, and it is looked for again each time."""
        try:
            if self._lost and self._uuid:
                self._handle = self._driver.call("nvmlDeviceGetHandleByUUID", self._uuid)
            sample = self._read()
        except DriverError as error:
            self._lost = True
            return DeviceSample(index=self.index, name=self.name, lost=str(error))
        self._lost = False
        return sample

    def _read(self) -> DeviceSample:
        used, total = self._memory()
        milliwatts = self._number("power", ("nvmlDeviceGetPowerUsage",))
        limit = self._number("power limit", ("nvmlDeviceGetEnforcedPowerLimit",))
        reasons = self._clock_reasons()
        return DeviceSample(
            index=self.index,
            name=self.name,
            utilization=self._utilization(),
            memory_used_bytes=used,
            memory_total_bytes=total,
            power_watts=None if milliwatts is None else milliwatts / 1000,
            power_limit_watts=None if limit is None else limit / 1000,
            temperature_celsius=self._temperature(),
            sm_clock_mhz=self._number("SM clock", ("nvmlDeviceGetClockInfo",), SM_CLOCK),
            memory_clock_mhz=self._number("memory clock", ("nvmlDeviceGetClockInfo",), MEMORY_CLOCK),
            throttled=None if reasons is None else bool(reasons & SLOWED_DOWN),
            power_capped=None if reasons is None else bool(reasons & POWER_CAPPED),
        )

    def split(self) -> bool:
        """Whether MIG divides it into slices; most devices cannot."""
        try:
            return bool(self._driver.call("nvmlDeviceGetMigMode", self._handle)[0])
        except DriverError:
            return False

    def _memory(self) -> tuple[int | None, int | None]:
        """Bytes used and bytes usable."""
        read = self._notes.ask("memory", self.name, self._which, lambda: self._driver.memory(self._handle))
        return read or (None, None)

    def _utilization(self) -> float | None:
        def read() -> float:
            return int(self._driver.call("nvmlDeviceGetUtilizationRates", self._handle).gpu) / 100

        return self._notes.ask("utilization", self.name, self._which, read)

    def _temperature(self) -> float | None:
        # NVIDIA has announced that the second one goes away with CUDA 14; older drivers have only that one.
        names = ("nvmlDeviceGetTemperatureV", "nvmlDeviceGetTemperature")
        return self._number("temperature", names, TEMPERATURE_SENSOR)

    def _clock_reasons(self) -> int | None:
        """Bits that say why its clocks are not at their highest."""
        # The same bits under the new and the old name.
        names = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
        return self._number("throttling", names)

    def _number(self, what: str, names: tuple[str, ...], *arguments: int) -> int | None:
        """What the first of these functions answers that answers at all."""

        def read() -> int:
            *others, last = names
            for name in others:
                try:
                    return int(self._driver.call(name, self._handle, *arguments))
                except Lost:
                    raise
                except DriverError:
                    continue
            return int(self._driver.call(last, self._handle, *arguments))

        return self._notes.ask(what, self.name, self._which, read)
