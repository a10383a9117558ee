"""A trained model on disk: weights, how to build it, and the preprocessing that leads from raw features to it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from quantum_db.backends.protocols import Executor
from quantum_db.checkpoints import Checkpoint
from quantum_db.data.preprocessing import Preprocessing
from quantum_db.errors import StoreError
from quantum_db.layers.torch_layer import QuantumLayer
from quantum_db.models import MODELS

FloatArray = npt.NDArray[np.float64]
DTYPES = {"float32": torch.float32, "float64": torch.float64}
GOLDEN_ROWS = 8
_CHUNK = 512


class QuantumClassifierModule(Protocol):
    """What every model of the table has besides being a torch module."""

    kind: str
    quantum: QuantumLayer

    @property
    def description(self) -> str:
        """How the features reach the qubits, in one line."""
        ...


def build_model(spec: Mapping[str, Any], executor: Executor | None = None) -> nn.Module:
    """Make the untrained model that `spec` describes: {"kind": ..., "arguments": {...}} with JSON values."""
    arguments = dict(spec["arguments"])
    arguments["dtype"] = DTYPES[arguments["dtype"]]
    model: nn.Module = MODELS.load(spec["kind"])(executor=executor, **arguments)
    return model


def class_probabilities(model: nn.Module, values: npt.ArrayLike) -> FloatArray:
    """Softmax of the model's outputs, float64 (rows, classes), of encoder inputs `values` (rows, inputs)."""
    parameter = next(model.parameters())
    rows = torch.as_tensor(np.asarray(values, dtype=np.float64)).to(parameter)
    model.eval()
    with torch.no_grad():
        outputs = torch.cat([model(chunk) for chunk in torch.split(rows, _CHUNK)])
    return torch.softmax(outputs.to(torch.float64), dim=1).cpu().numpy()


def parameter_count(model: nn.Module) -> int:
    """The number of trainable numbers, classical and quantum."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)


@dataclass(frozen=True, eq=False)
class SavedModel:
    """A model as it was trained. It predicts on the embedded simulator with exact expectation values."""

    model: nn.Module
    preprocessing: Preprocessing
    manifest: Mapping[str, Any]
    digest: str
    path: Path

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the probabilities."""
        return tuple(self.manifest["class_names"])

    @property
    def parameter_count(self) -> int:
        """The number of trainable numbers, classical and quantum."""
        return int(self.manifest["parameter_count"])

    @cached_property
    def golden(self) -> dict[str, list[list[float]]]:
        """Raw inputs with the class probabilities they had when the model was written."""
        return dict(self.manifest["golden"])

    def predict_proba(self, values: npt.ArrayLike) -> FloatArray:
        """Class probabilities (rows, classes) of preprocessed features (rows, inputs)."""
        return class_probabilities(self.model, values)

    def predict_proba_raw(self, raw: npt.ArrayLike) -> FloatArray:
        """Class probabilities (rows, classes) of raw features (rows, raw features), or StageInputError."""
        return self.predict_proba(self.preprocessing.transform(np.asarray(raw, dtype=np.float64)))


def write_model(
    path: Path | str,
    model: nn.Module,
    spec: Mapping[str, Any],
    preprocessing: Preprocessing,
    golden_raw: npt.ArrayLike,
    details: Mapping[str, Any],
) -> str:
    """Write a trained model; return its digest.

    `golden_raw` are raw rows (rows, raw features) whose probabilities are stored for the smoke test of a server;
    `details` is everything else worth knowing (class names, configuration, history, versions), as JSON.
    """
    arrays = {name: _array(tensor) for name, tensor in model.state_dict().items()}
    raw = np.asarray(golden_raw, dtype=np.float64)[:GOLDEN_ROWS]
    # probabilities as a server will compute them: by a model rebuilt from what is written
    served = rebuilt(spec, arrays)
    golden = class_probabilities(served, preprocessing.transform(raw))
    manifest = {
        **details,
        "model": dict(spec),
        "preprocessing": preprocessing.to_dict(),
        "parameter_count": parameter_count(model),
        "weights_digest": weights_digest(arrays),
        "golden": {"inputs": raw.tolist(), "probabilities": golden.tolist()},
    }
    return Checkpoint(arrays, manifest).write(path)


def weights_digest(arrays: Mapping[str, npt.NDArray[Any]]) -> str:
    """SHA-256 (hex) of the weights alone: equal for two trainings that gave the same model."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].dtype.str} {arrays[name].shape} ".encode())
        digest.update(np.ascontiguousarray(arrays[name]).tobytes())
    return digest.hexdigest()


def rebuilt(spec: Mapping[str, Any], arrays: Mapping[str, npt.NDArray[Any]]) -> nn.Module:
    """The model of `spec` with the given weights, on the embedded simulator with exact values."""
    exact = {**spec["arguments"], "shots": None, "gradient_method": "adjoint", "gradient_options": None}
    model = build_model({"kind": spec["kind"], "arguments": exact})
    model.load_state_dict({name: torch.as_tensor(array) for name, array in arrays.items()})
    return model.eval()


def load_model(path: Path | str) -> SavedModel:
    """Read a model directory; raise StoreError when it is missing, damaged or no model."""
    checkpoint = Checkpoint.read(path, "model")
    manifest = checkpoint.manifest
    if "model" not in manifest or "preprocessing" not in manifest:
        raise StoreError(f"{path} is a checkpoint but not a model; name the directory that the train stage wrote")
    try:
        model = rebuilt(manifest["model"], checkpoint.arrays)
    except (RuntimeError, TypeError, KeyError) as error:
        raise StoreError(f"the model in {path} does not fit this release ({error}); train it again") from error
    preprocessing = Preprocessing.from_dict(manifest["preprocessing"])
    return SavedModel(model, preprocessing, manifest, checkpoint.digest, Path(path))


def _array(tensor: Tensor) -> npt.NDArray[Any]:
    return np.asarray(tensor.detach().cpu().numpy())
