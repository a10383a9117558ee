"""The circuit as PennyLane's users write it; features may have the batch as their first axis."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pennylane as qml

from benchmarks.measuring.work import SCALE, Case


def circuit(case: Case) -> Callable[[Any, Any], list[Any]]:
    """The quantum function of (weights (L, n, 3), features (..., n)) for a QNode."""

    def run(weights: Any, features: Any) -> list[Any]:
        for wire in range(case.n):
            qml.RY(SCALE * features[..., wire], wires=wire)
        for layer in range(case.layers):
            for wire in range(case.n):
                qml.RX(weights[layer, wire, 0], wires=wire)
                qml.RY(weights[layer, wire, 1], wires=wire)
                qml.RZ(weights[layer, wire, 2], wires=wire)
            for wire in range(case.n - 1):
                qml.CNOT(wires=[wire, wire + 1])
        return [qml.expval(qml.PauliZ(wire)) for wire in range(case.n)]

    return run


def torch_step(node: Any, weights: Any, features: Any, targets: Any) -> Callable[[], tuple[Any, Any, Any]]:
    """A step of a QNode with the torch interface."""
    import torch

    def step() -> tuple[Any, Any, Any]:
        weights.grad = features.grad = None
        values = torch.stack(node(weights, features), dim=-1)
        loss = (values - targets).square().mean()
        loss.backward()
        return loss.detach(), weights.grad, features.grad

    return step
