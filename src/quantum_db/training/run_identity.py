"""What makes a run the same run: its settings, its model and its data, and the name made from them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import nn

from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.step import quantum_layers


def run_identity(
    config: QuantumTrainingConfig,
    model: nn.Module,
    values: npt.NDArray[np.float64],
    labels: npt.NDArray[np.int64],
) -> dict[str, Any]:
    """What a checkpoint must share with the run that goes on from it."""
    digest = hashlib.sha256(np.ascontiguousarray(values).tobytes())
    digest.update(np.ascontiguousarray(labels).tobytes())
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items()}
    circuits = [layer.circuit.fingerprint for layer in quantum_layers(model)]
    return {
        "config": config.to_dict(),
        "model": {"class": type(model).__name__, "shapes": shapes, "circuits": circuits},
        "samples_digest": digest.hexdigest(),
    }


def default_run_id(config: QuantumTrainingConfig, identity: Mapping[str, Any]) -> str:
    """A name that the same training gets again: made from everything that may not change within a run."""
    settings = {k: v for k, v in identity["config"].items() if k not in config.OF_THE_RUN}
    text = json.dumps({**identity, "config": settings}, sort_keys=True)
    return f"{config.model}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
