from __future__ import annotations

import re

import numpy as np
import pytest

from quantum_db.data.raw_dataset import RawDataset, encode_labels, missing_labels
from quantum_db.errors import StageInputError


def encoded(values):
    array = np.array(values) if not any(value is None for value in values) else np.array(values, dtype=object)
    labels, classes = encode_labels(array, missing_labels(array), "flowers.csv")
    return labels.tolist(), classes


@pytest.mark.parametrize(
    ("values", "labels", "classes"),
    [
        ([3, 10, 3], [0, 1, 0], ("3", "10")),
        ([2.0, np.nan, -1.0], [1, -1, 0], ("-1", "2")),
        (["b", "", "a"], [1, -1, 0], ("a", "b")),
        ([True, False], [1, 0], ("False", "True")),
        ([None, "x", "y"], [-1, 0, 1], ("x", "y")),
        ([None, 7, 5.0], [-1, 1, 0], ("5", "7")),
        ([2**53 + 1, 2**53], [1, 0], (str(2**53), str(2**53 + 1))),
    ],
)
def test_classes_are_numbered_in_order(values, labels, classes):
    assert encoded(values) == (labels, classes)


@pytest.mark.parametrize("value", [0.5, np.inf, 1e300])
def test_real_numbers_are_no_classes(value):
    with pytest.raises(StageInputError, match=rf"flowers.csv: the label in row 2 is {re.escape(repr(value))}"):
        encoded([1.0, value])


def test_no_labels_at_all_are_refused():
    with pytest.raises(StageInputError, match="none of the 2 rows has a label"):
        encoded(["", ""])


@pytest.mark.parametrize(
    ("features", "labels", "message"),
    [
        (np.zeros((3, 2)), np.zeros(2, dtype=np.int64), "3 rows of features but 2 labels"),
        (np.zeros(3), np.zeros(3, dtype=np.int64), r"got \(3,\) and \(3,\)"),
        (np.zeros((0, 2)), np.zeros(0, dtype=np.int64), "is empty: 0 rows with 2 features"),
        (np.zeros((3, 1)), np.zeros(3, dtype=np.int64), "2 feature names for 1 features"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(features, labels, message):
    with pytest.raises(StageInputError, match=message):
        RawDataset("x", features, labels, ("a",), ("f", "g"))
