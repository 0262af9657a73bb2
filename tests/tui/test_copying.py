"""Copying: through the terminal and into a file, whichever works."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path

import builders as b
import pytest
from pressing import settled
from recorded import RecordedSession

from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.terminal.copying import LONGEST_BYTES, copy

pytestmark = pytest.mark.asyncio
OpenApp = Callable[..., SpeedtuiApp]


def said(app: SpeedtuiApp) -> list[str]:
    return [note.message for note in app._notifications]


async def test_a_text_goes_to_the_clipboard_and_into_the_runs_folder(open_app: OpenApp, tmp_path: Path) -> None:
    app = open_app(RecordedSession(b.training_log(), folder=tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        copy(app, "The event", "eval at 7200: loss 1.265 [step]")
        assert app.clipboard == "eval at 7200: loss 1.265 [step]"
        assert (tmp_path / "copied.txt").read_text() == "eval at 7200: loss 1.265 [step]\n"
        await settled(pilot)
        (text,) = (text for text in said(app) if text.startswith("The event"))
        assert "clipboard" in text and str(tmp_path / "copied.txt") in text


async def test_where_the_runs_folder_cannot_be_written_the_text_is_among_temporary_files(
    open_app: OpenApp, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    app = open_app(RecordedSession(b.training_log(), folder=tmp_path / "gone" / "run-1"))
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        copy(app, "The row", "mb8 ga2")
        assert (tmp_path / "speedtui-run-1-copied.txt").read_text() == "mb8 ga2\n"


async def test_a_text_too_long_for_a_clipboard_is_only_in_the_file(open_app: OpenApp, tmp_path: Path) -> None:
    app = open_app(RecordedSession(b.training_log(), folder=tmp_path))
    long = "x" * (LONGEST_BYTES + 1)
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        copy(app, "The log", long)
        await settled(pilot)
        assert app.clipboard == ""
        assert len((tmp_path / "copied.txt").read_text()) == len(long) + 1
        (text,) = (text for text in said(app) if text.startswith("The log"))
        assert "clipboard" not in text


async def test_where_there_is_nothing_to_copy_that_is_said(open_app: OpenApp, tmp_path: Path) -> None:
    app = open_app(RecordedSession(b.training_log(), folder=tmp_path))
    async with app.run_test(size=(100, 30)) as pilot:
        await settled(pilot)
        copy(app, "", "")
        await settled(pilot)
        assert any("nothing to copy" in text for text in said(app))
    assert not (tmp_path / "copied.txt").exists()


async def test_the_clipboard_sequence_of_the_longest_text_stays_below_what_terminals_take() -> None:
    assert len(base64.b64encode(b"x" * LONGEST_BYTES)) < 100_000
