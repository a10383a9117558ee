import json

import numpy as np
import pytest

from quantum_db.checkpoints import Checkpoint
from quantum_db.errors import StoreError

ARRAYS = {
    "weights": np.array([[0.1, -2.5], [np.pi, 1e-300]]),
    "labels": np.arange(4),
    "scalar": np.array(7, dtype=np.int64),
    "single": np.array([1.1], dtype=np.float32),
    "empty": np.zeros((0, 3)),
}
MANIFEST = {"loss": [0.1 + 0.2, 1e-17], "name": "run é", "nested": {"none": None, "flag": True}}


def test_round_trip_is_exact(tmp_path):
    checkpoint = Checkpoint(ARRAYS, MANIFEST)
    digest = checkpoint.write(tmp_path / "c")
    found = Checkpoint.read(tmp_path / "c")
    assert found.manifest == MANIFEST
    assert sorted(found.arrays) == sorted(ARRAYS)
    for name, array in ARRAYS.items():
        assert found.arrays[name].dtype == array.dtype, name
        assert found.arrays[name].shape == array.shape, name
        np.testing.assert_array_equal(found.arrays[name], array)
    assert digest == checkpoint.digest == found.digest
    assert len(digest) == 64


def test_views_are_written_as_they_read(tmp_path):
    array = np.arange(12.0).reshape(3, 4)
    Checkpoint({"t": array.T, "slice": array[:, ::2]}, {}).write(tmp_path / "c")
    found = Checkpoint.read(tmp_path / "c").arrays
    np.testing.assert_array_equal(found["t"], array.T)
    np.testing.assert_array_equal(found["slice"], array[:, ::2])


def test_the_digest_is_that_of_the_content():
    same = Checkpoint(dict(reversed(ARRAYS.items())), dict(reversed(MANIFEST.items())))
    assert same.digest == Checkpoint(ARRAYS, MANIFEST).digest
    assert Checkpoint(ARRAYS, {**MANIFEST, "name": "x"}).digest != same.digest
    assert Checkpoint({**ARRAYS, "labels": np.arange(4) + 1}, MANIFEST).digest != same.digest
    assert Checkpoint({**ARRAYS, "labels": np.arange(4, dtype=np.int32)}, MANIFEST).digest != same.digest


def test_an_earlier_directory_is_replaced_as_a_whole(tmp_path):
    Checkpoint(ARRAYS, MANIFEST).write(tmp_path / "c")
    (tmp_path / "c" / "stray").write_text("x")
    Checkpoint({"a": np.zeros(1)}, {"new": 1}).write(tmp_path / "c")
    assert Checkpoint.read(tmp_path / "c").manifest == {"new": 1}
    assert sorted(file.name for file in (tmp_path / "c").iterdir()) == ["arrays.safetensors", "manifest.json"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["c"]


def test_what_cannot_be_written_leaves_nothing(tmp_path):
    for bad in ({"loss": float("nan")}, {"object": object()}):
        with pytest.raises((ValueError, TypeError)):
            Checkpoint(ARRAYS, bad).write(tmp_path / "c")
    assert list(tmp_path.iterdir()) == []


def test_missing(tmp_path):
    with pytest.raises(StoreError, match=r"there is no checkpoint at .*nowhere; check the path"):
        Checkpoint.read(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json"])
def test_every_changed_byte_is_noticed(tmp_path, name):
    Checkpoint({"w": np.arange(6.0)}, {"a": [1, 2.5]}).write(tmp_path / "c")
    file = tmp_path / "c" / name
    content = file.read_bytes()
    for position in range(len(content)):
        changed = bytearray(content)
        changed[position] ^= 0xFF
        file.write_bytes(bytes(changed))
        with pytest.raises(StoreError):
            Checkpoint.read(tmp_path / "c")
    file.write_bytes(content)
    assert Checkpoint.read(tmp_path / "c").manifest == {"a": [1, 2.5]}


@pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json"])
def test_every_cut_is_noticed(tmp_path, name):
    Checkpoint({"w": np.arange(6.0)}, {"a": [1, 2.5]}).write(tmp_path / "c")
    file = tmp_path / "c" / name
    content = file.read_bytes()
    for length in range(0, len(content) - 1, 7):
        file.write_bytes(content[:length])
        with pytest.raises(StoreError):
            Checkpoint.read(tmp_path / "c")
    file.unlink()
    with pytest.raises(StoreError):
        Checkpoint.read(tmp_path / "c")


@pytest.mark.parametrize("change", [{"schema_version": 2}, {"schema_version": None}])
def test_another_schema_is_refused(tmp_path, change):
    Checkpoint(ARRAYS, MANIFEST).write(tmp_path / "c")
    file = tmp_path / "c" / "manifest.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(StoreError, match=r"has schema version (2|None), this release reads 1"):
        Checkpoint.read(tmp_path / "c")


@pytest.mark.parametrize("text", ["[]", "7", "{}", '{"schema_version": 1}', '{"schema_version": 1, "content": 3}'])
def test_other_json_is_refused(tmp_path, text):
    Checkpoint(ARRAYS, MANIFEST).write(tmp_path / "c")
    (tmp_path / "c" / "manifest.json").write_text(text)
    with pytest.raises(StoreError):
        Checkpoint.read(tmp_path / "c")
