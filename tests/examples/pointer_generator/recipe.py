"""The recipe: a pointer-generator summariser of scenes in plain PyTorch."""

from __future__ import annotations

from typing import Any

from summaries import SummaryDataset, Vocabulary, collate, load_speeches, pairs_of
from summariser import Summariser

from speedtui.engine.workload import Recipe


def build(
    text: str = "", rows: int = 400, eval_rows: int = 40, vocabulary: int = 600, width: int = 48, hidden: int = 64,
    dropout: float = 0.1, seed: int = 0,
) -> Recipe:  # fmt: skip
    """`text`: file of a play; without it words are made up. `vocabulary`: in words, of which rarer ones are copied."""
    pairs = pairs_of(load_speeches(text, seed), rows + eval_rows, seed)
    words = Vocabulary(pairs[:rows], vocabulary)
    evaluated = SummaryDataset(pairs[rows:], words)
    return Recipe(
        model=Summariser(len(words), width=width, hidden=hidden, dropout=dropout),
        train_dataset=SummaryDataset(pairs[:rows], words),
        eval_dataset=evaluated,
        collator=collate,
        generate=Writer(words),
        references=evaluated.summaries,
    )


class Writer:
    """Summaries as texts."""

    def __init__(self, words: Vocabulary) -> None:
        self._words = words

    def __call__(self, model: Summariser, samples: list[dict[str, Any]], max_new_tokens: int) -> list[str]:
        """One for each sample, of at most so many words, the likeliest word each time."""
        batch = collate(samples)
        device = next(model.parameters()).device
        ids = model.write(batch["input_ids"].to(device), batch["attention_mask"].to(device), longest=max_new_tokens)
        return [self._words.decode(row, sample["own"]) for row, sample in zip(ids.tolist(), samples, strict=True)]
