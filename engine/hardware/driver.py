"""NVIDIA's NVML, through nvidia-ml-py, as calls that either answer or say why not, and the notes of what did not."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

MEMORY_V2 = 0x02000028
"""Version word of nvmlMemory_v2_t: the struct's size, and 2 in the top byte."""
LOST = (15, 16, 28)
"""NVML_ERROR_GPU_IS_LOST, NVML_ERROR_RESET_REQUIRED, NVML_ERROR_GPU_NOT_FOUND."""


class DriverError(Exception):
    """A call that got no answer. The text says why."""


class MissingFunction(DriverError):
    """This driver library, or this nvidia-ml-py, does not have the call at all."""


class NotSupported(DriverError):
    """The driver has the call, but not for this kind of device."""


class Lost(DriverError):
    """The device does not answer any more: it has fallen off the bus, or waits for a reset."""


class Driver:
    """The driver library, loaded and initialised."""

    def __init__(self) -> None:
        """Loads the library.

        Raises:
            DriverError: nvidia-ml-py or the library is not there, or the driver does not answer.
        """
        try:
            self._nvml: Any = importlib.import_module("pynvml")
        except ImportError:
            raise DriverError("the package nvidia-ml-py is not installed") from None
        self.call("nvmlInit")

    def call(self, name: str, *arguments: object) -> Any:
        """The answer of one function of pynvml.

        Raises:
            DriverError: there is no answer, whatever the reason.
        """
        function = getattr(self._nvml, name, None)
        if function is None:
            raise MissingFunction("this version of nvidia-ml-py has no function for it")
        try:
            return function(*arguments)
        except self._nvml.NVMLError_FunctionNotFound:
            raise MissingFunction("this driver library has no function for it") from None
        except self._nvml.NVMLError_LibraryNotFound:
            raise DriverError("there is no NVIDIA driver library (libnvidia-ml.so.1)") from None
        except self._nvml.NVMLError_NotSupported:
            raise NotSupported("not supported") from None
        except self._nvml.NVMLError as error:
            raise (Lost if getattr(error, "value", None) in LOST else DriverError)(str(error)) from None
        except Exception as error:  # a name that is no UTF-8, a struct of another version: still only one value lost
            raise DriverError(f"{type(error).__name__}: {error}") from None

    def text(self, name: str, *arguments: object) -> str:
        """The same for a function that answers text, which older versions of the binding give as bytes.

        Raises:
            DriverError: there is no answer.
        """
        answer = self.call(name, *arguments)
        return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else str(answer)

    def memory(self, handle: object) -> tuple[int, int]:
        """Bytes of a device that are used, and bytes that programs can use at all.

        The second version of the call tells apart what the driver keeps for itself (about 0.5 GiB of an 80 GiB
        device); CUDA never hands that out, so it counts neither as used nor as usable.

        Raises:
            DriverError: there is no answer.
        """
        try:
            memory = self.call("nvmlDeviceGetMemoryInfo", handle, MEMORY_V2)
            return int(memory.used), int(memory.total) - int(memory.reserved)
        except Lost:
            raise
        except DriverError:
            memory = self.call("nvmlDeviceGetMemoryInfo", handle)
            return int(memory.used), int(memory.total)

    def close(self) -> None:
        """Shuts the library down.

        Raises:
            DriverError: the library refused.
        """
        self.call("nvmlShutdown")


T = TypeVar("T")


class Notes:
    """Sentences for people, each once. Any thread may read them while one adds."""

    def __init__(self) -> None:
        self._texts: list[str] = []

    def add(self, text: str) -> None:
        """Takes up a sentence that is not there yet."""
        text = text[0].upper() + text[1:]
        if text not in self._texts:
            self._texts.append(text)

    def all(self) -> tuple[str, ...]:
        """In the order in which they came up."""
        return tuple(self._texts)

    def ask(self, what: str, kind: str, which: str, read: Callable[[], T]) -> T | None:
        """What `read` answers, or None and a note.

        A value that a kind of device does not have is noted once for the `kind`; a failure for `which` device it was.

        Raises:
            Lost: the device does not answer any more, which is no matter of one value.
        """
        try:
            return read()
        except Lost:
            raise
        except MissingFunction as error:
            self.add(f"{what}: {error}.")
        except NotSupported as error:
            self.add(f"{what}: {error} by {kind}.")
        except DriverError as error:
            self.add(f"{what} of {which}: {error}.")
        return None
