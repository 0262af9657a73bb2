"""What a search's decisions say in the log: which two trials were measured in turns, and by how much they differ."""

from __future__ import annotations

import pytest

from speedtui.engine import events as e
from speedtui.engine.jobs.searching import _compared_before, _event
from speedtui.engine.search.base import Compared, Decision
from tests.engine.search.synthetic import NAIVE, Device, Study


@pytest.mark.parametrize("seed", range(3))
def test_a_decision_carries_the_comparison_that_it_rests_on(seed: int) -> None:
    study = Study(Device(seed), NAIVE).run()
    told = [_event(1.0, decision) for decision in study.strategy.decisions]
    measured = {(one.incumbent, one.challenger): one for one in study.compared}
    resting = [one for one in told if one.against is not None]
    assert len(resting) == len(measured) > 0
    for one in resting:
        assert one.kind in ("keep", "reject") and one.trial is not None and one.against is not None
        found = measured[one.against, one.trial]
        assert (one.ratio, one.ratio_low, one.ratio_high) == (found.ratio, found.low, found.high)
        assert f"{found.ratio:.2f}x [{found.low:.2f} {found.high:.2f}]" in one.reason


def test_what_no_comparison_decided_carries_no_ratio() -> None:
    told = [_event(1.0, decision) for decision in Study(Device(0), NAIVE).run().strategy.decisions]
    plain = [one for one in told if one.against is None]
    assert {one.kind for one in plain} >= {"finish"}
    assert {(one.ratio, one.ratio_low, one.ratio_high) for one in plain} == {(None, None, None)}


def test_a_comparison_that_failed_says_of_what_and_nothing_of_how_much() -> None:
    failed = Compared(incumbent=0, challenger=1, ratio=None)
    told = _event(1.0, Decision(kind="reject", what="mb4", reason="not measured", trial=1, compared=failed))
    assert (told.against, told.ratio, told.ratio_low, told.ratio_high) == (0, None, None, None)


@pytest.mark.parametrize("seed", range(3))
def test_another_worker_goes_on_from_the_comparisons_that_were_told(seed: int) -> None:
    study = Study(Device(seed), NAIVE).run()
    failed = Compared(incumbent=7, challenger=8, ratio=None)
    decisions = [*study.strategy.decisions, Decision(kind="reject", what="x", reason="r", trial=8, compared=failed)]
    told = [e.decode(e.encode(_event(1.0, decision))) for decision in decisions]
    again = _compared_before([one for one in told if isinstance(one, e.DecisionMade)])
    assert {(one.incumbent, one.challenger): one for one in again} == {
        (one.incumbent, one.challenger): one for one in [*study.compared, failed]
    }


def test_the_fields_survive_the_log() -> None:
    kept = Compared(incumbent=0, challenger=1, ratio=1.2, low=1.1, high=1.3)
    told = _event(1.0, Decision(kind="keep", what="mb4", reason="1.20x [1.10 1.30]", trial=1, compared=kept))
    assert e.decode(e.encode(told)) == told
