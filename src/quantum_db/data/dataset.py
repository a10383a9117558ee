"""A split of a dataset, ready for a model, and its directory on disk.

Directory: `samples.safetensors` (features, labels) and `manifest.json` (names, preprocessing, digests).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from quantum_db.data.preprocessing import Preprocessing, check_finite
from quantum_db.errors import StageInputError, StoreError
from quantum_db.files import new_directory, read_json, write_bytes, write_json

SCHEMA_VERSION = 1
SPLITS = ("train", "test", "all")
SAMPLES_FILE = "samples.safetensors"
MANIFEST_FILE = "manifest.json"


@dataclass(frozen=True, eq=False)
class Dataset:
    """Rows of numbers with their classes.

    features: float64 (samples, features), finite; labels: int64 (samples,) in 0..n_classes-1; name: the source, for
    example "builtin:digits"; split: "train", "test" or "all"; preprocessing: the steps that led from the raw features
    to these; raw_examples: a few raw rows of this split, float64 (rows, raw features), from which a served model can be
    tried end to end; split_id: the same for the splits of one run of preprocess, whose rows do not overlap. Raises
    StageInputError when the parts do not fit together.
    """

    features: NDArray[np.float64]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    name: str
    split: str
    preprocessing: Preprocessing
    raw_examples: NDArray[np.float64]
    split_id: str = ""

    def __post_init__(self) -> None:
        _check_arrays(self)
        if self.split not in SPLITS:
            raise StageInputError(f"unknown split {self.split!r}; choose one of: {', '.join(SPLITS)}")
        if not len(self.feature_names) == self.preprocessing.n_features == self.n_features:
            raise StageInputError(
                f"{self.name}: {self.n_features} features, {len(self.feature_names)} feature names, and a "
                f"preprocessing that gives {self.preprocessing.n_features}; the three must be equal"
            )
        _check_raw_examples(self)

    @property
    def n_samples(self) -> int:
        """Number of rows."""
        return len(self.labels)

    @property
    def n_features(self) -> int:
        """Number of columns."""
        return int(self.features.shape[1])

    @property
    def n_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def class_counts(self) -> tuple[int, ...]:
        """Rows of each class, in the order of `class_names`."""
        return tuple(np.bincount(self.labels, minlength=self.n_classes).tolist())

    @cached_property
    def digest(self) -> str:
        """SHA-256 (hexadecimal) over shape and little-endian bytes of the arrays; no machine changes it."""
        digest = hashlib.sha256(f"{self.n_samples}x{self.n_features}".encode())
        digest.update(np.ascontiguousarray(self.features, dtype="<f8").tobytes())
        digest.update(np.ascontiguousarray(self.labels, dtype="<i8").tobytes())
        digest.update(np.ascontiguousarray(self.raw_examples, dtype="<f8").tobytes())
        return digest.hexdigest()

    def save(self, path: Path | str) -> Path:
        """Write the directory `path`, whole or not at all; return the path."""
        manifest: dict[str, Any] = {
            "schema_version": SCHEMA_VERSION,
            "name": self.name,
            "split": self.split,
            "class_names": list(self.class_names),
            "feature_names": list(self.feature_names),
            "n_samples": self.n_samples,
            "preprocessing": self.preprocessing.to_dict(),
            "digest": self.digest,
            "split_id": self.split_id,
        }
        tensors = {"features": np.ascontiguousarray(self.features), "labels": np.ascontiguousarray(self.labels)}
        tensors["raw_examples"] = np.ascontiguousarray(self.raw_examples)
        with new_directory(path, MANIFEST_FILE) as folder:
            write_bytes(folder / SAMPLES_FILE, save_tensors(tensors))
            write_json(folder / MANIFEST_FILE, manifest | {"manifest_digest": _manifest_digest(manifest)})
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> Dataset:
        """Read a directory that `save` wrote; raise StoreError when it is missing, corrupt or of another schema."""
        folder = Path(path)
        manifest = _read_manifest(folder)
        tensors = _read_samples(folder)
        try:
            dataset = cls(
                features=tensors["features"],
                labels=tensors["labels"],
                class_names=tuple(manifest["class_names"]),
                feature_names=tuple(manifest["feature_names"]),
                name=manifest["name"],
                split=manifest["split"],
                preprocessing=Preprocessing.from_dict(manifest["preprocessing"]),
                raw_examples=tensors["raw_examples"],
                split_id=manifest["split_id"],
            )
        except (KeyError, TypeError, StageInputError) as error:
            raise _corrupt(folder, f"{type(error).__name__}: {error}") from error
        if dataset.digest != manifest["digest"]:
            raise _corrupt(folder, f"the samples have the digest {dataset.digest}, not {manifest['digest']}")
        return dataset


def _check_arrays(dataset: Dataset) -> None:
    features, labels, name = dataset.features, dataset.labels, dataset.name
    if features.ndim != 2 or labels.shape != (len(features),) or features.size == 0:
        raise StageInputError(
            f"{name}: features (rows, features) and labels (rows,) must have equally many rows, at least one of each; "
            f"got the shapes {features.shape} and {labels.shape}"
        )
    if features.dtype != np.float64 or labels.dtype != np.int64:
        raise StageInputError(
            f"{name}: features must be float64 and labels int64, got {features.dtype} and {labels.dtype}"
        )
    if labels.min() < 0 or labels.max() >= dataset.n_classes:
        raise StageInputError(
            f"{name}: labels lie between {labels.min()} and {labels.max()}, but {dataset.n_classes} classes are named; "
            f"labels must lie between 0 and {dataset.n_classes - 1}"
        )
    columns = [f"column {number}" for number in range(1, features.shape[1] + 1)]
    check_finite(features, columns, source=name)


def _check_raw_examples(dataset: Dataset) -> None:
    if dataset.raw_examples.ndim != 2 or dataset.raw_examples.shape[1] != dataset.preprocessing.n_raw_features:
        raise StageInputError(
            f"{dataset.name}: raw examples must have the {dataset.preprocessing.n_raw_features} raw features, got the "
            f"shape {dataset.raw_examples.shape}"
        )


def _read_manifest(folder: Path) -> dict[str, Any]:
    manifest = read_json(folder / MANIFEST_FILE)
    if not isinstance(manifest, dict):
        raise _corrupt(folder, f"{MANIFEST_FILE} holds no JSON object")
    if manifest.get("schema_version") != SCHEMA_VERSION:
        raise StoreError(
            f"the dataset {folder} has schema version {manifest.get('schema_version')!r}, this version of Q-Store "
            f"reads {SCHEMA_VERSION}; run the preprocess stage again"
        )
    body = {key: value for key, value in manifest.items() if key != "manifest_digest"}
    if "digest" not in body or _manifest_digest(body) != manifest.get("manifest_digest"):
        raise _corrupt(folder, f"{MANIFEST_FILE} does not match its own digest")
    return body


def _read_samples(folder: Path) -> dict[str, NDArray[Any]]:
    try:
        return load_tensors((folder / SAMPLES_FILE).read_bytes())
    except FileNotFoundError as error:
        raise _corrupt(folder, f"{SAMPLES_FILE} is missing") from error
    except (OSError, SafetensorError, ValueError) as error:
        raise _corrupt(folder, f"{SAMPLES_FILE} cannot be read: {error}") from error


def _manifest_digest(manifest: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(manifest, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _corrupt(folder: Path, reason: str) -> StoreError:
    return StoreError(f"the dataset {folder} is corrupt ({reason}); run the preprocess stage again or restore it")
