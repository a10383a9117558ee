"""Arrays in numpy's .npz: `x` and `y`, or `features` and `labels`; never unpickled."""

from __future__ import annotations

import math
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from quantum_db.data.raw_dataset import RawDataset, encode_labels, missing_labels
from quantum_db.data.sources.source import Source, check_file
from quantum_db.errors import StageInputError

_NAMES = (("x", "y"), ("features", "labels"))


def _load(address: str, label_column: str) -> RawDataset:
    check_file(address)
    x, y = _arrays(address)
    name = Path(address).name
    if x.dtype.kind not in "biuf" or x.ndim < 2:
        raise StageInputError(
            f"{name}: features must be real numbers of the shape (rows, features), got {x.dtype} of the shape {x.shape}"
        )
    if y.ndim != 1 or y.dtype.kind not in "biufUS":
        raise StageInputError(
            f"{name}: labels must be whole numbers or text of the shape (rows,), got {y.dtype} of the shape {y.shape}"
        )
    if y.dtype.kind == "S":
        y = np.char.decode(y, "utf-8")
    if len(y) == 0:
        raise StageInputError(f"{name} is empty: it has no labels; give at least two rows of each class")
    features = np.asarray(x, dtype=np.float64).reshape(len(x), math.prod(x.shape[1:]))
    labels, classes = encode_labels(y, missing_labels(y), name)
    names = tuple(f"feature_{number}" for number in range(1, features.shape[1] + 1))
    return RawDataset(name, features, labels, tuple(classes), names)


def _arrays(address: str) -> tuple[NDArray[Any], NDArray[Any]]:
    if not zipfile.is_zipfile(address):
        raise StageInputError(
            f"{address} cannot be read as NPZ: it is empty, damaged, or a single array; save features and labels "
            "together with numpy.savez(path, x=..., y=...)"
        )
    try:
        with np.load(address, allow_pickle=False) as archive:
            for x, y in _NAMES:
                if x in archive and y in archive:
                    return archive[x], archive[y]
            raise StageInputError(
                f"{address} holds the arrays {', '.join(archive) or 'none'}, but 'x' and 'y', or 'features' and "
                "'labels' are needed; save it with numpy.savez(path, x=..., y=...)"
            )
    except (ValueError, zipfile.BadZipFile, zlib.error) as error:
        raise StageInputError(f"{address} cannot be read as NPZ ({error}); write it again with numpy.savez") from error


SOURCE = Source(addresses=("<path>.npz",), check=check_file, load=_load)
