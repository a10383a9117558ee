"""Parts of the circuit in TensorCircuit-NG on JAX."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import tensorcircuit

from benchmarks.measuring.work import SCALE, Case

tensorcircuit.set_backend("jax")
tensorcircuit.set_dtype("complex64")


def encoded(case: Case, features: Any) -> Any:
    """The circuit that encodes the features (n,) of one sample."""
    circuit = tensorcircuit.Circuit(case.n)
    for wire in range(case.n):
        circuit.ry(wire, theta=SCALE * features[wire])
    return circuit


def add_layer(case: Case, circuit: Any, weights: Any) -> Any:
    """Add one layer with weights (n, 3) to the circuit."""
    for wire in range(case.n):
        circuit.rx(wire, theta=weights[wire, 0])
        circuit.ry(wire, theta=weights[wire, 1])
        circuit.rz(wire, theta=weights[wire, 2])
    for wire in range(case.n - 1):
        circuit.cnot(wire, wire + 1)
    return circuit


def z_values(case: Case, state: Any) -> Any:
    """Expectation values of Z (n,) from the probabilities of a state; compiles and runs faster than n expectations."""
    probabilities = (jnp.abs(state) ** 2).reshape((2,) * case.n)
    axes = range(case.n)
    marginals = [probabilities.sum(axis=tuple(axis for axis in axes if axis != wire)) for wire in axes]
    return jnp.stack([marginal[0] - marginal[1] for marginal in marginals])
