from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from quantum_db.data.cleaning import clean
from quantum_db.data.raw_dataset import RawDataset
from quantum_db.errors import StageInputError


def raw_of(features, labels, classes=("no", "yes")) -> RawDataset:
    array = np.array(features, dtype=np.float64)
    names = tuple(f"f{column}" for column in range(array.shape[1]))
    return RawDataset("flowers.csv", array, np.array(labels, dtype=np.int64), classes, names)


def test_clean_data_passes_unchanged(iris):
    cleaned, report = clean(iris)
    assert cleaned is iris
    assert (report.rows_read, report.rows_kept, report.rows_dropped) == (150, 150, 0)
    assert report.duplicate_count == 1  # two of iris's flowers are known to be alike
    assert report.contradictory_count == 0


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_missing_values_are_refused_by_row_and_column(iris, value):
    features = iris.features.copy()
    features[17, 2] = features[20, 3] = value
    message = rf"builtin:iris: row 18, column 'petal length \(cm\)' is {value} \(2 such value.*in 2 row.*missing='drop'"
    with pytest.raises(StageInputError, match=message):
        clean(replace(iris, features=features))


def test_rows_with_missing_values_are_dropped_when_asked(iris):
    features, labels = iris.features.copy(), iris.labels.copy()
    features[17, 2], features[20, 3], labels[99] = np.nan, np.inf, -1
    cleaned, report = clean(replace(iris, features=features, labels=labels), missing="drop")
    kept = np.setdiff1d(np.arange(150), [17, 20, 99])
    assert np.array_equal(cleaned.features, iris.features[kept])
    assert np.array_equal(cleaned.labels, iris.labels[kept])
    assert (report.missing_count, report.missing_rows, report.rows_dropped) == (3, (18, 21, 100), 3)


def test_missing_labels_are_refused():
    with pytest.raises(StageInputError, match=r"flowers.csv: row 2 has no label \(1 such row"):
        clean(raw_of([[1], [2], [3]], [0, -1, 1]))


def test_duplicates_are_counted_and_dropped_when_asked():
    raw = raw_of([[1, 0.0], [2, 1], [1, -0.0], [2, 1], [3, 3], [4, 4]], [0, 1, 0, 0, 1, 1])
    kept, report = clean(raw)
    assert kept is raw
    assert (report.duplicate_count, report.duplicates_dropped, report.contradictory_count) == (1, False, 2)
    dropped, report = clean(raw, duplicates="drop")
    assert dropped.features[:, 0].tolist() == [1, 2, 2, 3, 4]  # the first of equals stays, contradictions stay
    assert (report.duplicate_count, report.duplicates_dropped, report.rows_dropped) == (1, True, 1)


def test_nothing_left_is_refused():
    with pytest.raises(StageInputError, match=r"every one of the 2 rows has NaN"):
        clean(raw_of([[np.nan], [np.inf]], [0, 1]), missing="drop")


def test_one_class_only_is_refused():
    with pytest.raises(StageInputError, match="one class only, 'yes'; a classifier needs at least two"):
        clean(raw_of([[1], [2]], [1, 1]))


def test_class_of_one_row_is_refused():
    with pytest.raises(StageInputError, match=r"fewer than two rows: 'yes' \(1\)"):
        clean(raw_of([[1], [2], [3]], [0, 0, 1]))


def test_class_that_cleaning_empties_is_refused():
    with pytest.raises(StageInputError, match=r"4 usable row\(s\) of 5.*'c' \(0\)"):
        clean(raw_of([[1], [2], [3], [4], [np.nan]], [0, 0, 1, 1, 2], ("a", "b", "c")), missing="drop")


@pytest.mark.parametrize("field", ["missing", "duplicates"])
def test_unknown_names_are_refused(iris, field):
    with pytest.raises(StageInputError, match=f"unknown {field} 'impute'; choose one of: "):
        clean(iris, **{field: "impute"})


def test_report_is_json(iris):
    assert clean(iris)[1].to_dict() == {
        "rows_read": 150,
        "rows_kept": 150,
        "missing_count": 0,
        "missing_rows": [],
        "duplicate_count": 1,
        "duplicates_dropped": False,
        "contradictory_count": 0,
    }
