"""What is printed where the encoding lacks it, or where nobody takes it."""

from __future__ import annotations

import io
import os
import threading

import pytest

from speedtui.tui.streams import NOBODY_READS, LossyOutput, Printed, representable

EVERYTHING = "".join(map(chr, range(0x10000))) + "\U0001f680\U00020000"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "euc_jp", "cp1252", "koi8-r", "big5", "utf-8"])
def test_every_letter_can_be_sent_and_those_the_encoding_has_stay(encoding: str) -> None:
    sent = representable(EVERYTHING, encoding)
    sent.encode(encoding)
    for letter in "aé–学█⣿\ud800":
        try:
            letter.encode(encoding)
        except UnicodeEncodeError:
            assert representable(letter, encoding).isascii() and representable(letter, encoding)
        else:
            assert representable(letter, encoding) == letter


def test_text_in_ascii_is_sent_as_ascii_though_click_prints_it() -> None:
    import click

    reader, writer = os.pipe()
    stream = Printed(LossyOutput(writer, None), "ascii", by_lines=True)
    click.echo("Größe – 学習", file=stream)
    stream.flush()
    os.close(writer)
    with open(reader, "rb") as file:
        assert file.read() == b"Gro?e - ????\n"


def test_a_reader_that_has_gone_is_noted_and_nothing_is_raised() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    sink = LossyOutput(writer, None)
    stream = Printed(sink, "utf-8", by_lines=True)
    for _ in range(3):
        print("x" * 100_000, file=stream, flush=True)
    assert sink.failure is not None and sink.failure.errno in NOBODY_READS
    os.close(writer)


def test_a_pipe_that_never_waits_loses_nothing() -> None:
    """As ssh and others leave the terminal that they share."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    taken = io.BytesIO()

    def take() -> None:
        with open(reader, "rb", closefd=False) as file:
            taken.write(file.read())

    thread = threading.Thread(target=take)
    stream = Printed(LossyOutput(writer, None), "utf-8", by_lines=False)
    stream.write("start\n")
    thread.start()
    for number in range(20_000):
        print(f"line {number} of many that fill the pipe", file=stream)
    stream.flush()
    os.close(writer)
    thread.join()
    os.close(reader)
    assert taken.getvalue().count(b"\n") == 20_001
