"""Pictures from recorded logs."""

from __future__ import annotations

from pathlib import Path

import builders as b
import pytest

from speedtui.engine import events as e
from speedtui.tui import screenshots


def test_each_moment_of_a_recording_is_found_once() -> None:
    log = [*b.loading_log(), *b.study_log(finished=True)[2:], e.RunFinished(t=400.0, outcome="ok", exit_code=0)]
    assert [name for name, _ in screenshots.moments(log)] == [
        "loading", "measuring", "out_of_memory", "study_finished", "finished"
    ]  # fmt: skip
    assert [name for name, _ in screenshots.moments(b.training_log(100))] == ["training"]


def test_the_cursor_goes_to_the_trial_that_the_moment_is_about() -> None:
    states = dict(screenshots.moments(b.study_log(finished=True)))
    assert screenshots.keys_to("out_of_memory", states["out_of_memory"]) == ["j"] * 4
    assert screenshots.keys_to("study_finished", states["study_finished"]) == ["j"] * 7


def test_pictures_are_written_as_svg_and_png(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screenshots, "SIZES", ((80, 24),))
    (tmp_path / "training.jsonl").write_bytes(b"".join(e.encode(event) for event in b.training_log(100)))
    assert screenshots.main([str(tmp_path), str(tmp_path / "out")]) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert "training-training-monitor-80x24.svg" in names and "training-training-trials-80x24.png" in names
    assert (tmp_path / "out" / "training-training-monitor-80x24.png").read_bytes().startswith(b"\x89PNG")
