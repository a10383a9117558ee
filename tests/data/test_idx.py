from __future__ import annotations

import gzip

import numpy as np
import pytest

from quantum_db.data.sources import load_source, resolve_source
from quantum_db.errors import StageInputError


def test_folder_holds_all_pairs_packed_or_not(idx_folder, digits):
    raw = load_source(str(idx_folder))
    test, train = digits.features[1500:], digits.features[:1500]
    assert np.array_equal(raw.features, np.vstack([test, train]))  # t10k before train, by name
    assert np.array_equal(raw.labels, np.concatenate([digits.labels[1500:], digits.labels[:1500]]))
    assert raw.class_names == digits.class_names
    assert raw.feature_names == digits.feature_names
    assert raw.name == "digits-idx"


@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"])
def test_one_file_finds_its_partner(idx_folder, digits, name):
    raw = load_source(str(idx_folder / name))
    assert np.array_equal(raw.features, digits.features[:1500])
    assert np.array_equal(raw.labels, digits.labels[:1500])
    assert resolve_source(str(idx_folder / name)).kind == "idx"


def test_missing_partner_is_refused(idx_folder):
    (idx_folder / "train-labels-idx1-ubyte").unlink()
    for function in (resolve_source, load_source):
        with pytest.raises(StageInputError, match="has no train-labels-idx1-ubyte"):
            function(str(idx_folder))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: b"", "starts with nothing"),
        (lambda content: content[:10], "is no IDX file of unsigned bytes with 3"),
        (lambda content: b"\0\0\x0d\3" + content[4:], "starts with 00 00 0d 03"),
        (lambda content: content[:-1], r"announces 96000 bytes of data \(shape \(1500, 8, 8\)\) but has 95999"),
        (lambda content: content + b"\0", "but has 96001"),
        (lambda content: content[:7] + b"\1" + content[8:16] + content[16 : 16 + 64 * 1281], "1281 images but"),
    ],
)
def test_damaged_files_are_refused(idx_folder, change, message):
    file = idx_folder / "train-images-idx3-ubyte"
    file.write_bytes(change(file.read_bytes()))
    with pytest.raises(StageInputError, match=message):
        load_source(str(idx_folder))


def test_damaged_gzip_is_refused(idx_folder):
    file = idx_folder / "t10k-images-idx3-ubyte.gz"
    content = file.read_bytes()
    for damaged in (content[:50], b"text", content[:20] + b"\xff" * 20 + content[40:]):
        file.write_bytes(damaged)
        with pytest.raises(StageInputError, match="cannot be unpacked"):
            load_source(str(idx_folder))


def test_images_of_two_sizes_are_refused(idx_folder):
    file = idx_folder / "t10k-images-idx3-ubyte.gz"
    content = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(content[:8] + bytes([0, 0, 0, 4, 0, 0, 0, 16]) + content[16:]))
    with pytest.raises(StageInputError, match=r"images of \(8, 8\) pixels, the file before \(4, 16\)"):
        load_source(str(idx_folder))


def test_no_images_are_refused(tmp_path):
    (tmp_path / "images-idx3-ubyte").write_bytes(bytes([0, 0, 8, 3]) + bytes(4) + bytes([0, 0, 0, 8]) * 2)
    (tmp_path / "labels-idx1-ubyte").write_bytes(bytes([0, 0, 8, 1]) + bytes(4))
    with pytest.raises(StageInputError, match="is empty"):
        load_source(str(tmp_path))
