"""Confidence intervals of an accuracy measured on a finite test split.

Two methods stand beside each other because they fail in different places. The percentile bootstrap is the usual one,
but at an accuracy of exactly 0 or 1 every resample is the same and its interval has no width, which says nothing about
the next sample. Wilson's score interval stays right there: 30 of 30 correct gives a lower end of 0.886.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from quantum_db.errors import ConfigurationError, StageInputError

MIN_BOOTSTRAP_SAMPLES = 100


@dataclass(frozen=True)
class Interval:
    """The two ends of a confidence interval, both included."""

    low: float
    high: float


def bootstrap_accuracy(
    correct: ArrayLike, generator: np.random.Generator, samples: int = 2000, confidence: float = 0.95
) -> Interval:
    """Return the percentile bootstrap interval of the mean of `correct` (rows,), booleans.

    Drawing n rows with replacement from n rows of which k are correct gives a Binomial(n, k / n) number of correct
    rows, so the resamples are drawn from that distribution: the same law as resampling rows, without the rows.
    Raises StageInputError without rows, ConfigurationError for fewer than 100 resamples or a confidence outside (0, 1).
    Source: B. Efron and R. Tibshirani, An Introduction to the Bootstrap (1993), chapter 13.
    """
    rows = as_correct(correct)
    if samples < MIN_BOOTSTRAP_SAMPLES:
        raise ConfigurationError(
            f"bootstrap_samples is {samples}, which is too few for the 2.5 % and 97.5 % points; "
            f"use at least {MIN_BOOTSTRAP_SAMPLES}"
        )
    tail = _tail(confidence)
    means = generator.binomial(rows.size, rows.mean(), size=samples) / rows.size
    low, high = np.quantile(means, (tail, 1.0 - tail))
    return Interval(float(low), float(high))


def wilson_accuracy(correct: ArrayLike, confidence: float = 0.95) -> Interval:
    """Return Wilson's score interval of the mean of `correct` (rows,), booleans.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209. Errors as in `bootstrap_accuracy`.
    """
    rows = as_correct(correct)
    n, mean = rows.size, float(rows.mean())
    z = NormalDist().inv_cdf(1.0 - _tail(confidence))
    scale = 1.0 + z * z / n
    centre = (mean + z * z / (2 * n)) / scale
    half = z / scale * math.sqrt(mean * (1.0 - mean) / n + z * z / (4 * n * n))
    return Interval(0.0 if mean == 0.0 else centre - half, 1.0 if mean == 1.0 else centre + half)


def as_correct(correct: ArrayLike) -> NDArray[np.bool_]:
    """Return `correct` as a boolean vector; raise StageInputError when it is empty or not a vector of booleans."""
    rows = np.asarray(correct)
    if rows.ndim != 1 or rows.size == 0 or rows.dtype != np.bool_:
        raise StageInputError(
            f"an accuracy needs one boolean per test sample, got shape {rows.shape} of {rows.dtype}; "
            "compare predictions with labels"
        )
    return rows


def _tail(confidence: float) -> float:
    if not 0.0 < confidence < 1.0:
        raise ConfigurationError(f"confidence must lie between 0 and 1, got {confidence}; 0.95 is usual")
    return (1.0 - confidence) / 2.0
