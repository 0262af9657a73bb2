"""The NVIDIA driver, its devices, and whether torch can use them, which a process of its own is asked: the import takes
seconds, and a broken driver may crash it."""

from __future__ import annotations

import subprocess
import sys

import msgspec

from speedtui.engine.doctor.check import Check
from speedtui.engine.events import Device
from speedtui.engine.hardware.available import cpu_device, visible_gpus
from speedtui.engine.hardware.nvml import NvmlReader
from speedtui.engine.hardware.sampler import LOST_HINT
from speedtui.engine.hardware.visible import VISIBLE, asked_devices
from speedtui.engine.units import format_size

TIMEOUT_SECONDS = 90.0
"""torch's import takes 1.4-5 s from a local disk, and many times that from a cold network disk."""

_SCRIPT = """
import json, warnings
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    import torch
    answer = {"version": torch.__version__, "cuda": torch.version.cuda, "hip": torch.version.hip, "error": ""}
    try:
        answer["usable"] = torch.cuda.is_available()
        answer["devices"] = torch.cuda.device_count()
        if answer["usable"]:
            (torch.ones(2, device="cuda") + 1).sum().item()
    except Exception as error:
        answer["usable"], answer["error"] = False, f"{type(error).__name__}: {error}"
if not answer["usable"] and not answer["error"] and answer["cuda"]:
    answer["error"] = " ".join(str(warning.message) for warning in caught)
print(json.dumps(answer))
"""
"""A device counts as usable when it has computed something: a build without kernels for it imports well."""


class TorchAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What torch said, or why it said nothing."""

    version: str = ""
    """Empty where torch could not be imported."""
    cuda: str | None = None
    """The CUDA version that torch was built for; None for a CPU or ROCm build."""
    hip: str | None = None
    usable: bool = False
    """A device computed something."""
    devices: int = 0
    error: str = ""


def probe_torch() -> TorchAnswer:
    """Starts a Python process that imports torch and computes on the first device."""
    command = [sys.executable, "-P", "-c", _SCRIPT]  # -P: a file torch.py in this folder is not torch
    try:
        done = subprocess.run(command, capture_output=True, timeout=TIMEOUT_SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return TorchAnswer(error=f"no answer in {TIMEOUT_SECONDS:.0f} s")
    except OSError as error:
        return TorchAnswer(error=str(error))
    lines = done.stdout.splitlines() or [b""]
    try:
        answer = msgspec.json.decode(lines[-1], type=TorchAnswer)
    except msgspec.DecodeError:
        return TorchAnswer(error=_last_words(done.stderr, done.returncode))
    return msgspec.structs.replace(answer, error=" ".join(answer.error.split()))


def _last_words(stderr: bytes, returncode: int) -> str:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    ending = f"killed by signal {-returncode}" if returncode < 0 else f"exit status {returncode}"
    return f"{lines[-1].strip()} ({ending})" if lines else ending


PICK_TORCH = "https://pytorch.org/get-started/locally"
"""Gives the install command for a driver."""


def check_devices(reader: NvmlReader, torch: TorchAnswer) -> list[Check]:
    """The driver, each device with its memory, and what cannot be read."""
    devices = reader.devices()
    lost = [_lost(f"GPU {number} of this machine", reason) for number, reason in reader.lost.items()]
    if not devices:
        unread = [gpu.name for gpu in visible_gpus(reader)] or ([f"torch has {torch.devices}"] if torch.usable else [])
        return [*lost, _unread_device(reader, unread) if unread else _no_device(reader)]
    cuda = "" if reader.cuda_version is None else ", CUDA up to {}.{}".format(*reader.cuda_version)
    driver = Check(name="NVIDIA driver", status="ok", found=f"{reader.driver_version or 'version unknown'}{cuda}")
    gone = {sample.index: sample.lost for sample in reader.sample() if sample.lost}
    gpus = [
        _lost(f"GPU {device.index}", gone[device.index]) if device.index in gone else _check_gpu(device)
        for device in devices
    ]
    return [driver, *gpus, *lost, *(_unseen(note) for note in reader.notes)]


def check_torch_devices(reader: NvmlReader, torch: TorchAnswer) -> list[Check]:
    """Whether torch computes on the devices that the driver has."""
    name = "torch devices"
    if not torch.version:
        if "No module named 'torch'" in torch.error:
            return []  # the check of the package has said so
        advice = "Run `python -c 'import torch'` for the whole message; reinstalling torch often mends it."
        return [Check(name=name, status="problem", found=f"torch does not import: {torch.error}", advice=advice)]
    if torch.usable:
        found = f"{torch.devices} usable, built for {_build(torch)}"
        return [Check(name=name, status="ok", found=found)]
    if not visible_gpus(reader):
        return [Check(name=name, status="ok", found=f"CPU only, built for {_build(torch)}")]
    found = f"no GPU usable, built for {_build(torch)}"
    found += f": {torch.error}" if torch.error else ""
    return [Check(name=name, status="problem", found=found, advice=_advice(reader, torch))]


def _no_device(reader: NvmlReader) -> Check:
    asked, notes = asked_devices(), " ".join(reader.notes)
    if asked is not None:
        advice = f"Jobs are refused: {VISIBLE} has to name devices that exist, or to be unset or empty."
        return Check(name="GPU", status="problem", found=f"{VISIBLE}={asked} names none. {notes}", advice=advice)
    found = f"none; jobs run on the CPU ({cpu_device().name}). {notes}"
    if reader.hidden:
        advice = f"Unset {VISIBLE}, or name devices that exist, to use them."
    else:
        advice = "If this machine has one: see that nvidia-smi works here (in a container: start it with GPU access)."
    return Check(name="GPU", status="warning", found=found, advice=advice)


def _unread_device(reader: NvmlReader, unread: list[str]) -> Check:
    found = f"{', '.join(unread)}: there, and cannot be read. {' '.join(reader.notes)}"
    advice = "Of its memory there is what CUDA says; its readings show as a dash."
    return Check(name="GPU", status="warning", found=found, advice=advice)


def _check_gpu(device: Device) -> Check:
    memory = "memory unknown" if device.memory_bytes is None else format_size(device.memory_bytes)
    return Check(name=f"GPU {device.index}", status="ok", found=f"{device.name}, {memory}")


def _lost(name: str, reason: str) -> Check:
    return Check(name=name, status="problem", found=f"lost: the driver says {reason!r}", advice=LOST_HINT)


def _unseen(note: str) -> Check:
    advice = "It concerns what is shown; no job depends on it."
    return Check(name="GPU reading", status="warning", found=note, advice=advice)


def _build(torch: TorchAnswer) -> str:
    if torch.cuda:
        return f"CUDA {torch.cuda}"
    return f"ROCm {torch.hip}" if torch.hip else "CPU"


def _advice(reader: NvmlReader, torch: TorchAnswer) -> str:
    if torch.cuda is None:
        return f"Install a CUDA build of torch: {PICK_TORCH}"
    needed, driver = int(torch.cuda.partition(".")[0]), reader.cuda_version
    if driver is not None and needed > driver[0]:  # within one major version any driver runs any CUDA
        newest = "{}.{}".format(*driver)
        return f"The driver runs CUDA up to {newest}: update it, or install a torch built for CUDA {driver[0]}."
    return "See that nvidia-smi works and that no other process holds the GPU or all of its memory."
