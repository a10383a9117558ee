"""A jitted step of a batched function with JAX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from benchmarks.measuring.work import Numbers, Prepared

jax.devices()  # starts the backend, which is not part of anybody's first step


def jitted(batched: Callable[[Any, Any], Any], numbers: Numbers) -> Prepared:
    """Compile loss and gradient of `batched` ((weights, features (B, n)) -> (B, n)) as one function."""
    targets = jnp.asarray(numbers.targets)

    def loss(weights: Any, features: Any) -> Any:
        return jnp.mean((batched(weights, features) - targets) ** 2)

    function = jax.jit(jax.value_and_grad(loss, argnums=(0, 1)))
    weights, features = jnp.asarray(numbers.weights), jnp.asarray(numbers.features)

    def step() -> tuple[Any, Any, Any]:
        value, (by_weight, by_feature) = jax.block_until_ready(function(weights, features))
        return value, by_weight, by_feature

    return Prepared(step)
