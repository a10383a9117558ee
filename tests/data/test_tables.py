from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from quantum_db.data.sources import load_source
from quantum_db.errors import StageInputError


def csv_of(tmp_path, text: str, label_column: str = "label"):
    (tmp_path / "t.csv").write_text(text)
    return load_source(str(tmp_path / "t.csv"), label_column)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_table_round_trip_is_exact(tmp_path, iris, iris_frame, suffix):
    path = tmp_path / f"iris.{suffix}"
    if suffix == "csv":
        iris_frame.to_csv(path, index=False)
    else:
        iris_frame.to_parquet(path)
    raw = load_source(str(path))
    assert raw.name == f"iris.{suffix}"
    assert np.array_equal(raw.features, iris.features)
    assert np.array_equal(raw.labels, iris.labels)
    assert (raw.class_names, raw.feature_names) == (iris.class_names, iris.feature_names)


def test_full_precision_survives_csv(tmp_path):
    values = np.random.default_rng(0).normal(size=(50, 2)) * 10.0 ** np.arange(-25, 25)[:, None]
    frame = pd.DataFrame(values, columns=["a", "b"]).assign(label=[0, 1] * 25)
    frame.to_csv(tmp_path / "t.csv", index=False)
    assert np.array_equal(load_source(str(tmp_path / "t.csv")).features, values)


def test_label_column_can_be_anywhere_and_anything(tmp_path):
    raw = csv_of(tmp_path, "kind,a,b\n2,1,True\n10,2,False\n,3,True\n", "kind")
    assert raw.features.tolist() == [[1, 1], [2, 0], [3, 1]]
    assert raw.labels.tolist() == [0, 1, -1]
    assert (raw.class_names, raw.feature_names) == (("2", "10"), ("a", "b"))


def test_labels_are_read_as_they_are_written(tmp_path):
    raw = csv_of(tmp_path, "a,label\n1,01\n2,1\n3,NA\n", "label")
    assert raw.labels.tolist() == [0, 1, 2]
    assert raw.class_names == ("01", "1", "NA")


def test_a_column_of_row_numbers_without_a_name_is_refused(tmp_path):
    with pytest.raises(StageInputError, match="rows have more fields than the header has names"):
        csv_of(tmp_path, "a,b,label\n0,1,2,x\n1,3,4,y\n", "label")


def test_empty_cells_are_missing_values(tmp_path):
    raw = csv_of(tmp_path, "a,b,label\n1,,x\n2,NaN,y\n3\n")
    assert np.isnan(raw.features[:, 1]).all()
    assert raw.labels.tolist() == [0, 1, -1]


def test_column_types_of_parquet_become_numbers(tmp_path):
    frame = pd.DataFrame(
        {
            "nullable": pd.array([1, None, 3], dtype="Int64"),
            "flag": pd.array([True, False, None], dtype="boolean"),
            "small": np.array([1, 2, 3], dtype=np.float32),
            "decimal": [Decimal("1.5"), Decimal("2.5"), None],
            "empty": [None, None, None],
            "label": pd.Categorical(["y", "x", "y"]),
        }
    )
    frame.to_parquet(tmp_path / "t.parquet")
    raw = load_source(str(tmp_path / "t.parquet"))
    expected = [[1, 1, 1, 1.5, np.nan], [np.nan, 0, 2, 2.5, np.nan], [3, np.nan, 3, np.nan, np.nan]]
    np.testing.assert_array_equal(raw.features, expected)
    assert (raw.labels.tolist(), raw.class_names) == ([1, 0, 1], ("x", "y"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "t.csv cannot be read as CSV"),
        ("a,label\n", "t.csv is empty: 0 rows and 1 feature columns"),
        ("label\nx\ny\n", "t.csv is empty: 2 rows and 0 feature columns"),
        ("a,b\n1,2\n", r"no column 'label' for the labels; its columns are: a, b\."),
        ("a;label\n1;x\n", "its columns are: a;label.*comma-separated"),
        ("a,b,label\n1,2,x\n3,red,y\n", r"the column 'b' is not numeric \(row 2 holds 'red', 1 such"),
        ("a,label\n2024-01-01,x\n", "the column 'a' is not numeric"),
        (",a,label\n0,1,x\n", "column 1 has no name in the header.*row number"),
        ("a,a,label\n0,1,x\n", "the column name 'a' occurs twice"),
        ("label,a,label\n0,1,x\n", "the column name 'label' occurs twice"),
        ("a,label\n1,2,3\n4,5,6\n", "rows have more fields than the header"),
        ("a,label\n1,2\n1,2,3,4\n", "cannot be read as CSV"),
        ("a,label\n1,0.5\n2,1.5\n", r"column 'label': the label in row 1 is 0.5, which is no class"),
        ("a,label\n1,\n2,\n", "none of the 2 rows has a label"),
    ],
)
def test_bad_csv_is_refused(tmp_path, text, message):
    with pytest.raises(StageInputError, match=message):
        csv_of(tmp_path, text)


def test_binary_csv_is_refused(tmp_path):
    (tmp_path / "t.csv").write_bytes(b"\xff\xfe\x00\x01,label\n\x80\x81,1\n")
    with pytest.raises(StageInputError, match="cannot be read as CSV"):
        load_source(str(tmp_path / "t.csv"))


def test_damaged_parquet_is_refused(tmp_path, iris_frame):
    iris_frame.to_parquet(tmp_path / "t.parquet")
    content = (tmp_path / "t.parquet").read_bytes()
    for damaged in (b"", content[:200], content[:-20] + b"\0" * 20):
        (tmp_path / "t.parquet").write_bytes(damaged)
        with pytest.raises(StageInputError, match=r"t\.parquet cannot be read"):
            load_source(str(tmp_path / "t.parquet"))


@pytest.mark.parametrize("values", [pd.to_datetime(["2024-01-01", "2024-01-02"]), ["red", "blue"]])
def test_columns_that_are_no_numbers_are_refused(tmp_path, values):
    pd.DataFrame({"a": [1, 2], "when": values, "label": ["x", "y"]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(StageInputError, match="the column 'when' is not numeric"):
        load_source(str(tmp_path / "t.parquet"))
