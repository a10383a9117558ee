"""Both splits of a dataset as an encoder sees them, and its directory on disk.

Directory: `encoding.json` (encoder, circuit, names, preprocessing, digests), `train.safetensors`, `test.safetensors`
(values, labels, and slots where they are fixed) and `circuit.svg`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from quantum_db.data.preprocessing import Preprocessing
from quantum_db.errors import StoreError
from quantum_db.files import new_directory, read_json, sha256_of, write_bytes, write_json, write_text

SCHEMA_VERSION = 1
ENCODING_FILE = "encoding.json"
DRAWING_FILE = "circuit.svg"
_SPLITS = ("train", "test")


@dataclass(frozen=True, eq=False)
class EncodedDataset:
    """Inputs of a model for both splits.

    `*_values` are the model's inputs, float64 (rows, inputs), in the encoder's domain or in front of trained classical
    layers; `*_slots` are the values of the circuit's feature slots, float64 (rows, slots), None where trained layers
    decide them; `encoding` holds the encoder's spec, the circuit's fingerprint and statistics, and who fills the
    slots; `raw_examples` are raw rows of the training split for smoke tests, float64 (rows, raw features).
    """

    train_values: NDArray[np.float64]
    train_labels: NDArray[np.int64]
    test_values: NDArray[np.float64]
    test_labels: NDArray[np.int64]
    train_slots: NDArray[np.float64] | None
    test_slots: NDArray[np.float64] | None
    raw_examples: NDArray[np.float64]
    class_names: tuple[str, ...]
    feature_names: tuple[str, ...]
    preprocessing: Preprocessing
    encoding: Mapping[str, Any]
    dataset_name: str
    dataset_digest: str
    seed: int

    @property
    def n_inputs(self) -> int:
        """The number of model inputs of a row."""
        return int(self.train_values.shape[1])

    @property
    def n_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    def save(self, path: Path | str, drawing: str) -> Path:
        """Write the directory `path`, whole or not at all, with the circuit's drawing (SVG); return the path."""
        with new_directory(path, ENCODING_FILE) as folder:
            for split in _SPLITS:
                write_bytes(folder / f"{split}.safetensors", save_tensors(self._tensors(split)))
            write_text(folder / DRAWING_FILE, drawing)
            body = self._manifest() | {
                f"{split}_sha256": sha256_of(folder / f"{split}.safetensors") for split in _SPLITS
            }
            write_json(folder / ENCODING_FILE, body | {"manifest_digest": _digest(body)})
        return Path(path)

    @classmethod
    def load(cls, path: Path | str) -> EncodedDataset:
        """Read a directory that `save` wrote; raise StoreError when it is missing, damaged or of another schema."""
        folder = Path(path)
        manifest = _read_manifest(folder)
        train, test = (_read_split(folder, split, manifest) for split in _SPLITS)
        try:
            return cls(
                train_values=train["values"],
                train_labels=train["labels"],
                test_values=test["values"],
                test_labels=test["labels"],
                train_slots=train.get("slots"),
                test_slots=test.get("slots"),
                raw_examples=train["raw_examples"],
                class_names=tuple(manifest["class_names"]),
                feature_names=tuple(manifest["feature_names"]),
                preprocessing=Preprocessing.from_dict(manifest["preprocessing"]),
                encoding=manifest["encoding"],
                dataset_name=manifest["dataset_name"],
                dataset_digest=manifest["dataset_digest"],
                seed=manifest["seed"],
            )
        except (KeyError, TypeError) as error:
            raise _damaged(folder, f"{type(error).__name__}: {error}") from error

    def _tensors(self, split: str) -> dict[str, NDArray[Any]]:
        train = split == "train"
        slots = self.train_slots if train else self.test_slots
        tensors: dict[str, NDArray[Any]] = {
            "values": self.train_values if train else self.test_values,
            "labels": self.train_labels if train else self.test_labels,
        }
        if slots is not None:
            tensors["slots"] = slots
        if train:
            tensors["raw_examples"] = self.raw_examples
        return {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}

    def _manifest(self) -> dict[str, Any]:
        return {
            "schema_version": SCHEMA_VERSION,
            "dataset_name": self.dataset_name,
            "dataset_digest": self.dataset_digest,
            "class_names": list(self.class_names),
            "feature_names": list(self.feature_names),
            "preprocessing": self.preprocessing.to_dict(),
            "encoding": dict(self.encoding),
            "seed": self.seed,
        }


def _digest(body: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(body, sort_keys=True, allow_nan=False).encode()).hexdigest()


def _read_manifest(folder: Path) -> dict[str, Any]:
    manifest = read_json(folder / ENCODING_FILE)
    if not isinstance(manifest, dict) or manifest.get("schema_version") != SCHEMA_VERSION:
        raise _damaged(folder, f"{ENCODING_FILE} is not of schema version {SCHEMA_VERSION}")
    body = {key: value for key, value in manifest.items() if key != "manifest_digest"}
    if _digest(body) != manifest.get("manifest_digest"):
        raise _damaged(folder, f"{ENCODING_FILE} does not match its own digest")
    return body


def _read_split(folder: Path, split: str, manifest: Mapping[str, Any]) -> dict[str, NDArray[Any]]:
    file = folder / f"{split}.safetensors"
    try:
        if sha256_of(file) != manifest[f"{split}_sha256"]:
            raise _damaged(folder, f"{file.name} does not match its digest")
        return load_tensors(file.read_bytes())
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise _damaged(folder, f"{file.name} cannot be read: {error}") from error


def _damaged(folder: Path, reason: str) -> StoreError:
    return StoreError(f"the encoded dataset {folder} is damaged ({reason}); run the quantum-encode stage again")
