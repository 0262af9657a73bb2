"""The tokenizer that is trained on the data, where its texts are like no language."""

from __future__ import annotations

import random
import string

import pytest

from speedtui.engine.workload.architecture import train_tokenizer, wrap_tokenizer

LETTERS = random.Random(1).choices(string.ascii_letters + string.digits + "+/", k=3_000_000)
RUNS = {"one letter": "a" * 3_000_000, "spaces": " " * 3_000_000, "base64": "".join(LETTERS)}


@pytest.mark.timeout(120)  # without the bound on a word it did not end in ten minutes
@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_three_megabytes_without_a_border_are_learned_in_seconds(run: str) -> None:
    tokenizer = wrap_tokenizer(train_tokenizer(iter(["say it", run, "say it again"]), 300))
    assert tokenizer.decode(tokenizer(run[:5000])["input_ids"]) == run[:5000]


def test_words_are_cut_nowhere_else() -> None:
    texts = [f"a word and {n}, {'x' * 256} {'y' * 255}\n\n\nlast" for n in range(50)]
    trained = train_tokenizer(iter(texts), 600)
    assert {"Ġword", "Ġand", "last"} <= trained.get_vocab().keys()
    assert trained.encode("y" * 255).tokens[0].count("y") > 32  # merged within the word, as long as it is
