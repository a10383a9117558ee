"""Tests between two classifiers that answered the same test samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from quantum_db.benchmarking.intervals import as_correct
from quantum_db.errors import StageInputError


@dataclass(frozen=True)
class McNemar:
    """The samples on which exactly one of two classifiers is right, and the two-sided p-value of that split."""

    only_first: int
    only_second: int
    p_value: float


def mcnemar(first_correct: ArrayLike, second_correct: ArrayLike) -> McNemar:
    """Return McNemar's exact test of equal accuracy from two vectors (rows,) of booleans, row by row the same sample.

    If both are equally accurate, a sample on which only one is right belongs to either with probability 1/2; the
    p-value is the two-sided binomial one, and 1 when they are never right alone. Raises StageInputError when the
    vectors differ in length.
    Source: Q. McNemar, Psychometrika 12 (1947) 153; exact form in T. Dietterich, Neural Computation 10 (1998) 1895.
    """
    first, second = as_correct(first_correct), as_correct(second_correct)
    if first.size != second.size:
        raise StageInputError(
            f"a paired test needs the same test samples for both models, got {first.size} and {second.size}"
        )
    only_first, only_second = int(np.sum(first & ~second)), int(np.sum(second & ~first))
    n = only_first + only_second
    tail = sum(math.comb(n, count) for count in range(min(only_first, only_second) + 1))
    return McNemar(only_first, only_second, min(1.0, 2 * tail / 2**n))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for being several, in the same order.

    Each is at most `level` with probability `level` or less over all true null hypotheses together.
    Source: S. Holm, Scandinavian Journal of Statistics 6 (1979) 65.
    """
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda i: p_values[i])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = largest
    return adjusted
