"""Runs the user's command for an alert."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import BinaryIO

from speedtui.engine.alerts.rules import Alert, document
from speedtui.engine.clean import clean
from speedtui.engine.output import as_json
from speedtui.engine.units import format_span

SHELL = "/bin/sh"
"""The command is the user's own line, so that variables, pipes and `||` in it mean what they do at a prompt. Nothing of
the run is part of that line: what it is told comes by the environment and on stdin."""
WORDS_BYTES = 4096
"""Of what it wrote, from its end, in which the reason is looked for."""


def run_command(command: str, alert: Alert, folder: str, timeout_seconds: float) -> str:
    """Runs it in a session of its own and waits for it; why it failed, or nothing.

    What is still there of it after `timeout_seconds` is killed, and so is all that it started.
    """
    told = as_json(document(alert, folder)) + b"\n"
    with ExitStack() as stack:
        output: BinaryIO | None = None
        with suppress(OSError):  # a disk that takes nothing costs what the command says, and not the alert
            output = stack.enter_context(tempfile.TemporaryFile())
        sink = output or subprocess.DEVNULL
        try:
            process = subprocess.Popen(
                [SHELL, "-c", command], stdin=subprocess.PIPE, stdout=sink, stderr=sink, start_new_session=True,
                env={**os.environ, **variables(alert, folder)},
            )  # fmt: skip
        except OSError as error:
            return f"{SHELL} could not be started: {error.strerror or error}"
        try:
            process.communicate(told, timeout_seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            return f"the command took longer than {format_span(timeout_seconds)} and was killed"
        return _failure(process.returncode, output)


def variables(alert: Alert, folder: str) -> Mapping[str, str]:
    """What it finds in its environment: SPEEDTUI_EVENT, _RUN, _FOLDER, _VERDICT, _TITLE and _TEXT, of one line each."""
    values = {"EVENT": alert.kind, "RUN": alert.run, "FOLDER": folder, "VERDICT": alert.verdict or "",
              "TITLE": alert.title, "TEXT": alert.text}  # fmt: skip
    return {f"SPEEDTUI_{name}": value if name == "FOLDER" else clean(value) for name, value in values.items()}


def _failure(status: int, output: BinaryIO | None) -> str:
    if status == 0:
        return ""
    lines = _last_lines(output) if output is not None else []
    ended = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with exit status {status}"
    return f"the command {ended}{f': {clean(lines[-1].strip(), 200)}' if lines else ''}"


def _last_lines(output: BinaryIO) -> list[str]:
    size = output.seek(0, os.SEEK_END)
    output.seek(max(0, size - WORDS_BYTES))
    return output.read().decode(errors="replace").strip().splitlines()
