"""A checkpoint: named arrays in safetensors, everything else in a JSON manifest, both held by one digest.

No pickle: reading a checkpoint never runs code from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from quantum_db.errors import StoreError
from quantum_db.files import new_directory, read_json, write_bytes, write_json

ARRAYS = "arrays.safetensors"
MANIFEST = "manifest.json"
SCHEMA_VERSION = 1


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """`arrays` by name, and `manifest`, a JSON object."""

    arrays: Mapping[str, npt.NDArray[Any]]
    manifest: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """SHA-256 (hex) over the arrays and the manifest."""
        return _digest(self._array_bytes(), self.manifest)

    def write(self, path: Path | str) -> str:
        """Write a directory that is whole or absent; return the digest."""
        content = self._array_bytes()
        digest = _digest(content, self.manifest)
        with new_directory(path, MANIFEST) as folder:
            write_bytes(folder / ARRAYS, content)
            sealed = {"schema_version": SCHEMA_VERSION, "digest": digest, "content": dict(self.manifest)}
            write_json(folder / MANIFEST, sealed)
        return digest

    @classmethod
    def read(cls, path: Path | str, kind: str = "checkpoint") -> Checkpoint:
        """Read one; raise StoreError, which calls it `kind`, when it is missing, damaged or of another schema."""
        folder = Path(path)
        if not folder.is_dir():
            raise StoreError(f"there is no {kind} at {folder}; check the path")
        sealed = read_json(folder / MANIFEST)
        if not isinstance(sealed, dict) or sealed.get("schema_version") != SCHEMA_VERSION:
            found = sealed.get("schema_version") if isinstance(sealed, dict) else type(sealed).__name__
            raise StoreError(
                f"{folder / MANIFEST} has schema version {found!r}, this release reads {SCHEMA_VERSION}; write the "
                f"{kind} again with this release"
            )
        try:
            content = (folder / ARRAYS).read_bytes()
            arrays = load_arrays(content)
            found, wanted = _digest(content, sealed["content"]), sealed["digest"]
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise StoreError(f"the {kind} {folder} is damaged ({error}); {_remedy(kind)}") from error
        if found != wanted:
            raise StoreError(
                f"the {kind} {folder} is damaged: its digest is {found[:12]}, the manifest says "
                f"{str(wanted)[:12]}; {_remedy(kind)}"
            )
        return cls(arrays, sealed["content"])

    def _array_bytes(self) -> bytes:
        # safetensors writes the raw buffer, so strided views must become contiguous first
        return bytes(save_arrays({name: _contiguous(self.arrays[name]) for name in sorted(self.arrays)}))


def _remedy(kind: str) -> str:
    if kind == "checkpoint":
        return "delete this directory to go on from the one before, or restore it"
    return f"restore the {kind}, or make it again"


def _contiguous(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    # ascontiguousarray turns a scalar into a vector of one, hence the reshape
    return np.ascontiguousarray(array).reshape(array.shape)


def _digest(array_bytes: bytes, manifest: Mapping[str, Any]) -> str:
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(hashlib.sha256(array_bytes).digest() + text.encode()).hexdigest()
