"""Images in one folder per class, all of one size; a pixel's channel is a feature with values from 0 to 255.

Grey images give height x width features. If any image has colours, all are read as RGB: height x width x 3.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantum_db.data.raw_dataset import RawDataset
from quantum_db.data.sources.recognition import IMAGE_SUFFIXES, class_folders, images_in
from quantum_db.data.sources.source import Source
from quantum_db.errors import StageInputError
from quantum_db.registry import require_package

_GREY = ("1", "L")
_COLOUR = ("RGB", "P")


def _check(address: str) -> None:
    path = Path(address)
    if not path.is_dir():
        raise StageInputError(
            f"{address} is no directory; give the directory that holds one folder of images per class"
        )
    if not class_folders(path):
        raise StageInputError(f"{address} has no folders; put the images of each class into a folder with its name")
    for folder in class_folders(path):
        if not images_in(folder):
            raise StageInputError(
                f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}); every folder is a class, so add images or "
                "remove the folder"
            )


def _load(address: str, label_column: str) -> RawDataset:
    _check(address)
    folders = class_folders(Path(address))
    files = [(file, label) for label, folder in enumerate(folders) for file in images_in(folder)]
    arrays = [_pixels(file) for file, _ in files]
    for (file, _), array in zip(files, arrays, strict=True):
        if array.shape[:2] != arrays[0].shape[:2]:
            raise StageInputError(
                f"{file} has {array.shape[1]}x{array.shape[0]} pixels, {files[0][0].name} has "
                f"{arrays[0].shape[1]}x{arrays[0].shape[0]}; bring all images to one size first"
            )
    channels = max(array.shape[2] for array in arrays)
    pixels = np.stack([np.broadcast_to(array, (*array.shape[:2], channels)) for array in arrays])
    return RawDataset(
        name=Path(address).name,
        features=pixels.reshape(len(pixels), -1).astype(np.float64),
        labels=np.array([label for _, label in files], dtype=np.int64),
        class_names=tuple(folder.name for folder in folders),
        feature_names=_names(*pixels.shape[1:]),
    )


def _pixels(file: Path) -> NDArray[np.uint8]:
    """Read one image: uint8 (height, width, 1 or 3)."""
    pillow: Any = require_package("PIL.Image", "images", "reading images")
    try:
        with pillow.open(file) as image:
            if image.mode not in _GREY + _COLOUR:
                raise StageInputError(
                    f"{file} has the mode {image.mode!r} (transparency, more than 8 bits, or another colour space); "
                    "convert it to 8-bit grey or RGB"
                )
            array = np.asarray(image.convert("L" if image.mode in _GREY else "RGB"), dtype=np.uint8)
    except (OSError, SyntaxError, pillow.DecompressionBombError) as error:
        raise StageInputError(f"{file} cannot be read as an image ({error}); replace or remove it") from error
    return array if array.ndim == 3 else array[:, :, None]


def _names(height: int, width: int, channels: int) -> tuple[str, ...]:
    colours = ("",) if channels == 1 else ("_red", "_green", "_blue")
    return tuple(f"pixel_{row}_{column}{c}" for row in range(height) for column in range(width) for c in colours)


SOURCE = Source(addresses=("<folder with one folder of images per class>",), check=_check, load=_load)
