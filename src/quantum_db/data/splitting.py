"""Division of rows into training and test rows, the same share of every class in each, decided by the seed alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from quantum_db.errors import StageInputError
from quantum_db.seeding import numpy_generator

Rows = NDArray[np.int64]


def stratified_split(
    labels: NDArray[np.int64], test_fraction: float, seed: int, purpose: str = "split"
) -> tuple[Rows, Rows]:
    """Return the row numbers (training, test), each in a shuffled order.

    labels: int64 (rows,); `purpose` names the stream of random numbers. Each class gives `test_fraction` of its rows
    to the test split, to within one row, and has at least one row in either split; the total is the rounded share of
    all rows as far as that allows (largest remainder method). Raises StageInputError when the fraction is not between
    0 and 1 or a class has a single row.
    """
    check_test_fraction(test_fraction)
    classes = _class_counts(labels, 2)
    counts = np.array(list(classes.values()))
    shares = np.clip(_apportion(counts * test_fraction, round(len(labels) * test_fraction)), 1, counts - 1)
    generator = numpy_generator(seed, "data", purpose)
    training, test = [], []
    for label, share in zip(classes, shares, strict=True):
        rows = generator.permutation(np.flatnonzero(labels == label))
        test.append(rows[:share])
        training.append(rows[share:])
    return generator.permutation(np.concatenate(training)), generator.permutation(np.concatenate(test))


def stratified_folds(labels: NDArray[np.int64], k: int, seed: int) -> tuple[tuple[Rows, Rows], ...]:
    """Return `k` pairs of row numbers (training, test) for cross-validation.

    labels: int64 (rows,). The test rows of all folds are disjoint and together all rows; the rows of a class differ
    by at most one between folds. Raises StageInputError when k < 2 or a class has fewer than k rows.
    """
    if isinstance(k, bool) or not isinstance(k, int) or k < 2:
        raise StageInputError(f"the number of folds must be a whole number of at least 2, got {k!r}")
    generator = numpy_generator(seed, "data", "folds")
    fold_of = np.empty(len(labels), dtype=np.int64)
    dealt = 0
    for label, count in _class_counts(labels, k).items():
        fold_of[generator.permutation(np.flatnonzero(labels == label))] = np.arange(dealt, dealt + count) % k
        dealt += count
    order = generator.permutation(len(labels))
    return tuple((order[fold_of[order] != fold], order[fold_of[order] == fold]) for fold in range(k))


def check_test_fraction(test_fraction: float) -> float:
    """Return `test_fraction` if it lies strictly between 0 and 1; raise StageInputError otherwise."""
    if not 0 < test_fraction < 1:
        raise StageInputError(
            f"the test fraction must lie between 0 and 1, both excluded, got {test_fraction!r}: both splits need rows; "
            "0.2 is the usual choice"
        )
    return test_fraction


def _class_counts(labels: NDArray[np.int64], at_least: int) -> dict[int, int]:
    values, counts = np.unique(labels, return_counts=True)
    if len(values) == 0:
        raise StageInputError("there are no rows to split; give data with at least two rows of each class")
    smallest = int(np.argmin(counts))
    if counts[smallest] < at_least:
        raise StageInputError(
            f"class number {values[smallest]} has {counts[smallest]} row(s), and {at_least} are needed so that every "
            "part has one; add rows of that class or remove it"
        )
    return dict(zip(values.tolist(), counts.tolist(), strict=True))


def _apportion(quotas: NDArray[np.float64], total: int) -> NDArray[np.int64]:
    """Round `quotas` up or down so that they add to `total`: the largest fractions are rounded up."""
    floors = np.floor(quotas).astype(np.int64)
    by_remainder = np.argsort(-(quotas - floors), kind="stable")
    floors[by_remainder[: max(0, total - int(floors.sum()))]] += 1
    return floors
