"""A real run in real terminals: over a real SSH connection, in tmux, in GNU screen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "tui")]

import psutil  # noqa: E402
import pytest  # noqa: E402
from pseudo_terminal import Seen, Terminal  # noqa: E402
from remote import (  # noqa: E402
    COLUMNS,
    ROWS,
    SPEEDTUI,
    Host,
    OpenTerminal,
    Training,
    free_port,
    libraries,
    server_settings,
    started,
    tool,
    wait_for,
    with_user_sshd,
    write_endless,
)


@pytest.fixture(scope="module")
def training(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Training]:
    """The demo's model with short steps, started without a screen as a service would; it ends with its file, since
    it takes a whole core from all tests as long as it is there."""
    home = tmp_path_factory.mktemp("run")
    config, runs = home / "speedtui.toml", home / "runs"
    write_endless(config)
    command = [SPEEDTUI, "train", "--json", "--config", str(config), "--runs", str(runs)]
    process = subprocess.Popen(command, cwd=home, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield Training(runs, started(runs, process))
    finally:
        for child in psutil.Process(process.pid).children(recursive=True):
            child.kill()
        process.kill()
        process.wait()


@pytest.fixture
def open_terminal(tmp_path: Path) -> Iterator[OpenTerminal]:
    """Opens programs in terminals, and closes these at the end."""
    opened: list[Terminal] = []

    def make(command: list[str], **env: str) -> Seen:
        terminal = Terminal(command, COLUMNS, ROWS, {"TMPDIR": str(tmp_path), **env})
        opened.append(terminal)
        return Seen(terminal, COLUMNS, ROWS)

    yield make
    for terminal in opened:
        terminal.kill()


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Runs as this user, with keys of its own; nothing of the user's own SSH set-up is read or changed."""
    home = tmp_path_factory.mktemp("ssh")
    home.chmod(0o700)
    for name in ("host", "user"):
        command = [tool("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", str(home / name)]
        subprocess.run(command, check=True, capture_output=True)
    (home / "authorized").write_text((home / "user.pub").read_text())
    port = free_port()
    (home / "sshd.conf").write_text(server_settings(home, port))
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)  # where a server that root starts locks itself in
    command = [*with_user_sshd(home), tool("sshd"), "-D", "-e", "-f", str(home / "sshd.conf")]
    with (home / "log").open("wb") as log:
        server = subprocess.Popen(command, stderr=log, env={**os.environ, "LD_LIBRARY_PATH": libraries()})
    try:
        wait_for(port, server, home / "log")
        yield Host(port, home / "user", home / "known")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()
