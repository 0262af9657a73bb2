from __future__ import annotations

import pytest

from speedtui.engine.units import (
    GIB,
    MIB,
    format_budget,
    format_count,
    format_figure,
    format_rest,
    format_seconds,
    format_share,
    format_size,
    format_span,
    parse_duration,
    parse_size,
    plural,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("30m", 1800), ("12h", 43200), ("1h30m", 5400), ("250ms", 0.25), ("1.5 h", 5400)],
)
def test_a_duration_is_read_as_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "12", "h", "12 hours", "-3m", "0s", "1h30", "3x"])
def test_what_is_no_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"90s, 30m or 12h|above zero"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("24GiB", 24 * GIB), ("800 MiB", 800 * MIB), ("80GB", 8 * 10**10), ("1B", 1)]
)
def test_a_size_is_read_as_bytes(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["24", "24Gb", "GiB", "0GiB", "-1GiB", "24 gib"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r"24GiB or 800MiB|above zero"):
        parse_size(text)


@pytest.mark.parametrize(
    ("size", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (140 * MIB, "140 MiB"), (24 * GIB, "24.0 GiB")]
)
def test_a_size_is_written_in_binary_units(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.000_05, "50 µs"), (0.0094, "9.4 ms"), (0.412, "412 ms"), (14.2, "14.2 s"), (339, "5m 39s"), (7680, "2h 08m")],
)
def test_a_short_time_is_written_with_the_precision_it_has(seconds: float, text: str) -> None:
    assert format_seconds(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(41, "41s"), (59.6, "1m 00s"), (339, "5m 39s"), (-4320, "-1h 12m"), (273600, "3d 04h")]
)
def test_a_stretch_of_time_is_written_as_people_say_it(seconds: float, text: str) -> None:
    assert format_span(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0"), (21.4, "21.4"), (940, "940"), (999.7, "1.0k"), (39_800, "39.8k"), (1_200_000, "1.2M")]
)
def test_a_count_takes_at_most_five_characters(value: float, text: str) -> None:
    assert format_count(value) == text


def test_what_was_not_measured_is_a_dash() -> None:
    assert {format_size(None), format_seconds(None), format_span(None), format_count(None), format_share(None)} == {"–"}


@pytest.mark.parametrize(("text", "shown"), [("1ms", "1.0 ms"), ("300ms", "300 ms"), ("1s", "1s"), ("10m", "10m 00s")])
def test_a_budget_reads_as_it_was_given_and_never_as_none(text: str, shown: str) -> None:
    assert format_budget(parse_duration(text)) == shown


@pytest.mark.parametrize(("count", "text"), [(0, "0 rows"), (1, "1 row"), (2, "2 rows"), (1200, "1,200 rows")])
def test_a_noun_goes_with_its_count(count: int, text: str) -> None:
    assert plural(count, "row") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"), (0.0, "0"), (1.2844, "1.284"), (1.2, "1.200"), (0.06234, "0.06234"), (412.34, "412.3"),
        (9999.4, "9999"), (9999.9, "1.000e4"), (4.0132e38, "4.013e38"), (1e-9, "1.000e-9"), (-0.5, "-0.5000"),
        (0.00099996, "0.001000"), (float("inf"), "not finite"),
    ],
)  # fmt: skip
def test_a_loss_has_four_digits_at_any_magnitude(value: float | None, text: str) -> None:
    assert format_figure(value) == text


def test_a_figure_is_short_and_reads_back_as_what_it_was() -> None:
    for value in (10.0**power * digit for power in range(-307, 308, 3) for digit in (1, 3.3333, 9.9999)):
        assert len(format_figure(value)) <= 10 and len(format_count(value)) <= 10
        assert float(format_figure(value)) == pytest.approx(value, rel=6e-4)


@pytest.mark.parametrize(
    ("whole", "part", "rest"),
    [
        (245.65, 245.36, "1s"),  # 4m 06s less 4m 05s
        (207.412, 205.396, "2s"),
        (2 * 3600 + 8 * 60 + 31, 3600 + 5 * 60 + 40, "1h 03m"),  # 2h 08m less 1h 05m
        (7701.0, 7690.0, "11s"),  # told alike, 2h 08m
        (60.2, 60.1, "1s"),
        (60.0, 60.0, "0s"),
        (3 * 86400 + 100, 86400 + 3500, "2d 00h"),
    ],
)
def test_what_is_left_agrees_with_what_it_is_left_of(whole: float, part: float, rest: str) -> None:
    assert format_rest(whole, part) == rest
