from __future__ import annotations

import numpy as np
import pytest

from quantum_db.data.sources import load_source
from quantum_db.errors import StageInputError


@pytest.mark.parametrize("names", [("x", "y"), ("features", "labels")])
@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_npz_round_trip_is_exact(tmp_path, digits, names, save):
    save(tmp_path / "digits.npz", **dict(zip(names, (digits.features, digits.labels), strict=True)))
    raw = load_source(str(tmp_path / "digits.npz"))
    assert np.array_equal(raw.features, digits.features)
    assert np.array_equal(raw.labels, digits.labels)
    assert raw.class_names == digits.class_names
    assert raw.feature_names[:2] == ("feature_1", "feature_2")


def test_images_are_flattened_and_labels_may_be_names(tmp_path, digits, iris):
    np.savez(tmp_path / "d.npz", x=digits.features.reshape(-1, 8, 8).astype(np.uint8), y=digits.labels)
    assert np.array_equal(load_source(str(tmp_path / "d.npz")).features, digits.features)
    for names in (np.array(iris.class_names), np.array(iris.class_names, dtype="S")):
        np.savez(tmp_path / "i.npz", x=iris.features, y=names[iris.labels])
        raw = load_source(str(tmp_path / "i.npz"))
        assert raw.class_names == iris.class_names
        assert np.array_equal(raw.labels, iris.labels)


X, Y = np.zeros((4, 2)), np.array([0, 0, 1, 1])


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x": X, "y": Y[:3]}, "4 rows of features but 3 labels"),
        ({"x": X[:, 0], "y": Y}, r"real numbers of the shape \(rows, features\), got float64 of the shape \(4,\)"),
        ({"x": X.astype(complex), "y": Y}, "got complex128"),
        ({"x": X.astype(str), "y": Y}, "features must be real numbers"),
        ({"x": X, "y": Y[:, None]}, r"text of the shape \(rows,\), got int64 of the shape \(4, 1\)"),
        ({"x": X, "labels": Y}, "holds the arrays x, labels, but 'x' and 'y'"),
        ({}, "holds the arrays none"),
        ({"x": X[:0], "y": Y[:0]}, "is empty"),
        ({"x": X[:, :0], "y": Y}, "is empty: 4 rows with 0 features"),
        ({"x": X, "y": np.array([{}] * 4)}, "cannot be read as NPZ.*allow_pickle"),
    ],
)
def test_bad_arrays_are_refused(tmp_path, arrays, message):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(StageInputError, match=message):
        load_source(str(tmp_path / "t.npz"))


def test_damaged_files_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", x=X, y=Y)
    content = (tmp_path / "t.npz").read_bytes()
    for damaged in (b"", b"text", content[:300], content.replace(b"NUMPY", b"NUMPX")):
        (tmp_path / "t.npz").write_bytes(damaged)
        with pytest.raises(StageInputError, match=r"t\.npz cannot be read"):
            load_source(str(tmp_path / "t.npz"))


def test_single_array_is_refused(tmp_path):
    with (tmp_path / "t.npz").open("wb") as stream:
        np.save(stream, X)
    with pytest.raises(StageInputError, match="or a single array"):
        load_source(str(tmp_path / "t.npz"))
