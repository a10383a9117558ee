"""Real data written in every format that a source reads."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from quantum_db.data.raw_dataset import RawDataset
from quantum_db.data.sources import load_source


@pytest.fixture(scope="session")
def iris() -> RawDataset:
    return load_source("builtin:iris")


@pytest.fixture(scope="session")
def digits() -> RawDataset:
    return load_source("builtin:digits")


@pytest.fixture
def iris_frame(iris: RawDataset) -> pd.DataFrame:
    frame = pd.DataFrame(iris.features, columns=list(iris.feature_names))
    frame["label"] = [iris.class_names[label] for label in iris.labels]
    return frame


def write_idx(folder: Path, stem: str, images: np.ndarray, labels: np.ndarray, packed: bool = False) -> None:
    """Write images (rows, height, width) and labels (rows,) of unsigned bytes in MNIST's format."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        f"{stem}images-idx3-ubyte": struct.pack(">4B3I", 0, 0, 8, 3, *images.shape) + images.astype(np.uint8).tobytes(),
        f"{stem}labels-idx1-ubyte": struct.pack(">4BI", 0, 0, 8, 1, len(labels)) + labels.astype(np.uint8).tobytes(),
    }
    for name, content in contents.items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)


@pytest.fixture
def idx_folder(tmp_path: Path, digits: RawDataset) -> Path:
    """The digits as an MNIST folder: 1500 training rows unpacked, the rest packed as test rows."""
    images = digits.features.reshape(-1, 8, 8)
    write_idx(tmp_path / "digits-idx", "train-", images[:1500], digits.labels[:1500])
    write_idx(tmp_path / "digits-idx", "t10k-", images[1500:], digits.labels[1500:], packed=True)
    return tmp_path / "digits-idx"
