"""IDX, the format of MNIST and its relatives: unsigned bytes, images in one file and labels in another.

Format: four bytes (0, 0, type, number of dimensions), each dimension as a big-endian 32-bit integer, then the data
(http://yann.lecun.com/exdb/mnist/). In a folder with several pairs (train-..., t10k-...) all are read, one after the
other in the order of their names: Q-Store makes its own split.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from quantum_db.data.raw_dataset import RawDataset, encode_labels
from quantum_db.data.sources.recognition import IDX_NAME
from quantum_db.data.sources.source import Source
from quantum_db.errors import StageInputError

_UNSIGNED_BYTE = 8


def _check(address: str) -> None:
    _pairs(Path(address))


def _load(address: str, label_column: str) -> RawDataset:
    path = Path(address)
    images, labels = [], []
    for image_file, label_file in _pairs(path):
        images.append(_read(image_file, 3))
        labels.append(_read(label_file, 1))
        if len(images[-1]) != len(labels[-1]):
            raise StageInputError(
                f"{image_file.name} holds {len(images[-1])} images but {label_file.name} {len(labels[-1])} labels; the "
                "two files do not belong together"
            )
        if images[-1].shape[1:] != images[0].shape[1:]:
            raise StageInputError(
                f"{image_file.name} holds images of {images[-1].shape[1:]} pixels, the file before "
                f"{images[0].shape[1:]}; keep data sets of different sizes in different folders"
            )
    pixels, numbers = np.concatenate(images), np.concatenate(labels)
    if pixels.size == 0:
        raise StageInputError(f"{path.name} is empty: its files hold no pixels; give at least two images of each class")
    _, height, width = pixels.shape
    encoded, classes = encode_labels(numbers, np.zeros(len(numbers), dtype=np.bool_), path.name)
    return RawDataset(
        name=path.name,
        features=pixels.reshape(len(pixels), height * width).astype(np.float64),
        labels=encoded,
        class_names=tuple(classes),
        feature_names=tuple(f"pixel_{row}_{column}" for row in range(height) for column in range(width)),
    )


def _pairs(path: Path) -> list[tuple[Path, Path]]:
    """Return the (images, labels) files at `path`, which is a folder or one of the files."""
    if not path.exists():
        raise StageInputError(f"{path} does not exist; check the path and the working directory")
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    found = [(file, match) for file in files if (match := IDX_NAME.fullmatch(file.name))]
    stems = sorted({match["stem"] for _, match in found})
    if not stems:
        raise StageInputError(
            f"{path} holds no IDX files; their names end in -images-idx3-ubyte and -labels-idx1-ubyte"
        )
    folder = path if path.is_dir() else path.parent
    return [(_one(folder, stem, "images"), _one(folder, stem, "labels")) for stem in stems]


def _one(folder: Path, stem: str, what: str) -> Path:
    for file in sorted(folder.iterdir()):
        match = IDX_NAME.fullmatch(file.name)
        if match and (match["stem"], match["what"]) == (stem, what):
            return file
    number = 3 if what == "images" else 1
    raise StageInputError(
        f"{folder} has no {stem}{what}-idx{number}-ubyte (or .gz), the partner of the other {stem} file; images and "
        "labels must lie in one folder"
    )


def _read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    content = _bytes(path)
    header = 4 + 4 * dimensions
    if len(content) < header or content[:4] != bytes([0, 0, _UNSIGNED_BYTE, dimensions]):
        raise StageInputError(
            f"{path} is no IDX file of unsigned bytes with {dimensions} dimension(s): it starts with "
            f"{content[:4].hex(' ') or 'nothing'}; download it again"
        )
    shape = struct.unpack(f">{dimensions}I", content[4:header])
    if len(content) - header != math.prod(shape):
        raise StageInputError(
            f"{path} announces {math.prod(shape)} bytes of data (shape {shape}) but has {len(content) - header}; it "
            "was cut off or changed, download it again"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _bytes(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        return gzip.decompress(path.read_bytes())
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise StageInputError(f"{path} cannot be unpacked ({error}); download it again") from error


SOURCE = Source(
    addresses=("<folder or path>-images-idx3-ubyte[.gz] with <...>-labels-idx1-ubyte[.gz]",), check=_check, load=_load
)
