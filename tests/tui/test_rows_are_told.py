"""Rows that are held out, cut or left out are told in the same words wherever they are told."""

from __future__ import annotations

import msgspec
import pytest

from speedtui.engine import events as e
from speedtui.engine.plan.render import render_plan
from speedtui.engine.report.page.about import machine_section
from speedtui.engine.report.words import rows_words
from speedtui.engine.row_counts import held_out_words, lacking_words, row_words
from speedtui.engine.state import fold
from speedtui.tui.drawing.text import plain
from speedtui.tui.panes.schedule import draw_schedule
from tests.engine.plan.plans import WINDOW, plan
from tests.tui import builders as b

COUNTS = {"held_out_rows": 412, "cut_rows": 1200, "dropped_rows": 3, "eval_cut_rows": 1, "eval_dropped_rows": 4}


def told(**counts: int) -> dict[str, str]:
    """What each place says of the rows, in one line."""
    loaded: e.ModelLoaded = msgspec.structs.replace(b.model_loaded(), **{**dict.fromkeys(COUNTS, 0), **counts})
    state = fold([b.run_started(), loaded])
    planned = " ".join(render_plan(plan(**counts), WINDOW).split())
    return {
        "report": rows_words(loaded),
        "page": str(machine_section(state)),
        "plan": planned.replace("data.max_length 1024", "data.max_length"),
        "screen": " ".join(" ".join(plain(row) for row in draw_schedule(state, 400)).split()),
    }


@pytest.mark.parametrize("counts", [COUNTS, *({name: count} for name, count in COUNTS.items())])
def test_report_page_plan_and_screen_say_the_same(counts: dict[str, int]) -> None:
    loaded: e.ModelLoaded = msgspec.structs.replace(b.model_loaded(), **{**dict.fromkeys(COUNTS, 0), **counts})
    for place, said in told(**counts).items():
        for words in lacking_words(loaded):
            assert words in said, place
        if place != "screen":
            assert held_out_words(loaded) in said, place


def test_nothing_is_said_where_every_row_is_learned_whole() -> None:
    assert row_words(msgspec.structs.replace(b.model_loaded(), cut_rows=0)) == ""
    for place, said in told().items():
        assert "data.max_length" not in said and "held out" not in said and "left out" not in said, place
