"""TensorCircuit-NG on JAX with `jax.lax.scan` over the layers, vmap over the batch, jit.

One layer is compiled instead of all, the usual way in JAX to keep compilation short.
"""

from __future__ import annotations

from typing import Any

import jax
import tensorcircuit

from benchmarks.measuring.work import Case, Numbers, Prepared
from benchmarks.peers.jax_step import jitted
from benchmarks.peers.tensorcircuit_gates import add_layer, encoded, z_values


def prepare(case: Case, numbers: Numbers) -> Prepared:
    """Build and jit the function; it compiles at its first step."""

    def layer(state: Any, weights: Any) -> tuple[Any, None]:
        return add_layer(case, tensorcircuit.Circuit(case.n, inputs=state), weights).state(), None

    def values(weights: Any, features: Any) -> Any:
        state, _ = jax.lax.scan(layer, encoded(case, features).state(), weights)
        return z_values(case, state)

    return jitted(jax.vmap(values, in_axes=(None, 0)), numbers)
