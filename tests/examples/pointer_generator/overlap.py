"""How much of the right summary's words a written one has."""

from __future__ import annotations

from collections import Counter


def rouge_1(prediction: str, reference: str) -> float:
    """F1 of the words in common, order aside. Definition: Lin, "ROUGE", Text Summarization Branches Out, 2004."""
    written, right = Counter(prediction.split()), Counter(reference.split())
    common = (written & right).total()
    return 2 * common / (written.total() + right.total()) if common else 0.0
