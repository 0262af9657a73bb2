"""Generated instructions with answers that follow from simple rules, in long-tailed lengths."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable
from pathlib import Path

from speedtui.engine.files import write_whole

PromptAndResponse = tuple[str, str]
"""(prompt, response)."""

MEDIAN_ITEMS = 16
"""Words or numbers in a task; its prompt and its response hold about as many tokens each."""

SPREAD = 0.85
"""Standard deviation of the logarithm of the items: the longest of a thousand is ten times the median."""

FEWEST, MOST = 2, 100
"""Items; about 10 and 250 tokens."""

# fmt: off
WORDS = [
    "apple", "river", "stone", "cloud", "green", "paper", "light", "house", "table", "bread", "music", "water",
    "field", "horse", "glass", "night", "summer", "winter", "garden", "window", "yellow", "silver", "bridge",
    "forest", "island", "letter", "market", "number", "pencil", "orange", "rocket", "shadow", "ticket", "valley",
]
# fmt: on

NAMES = ["Ada", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gina", "Hugo", "Iris", "Jon"]


def write_corpus(path: Path, rows: int, seed: int) -> None:
    """JSON lines with the columns `prompt` and `response`; the same for the same rows and seed."""
    lines = (json.dumps({"prompt": prompt, "response": response}) for prompt, response in samples(rows, seed))
    write_whole(path, "\n".join(lines) + "\n")


def samples(rows: int, seed: int) -> list[PromptAndResponse]:
    """So many tasks of every kind, mixed."""
    chance = random.Random(seed)
    return [chance.choice(_TASKS)(chance, _items(chance)) for _ in range(rows)]


def _items(chance: random.Random) -> int:
    return max(FEWEST, min(MOST, round(chance.lognormvariate(math.log(MEDIAN_ITEMS), SPREAD))))


def _copy(chance: random.Random, items: int) -> PromptAndResponse:
    words = _joined(chance.choices(WORDS, k=items))
    return f"Repeat these words: {words}", f"The words are: {words}."


def _reverse(chance: random.Random, items: int) -> PromptAndResponse:
    words = chance.choices(WORDS, k=items)
    return f"Reverse these words: {_joined(words)}", f"In reverse order: {_joined(reversed(words))}."


def _sort(chance: random.Random, items: int) -> PromptAndResponse:
    numbers = [chance.randrange(100) for _ in range(items)]
    return f"Sort these numbers: {_joined(numbers)}", f"From small to large: {_joined(sorted(numbers))}."


def _count_up(chance: random.Random, items: int) -> PromptAndResponse:
    start = chance.randrange(50)
    return f"Count {items} steps up from {start}.", f"Counting: {_joined(range(start, start + items))}. That is all."


def _sum(chance: random.Random, items: int) -> PromptAndResponse:
    numbers = [chance.randrange(1, 10) for _ in range(max(FEWEST, items // 3))]
    total, steps = numbers[0], []
    for number in numbers[1:]:
        steps.append(f"{total} + {number} = {total + number}.")
        total += number
    return f"Add these numbers: {_joined(numbers)}", f"{' '.join(steps)} The sum is {total}."


def _shares(chance: random.Random, items: int) -> PromptAndResponse:
    owners = [(chance.choice(NAMES), chance.randrange(1, 10), chance.choice(WORDS)) for _ in range(max(1, items // 5))]
    told = " ".join(f"{name} has {count} {word} cards." for name, count, word in owners)
    listed = " ".join(f"{name}: {count} {word}." for name, count, word in owners)
    return f"{told} Who has what?", f"Here is the list. {listed}"


def _joined(items: Iterable[object]) -> str:
    return " ".join(map(str, items))


_TASKS: tuple[Callable[[random.Random, int], PromptAndResponse], ...] = (
    _copy,
    _reverse,
    _sort,
    _count_up,
    _sum,
    _shares,
)
