"""One optimization step, and the evaluation of a model on many rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor, nn

from quantum_db.errors import TrainingError
from quantum_db.layers.torch_layer import QuantumLayer

Loss = Callable[[Tensor, Tensor], Tensor]
_CHUNK = 512


@dataclass(frozen=True)
class StepResult:
    """Mean loss over the batch, rows predicted right, Euclidean norm of the gradient, seconds spent on circuits."""

    loss: float
    correct: int
    grad_norm: float
    circuit_seconds: float


def quantum_layers(model: nn.Module) -> list[QuantumLayer]:
    """All quantum layers of a model."""
    return [module for module in model.modules() if isinstance(module, QuantumLayer)]


def optimization_step(
    model: nn.Module, optimizer: torch.optim.Optimizer, loss_function: Loss, values: Tensor, labels: Tensor
) -> StepResult:
    """Forward, backward, update. Raises TrainingError when the loss, the gradient or a new weight is no number."""
    layers = quantum_layers(model)
    before = sum(layer.circuit_seconds for layer in layers)
    optimizer.zero_grad(set_to_none=True)
    outputs = model(values)
    loss = loss_function(outputs, labels)
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
    if not bool(torch.isfinite(loss)) or not bool(torch.isfinite(norm)):
        raise TrainingError(
            f"training diverged: the loss is {loss.item()} and the gradient's norm {norm.item()}; lower the learning "
            f"rate, and resume from the last checkpoint"
        )
    optimizer.step()
    if not all(bool(torch.isfinite(parameter).all()) for parameter in model.parameters()):
        raise TrainingError(
            "training diverged: the update made a weight infinite or NaN; lower the learning rate, and resume from "
            "the last checkpoint"
        )
    correct = int((outputs.argmax(dim=1) == labels).sum())
    seconds = sum(layer.circuit_seconds for layer in layers) - before
    return StepResult(float(loss.item()), correct, float(norm.item()), seconds)


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
