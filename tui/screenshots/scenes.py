"""Which pictures there are: a moment of a recording, a screen, and what is pressed there."""

from __future__ import annotations

import msgspec

from speedtui.engine.candidate import TrialStatus
from speedtui.engine.state import RunState
from speedtui.tui.options import StartScreen

Size = tuple[int, int]
"""(columns, rows)."""
"""The smallest terminal that shows everything, and a large one."""

AT_TRIAL = "at the trial"
"""Stands for as many keys as bring the cursor to the trial that the moment is about."""


class Scene(msgspec.Struct, frozen=True):
    """What a picture shows."""

    recording: str
    """Name of its file, without the ending."""
    moment: str
    screen: StartScreen
    shows: str
    """In words, for the list of the pictures."""
    keys: tuple[str, ...] = ()
    """Pressed one after another; `AT_TRIAL` for those that bring the cursor to the moment's trial."""
    over: str = ""
    """What lies over the screen, as it is called in the file's name; empty for the screen itself."""

    def name(self, size: Size) -> str:
        """Of its file, without the ending."""
        parts = (self.recording, self.moment, self.over or self.screen, f"{size[0]}x{size[1]}")
        return "-".join(part for part in parts if part)


SCENES = (
    Scene("demo", "loading", "monitor", "A run that is being prepared"),
    Scene("demo", "measuring", "monitor", "A study in progress: the trial that runs, and the results so far"),
    Scene("demo", "measuring", "trials", "The same, trial by trial", (AT_TRIAL,)),
    Scene("demo", "study_finished", "trials", "Every candidate with what was measured of it", (AT_TRIAL,)),
    Scene("demo", "training", "monitor", "A training that will be in time"),
    Scene("demo", "training", "plan", "Profiles, schedule and result against the window"),
    Scene("demo", "training", "advisor", "Where the time goes, and what would help"),
    Scene("demo", "training", "monitor", "The keys of the Monitor", ("question_mark",), "help"),
    Scene("demo", "finished", "monitor", "What a run leaves"),
    Scene("demo", "finished", "plan", "The plan of a run that is over"),
    Scene("demo", "finished", "advisor", "What to do otherwise next time"),
    Scene("study", "measuring", "trials", "Candidates of one's own, one of them being measured", (AT_TRIAL,)),
    Scene("study", "out_of_memory", "trials", "A trial that there was no memory for", (AT_TRIAL,)),
    Scene("study", "finished", "trials", "Step time, and throughput against memory with its limit", (AT_TRIAL,)),
    Scene("deadline", "on_track", "monitor", "A training to a deadline, on track"),
    Scene("deadline", "late", "monitor", "The same when it has become late, and what would help"),
    Scene("deadline", "late", "monitor", "What would help, to be taken by a key", ("l",), "levers"),
    Scene("deadline", "late", "plan", "The late run's schedule"),
    Scene("deadline", "late", "advisor", "What would make the late run faster"),
    Scene("deadline", "finished", "monitor", "How it ended"),
    Scene("failed", "finished", "monitor", "A training that failed: why, and how to go on"),
)


def keys_to_trial(moment: str, state: RunState) -> list[str]:
    """What to press on the Trials so that the cursor is on the trial that the moment is about."""
    wanted = TrialStatus.OUT_OF_MEMORY if moment == "out_of_memory" else TrialStatus.RUNNING
    rows = state.study.rows if state.study is not None else ()
    at = next((i for i, trial in enumerate(rows) if trial.status is wanted), None)
    if at is None and state.study is not None:
        at = next((i for i, trial in enumerate(rows) if trial.candidate.id == state.study.best), None)
    return ["j"] * (at or 0)


def keys_of_scene(scene: Scene, state: RunState) -> list[str]:
    """What is pressed."""
    return [
        key for named in scene.keys for key in (keys_to_trial(scene.moment, state) if named == AT_TRIAL else [named])
    ]
