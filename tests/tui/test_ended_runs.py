"""A run that has ended promises nothing more: neither its trials nor its figures are spoken of as if it went on."""

from __future__ import annotations

import builders as b
import builders_advisor as ba
import builders_trials as bt
import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.advise.strategies import advised
from speedtui.engine.state import RunState, fold
from speedtui.tui.drawing.text import plain
from speedtui.tui.frame import Frame
from speedtui.tui.keys.key import Situation
from speedtui.tui.keys.situations import levers
from speedtui.tui.panes.deadline import draw_deadline
from speedtui.tui.panes.detail import draw_detail
from speedtui.tui.panes.results import draw_results
from speedtui.tui.panes.schedule import draw_schedule
from speedtui.tui.panes.summary import draw_summary
from speedtui.tui.panes.trials import draw_trials

STOPPED = fold([*bt.study(), e.RunFinished(t=900.0, outcome="stopped", exit_code=3, reason="stopped on request")])


@pytest.mark.parametrize(("rate", "words"), [(0.0, "lr 0 "), (2.33e-3, "lr 2.33e-03 "), (None, "lr – ")])
def test_a_learning_rate_that_has_come_to_nothing_reads_0(rate: float | None, words: str) -> None:
    log = b.training_log(200)
    log = [msgspec.structs.replace(x, lr=rate) if isinstance(x, e.StepCompleted) else x for x in log]
    assert words in plain(draw_schedule(fold(log), 160, 3)[1]) + " "


def test_what_is_prepared_without_a_total_counts_from_one_on() -> None:
    log = [b.run_started(), e.ProgressMade(t=4.0, what="writing the data", done=0, total=None)]
    rows = [[plain(line) for line in draw_deadline(Frame(run=fold(seen), study=fold(seen), clock=0.0), 60, 5)]
            for seen in (log, [*log, e.ProgressMade(t=5.0, what="writing the data", done=3, total=None)])]  # fmt: skip
    assert rows[0][1].rstrip("│ ").endswith("─") and rows[1][1].rstrip("│ ").endswith(" 3")


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


def test_shares_of_the_time_are_so_far_only_while_more_may_come() -> None:
    going = b.late_training_log()
    ended = [*going, e.RunFinished(t=going[-1].t, outcome="stopped", exit_code=3)]
    told = ["\n".join(plain(line) for line in draw_schedule(fold(log), 140, 3)) for log in (going, ended)]
    assert told[0].count("so far") == 2 and "so far" not in told[1]
    assert "still to come" in told[0] and "still to come" not in told[1]
    assert "of the time steps 86 %" in told[1] and "(2.7 %)" in told[1]


def test_results_that_do_not_all_find_room_say_which_are_seen_and_in_the_end_the_best_is_among_them() -> None:
    going, over = fold(b.study_log()), fold(b.study_log(finished=True))
    assert over.study is not None and over.study.best == 7
    for height in range(4, 9):
        first, *_ = rows = [plain(line) for line in draw_results(going, 60, height)]
        assert "running" in "".join(rows) and "–7 of 8   samples/s" in first
        assert "☆ #7" in "".join(plain(line) for line in draw_results(over, 60, height))
    assert " of " not in plain(draw_results(over, 60, 12)[0])


def test_a_run_that_was_stopped_has_no_levers_to_take() -> None:
    going = b.late_training_log()
    ended = [*going, e.RunFinished(t=going[-1].t, outcome="stopped", exit_code=3)]
    found = [levers(Situation(run=fold(log), study=fold(log))) for log in (going, ended)]
    assert found == [True, False]
