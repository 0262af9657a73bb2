"""Settings of a log that this version cannot read: they cost what rests on them, and no screen."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from speedtui.engine.advise.strategies import advised
from speedtui.engine.config.frequency import parse_frequency
from speedtui.engine.config.recorded import recorded_settings
from speedtui.engine.errors import ConfigError
from speedtui.engine.plan.run_options import plan_options, trial_options
from speedtui.engine.state import RunState, fold
from speedtui.engine.units import parse_duration
from speedtui.tui.draft.draft_editor import DraftEditor
from tests.engine.events_of_a_run import candidate, finished, ok, started, study
from tests.engine.plan.estimators import settings
from tests.engine.plan.plans import plan

CONFIG: dict[str, Any] = {"train": {"effective_batch_size": 16}}
UNREADABLE = ["at dawn", "0 steps", "9" * 400 + " epochs", "9" * 400 + "h"]


@pytest.mark.parametrize("every", UNREADABLE)
@pytest.mark.parametrize("name", ["eval_every", "fast_eval_every", "checkpoint_every"])
def test_a_frequency_that_cannot_be_read_is_said_and_ends_no_screen(name: str, every: str) -> None:
    run = fold([started(config={**CONFIG, "schedule": {name: every}}), study(0, 1), finished(0, ok(5.0))])
    with pytest.raises(ConfigError, match=name):
        recorded_settings(run.config, "the run", run.laid_over)
    assert DraftEditor().look(run, run, 1.8e9) is None
    assert name in advised(run, run).problem


def test_one_row_or_trial_that_cannot_be_read_leaves_the_others() -> None:
    base = settings()
    made = plan()
    odd = msgspec.structs.replace(made.profiles[0], values={"schedule.eval_every": "at dawn"})
    config = msgspec.to_builtins(base)
    run = RunState(config=config, plan=msgspec.structs.replace(made, profiles=[odd, *made.profiles[1:]]))
    assert [one.name for one in plan_options(run, base)] == [row.profile for row in made.profiles[1:]]
    bad = msgspec.structs.replace(candidate(1), values={"schedule.checkpoint_every": "at dusk"})
    begun = msgspec.structs.replace(study(0), candidates=[candidate(0), bad])
    tried = fold([started(config=CONFIG), begun, finished(0, ok(5.0)), finished(1, ok(6.0))])
    assert [one.source for one in trial_options(tried)] == ["#0"]


def test_a_count_or_stretch_without_a_bound_is_no_frequency() -> None:
    for text in UNREADABLE:
        with pytest.raises(ValueError, match="expected"):
            parse_frequency(text)
    with pytest.raises(ValueError, match="below 300 years"):
        parse_duration("9" * 400 + "h")
