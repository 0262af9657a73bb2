"""Charts whose points lie where they belong, whatever the magnitude of what they show."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Callable, Sequence

import builders as b
import msgspec
import pytest
from pressing import settled

from speedtui.engine import events as e
from speedtui.engine.state import RunState, fold
from speedtui.engine.state.series import without_spikes
from speedtui.tui.app import SpeedtuiApp
from speedtui.tui.drawing.axes import Axis, log_axis, value_axis
from speedtui.tui.drawing.plot import X_AXIS_ROWS, Series, draw_plot
from speedtui.tui.drawing.text import plain, width_of
from speedtui.tui.panes.curve import draw_curve, step_seconds
from speedtui.tui.panes.loss import draw_loss
from speedtui.tui.panes.loss_chart import step_axis
from speedtui.tui.screenshots.draw import cell_by_cell

DOTS = range(0x2801, 0x2900)
X = Axis(0.0, 100.0, ((0.0, "0"), (50.0, "50"), (100.0, "100")))
SCALES = (1e-300, 1e-9, 1e-3, 0.06, 1.0, 40.0, 9_999.0, 1e6, 4e38, 1e300)


def some_values() -> list[list[float]]:
    """Courses of every magnitude: falling, rising, around zero, of one value."""
    drawn = random.Random(1)
    found = [[scale] for scale in (*SCALES, 0.0, -1.0)]
    for scale in SCALES:
        found.append([scale * (1 + 10 * math.exp(-i / 5)) for i in range(40)])
        found.append([scale * drawn.uniform(-1, 1) for _ in range(30)])
        found.append([scale * (1 + i / 1000) for i in range(30)])
    return found


def drawn_rows(rows: Sequence[str]) -> list[int]:
    """Numbers of the rows with a dot of a curve, from the top."""
    return [i for i, line in enumerate(rows) if any(ord(character) in DOTS for character in line)]


def row_of(value: float, y: Axis, lines: int) -> int:
    """Of a curve through one value."""
    rows = [plain(line) for line in draw_plot([Series([(0.0, value)])], X, y, 60, lines + X_AXIS_ROWS, styles={})]
    return drawn_rows(rows)[0]


@pytest.mark.parametrize("lines", [4, 7, 12, 19])
def test_what_is_above_a_tick_is_never_drawn_below_it_and_ticks_are_equally_far_apart(lines: int) -> None:
    for values in some_values():
        y = value_axis(values, lines, parts=max(2, lines // 3))
        assert y.low <= min(values) and max(values) <= y.high
        ticks = [row_of(value, y, lines) for value, _ in y.ticks]
        assert len({above - below for below, above in zip(ticks[1:-1], ticks[:-2], strict=True)}) <= 1
        for value in values:
            row = row_of(value, y, lines)
            for (tick, _), at in zip(y.ticks, ticks, strict=True):
                assert row <= at if value >= tick else row >= at, (values, value, tick)


def test_labels_of_any_magnitude_are_short_and_tell_their_ticks_apart() -> None:
    for values in some_values():
        labels = [text for _, text in value_axis(values, 12, parts=4).ticks]
        assert len(set(labels)) == len(labels) and max(map(len, labels)) <= 10, labels


@pytest.mark.parametrize("lines", [2, 5, 10, 20])
def test_a_log_axis_holds_its_values_and_has_a_tick_in_each_chart(lines: int) -> None:
    for scale in SCALES:
        for decades in (0.0, 0.3, 1, 2, 7, 38, 200):
            values = [scale, min(1e300, scale * 10**decades)]
            axis = log_axis(values, lines)
            assert axis.low <= values[0] * (1 + 1e-9) and values[1] <= axis.high * (1 + 1e-9)
            assert axis.ticks and all(axis.low <= tick * (1 + 1e-9) for tick, _ in axis.ticks)
            assert all(len(text) <= 9 for _, text in axis.ticks)


@pytest.mark.parametrize("width", [20, 44, 79, 120])
def test_a_curve_ends_at_the_step_that_it_has_reached(width: int) -> None:
    y = value_axis([0.0, 1.0], 8, parts=3)
    x = step_axis(81, 120, width)
    points = [(float(step), step / 81) for step in range(82)]
    rows = [plain(line) for line in draw_plot([Series(points)], x, y, width, 10, styles={})]
    left = rows[-2].index("└") + 1
    last = max(i for line in rows for i, character in enumerate(line) if ord(character) in DOTS)
    assert abs((last - left) / (width - left) - 81 / 120) <= 1 / (width - left)


# --- the loss ---


def with_losses(losses: Sequence[float], total: int = 0) -> RunState:
    """A training that had these, a step each."""
    log: list[e.AnyEvent] = [b.run_started(job="train"), b.model_loaded(1.0)]
    log.append(e.TrainingStarted(t=1.0, total_steps=total or len(losses), epochs=1.0, micro_batch_size=8,
                                 grad_accum_steps=2, label="mb8"))  # fmt: skip
    log += [b.step(2.0 + i, i + 1, loss=loss) for i, loss in enumerate(losses)]
    return fold(log)


def shown(run: RunState, width: int = 80, height: int = 16, *, log: bool = False) -> list[str]:
    """The pane's rows as text."""
    return [plain(line) for line in draw_loss(run, width, height, log=log)]


@pytest.mark.parametrize("size", [(44, 9), (80, 16)], ids=str)
@pytest.mark.parametrize("scale", SCALES)
def test_a_loss_of_any_magnitude_has_a_curve_and_is_told_in_four_digits(scale: float, size: tuple[int, int]) -> None:
    run = with_losses([scale * (1.2 + math.exp(-i / 20)) for i in range(100)])
    for log in (False, True):
        rows = shown(run, *size, log=log)
        assert len(drawn_rows(rows)) >= 2
        assert "0.000" not in "".join(rows) and not re.search(r"\d{7}", "".join(rows))


def test_one_spike_does_not_flatten_the_rest_and_is_marked() -> None:
    losses = [2.0 + 0.5 * math.sin(i / 9) for i in range(100)]
    spiked = [*losses[:50], 4e38, *losses[51:]]
    rows = shown(with_losses(spiked))
    assert "▲ up to 4.000e38" in rows[0]
    assert sum(line.count("▲") for line in rows[1:]) == 1 and "▲" in rows[1]
    assert len(drawn_rows(rows)) >= len(drawn_rows(shown(with_losses(losses)))) - 1


def test_a_fall_from_the_first_steps_is_no_spike() -> None:
    losses = [2.0 + 9 * math.exp(-i / 8) for i in range(200)]
    assert without_spikes(losses) == losses
    assert "▲" not in "".join(shown(with_losses(losses)))


def test_losses_that_grow_without_end_are_a_line_on_a_log_axis() -> None:
    run = with_losses([2.0 * 2.5**i for i in range(90)])
    linear, log = shown(run), shown(run, log=True)
    assert "log" in log[0].split()
    assert len(drawn_rows(log)) >= 10
    ends = [max(i for i, character in enumerate(line) if ord(character) in DOTS) for line in log if drawn_rows([line])]
    assert ends == sorted(ends, reverse=True), "it rises all the way"
    assert "not finite" not in "".join(linear)


def test_a_loss_that_is_not_above_zero_lies_at_the_end_of_a_log_axis_and_is_told() -> None:
    rows = shown(with_losses([*[10.0 / (i + 1) for i in range(40)], -0.5]), log=True)
    assert "▼ down to -0.5000" in rows[0]
    assert "log" not in shown(with_losses([-1.0, -2.0, -3.0]), log=True)[0].split()


@pytest.mark.parametrize("share", [0.001, 0.01, 0.03, 0.1, 0.2, 0.5, 1.0])
def test_the_curve_takes_a_fifth_of_the_chart_however_early_it_is(share: float) -> None:
    total = 20_000
    rows = shown(with_losses([3.0 - i / 20_000 for i in range(int(share * total))], total), 100, 16)
    columns = {i for line in rows[1:] for i, character in enumerate(line) if ord(character) in DOTS}
    assert len(columns) >= 0.2 * 96
    assert ("run so far" in rows[0]) == (share < 0.25)


async def test_a_key_makes_the_axis_logarithmic_and_back(open_app: Callable[..., SpeedtuiApp]) -> None:
    async with open_app(b.training_log(), start_screen="monitor").run_test(size=(140, 40)) as pilot:
        app = pilot.app
        assert isinstance(app, SpeedtuiApp)
        await settled(pilot)
        for expected in (True, False):
            await pilot.press("X")
            await settled(pilot)
            pane = app.screen.query_one("#loss")
            assert ("log" in plain(pane.rows[0]).split()) is expected  # type: ignore[attr-defined]


# --- the trials ---


def test_step_times_of_a_trial_are_those_of_whole_steps_as_the_figure_beside_them() -> None:
    run = fold(b.study_log(finished=True))
    assert run.study is not None
    for row in run.study.rows:
        if row.result is None or row.result.measurement is None:
            continue
        assert step_seconds(row)[-1] == pytest.approx(row.result.measurement.step_seconds, rel=0.02)
        assert "a step" in plain(draw_curve(run, row.candidate.id, 80, 12)[0])


def test_a_warm_up_that_took_minutes_does_not_flatten_what_was_measured() -> None:
    run = fold(b.study_log(finished=True))
    assert run.study is not None
    row = run.study.rows[2]
    seconds = (90.0, *row.steps.recent_seconds[1:])
    slow = msgspec.structs.replace(row, steps=msgspec.structs.replace(row.steps, recent_seconds=seconds))
    study = msgspec.structs.replace(run.study, rows=(*run.study.rows[:2], slow, *run.study.rows[3:]))
    rows = [plain(line) for line in draw_curve(msgspec.structs.replace(run, study=study), 2, 80, 12)]
    assert "▲" in rows[1] and len(drawn_rows(rows)) >= 2
    assert all(width_of(line) == 80 for line in draw_curve(run, 2, 80, 12))


def test_a_picture_has_each_dot_of_a_curve_in_its_cell() -> None:
    plain_text = '<text class="r1" x="12.2" y="20" textLength="48.8" clip-path="url(#a)">loss</text>'
    dots = '<text class="r2" x="61" y="20" textLength="36.6" clip-path="url(#a)">&#160;⠑⢆</text>'
    drawn = cell_by_cell(plain_text + dots)
    assert drawn.startswith(plain_text)
    assert 'x="61.0 73.2 85.4" y="20">&#160;⠑⢆</text>' in drawn
