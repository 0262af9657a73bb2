"""Whether a model name is a folder, something in the local cache, or needs the network."""

from __future__ import annotations

import os
import socket
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from speedtui.engine.errors import ModelError

CONNECT_SECONDS = 5.0
"""Long enough for a slow name server; the hub's own client tries every file for 45 s before it gives up."""


def check_source(name: str, key: str) -> bool:
    """Refuses a folder that is not there and a hub id that cannot be had; True: use local files only.

    Raises:
        ModelError: naming the key of speedtui.toml that holds the name.
    """
    if check_folder(name, key):
        return True
    if not _offline() and _reachable():
        return False
    if not _in_cache(name):
        reason = "HF_HUB_OFFLINE is set" if _offline() else "the hub cannot be reached"
        raise ModelError(
            f"{name}: no folder of that name, not in the local cache of the hub, and {reason}",
            f"Name a folder from save_pretrained in {key}, or download the model first: `hf download {name}`.",
        )
    return True


def check_folder(name: str, key: str) -> bool:
    """Whether it is a folder.

    Raises:
        ModelError: it can only be one, and is not there.
    """
    if Path(name).is_dir():
        return True
    if _looks_like_path(name):
        raise ModelError(f"{name}: no such folder", f"Correct {key}: a folder from save_pretrained, or a hub id.")
    return False


def require_model_in(folder: Path) -> None:
    """Refuses a folder that `from_pretrained` could not read.

    Raises:
        ModelError: it has no config.json.
    """
    if not (folder / "config.json").is_file():
        raise ModelError(f"{folder}: the folder holds no model: no config.json", "Name a folder from save_pretrained.")


def _looks_like_path(name: str) -> bool:
    return name.startswith((".", "/", "~")) or name.count("/") > 1 or Path(name).exists()


def _offline() -> bool:
    from huggingface_hub import constants

    return bool(constants.HF_HUB_OFFLINE)


def cached_file(name: str, file: str) -> Path | None:
    """A file of a folder, or of a hub id in the local cache; None where it is not on this machine."""
    if Path(name).is_dir():
        path = Path(name) / file
        return path if path.is_file() else None
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        found = try_to_load_from_cache(name, file)
    except HFValidationError:
        return None
    return Path(found) if isinstance(found, str) else None


def _in_cache(name: str) -> bool:
    return any(cached_file(name, file) is not None for file in ("config.json", "tokenizer.json"))


def _reachable() -> bool:
    """One connection attempt; behind a proxy the answer is left to the hub's own client."""
    from huggingface_hub import constants

    endpoint = urlsplit(constants.ENDPOINT)
    if urllib.request.getproxies() or os.environ.get("ALL_PROXY"):
        return True
    port = endpoint.port or (80 if endpoint.scheme == "http" else 443)
    try:
        with socket.create_connection((endpoint.hostname or "", port), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False
