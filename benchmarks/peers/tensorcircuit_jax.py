"""TensorCircuit-NG on JAX: the whole circuit unrolled, vmap over the batch, jit.

Faster per step than scanned layers up to about 8 qubits, and much slower to compile.
"""

from __future__ import annotations

from typing import Any

import jax

from benchmarks.measuring.work import Case, Numbers, Prepared
from benchmarks.peers.jax_step import jitted
from benchmarks.peers.tensorcircuit_gates import add_layer, encoded, z_values


def prepare(case: Case, numbers: Numbers) -> Prepared:
    """Build and jit the function; it compiles at its first step."""

    def values(weights: Any, features: Any) -> Any:
        circuit = encoded(case, features)
        for layer in range(case.layers):
            add_layer(case, circuit, weights[layer])
        return z_values(case, circuit.state())

    return jitted(jax.vmap(values, in_axes=(None, 0)), numbers)
