"""One optimizer from its name, learning rate and options."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from quantum_db.errors import ConfigurationError
from quantum_db.optimizers import OPTIMIZERS
from quantum_db.optimizers.objective import BatchOptimizer

AnyOptimizer = torch.optim.Optimizer | BatchOptimizer


def make_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    learning_rate: float,
    seed: int = 0,
    options: Mapping[str, Any] | None = None,
) -> AnyOptimizer:
    """The optimizer `name` for `parameters`; `seed` reaches those that draw random numbers.

    Raises ConfigurationError for an unknown name, an unknown option, or an option's impossible value.
    """
    kind, given = OPTIMIZERS.load(name), dict(options or {})
    known = set(inspect.signature(kind).parameters) - {"params", "parameters", "lr", "seed"}
    for option in given:
        if option not in known:
            raise ConfigurationError(
                f"unknown option {option!r} of the optimizer {name!r}; known: {', '.join(sorted(known))}"
            )
    if issubclass(kind, BatchOptimizer):
        given["seed"] = seed
    try:
        optimizer: AnyOptimizer = kind(parameters, lr=learning_rate, **given)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(f"the options of the optimizer {name!r} do not fit: {error}") from error
    return optimizer
