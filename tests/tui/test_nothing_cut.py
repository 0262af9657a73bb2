"""What is cut says so: a line that is shorter than its text ends in an ellipsis, and what is to be typed is whole."""

from __future__ import annotations

import ast
import random
from collections.abc import Iterator
from pathlib import Path

import builders as b
import msgspec
import pytest
from builders_states import STATES, state_log
from rich.cells import cell_len

from speedtui.engine import events as e
from speedtui.engine.state import RunState, fold
from speedtui.tui import panes
from speedtui.tui.drawing.text import Row, Span, cell, crop, fit, pack, plain, row, spread, wrap
from speedtui.tui.frame import Frame
from speedtui.tui.panes.deadline import draw_deadline
from speedtui.tui.panes.detail import draw_detail
from speedtui.tui.panes.devices import draw_devices
from speedtui.tui.panes.events import draw_events
from speedtui.tui.panes.notices import notices

SIZES = ((30, 8), (40, 7), (59, 12), (78, 10), (138, 30))
COMMAND = "speedtui train --resume 20260101-000000-train-4f1a --learning-rate 0.0001"
LONG = "word " * 60


def frame_of(run: RunState) -> Frame:
    return Frame(run=run, study=run, clock=b.STARTED_AT + run.t)


def ended(*, reason: str = LONG) -> RunState:
    """A training that failed, with what to type to go on."""
    log = b.training_log(2400)
    after = f"Go on from step 2400 at a lower rate: {COMMAND}"
    end = e.RunFinished(t=log[-1].t + 1, outcome="failed", exit_code=1, reason=reason, next=after)
    return fold([*log, end])


def test_every_way_to_shorten_a_line_leaves_an_ellipsis_or_all_of_it() -> None:
    drawn = random.Random(2)
    words = ["step", "数据", "loss", "a", "checkpoint-7200", "…", "№", "train.micro_batch_size"]
    for _ in range(400):
        text = " ".join(drawn.choices(words, k=drawn.randint(1, 12)))
        width, most = drawn.randint(2, 50), drawn.randint(1, 4)
        line = row(text[: len(text) // 2], Span(text[len(text) // 2 :], "good"))
        lines = wrap(text, width, most)
        shortened = [plain(crop(line, width)), plain(fit(line, width)), cell(text, width).text,
                     plain(spread(line, row("right"), width)), plain(pack([line], width))]  # fmt: skip
        for shown in shortened:
            assert cell_len(shown) <= width
            assert text in shown or shown.rstrip().endswith("…"), (text, width, shown)
        assert len(lines) <= most and all(cell_len(one) <= width for one in lines)
        whole = "".join(lines).replace(" ", "") == text.replace(" ", "")
        assert whole or lines[-1].endswith("…"), (text, width, most, lines)


def sources() -> Iterator[tuple[Path, ast.AST]]:
    folder = Path(panes.__file__ or "").parent.parent
    for path in sorted(folder.rglob("*.py")):
        if path.parent.name != "drawing":
            yield path, ast.parse(path.read_text())


def test_no_pane_cuts_text_by_itself() -> None:
    """Slices of wrapped lines and sizes set by hand are how lines came to be cut without a word."""
    for path, tree in sources():
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Subscript)
                and isinstance(node.slice, ast.Slice)
                and isinstance(node.value, ast.Call)
            ):
                called = node.value.func
                assert getattr(called, "id", "") not in ("wrap", "clean", "plain"), f"{path.name}:{node.lineno}"
            if isinstance(node, ast.Name):
                assert node.id != "set_cell_size", f"{path.name}:{node.lineno}"


@pytest.mark.parametrize("state", STATES)
def test_each_event_that_is_listed_is_whole_or_ends_in_an_ellipsis(state: str) -> None:
    run = fold(state_log(state, "monitor"))
    texts = ["".join(line.text.split()) for line in run.log]
    for size in SIZES:
        rows = [plain(line)[2:-2].rstrip() for line in draw_events(run, 0, *size)[1:-1]]
        entries: list[str] = []
        for line in filter(None, rows):
            if line[:2].isdigit() and line[2:3] == ":":
                entries.append(line[5:])
            elif entries:
                entries[-1] += line
        for entry in entries:
            shown = "".join(entry.split()).lstrip("!✗")
            assert shown in texts or shown.endswith("…"), (size, entry)


@pytest.mark.parametrize("width", [36, 56, 76, 136])
@pytest.mark.parametrize("reason", ["", "diverged at step 2400", LONG], ids=["none", "short", "long"])
def test_what_to_type_after_a_stop_is_whole_at_any_width(width: int, reason: str) -> None:
    rows = [plain(line) for line in notices(frame_of(ended(reason=reason)), width)]
    assert len(rows) <= 4 and all(cell_len(line) <= width for line in rows)
    assert COMMAND.replace(" ", "") in "".join(rows).replace(" ", "")
    if reason == LONG:
        assert sum(line.endswith("…") for line in rows) == ("word" in "".join(rows))


def test_at_80x24_the_deadline_pane_has_room_for_it() -> None:
    run = ended()
    shown = " ".join(plain(line)[2:-2].strip() for line in draw_deadline(frame_of(run), 80, 8))
    assert COMMAND in shown


def amounts(rows: list[Row]) -> str:
    return "\n".join(plain(line) for line in rows)


@pytest.mark.parametrize("count", [2, 3, 4])
def test_gpus_have_totals_beside_what_they_use_however_many_there_are(count: int) -> None:
    log = b.training_log()
    last = next(event for event in reversed(log) if isinstance(event, e.HardwareSampled))
    devices = [msgspec.structs.replace(last.devices[0], index=i) for i in range(count)]
    run = fold([*log, msgspec.structs.replace(last, devices=devices, t=log[-1].t + 1)])
    shown = amounts(draw_devices(run, 40, 8))
    assert shown.count("38.4/79.6 GiB") == count or shown.count("38/80 GiB") == count


def test_a_reason_that_is_cut_says_so() -> None:
    study = fold(b.study_log(finished=True))
    assert study.study is not None
    failed = study.study.rows[6]
    assert failed.result is not None
    result = msgspec.structs.replace(failed.result, reason=LONG)
    rows = (*study.study.rows[:6], msgspec.structs.replace(failed, result=result), study.study.rows[7])
    run = msgspec.structs.replace(study, study=msgspec.structs.replace(study.study, rows=rows))
    reasons = [plain(line) for line in draw_detail(run, 6, 80, 12) if "word" in plain(line)]
    assert reasons[-1].rstrip("│ ").endswith("…")
