"""A training run on iris that can be started in a process of its own, and what came out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_iris

from quantum_db.models.saved_model import weights_digest
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.trainer import QuantumTrainer, TrainingResult

EXACT = ("loss", "accuracy", "grad_norm", "validation_loss", "validation_accuracy")
"""What must be the same in every run of one seed; the rest are times."""


def iris_samples(step: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Every `step`-th row of iris, scaled to [-1, 1], and its labels."""
    raw, labels = load_iris(return_X_y=True)
    scaled = 2 * (raw - raw.min(axis=0)) / np.ptp(raw, axis=0) - 1
    return scaled[::step], labels[::step].astype(np.int64)


def outcome(model: Any, result: TrainingResult) -> dict[str, Any]:
    """The numbers of a run that its seed decides, as JSON."""
    weights = weights_digest({name: tensor.numpy() for name, tensor in model.state_dict().items()})
    history = [{name: record[name] for name in EXACT if name in record} for record in result.history]
    return {"weights": weights, "history": history, "best_epoch": result.best_epoch}


def train(settings: dict[str, Any], folder: str, answer: str) -> None:
    """Train in `folder`, going on from what is there, and write the outcome to the file `answer`."""
    config = QuantumTrainingConfig.from_dict({**settings, "checkpoint_directory": folder})
    trainer = QuantumTrainer(config, run_id="run", progress=False)
    values, labels = iris_samples()
    model = trainer.build_model(values.shape[1], 3)
    result = trainer.fit(model, values, labels)
    Path(answer).write_text(json.dumps(outcome(model, result) | {"resumed": result.resumed_at_epoch}))
