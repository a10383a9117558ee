from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import load, save

from quantum_db.data.dataset import Dataset
from quantum_db.data.preprocessing import Preprocessing, fit_preprocessing
from quantum_db.errors import StageInputError, StoreError


@pytest.fixture
def dataset(iris) -> Dataset:
    fitted = fit_preprocessing(iris.features, iris.feature_names)
    return Dataset(
        features=fitted.transform(iris.features),
        labels=iris.labels,
        class_names=iris.class_names,
        feature_names=fitted.feature_names,
        name=iris.name,
        split="all",
        preprocessing=fitted,
        raw_examples=iris.features[:3],
    )


def test_save_and_load_keep_everything(dataset, tmp_path):
    dataset.save(tmp_path / "data")
    again = Dataset.load(tmp_path / "data")
    assert np.array_equal(again.features, dataset.features)
    assert np.array_equal(again.labels, dataset.labels)
    assert np.array_equal(again.raw_examples, dataset.raw_examples)
    assert (again.features.dtype, again.labels.dtype) == (np.float64, np.int64)
    for field in ("class_names", "feature_names", "name", "split", "preprocessing", "digest"):
        assert getattr(again, field) == getattr(dataset, field)
    assert (again.n_samples, again.n_features, again.n_classes) == (150, 4, 3)
    assert again.class_counts == (50, 50, 50)


def test_equal_data_gives_equal_files(dataset, tmp_path):
    for name in ("one", "two"):
        dataset.save(tmp_path / name)
    for file in ("samples.safetensors", "manifest.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_digest_is_of_the_values_and_stable(dataset):
    assert replace(dataset, features=np.asfortranarray(dataset.features)).digest == dataset.digest
    changed = dataset.features.copy()
    changed[3, 1] = np.nextafter(changed[3, 1], 2)
    assert replace(dataset, features=changed).digest != dataset.digest
    values, raw = np.array([[1.0], [2.0]]), np.array([[3.0]])
    tiny = Dataset(values, np.array([0, 1]), ("a", "b"), ("x",), "tiny", "all", Preprocessing(("x",)), raw)
    assert tiny.digest == hashlib.sha256(b"2x1" + struct.pack("<2d2qd", 1.0, 2.0, 0, 1, 3.0)).hexdigest()


def test_saving_again_replaces_the_whole_directory(dataset, tmp_path):
    folder = dataset.save(tmp_path / "data")
    (folder / "stray").write_text("left over")
    dataset.save(folder)
    assert sorted(path.name for path in folder.iterdir()) == ["manifest.json", "samples.safetensors"]
    assert [path.name for path in tmp_path.iterdir()] == ["data"]  # nothing partial beside it


def test_missing_directory_is_refused(tmp_path):
    with pytest.raises(StoreError, match=r"manifest.json does not exist"):
        Dataset.load(tmp_path / "none")


def test_missing_samples_are_refused(dataset, tmp_path):
    (dataset.save(tmp_path / "data") / "samples.safetensors").unlink()
    with pytest.raises(StoreError, match=r"corrupt \(samples.safetensors is missing"):
        Dataset.load(tmp_path / "data")


@pytest.mark.parametrize("length", [0, 4, 100, -1])
def test_truncated_samples_are_refused(dataset, tmp_path, length):
    file = dataset.save(tmp_path / "data") / "samples.safetensors"
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(StoreError, match="is corrupt"):
        Dataset.load(tmp_path / "data")


def test_one_changed_value_is_noticed(dataset, tmp_path):
    file = dataset.save(tmp_path / "data") / "samples.safetensors"
    tensors = {name: array.copy() for name, array in load(file.read_bytes()).items()}
    tensors["features"][0, 0] += 1e-15
    file.write_bytes(save(tensors))
    with pytest.raises(StoreError, match="the samples have the digest"):
        Dataset.load(tmp_path / "data")


@pytest.mark.parametrize("field", ["class_names", "preprocessing", "digest", "split"])
def test_changed_manifest_is_noticed(dataset, tmp_path, field):
    file = dataset.save(tmp_path / "data") / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {field: ["other"]}))
    with pytest.raises(StoreError, match="does not match its own digest"):
        Dataset.load(tmp_path / "data")


@pytest.mark.parametrize(("content", "message"), [("[]", "no JSON object"), ("{", "as JSON"), ("{}", "schema version")])
def test_manifest_of_another_kind_is_refused(dataset, tmp_path, content, message):
    (dataset.save(tmp_path / "data") / "manifest.json").write_text(content)
    with pytest.raises(StoreError, match=message):
        Dataset.load(tmp_path / "data")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"labels": np.zeros(3, dtype=np.int64)}, "equally many rows"),
        ({"features": np.zeros((0, 4)), "labels": np.zeros(0, dtype=np.int64)}, "at least one of each"),
        ({"features": np.zeros((150, 4), dtype=np.float32)}, "float64"),
        ({"labels": np.full(150, 3)}, "labels lie between 3 and 3, but 3 classes"),
        ({"labels": np.full(150, -1)}, "labels lie between -1"),
        ({"features": np.full((150, 4), np.nan)}, "row 1, column 'column 1' is nan"),
        ({"split": "validation"}, "unknown split 'validation'; choose one of: train, test, all"),
        ({"feature_names": ("a",)}, "4 features, 1 feature names"),
        ({"preprocessing": Preprocessing(("a", "b"))}, "preprocessing that gives 2"),
    ],
)
def test_parts_that_do_not_fit_are_refused(dataset, change, message):
    with pytest.raises(StageInputError, match=message):
        replace(dataset, **change)
