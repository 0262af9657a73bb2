"""A recording's controls: pause, speed, position."""

from __future__ import annotations

from speedtui.tui.protocols import ShownRuns

SEEK_SHARE = 1 / 50
"""Of the recording, a step: the whole of it in fifty presses, a tenth in one of the wider ones."""
SLOWEST, FASTEST = 1 / 16, 1 << 14
"""Of speeds that keys reach: at the latter twelve hours pass in three seconds."""


def pause_replay(app: ShownRuns) -> bool:
    """Holds or goes on with the recording in front; False where there is none."""
    recording = app.front.recording
    if recording is None:
        return False
    if recording.position().paused:
        recording.resume()
    else:
        recording.pause()
    app.drawing.now()
    return True


def change_speed(app: ShownRuns, steps: int) -> None:
    """Twice as fast a step, or half as fast."""
    recording = app.front.recording
    if recording is not None:
        recording.set_speed(min(FASTEST, max(SLOWEST, recording.position().speed * 2.0**steps)))
        app.drawing.now()


def seek(app: ShownRuns, steps: int) -> None:
    """On by a fiftieth of the recording a step, or back; far beyond its length is its beginning or its end."""
    recording = app.front.recording
    if recording is not None:
        at = recording.position()
        recording.seek(at.t + steps * SEEK_SHARE * at.end)
        app.drawing.now()
