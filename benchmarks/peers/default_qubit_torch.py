"""PennyLane's default.qubit under torch: backpropagation, the batch broadcast.

It starts from a complex128 state, so it computes in double precision whatever the numbers it is given.
"""

from __future__ import annotations

import pennylane as qml
import torch

from benchmarks.measuring.work import Case, Numbers, Prepared
from benchmarks.peers.pennylane_circuit import circuit, torch_step


def prepare(case: Case, numbers: Numbers) -> Prepared:
    """Build the QNode."""
    device = qml.device("default.qubit", wires=case.n)
    node = qml.QNode(circuit(case), device, interface="torch", diff_method="backprop")
    weights = torch.from_numpy(numbers.weights.copy()).requires_grad_()
    features = torch.from_numpy(numbers.features.copy()).requires_grad_()
    return Prepared(torch_step(node, weights, features, torch.from_numpy(numbers.targets)))
