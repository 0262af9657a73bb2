"""Scenes of a play and who opens them how, as articles and summaries of words."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

PAD, UNKNOWN, START, END = range(4)
MARKS = ("<pad>", "<unknown>", "<start>", "<end>")
IGNORED = -100
"""The label that the loss leaves out."""

OPENING_WORDS = 6
"""Of the first speech, in a summary."""

LONGEST_SPEECH, LONGEST_ARTICLE = 24, 96
"""Words, of which the later ones are left out."""

OWN_WORDS = 32
"""Words of an article that the vocabulary lacks and that can yet be copied; further ones are unknown."""

Pair = tuple[list[str], list[str]]
"""(article, summary), in words."""


@dataclass(frozen=True)
class Speech:
    """What one person says."""

    speaker: str
    words: tuple[str, ...]


def speeches_of(text: str) -> list[Speech]:
    """Speeches of a play's text: blocks with the speaker's name and a colon on the first line."""
    found = []
    for block in text.split("\n\n"):
        speaker, colon, said = block.strip().partition(":\n")
        if colon and said.strip():
            found.append(Speech(speaker.lower().replace(" ", "-"), tuple(_words(said)[:LONGEST_SPEECH])))
    return found


def generated_speeches(count: int, seed: int) -> list[Speech]:
    """The same shape from made-up words, for where no play is at hand. A third of the words is rare."""
    chance = random.Random(seed)
    common, rare = [_made_up(chance) for _ in range(300)], [_made_up(chance) for _ in range(5000)]
    names = [_made_up(chance) for _ in range(120)]
    return [
        Speech(
            chance.choice(names),
            tuple(chance.choice(rare if chance.random() < 1 / 3 else common) for _ in range(chance.randint(4, 24))),
        )
        for _ in range(count)
    ]


def pairs_of(speeches: Sequence[Speech], count: int, seed: int) -> list[Pair]:
    """So many scenes of two to four speeches each, from places of the text that the seed decides."""
    chance = random.Random(seed)
    return [_pair(speeches[(at := chance.randrange(len(speeches) - 4)) : at + chance.randint(2, 4)])
            for _ in range(count)]  # fmt: skip


def load_speeches(text: str, seed: int) -> list[Speech]:
    """Of the play in this file; generated ones where it is not there."""
    path = Path(text)
    if text and path.is_file():
        return speeches_of(path.read_text(encoding="utf-8"))
    return generated_speeches(3000, seed)


def _pair(scene: Sequence[Speech]) -> Pair:
    article = [word for speech in scene for word in (speech.speaker, ":", *speech.words)]
    first, *others = scene
    answering = [word for speaker in dict.fromkeys(one.speaker for one in others) for word in ("and", speaker)]
    summary = [first.speaker, "says", *first.words[:OPENING_WORDS], "to", *answering[1:]]
    return article[:LONGEST_ARTICLE], summary


def _words(said: str) -> list[str]:
    for mark in ",.;:!?":
        said = said.replace(mark, f" {mark} ")
    return said.lower().split()


def _made_up(chance: random.Random) -> str:
    return "".join(chance.choice("bdfklmnprst") + chance.choice("aeiou") for _ in range(chance.randint(2, 4)))


class Vocabulary:
    """The commonest words by id, and ids beyond it for words that an article alone has."""

    def __init__(self, pairs: Iterable[Pair], size: int) -> None:
        counts = Counter(word for article, summary in pairs for word in (*article, *summary))
        ranked = sorted(counts, key=lambda word: (-counts[word], word))  # ties must not hang on the order of a set
        self.words = [*MARKS, *ranked[: size - len(MARKS)]]
        self._ids = {word: i for i, word in enumerate(self.words)}

    def __len__(self) -> int:
        return len(self.words)

    def own_words(self, article: Sequence[str]) -> list[str]:
        """Words of the article that the vocabulary lacks, each once, in their order; their ids follow its last one."""
        return list(dict.fromkeys(word for word in article if word not in self._ids))[:OWN_WORDS]

    def encode(self, words: Sequence[str], own: Sequence[str]) -> list[int]:
        """Ids, those of the article's own words beyond the vocabulary."""
        beyond = {word: len(self) + i for i, word in enumerate(own)}
        return [self._ids.get(word, beyond.get(word, UNKNOWN)) for word in words]

    def decode(self, ids: Iterable[int], own: Sequence[str]) -> str:
        """Text up to the end mark."""
        words = []
        for i in ids:
            if i == END:
                break
            if i >= len(MARKS):
                words.append(self.words[i] if i < len(self) else own[i - len(self)])
        return " ".join(words)


class SummaryDataset:
    """Samples by index: `input_ids` the article, (words,), and `labels` the summary with its end mark, int64.

    `own`: the article's words that the vocabulary lacks.
    """

    def __init__(self, pairs: Sequence[Pair], vocabulary: Vocabulary) -> None:
        self.pairs, self.vocabulary = list(pairs), vocabulary

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        article, summary = self.pairs[index]
        own = self.vocabulary.own_words(article)
        return {
            "input_ids": torch.tensor(self.vocabulary.encode(article, own)),
            "labels": torch.tensor([*self.vocabulary.encode(summary, own), END]),
            "own": own,
        }

    @property
    def summaries(self) -> list[str]:
        """In words, of all samples."""
        return [" ".join(summary) for _, summary in self.pairs]


def collate(samples: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """`input_ids` and `attention_mask`: (rows, longest article); `labels`: (rows, longest summary), -100 at padding."""
    articles, summaries = ([sample[name] for sample in samples] for name in ("input_ids", "labels"))
    pad = torch.nn.utils.rnn.pad_sequence
    return {
        "input_ids": pad(articles, batch_first=True, padding_value=PAD),
        "attention_mask": pad([torch.ones_like(article) for article in articles], batch_first=True),
        "labels": pad(summaries, batch_first=True, padding_value=IGNORED),
    }
