"""PennyLane's lightning.qubit (C++) in complex64 with adjoint gradients, under torch.

PennyLane splits the broadcast batch into one circuit per sample. `device_vjp` carries one combination of the
observables backward instead of each by itself, which measured faster at 12 qubits than `batch_obs`.
"""

from __future__ import annotations

import numpy as np
import pennylane as qml
import torch

from benchmarks.measuring.work import Case, Numbers, Prepared
from benchmarks.peers.pennylane_circuit import circuit, torch_step


def prepare(case: Case, numbers: Numbers) -> Prepared:
    """Build the QNode."""
    device = qml.device("lightning.qubit", wires=case.n, c_dtype=np.complex64)
    node = qml.QNode(circuit(case), device, interface="torch", diff_method="adjoint", device_vjp=True)
    weights = torch.from_numpy(numbers.weights.copy()).requires_grad_()
    features = torch.from_numpy(numbers.features.copy()).requires_grad_()
    return Prepared(torch_step(node, weights, features, torch.from_numpy(numbers.targets)))
