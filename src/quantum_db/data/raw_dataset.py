"""Data as a source gave it: not cleaned, not split, not scaled."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantum_db.errors import StageInputError

MISSING_LABEL = -1
_LARGEST_EXACT_INTEGER = 2**53


@dataclass(frozen=True, eq=False)
class RawDataset:
    """Features and labels of one source.

    features: float64 (samples, features), may hold NaN and infinity; labels: int64 (samples,), the index into
    `class_names`, or MISSING_LABEL where the source has none. Raises StageInputError when the shapes do not fit
    together or there is nothing in it.
    """

    name: str
    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]

    def __post_init__(self) -> None:
        if self.features.ndim != 2 or self.labels.ndim != 1:
            raise StageInputError(
                f"{self.name}: features must have the shape (rows, features) and labels (rows,), got "
                f"{self.features.shape} and {self.labels.shape}; reshape the arrays"
            )
        if len(self.features) != len(self.labels):
            raise StageInputError(
                f"{self.name}: {len(self.features)} rows of features but {len(self.labels)} labels; every row needs "
                "exactly one label, so check how the file was written"
            )
        if self.features.size == 0:
            raise StageInputError(
                f"{self.name} is empty: {self.features.shape[0]} rows with {self.features.shape[1]} features; "
                "give a source with at least one feature and two rows of each class"
            )
        if len(self.feature_names) != self.features.shape[1]:
            raise StageInputError(
                f"{self.name}: {len(self.feature_names)} feature names for {self.features.shape[1]} features; "
                "name every feature once"
            )


def encode_labels(
    values: NDArray[Any], missing: NDArray[np.bool_], name: str
) -> tuple[NDArray[np.int64], Sequence[str]]:
    """Number the classes in `values`, in numeric or alphabetic order.

    values: (rows,) of integers, whole real numbers, booleans or text; missing: bool (rows,), True where there is no
    label. Returns int64 labels (rows,), MISSING_LABEL where missing, and the class names. Raises StageInputError when
    no label is present or labels are real numbers with a fraction (`name` says where they came from).
    """
    present = values[~missing]
    if present.size == 0:
        raise StageInputError(
            f"{name}: none of the {len(values)} rows has a label; give the column that holds the classes"
        )
    rows = np.flatnonzero(~missing)
    names, inverse = np.unique(_comparable(present, rows, name), return_inverse=True)
    labels = np.full(len(values), MISSING_LABEL, dtype=np.int64)
    labels[rows] = inverse
    return labels, tuple(str(label) for label in names.tolist())


def missing_labels(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return bool (rows,): True where a label is None, NaN or an empty text."""
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values), dtype=np.bool_)
    if values.dtype.kind in "OUS":
        return np.array([_is_missing(value) for value in values.tolist()], dtype=np.bool_)
    return np.zeros(len(values), dtype=np.bool_)


def _is_missing(value: object) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _comparable(present: NDArray[Any], rows: NDArray[np.intp], name: str) -> NDArray[Any]:
    values = present.tolist()
    if all(isinstance(value, bool) for value in values):
        return np.array(values, dtype=np.bool_)
    if all(isinstance(value, Real) for value in values):
        return np.array(
            [_whole(value, int(row), name) for value, row in zip(values, rows, strict=True)], dtype=np.int64
        )
    return np.array([str(value) for value in values])


def _whole(value: float, row: int, name: str) -> int:
    if isinstance(value, int) and abs(value) < 2**63:
        return int(value)
    if not math.isfinite(value) or abs(value) > _LARGEST_EXACT_INTEGER or value != int(value):
        raise StageInputError(
            f"{name}: the label in row {row + 1} is {value!r}, which is no class: classes are whole numbers or names. "
            "Choose the column that holds the classes, or bin the real numbers into classes first"
        )
    return int(value)
