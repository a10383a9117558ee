"""One number for everything that a batch's results depend on: what caches and journals key on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch
from quantum_db.errors import ConfigurationError

_VERSION = 1


def digest(batch: Batch, target: str, options: Mapping[str, Any]) -> str:
    """SHA-256 (hex) of the circuits, their bound values, shots, seed, target and options.

    The same in every process and on every machine. `options` holds whatever else results depend on (noise model,
    mitigation, compilation) as JSON values; ConfigurationError if it holds anything else.
    """
    try:
        named = json.dumps(dict(options), sort_keys=True, separators=(",", ":"), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(
            f"the options of target {target!r} must be JSON values, so that equal ones are seen to be equal: {error}"
        ) from error
    found = hashlib.sha256()
    head = [_VERSION, batch.shots, batch.seed, batch.as_written, target, named, len(batch.parts)]
    found.update(json.dumps(head, separators=(",", ":")).encode())
    for part in batch.parts:
        found.update(json.dumps([part.circuit.fingerprint, part.n_rows]).encode())
        found.update(value_bytes(part.weights))
        found.update(value_bytes(part.features))
    return found.hexdigest()


def value_bytes(values: npt.NDArray[np.float64]) -> bytes:
    """The numbers as little-endian bytes, with -0.0 as 0.0."""
    return np.ascontiguousarray(values + 0.0, dtype="<f8").tobytes()
