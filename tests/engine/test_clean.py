from __future__ import annotations

import io
import json
import os
import shlex
import subprocess
import sys
import tomllib
import unicodedata

import msgspec
import pytest

from speedtui.engine import output
from speedtui.engine.clean import (
    LONGEST,
    clean,
    clean_lines,
    cleaned,
    escape_json,
    pad,
    shell_line,
    toml_text,
    width_of,
)

DRAWN = "\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u0890\u0891\u08e2\U000110bd\U000110cd"
"""Signs of Arabic, Syriac and Kaithi that stand around numbers; Unicode calls them format characters."""
UNSEEN = {
    chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)) in ("Cc", "Cf", "Cs", "Zl", "Zp")
} - set(DRAWN)


class Told(msgspec.Struct, frozen=True, kw_only=True):
    text: str
    more: dict[str, list[str]] = {}
    pair: tuple[str, int] = ("", 0)


def test_whatever_unicode_calls_a_control_or_a_format_is_shown_as_python_writes_it() -> None:
    for letter in UNSEEN:
        shown = clean(f"a{letter}b")
        assert shown.isascii() and shown.isprintable(), hex(ord(letter))
        assert shown[1:-1].encode().decode("unicode_escape") == letter


def test_text_that_people_write_stays_as_it_is() -> None:
    for text in (
        "loss 1.187",
        "größe – 41 %",
        "学習",
        "naïve e\u0301",
        "👍🏽",
        "❤\ufe0f",
        "lora[r=8]",
        "C:\\temp",
        DRAWN,
        "a b",
    ):
        assert clean(text) == clean_lines(text) == text


def test_nothing_is_hidden_and_one_line_stays_one_line() -> None:
    assert clean("a\x1b]52;c;eA==\x07b\r\nc\td") == "a\\x1b]52;c;eA==\\x07b\\r\\nc\\td"
    assert clean("exp\u202egnp.py") == "exp\\u202egnp.py" and clean("lo\u200bss") == "lo\\u200bss"
    assert clean("run-\udcff") == "run-\\udcff" and clean("\U000e0041") == "\\U000e0041"
    assert len(clean("\u2028".join("x" * 5000))) <= LONGEST


@pytest.mark.parametrize("most", [40, LONGEST])
def test_a_long_line_is_cut_and_says_how_long_it_is(most: int) -> None:
    for text in ("x" * 1_000_000, "\x1b" * 1_000_000):
        shown = clean(text, most)
        assert len(shown) == most and shown.endswith("… (1,000,000 characters)")
        assert clean(shown, most) == shown


def test_several_lines_keep_their_ends_and_the_width_of_their_tabs() -> None:
    assert clean_lines("one\r\n\ttwo\x1b[2J\n\nthree\rfour\u2028five") == (
        "one\n        two\\x1b[2J\n\nthree\\rfour\\u2028five"
    )
    assert clean_lines("x" * 9000 + "\ny").splitlines()[1] == "y"


def test_every_text_in_a_value_is_cleaned_and_what_needs_nothing_is_the_same_object() -> None:
    poisoned = Told(text="a\nb", more={"k\x07": ["v\u202e", "w"]}, pair=("p\x9b", 1))
    assert cleaned(poisoned) == Told(text="a\\nb", more={"k\\x07": ["v\\u202e", "w"]}, pair=("p\\x9b", 1))
    fine = Told(text="a", more={"k": ["v"]}, pair=("p", 1))
    assert cleaned(fine) is fine and cleaned([1, 2.5, None, True]) == [1, 2.5, None, True]


def test_json_says_the_same_in_escapes() -> None:
    value = {f"k{letter}": f"{letter}v" for letter in UNSEEN if not 0xD800 <= ord(letter) < 0xE000}
    for document in (msgspec.json.encode(value), json.dumps(value, ensure_ascii=False, indent=1).encode()):
        escaped = escape_json(document)
        assert json.loads(escaped) == value
        assert not UNSEEN & set(escaped.decode()) - {"\n"}
    assert escape_json(b'{"a": 1,\r"b":\t2}') == b'{"a": 1, "b":\t2}'


def test_a_name_that_is_no_text_does_not_end_the_json() -> None:
    assert json.loads(output.as_json({"run": "run-\udcff"})) == {"run": "run-\\udcff"}
    assert json.loads(output.as_json(Told(text="\udcff"))) == {"text": "\\udcff", "more": {}, "pair": ["", 0]}


def test_what_is_written_is_clean_on_both_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, write in (("stdout", output.say), ("stderr", output.warn)):
        stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
        monkeypatch.setattr(sys, name, stream)
        write("one\x1b]0;title\x07\ntwo\u202e")
        assert stream.buffer.getvalue() == b"one\\x1b]0;title\\x07\ntwo\\u202e\n"  # type: ignore[attr-defined]


def test_a_traceback_is_clean_too(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise ValueError("\x1b]52;c;eA==\x07")
    except ValueError as error:
        output.warn_traceback(error)
    told = capsys.readouterr().err
    assert "Traceback" in told and "ValueError: \\x1b]52;c;eA==\\x07" in told and not UNSEEN & set(told) - {"\n"}


def test_a_stream_that_was_closed_before_the_start_takes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    monkeypatch.setattr(sys, "stderr", None)
    output.say("x")
    output.warn("x")
    output.say_json({"x": 1})


def test_a_command_can_be_pasted_whatever_its_words_hold() -> None:
    words = [
        "plain",
        "two words",
        "it's",
        "a\nb",
        "\x1b[31m'\\x",
        "\u202e学\U000e0041",
        os.fsdecode(b"run-\xff"),
        "",
        "a\\",
    ]
    line = shell_line("printf", "%s\\0", *words)
    assert clean(line) == line and shell_line("sh", "a b", "it's") == shlex.join(["sh", "a b", "it's"])
    shell = {**os.environ, "LC_ALL": "C.UTF-8"}
    written = subprocess.run(["bash", "-c", line], stdout=subprocess.PIPE, check=True, env=shell).stdout
    assert written == b"".join(os.fsencode(word) + b"\0" for word in words)


def test_a_text_in_toml_is_one_clean_line_that_is_read_back() -> None:
    for text in (*(f"a{letter}b" for letter in UNSEEN if not 0xD800 <= ord(letter) < 0xE000), 'it"s \\x', "学習", ""):
        line = toml_text(text)
        assert clean(line) == line and tomllib.loads(f"value = {line}") == {"value": text}


def test_columns_are_cells() -> None:
    assert [width_of(text) for text in ("run", "学習", "e\u0301", "ＡＢ")] == [3, 4, 1, 4]
    assert pad("学習", 6) == "学習  " and pad("é", 3, right=True) == "  é" and pad("longer", 3) == "longer"
