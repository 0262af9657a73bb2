"""A run that goes on, an SSH server on this machine, and the programs that these need."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from pseudo_terminal import PATIENCE_SECONDS, Seen

from speedtui.engine import events as e
from speedtui.engine.config.load import dump_settings
from speedtui.engine.demo.prepare import prepare
from speedtui.engine.log.tail import read_events
from speedtui.engine.runs import RunFolder, list_runs
from speedtui.engine.workload.base import silent
from speedtui.engine.workload.cache import cache_folder

SPEEDTUI = str(Path(sys.executable).with_name("speedtui"))
PACKAGES = {
    "sshd": ("openssh-server", "libwrap0"), "ssh": ("openssh-client",), "ssh-keygen": ("openssh-client",),
    "tmux": ("tmux",), "screen": ("screen",),
}  # fmt: skip
"""Debian packages of each program: its own, and those of libraries that a system may lack."""
PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
STEPS = 100_000
"""More than a test takes: the run is there as long as it is looked at."""
COLUMNS, ROWS = 100, 30


def tool(name: str) -> str:
    """Path of a program; where it is not installed its Debian package is unpacked beside other caches."""
    found = shutil.which(name, path=PLACES) or _fetched(name)
    if found is None:
        found = _unpack(name, PACKAGES[name])
    if found is None:
        package = PACKAGES[name][0]
        pytest.skip(f"{name} is not here and its package {package} cannot be fetched; install {package}")
    return found


def libraries() -> str:
    """Folders of the unpacked libraries, as LD_LIBRARY_PATH has them."""
    return ":".join(map(str, cache_folder("tools").glob("*/usr/lib/*-linux-gnu")))


def _unpack(name: str, packages: tuple[str, ...]) -> str | None:
    folder = cache_folder("tools") / packages[0]
    folder.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "download", *packages], cwd=folder, check=True, capture_output=True, timeout=60)
        for archive in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(archive), str(folder)], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError):
        return None
    return _fetched(name)


def _fetched(name: str) -> str | None:
    return next(map(str, cache_folder("tools").glob(f"*/usr/*bin/{name}")), None)


class Training(NamedTuple):
    """A long run that goes on in a process of its own."""

    runs: Path
    folder: RunFolder

    @property
    def attach(self) -> str:
        """What a person types to look at it."""
        return f"{SPEEDTUI} attach --runs {self.runs} {self.folder.id}"

    def steps(self) -> int:
        """How many are in its log."""
        return sum(isinstance(event, e.StepCompleted) for event in read_events(self.folder.events))

    def goes_on(self) -> bool:
        """Whether steps are added, and by a worker that has not ended."""
        before, end = self.steps(), time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < end:
            if self.steps() > before:
                return self.folder.worker_alive()
            time.sleep(0.2)
        return False


def write_endless(config: Path) -> None:
    """Settings of a training that ends only when it is stopped, with short steps and nothing between them."""
    settings, replace = prepare(cache_folder("demo"), silent), msgspec.structs.replace
    settings = replace(
        settings,
        train=replace(settings.train, max_steps=STEPS, effective_batch_size=2, micro_batch_size=2),
        schedule=replace(settings.schedule, eval_every="never", checkpoint_every="never"),
        window=replace(settings.window, length=None, margin="0s"),
    )
    config.write_text(dump_settings(settings))


def started(runs: Path, process: subprocess.Popen[bytes]) -> RunFolder:
    end = time.monotonic() + 2 * PATIENCE_SECONDS  # torch is imported, and a model made
    while time.monotonic() < end and process.poll() is None:
        for folder in list_runs(runs):
            if any(isinstance(event, e.StepCompleted) for event in read_events(folder.events)):
                return folder
        time.sleep(0.3)
    raise AssertionError("the training did not start")


OpenTerminal = Callable[..., Seen]


class Host(NamedTuple):
    """An SSH server on this machine."""

    port: int
    key: Path
    known_hosts: Path

    def login(self, command: str) -> list[str]:
        """A command line that runs `command` over there in a terminal."""
        options = {
            "UserKnownHostsFile": self.known_hosts, "StrictHostKeyChecking": "no", "IdentitiesOnly": "yes",
            "BatchMode": "yes", "LogLevel": "ERROR", "ServerAliveInterval": "5",
        }  # fmt: skip
        said = [f"-o{name}={value}" for name, value in options.items()]
        return [
            tool("ssh"),
            "-F",
            "none",
            "-tt",
            *said,
            "-i",
            str(self.key),
            "-p",
            str(self.port),
            "127.0.0.1",
            command,
        ]


def server_settings(home: Path, port: int) -> str:
    lines = {
        "ListenAddress": f"127.0.0.1:{port}", "HostKey": home / "host", "AuthorizedKeysFile": home / "authorized",
        "PidFile": "none", "StrictModes": "no", "UsePAM": "no", "PasswordAuthentication": "no",
        "PermitRootLogin": "prohibit-password", "PrintMotd": "no", "AcceptEnv": "SPEEDTUI_*",
    }  # fmt: skip
    return "".join(f"{name} {value}\n" for name, value in lines.items())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end and server.poll() is None:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    pytest.skip(f"sshd does not start here (package openssh-server): {log.read_text().strip()[-200:]}")


def with_user_sshd(home: Path) -> list[str]:
    """A command before the server's, for which there is the user that a server of root's locks itself in as.

    Its package would make that user; here it is in a list of users that this server alone has. Empty where there is
    one, or none is needed.
    """
    users = Path("/etc/passwd").read_text()
    if os.geteuid() != 0 or "\nsshd:" in users:
        return []
    (home / "passwd").write_text(users + "sshd:x:65534:65534::/run/sshd:/usr/sbin/nologin\n")
    return ["unshare", "-m", "sh", "-c", f'mount --bind {home / "passwd"} /etc/passwd && exec "$@"', "sh"]
