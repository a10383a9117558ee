"""One optimization step, and the evaluation of a model on many rows."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor, nn

from quantum_db.errors import TrainingError
from quantum_db.optimizers.build import AnyOptimizer
from quantum_db.optimizers.objective import BatchOptimizer
from quantum_db.training.objective import BatchObjective
from quantum_db.training.objective import Loss as Loss
from quantum_db.training.objective import quantum_layers as quantum_layers

_CHUNK = 512


@dataclass(frozen=True)
class StepResult:
    """Mean loss over the batch, rows predicted right, Euclidean norm of the gradient, seconds spent on circuits.

    Loss and rows are from before the update (SPSA: the mean over its evaluations); the norm is that of the gradient, or
    of its estimate, and 0 for an optimizer that uses none.
    """

    loss: float
    correct: int
    grad_norm: float
    circuit_seconds: float


def optimization_step(
    model: nn.Module, optimizer: AnyOptimizer, loss_function: Loss, values: Tensor, labels: Tensor
) -> StepResult:
    """Evaluate and update. Raises TrainingError when the loss, the gradient or a new weight is no number."""
    before = _circuit_seconds(model, optimizer)
    objective = BatchObjective(model, loss_function, values, labels)
    if isinstance(optimizer, BatchOptimizer):
        found = optimizer.step(objective)
    else:
        found = objective.gradient()
        optimizer.step()
    if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        raise TrainingError(
            "training diverged: the update made a weight infinite or NaN; lower the learning rate, and resume from "
            "the last checkpoint"
        )
    correct = int((found.outputs.argmax(dim=1) == labels).sum())
    return StepResult(found.loss, correct, found.gradient_norm, _circuit_seconds(model, optimizer) - before)


def _circuit_seconds(model: nn.Module, optimizer: AnyOptimizer) -> float:
    beside = optimizer.circuit_seconds if isinstance(optimizer, BatchOptimizer) else 0.0
    return beside + sum(layer.circuit_seconds for layer in quantum_layers(model))


def evaluate(model: nn.Module, loss_function: Loss, values: Tensor, labels: Tensor) -> tuple[float, float]:
    """Mean loss and accuracy of `model` on all rows; TrainingError when the loss is no number."""
    model.eval()
    with torch.no_grad():
        outputs = torch.cat([model(chunk) for chunk in torch.split(values, _CHUNK)])
        loss = float(loss_function(outputs, labels).item())
    model.train()
    if not isfinite(loss):
        raise TrainingError(
            f"training diverged: the loss on the rows kept aside is {loss}; lower the learning rate, and resume from "
            f"the last checkpoint"
        )
    return loss, float((outputs.argmax(dim=1) == labels).double().mean().item())
