"""What is known of a run: events folded into one immutable snapshot that every reader shares."""

from speedtui.engine.state.fold import StateReducer, fold
from speedtui.engine.state.snapshot import LogLine, RunState, RunStatus
from speedtui.engine.state.study_state import StudyState, TrialRow
from speedtui.engine.state.training_state import TrainingState
from speedtui.engine.state.windows import Totals

__all__ = [
    "LogLine",
    "RunState",
    "RunStatus",
    "StateReducer",
    "StudyState",
    "Totals",
    "TrainingState",
    "TrialRow",
    "fold",
]
