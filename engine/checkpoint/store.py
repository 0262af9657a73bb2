"""The checkpoints of a run: written aside and renamed, proved before an older one goes, found again."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from speedtui.engine.checkpoint.facts import FACTS_NAME, CheckpointError, CheckpointFacts, read_facts
from speedtui.engine.checkpoint.files import put_in_place, remove, repair, sync, sync_tree
from speedtui.engine.checkpoint.verify import file_sizes, flaw_of_checkpoint, flaw_of_files, missing_part
from speedtui.engine.files import make_folder, write_whole
from speedtui.engine.log.clock import working_seconds

ASIDE_NAME = ".writing"
REMOVED_NAME = ".removing"
PROBE_BYTES = 1 << 20
"""More than the last blocks that a full disk may have left."""
_SYSTEM_ERROR = re.compile(r"\(os error (\d+)\)")
"""As Rust, in which safetensors is written, shows it."""
_NAME = re.compile(r"checkpoint-(\d+)")
_BEFORE = re.compile(r"\.(checkpoint-\d+)-before")


class Saved(msgspec.Struct, frozen=True, kw_only=True):
    """A checkpoint that is in its place."""

    path: Path
    bytes: int
    write_seconds: float
    """What it took until the disk had it; not the writing before."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """The checkpoint that a training goes on from."""

    path: Path
    facts: CheckpointFacts
    passed_over: list[tuple[Path, str]]
    """Newer ones that are not whole, each with what is wrong, newest first."""


class CheckpointStore:
    """One folder of checkpoints. A checkpoint is whole in its place or not there at all."""

    def __init__(self, folder: Path, keep: int, *, now: Callable[[], Path] | None = None) -> None:
        """`now`: where the folder is whenever it is needed, if it can be moved."""
        self._where = now or (lambda: folder)
        self.keep = keep
        """The newest ones, at least one; may be changed while the training goes on."""
        self.protect: int | None = None
        """Step of the best one: kept besides, however old it gets."""
        self.passed_over: list[tuple[Path, str]] = []
        """What the last `newest` has passed over; also where it found none that is whole."""

    @property
    def folder(self) -> Path:
        """Where the checkpoints are."""
        return self._where()

    @property
    def staging(self) -> Path:
        """Where checkpoints are written: what transformers takes for its output folder."""
        return self.folder / ASIDE_NAME

    def begin(self, step: int) -> Path:
        """Clears what was left aside; returns where the checkpoint is to be written. That folder is not made yet.

        Raises:
            OSError: there is no place to write.
        """
        self._repair()
        self._clear()
        make_folder(self.staging)
        return self.staging / _name(step)

    def commit(self, step: int, facts: CheckpointFacts) -> Saved:
        """Proves what was written aside, waits for the disk, puts it in its place; then older ones may go.

        Raises:
            OSError: what was written is not whole, or the disk does not take it. What was aside is gone and the older
                ones are as they were.
        """
        aside, target = self.staging / _name(step), self.folder / _name(step)
        started = working_seconds()
        try:
            self._seal(aside, facts)
            size = sync_tree(aside)
            put_in_place(aside, target)
            sync(self.folder)
        except OSError:
            self.abandon()
            raise
        seconds = working_seconds() - started
        self._rotate(step)
        self._clear()
        return Saved(path=target, bytes=size, write_seconds=seconds)

    def abandon(self) -> None:
        """Removes what was written aside."""
        remove(self.staging)

    def refusal(self, error: Exception | None = None) -> str | None:
        """What the disk refused, such as `No space left on device`; None where it was not the disk.

        `error`: what the writing raised. torch and safetensors have errors of their own, and the system's number is in
        safetensors' alone, which also removes what it has written. For torch's the disk is asked for another MiB
        aside; so this comes before `abandon`, which makes room.
        """
        if isinstance(error, OSError):
            return error.strerror or str(error)
        number = _SYSTEM_ERROR.search(str(error))
        return os.strerror(int(number[1])) if number else self._ask_disk()

    def _ask_disk(self) -> str | None:
        probe = self.staging / "probe"
        try:
            make_folder(self.staging)
            write_whole(probe, bytes(PROBE_BYTES), durable=True)
            probe.unlink()
        except OSError as error:
            return error.strerror or str(error)
        return None

    def newest(self, model: str | None = None, *, until: int | None = None) -> Found | None:
        """The newest checkpoint that is whole; None where there is none.

        `model`: the fingerprint it must have; None takes any. One whose model is not known is taken. `until`: none of
        a later step.

        Raises:
            CheckpointError: it is another model's.
            OSError: a half-done exchange cannot be ended.
        """
        self._repair()
        self.passed_over = self._unfinished()
        for step in reversed(self.steps()):
            if until is not None and step > until:
                continue
            path = self.folder / _name(step)
            flaw = flaw_of_checkpoint(path)
            if flaw is not None:
                self.passed_over.append((path, flaw))
                continue
            facts = read_facts(path)
            _require_model(path, facts, model)
            return Found(path=path, facts=facts, passed_over=list(self.passed_over))
        return None

    def last_until(self, step: int) -> int | None:
        """Step of the last checkpoint in its place, whole or not, that is of no later step; None where none is."""
        return max((saved for saved in self.steps() if saved <= step), default=None)

    def drop_after(self, step: int) -> list[int]:
        """Removes what a training that goes on from `step` would take for its own and newer; returns their steps."""
        later = [saved for saved in self.steps() if saved > step]
        for saved in later:
            self._remove(self.folder / _name(saved))
        return later

    def steps(self) -> list[int]:
        """Steps of the checkpoints in their place, whole or not, ascending."""
        names = [path.name for path in self.folder.iterdir()] if self.folder.is_dir() else []
        return sorted(int(match[1]) for match in map(_NAME.fullmatch, names) if match)

    def _seal(self, aside: Path, facts: CheckpointFacts) -> None:
        """Writes the facts into a checkpoint that is whole."""
        sizes = file_sizes(aside)
        _require_whole(aside, missing_part(sizes) or flaw_of_files(aside, sizes))
        listed = msgspec.structs.replace(facts, files=sizes)
        write_whole(aside / FACTS_NAME, msgspec.json.format(msgspec.json.encode(listed)))

    def _rotate(self, newest: int) -> None:
        """Removes what is older than the newest ones that are whole. A newer one is not looked at: it was not whole
        when the training went on from an older one."""
        kept = 1
        for step in reversed([step for step in self.steps() if step < newest]):
            path = self.folder / _name(step)
            if kept < self.keep and flaw_of_checkpoint(path) is None:
                kept += 1
            elif step != self.protect:
                self._remove(path)

    def _remove(self, path: Path) -> None:
        """Out of its place at once, so that one half removed is not taken for one half written."""
        away = self.folder / REMOVED_NAME
        try:
            make_folder(away)
            path.rename(away / path.name)
        except OSError:
            pass  # the new checkpoint is in its place; the next one tries again
        remove(away)

    def _clear(self) -> None:
        remove(self.staging)
        remove(self.folder / REMOVED_NAME)

    def _repair(self) -> None:
        for path in list(self.folder.iterdir()) if self.folder.is_dir() else []:
            match = _BEFORE.fullmatch(path.name)
            if match:
                repair(self.folder / match[1])

    def _unfinished(self) -> list[tuple[Path, str]]:
        """What a killed worker was writing. After an exchange the old one is there under the same step."""
        left = self.staging.iterdir() if self.staging.is_dir() else ()
        steps = {int(match[1]) for match in (_NAME.fullmatch(path.name) for path in left) if match}
        steps.difference_update(self.steps())
        return [(self.staging / _name(step), "half-written") for step in sorted(steps, reverse=True)]


def publish(aside: Path, target: Path) -> int:
    """Puts a model that was written aside in its place; returns its bytes. The one before stays until then.

    Raises:
        OSError: what was written is not whole, or the disk does not take it. The one before is as it was, and what
            was aside is gone.
    """
    try:
        repair(target)
        _require_whole(aside, flaw_of_files(aside, file_sizes(aside)))
        size = sync_tree(aside)
        put_in_place(aside, target)
        sync(target.parent)
    except OSError:
        remove(aside)
        raise
    return size


def aside_of(target: Path) -> Path:
    """Where a model that is to be published is written; what was left there and a half-done exchange are cleared.

    Raises:
        OSError: the one before cannot be put back in its place.
    """
    aside = target.with_name(f".{target.name}-writing")
    remove(aside)
    repair(target)
    return aside


def _require_model(path: Path, facts: CheckpointFacts, model: str | None) -> None:
    if model is None or not facts.model or facts.model == model:
        return
    raise CheckpointError(
        f"{path}: a checkpoint of another model, or of one that was trained in another way",
        "Resume with the run's own config.toml, or start a new run; model.start_from takes an earlier run's weights.",
    )


def _require_whole(aside: Path, flaw: str | None) -> None:
    if flaw is not None:
        raise OSError(errno.EIO, f"not whole as it was written: {flaw}", str(aside))


def _name(step: int) -> str:
    return f"checkpoint-{step}"
