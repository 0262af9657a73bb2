"""Asks torch what it can use, in a process of its own: the import takes seconds, and a broken driver may crash it."""

from __future__ import annotations

import subprocess
import sys

import msgspec

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
