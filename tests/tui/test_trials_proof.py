"""What the Trials hold the others against, and how they say that a difference is not proven."""

from __future__ import annotations

import builders_advisor as ba
import builders_trials as bt
import pytest

from speedtui.engine import events as e
from speedtui.engine.advise.strategies import advised
from speedtui.engine.state import RunState, TrialRow, fold
from speedtui.tui.candidates.figures import base_of, ratio
from speedtui.tui.drawing.text import plain
from speedtui.tui.frame import Frame
from speedtui.tui.panes.detail import draw_detail
from speedtui.tui.panes.summary import draw_summary
from speedtui.tui.panes.trials import draw_trials

RUN = fold(bt.study())


def trial(run: RunState, number: int) -> TrialRow:
    found = run.study.row(number) if run.study is not None else None
    assert found is not None
    return found


def table(run: RunState, width: int) -> list[str]:
    return [plain(line) for line in draw_trials(run, 0, 0, width, 12)]


def detail(run: RunState, number: int) -> str:
    return "\n".join(plain(line) for line in draw_detail(run, number, 84, 13))


def summary(run: RunState, width: int) -> str:
    return plain(draw_summary(Frame(run=run, study=run, clock=run.now), width))


def test_what_a_search_measured_in_turns_goes_before_two_trials_whichever_way_it_is_asked() -> None:
    run = fold(ba.stacked_study())
    assert run.study is not None
    there = ratio(run.study, trial(run, 1), trial(run, 0))
    back = ratio(run.study, trial(run, 0), trial(run, 1))
    assert there is not None and there.in_turns and str(there) == "1.45× [1.41 1.49]"
    assert back is not None and back.in_turns and str(back) == "0.69× [0.67 0.71]"


@pytest.mark.parametrize("log", [ba.stacked_study(), ba.compared_study()], ids=["stacked", "compared"])
def test_the_base_is_the_trial_of_the_run_s_own_settings_here_and_on_the_advisor(log: list[e.AnyEvent]) -> None:
    run = fold(log)
    base, stack = base_of(run), advised(run, run).stack
    assert base is not None and base.candidate.id == 0
    assert not stack or stack[0].trial == base.candidate.id


def test_the_base_need_not_be_the_first_candidate() -> None:
    larger, own = ba.moved(0, 4), ba.moved(1, 1)
    run = fold(ba.study((larger, ba.result(0.5, 40.0)), (own, ba.result(0.7, 31.0))))
    assert run.config["train"]["micro_batch_size"] == 1
    base, stack = base_of(run), advised(run, run).stack
    assert base is not None and base.candidate.id == 1 and stack[0].trial == 1
    assert "vs #1" in table(run, 140)[0] and "base #1" in summary(run, 140)
    without = fold(ba.study((larger, ba.result(0.5, 40.0)), (own, None)))
    first = base_of(without)
    assert first is not None and first.candidate.id == 0


CLOSE = fold(ba.study((ba.moved(0, 1), ba.result(0.500, 31.0)), (ba.moved(1, 2), ba.result(0.495, 37.0))))
"""The second is a hundredth faster, and each is known to two."""


def test_a_comparison_that_is_open_is_dim_and_has_a_question_mark() -> None:
    lines = draw_trials(CLOSE, 0, 0, 150, 12)
    found = next(span for span in lines[2] if "×" in span.text)
    assert found.text.strip() == "1.01× [0.98 1.04] ?" and "dim" in found.style
    proven = next(span for span in draw_trials(RUN, 0, 0, 150, 12)[3] if "×" in span.text)
    assert proven.text.strip() == "1.81× [1.76 1.86]" and proven.style == ""


def test_a_best_one_that_is_not_proven_has_a_hollow_star_and_says_so_everywhere() -> None:
    lines = table(CLOSE, 150)
    assert lines[2].startswith(" ☆ 1") and "best, not proven" in lines[2]
    assert "best #1 ? not proven against #0" in summary(CLOSE, 80)
    assert "lead      not proven: 1.01× [0.98 1.04] ? of #0, the next fastest" in detail(CLOSE, 1)


def test_a_best_one_that_is_proven_has_a_full_star() -> None:
    gained = fold(ba.compared_study())
    lines = table(gained, 150)
    assert lines[2].startswith(" ★ 1") and "not proven" not in "".join(lines)
    assert "not proven" not in summary(gained, 140)


def test_a_wide_interval_deserves_a_word() -> None:
    run = fold(ba.study((ba.moved(0, 1), ba.result(0.5, 31.0, width=0.25)), (ba.moved(1, 2), ba.result(0.3, 37.0))))
    assert "noisy ±25 %: other work on this machine?" in table(run, 200)[1]
    assert "! noisy ±25 %: other work on this machine?" in detail(run, 0)
    assert "noisy" not in table(run, 200)[2]
