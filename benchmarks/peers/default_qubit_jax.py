"""PennyLane's default.qubit under JAX: backpropagation, vmap over the batch, everything in one jit."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import pennylane as qml

from benchmarks.measuring.work import Case, Numbers, Prepared
from benchmarks.peers.jax_step import jitted
from benchmarks.peers.pennylane_circuit import circuit


def prepare(case: Case, numbers: Numbers) -> Prepared:
    """Build the QNode and jit the function; it compiles at its first step."""
    device = qml.device("default.qubit", wires=case.n)
    node = qml.QNode(circuit(case), device, interface="jax", diff_method="backprop")

    def values(weights: Any, features: Any) -> Any:
        return jnp.stack(node(weights, features))

    return jitted(jax.vmap(values, in_axes=(None, 0)), numbers)
