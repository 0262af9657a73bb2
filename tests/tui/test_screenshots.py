"""Pictures from recorded logs."""

from __future__ import annotations

from pathlib import Path

import builders as b
import pytest

from speedtui.engine import events as e
from speedtui.engine.log.tail import EventTail, read_events
from speedtui.engine.state import fold
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.screenshots import __main__ as program
from speedtui.tui.screenshots.moments import MOMENTS
from speedtui.tui.screenshots.scenes import SCENES, Scene, keys_of_scene

RECORDINGS = Path(__file__).parents[1] / "data" / "recordings"
NAMES = ("demo", "deadline", "study", "failed")


def moments_in(log: list[e.AnyEvent]) -> list[str]:
    return [name for name, find in MOMENTS.items() if find(log) is not None]


def test_a_log_has_the_moments_that_happened_in_it() -> None:
    log = [*b.loading_log(), *b.study_log(finished=True)[2:], e.RunFinished(t=400.0, outcome="ok", exit_code=0)]
    assert moments_in(log) == ["loading", "measuring", "out_of_memory", "study_finished", "finished"]
    assert moments_in(b.training_log(100)) == ["training", "on_track"]


def test_on_track_is_before_it_became_late_and_late_is_in_the_midst_of_it() -> None:
    def estimate(t: float, verdict: e.Verdict) -> e.EtaUpdated:
        return e.EtaUpdated(t=t, p50_seconds=60.0, p90_seconds=66.0, verdict=verdict)

    verdicts: list[e.Verdict] = ["measuring", "on_track", "on_track", "late", "late", "late", "on_track"]
    log: list[e.AnyEvent] = [estimate(float(t), verdict) for t, verdict in enumerate(verdicts)]
    assert (MOMENTS["on_track"](log), MOMENTS["late"](log)) == (2, 4)


@pytest.mark.parametrize(("moment", "row"), [("out_of_memory", 4), ("study_finished", 7)])
def test_the_cursor_goes_to_the_trial_that_the_moment_is_about(moment: str, row: int) -> None:
    log = b.study_log(finished=True)
    scene = next(scene for scene in SCENES if scene.moment == moment and scene.screen == "trials")
    at = MOMENTS[moment](log)
    assert at is not None
    assert keys_of_scene(scene, fold(log[: at + 1])) == ["j"] * row


def test_pictures_are_written_with_a_list_and_old_ones_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = Scene("training", "training", "monitor", "A training")
    monkeypatch.setattr(program, "SCENES", (scene, Scene("training", "late", "monitor", "Never late")))
    monkeypatch.setattr(program, "same_everywhere", lambda: None)
    (tmp_path / "training.jsonl").write_bytes(b"".join(e.encode(event) for event in b.training_log(100)))
    out = tmp_path / "out"
    out.mkdir()
    (out / "training-long-ago-80x24.png").touch()
    (out / "demo.cast").touch()
    assert program.main([str(tmp_path), str(out), "80x24"]) == 1  # one moment is not in the recording
    name = "training-training-monitor-80x24"
    assert {path.name for path in out.iterdir()} == {f"{name}.png", "README.md", "demo.cast"}
    assert (out / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    assert f"- A training: [80x24]({name}.png)" in (out / "README.md").read_text()
    first = (out / f"{name}.png").read_bytes()
    program.main([str(tmp_path), str(out), "80x24"])
    assert (out / f"{name}.png").read_bytes() == first


@pytest.mark.parametrize(
    "arguments", [[], ["recordings"], ["recordings", "out", "80"], ["recordings", "out", "80x24", "big"]]
)
def test_arguments_that_are_none_are_told_how_they_are_written(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert program.main(arguments) == 2
    assert "COLUMNSxROWS" in capsys.readouterr().err


# -- what is recorded ----------------------------------------------------------------------------------


def test_every_screen_is_in_a_scene() -> None:
    assert {scene.screen for scene in SCENES} == set(SpeedtuiApp.MODES)
    assert len({scene.name((80, 24)) for scene in SCENES}) == len(SCENES)


@pytest.mark.parametrize("name", NAMES)
def test_a_recording_has_the_moments_of_its_scenes_and_can_be_read_to_its_end(name: str) -> None:
    log = list(read_events(RECORDINGS / f"{name}.jsonl"))
    assert {scene.moment for scene in SCENES if scene.recording == name} <= set(moments_in(log))
    tail = EventTail(RECORDINGS / f"{name}.jsonl")
    assert len(tail.read()) == len(log)
    assert not tail.passed_over_at_end
    assert fold(log).outcome is not None


def test_the_recordings_are_small_and_name_nothing_of_the_machine() -> None:
    logs = [(RECORDINGS / f"{name}.jsonl").read_bytes() for name in NAMES]
    assert sum(map(len, logs)) < 1_500_000
    for log in logs:
        assert b'"host":"workstation"' in log
        assert b"/tmp/" not in log and b"/home/" not in log and b"/root" not in log
