"""A run that has ended promises nothing more: neither its trials nor its figures are spoken of as if it went on."""

from __future__ import annotations

import builders_advisor as ba
import builders_trials as bt

from speedtui.engine import events as e
from speedtui.engine.advise.strategies import advised
from speedtui.engine.state import RunState, fold
from speedtui.tui.drawing.text import plain
from speedtui.tui.frame import Frame
from speedtui.tui.panes.detail import draw_detail
from speedtui.tui.panes.results import draw_results
from speedtui.tui.panes.summary import draw_summary
from speedtui.tui.panes.trials import draw_trials

STOPPED = fold([*bt.study(), e.RunFinished(t=900.0, outcome="stopped", exit_code=3, reason="stopped on request")])


def shown(run: RunState) -> str:
    """All that the screens say of a study's trials."""
    frame = Frame(run=run, study=run, clock=run.now)
    rows = [*draw_trials(run, 0, 0, 80, 12), draw_summary(frame, 140), *draw_results(run, 60, 12)]
    return "\n".join(plain(line) for line in rows)


def test_a_trial_that_never_ran_is_queued_until_its_run_ends_and_then_was_not_run() -> None:
    before = shown(fold(bt.study()))
    assert "2 queued" in before and "not run" not in before
    after = shown(STOPPED)
    assert "2 not run" in after and after.count("not run") == 1 + 2 * 2
    assert "queued" not in after and "waiting" not in after


def next_of(run: RunState, trial: int) -> str:
    """What its pane says can be done."""
    return next(text for line in draw_detail(run, trial, 80, 12) if "next " in (text := plain(line)))


def test_what_can_be_done_with_a_trial_of_an_ended_study_is_what_its_keys_still_do() -> None:
    offers = [next_of(STOPPED, number) for number in (1, 4, 6)]
    assert "P promotes" in offers[0] and all("y copies its command" in offer for offer in offers)
    assert not any(word in offer for word in ("r runs", "D deletes", "d duplicates", "x takes") for offer in offers)
    assert "x takes it out of the queue" in next_of(fold(bt.study()), 6)


def test_what_an_ended_study_never_tried_is_no_queued_strategy() -> None:
    going = ba.compared_study()
    ended = [*going, e.RunFinished(t=going[-1].t + 1, outcome="stopped", exit_code=3)]
    states = [[one.state for one in advised(fold(log), fold(log)).strategies] for log in (going, ended)]
    assert "queued" in states[0] and "queued" not in states[1]
