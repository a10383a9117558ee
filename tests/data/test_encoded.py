import json
from dataclasses import replace

import numpy as np
import pytest

from quantum_db.data.encoded import EncodedDataset
from quantum_db.data.preprocessing import fit_preprocessing
from quantum_db.errors import StoreError

ARRAYS = ("train_values", "train_labels", "test_values", "test_labels", "train_slots", "test_slots", "raw_examples")


@pytest.fixture
def encoded(iris):
    preprocessing = fit_preprocessing(iris.features, iris.feature_names)
    values = preprocessing.transform(iris.features)
    return EncodedDataset(
        train_values=values[::2],
        train_labels=iris.labels[::2],
        test_values=values[1::2],
        test_labels=iris.labels[1::2],
        train_slots=values[::2] * np.pi,
        test_slots=values[1::2] * np.pi,
        raw_examples=iris.features[:8],
        class_names=iris.class_names,
        feature_names=iris.feature_names,
        preprocessing=preprocessing,
        encoding={"encoder": {"name": "angle", "n_qubits": 4}, "statistics": {"depth": 3}},
        dataset_name="builtin:iris",
        dataset_digest="abc",
        seed=5,
    )


def test_round_trip_is_exact(encoded, tmp_path):
    assert encoded.save(tmp_path / "e", "<svg/>") == tmp_path / "e"
    found = EncodedDataset.load(tmp_path / "e")
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(found, name), getattr(encoded, name), err_msg=name)
        assert getattr(found, name).dtype == getattr(encoded, name).dtype
    for name in ("class_names", "feature_names", "preprocessing", "encoding", "dataset_name", "dataset_digest", "seed"):
        assert getattr(found, name) == getattr(encoded, name), name
    assert (found.n_inputs, found.n_classes) == (4, 3)
    assert (tmp_path / "e" / "circuit.svg").read_text() == "<svg/>"


def test_slots_that_training_decides_are_absent(encoded, tmp_path):
    replace(encoded, train_slots=None, test_slots=None).save(tmp_path / "e", "")
    found = EncodedDataset.load(tmp_path / "e")
    assert found.train_slots is None
    assert found.test_slots is None


def test_strided_arrays_are_written_as_they_read(encoded, tmp_path):
    turned = np.asfortranarray(encoded.train_values)
    replace(encoded, train_values=turned).save(tmp_path / "e", "")
    np.testing.assert_array_equal(EncodedDataset.load(tmp_path / "e").train_values, encoded.train_values)


def test_an_earlier_directory_is_replaced_as_a_whole(encoded, tmp_path):
    encoded.save(tmp_path / "e", "")
    (tmp_path / "e" / "stray").write_text("x")
    replace(encoded, seed=6).save(tmp_path / "e", "")
    assert EncodedDataset.load(tmp_path / "e").seed == 6
    assert not (tmp_path / "e" / "stray").exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["e"]


def test_what_cannot_be_written_leaves_nothing(encoded, tmp_path):
    bad = replace(encoded, encoding={"scale": float("nan")})
    with pytest.raises(ValueError, match="JSON compliant"):
        bad.save(tmp_path / "e", "")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_directory(tmp_path):
    with pytest.raises(StoreError, match=r"encoding\.json does not exist"):
        EncodedDataset.load(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["encoding.json", "train.safetensors", "test.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut", "flipped", "empty"])
def test_damage_is_noticed(encoded, tmp_path, name, damage):
    encoded.save(tmp_path / "e", "")
    file = tmp_path / "e" / name
    content = bytearray(file.read_bytes())
    if damage == "flipped":
        content[len(content) // 2] ^= 0x01
    file.unlink()
    if damage != "missing":
        file.write_bytes({"cut": bytes(content[:-9]), "flipped": bytes(content), "empty": b""}[damage])
    with pytest.raises(StoreError, match=r"damaged|cannot be read|does not exist"):
        EncodedDataset.load(tmp_path / "e")


@pytest.mark.parametrize("change", [{"schema_version": 2}, {"seed": 1}, {"class_names": ["a", "b", "c"]}])
def test_an_edited_manifest_is_noticed(encoded, tmp_path, change):
    encoded.save(tmp_path / "e", "")
    file = tmp_path / "e" / "encoding.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(StoreError, match="run the quantum-encode stage again"):
        EncodedDataset.load(tmp_path / "e")
