from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from quantum_db.data.sources import load_source, resolve_source
from quantum_db.errors import StageInputError


@pytest.fixture
def folder(tmp_path, digits):
    """Twenty real digits as PNG files, in a folder per class."""
    for number, (pixels, label) in enumerate(zip(digits.features[:20], digits.labels, strict=False)):
        place = tmp_path / "digits" / f"number-{label}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.reshape(8, 8).astype(np.uint8)).save(place / f"{number:03}.png")
    return tmp_path / "digits"


def test_images_round_trip(folder, digits):
    raw = load_source(str(folder))
    order = np.argsort(digits.labels[:20], kind="stable")
    assert np.array_equal(raw.features, digits.features[:20][order])
    assert np.array_equal(raw.labels, digits.labels[:20][order])
    assert raw.class_names == tuple(f"number-{label}" for label in range(10))
    assert raw.feature_names == digits.feature_names
    assert (raw.name, resolve_source(str(folder)).kind) == ("digits", "images")


def test_colour_makes_three_features_a_pixel(folder):
    colours = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
    Image.fromarray(colours).save(folder / "number-0" / "000.png")
    raw = load_source(str(folder))
    assert raw.features.shape == (20, 192)
    assert np.array_equal(raw.features[0], colours.ravel())
    assert raw.feature_names[:4] == ("pixel_0_0_red", "pixel_0_0_green", "pixel_0_0_blue", "pixel_0_1_red")
    grey = raw.features[1].reshape(64, 3)
    assert np.array_equal(grey, np.repeat(grey[:, :1], 3, axis=1))


def test_other_files_are_left_alone(folder):
    (folder / "README.txt").write_text("about")
    (folder / ".hidden").mkdir()
    (folder / "number-0" / "notes.txt").write_text("about")
    (folder / "number-0" / "._000.png").write_text("not an image")
    assert len(load_source(str(folder)).labels) == 20


def test_class_without_images_is_refused(folder):
    (folder / "number-10").mkdir()
    for function in (resolve_source, load_source):
        with pytest.raises(StageInputError, match=r"number-10 holds no images \(\.png"):
            function(str(folder))


def test_other_size_is_refused(folder):
    Image.new("L", (4, 8)).save(folder / "number-9" / "small.png")
    with pytest.raises(StageInputError, match=r"small.png has 4x8 pixels, .* has 8x8"):
        load_source(str(folder))


@pytest.mark.parametrize("mode", ["RGBA", "I;16", "LA"])
def test_other_modes_are_refused(folder, mode):
    Image.new(mode, (8, 8)).save(folder / "number-9" / "odd.png")
    with pytest.raises(StageInputError, match=f"odd.png has the mode '{mode}'"):
        load_source(str(folder))


def test_damaged_images_are_refused(folder):
    file = folder / "number-9" / "009.png"
    content = file.read_bytes()
    for damaged in (b"", b"text", content[:60], content[:40] + b"\xff" * 8 + content[48:]):
        file.write_bytes(damaged)
        with pytest.raises(StageInputError, match=r"009.png cannot be read as an image"):
            load_source(str(folder))
