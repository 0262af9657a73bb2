"""Micro-batches that an effective batch allows."""

from __future__ import annotations

import math


def divisors(number: int) -> list[int]:
    """Of a whole number above zero, from 1 up."""
    low = [n for n in range(1, math.isqrt(number) + 1) if number % n == 0]
    return low + [number // n for n in reversed(low) if n * n != number]


def largest_divisor(number: int, at_most: int) -> int:
    """The largest divisor of `number` that is not above `at_most`; 1 divides everything."""
    return max((n for n in divisors(number) if n <= at_most), default=1)
