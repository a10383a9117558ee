"""One gradient method from its name and options."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

from quantum_db.errors import ConfigurationError
from quantum_db.gradients import GRADIENT_METHODS
from quantum_db.gradients.method import GradientMethod

_WITHOUT_OPTIONS = ("adjoint", "backprop", "parameter_shift")
"""Known here, so that options of these are refused without importing torch."""


def make_gradient_method(name: str, options: Mapping[str, Any] | None = None) -> GradientMethod:
    """The gradient method `name` with its `options`; those left out keep their defaults.

    Raises ConfigurationError for an unknown name, for an option that the method does not have, and for an option's
    impossible value.
    """
    given = dict(options or {})
    check_gradient_options(name, given)
    method: GradientMethod = GRADIENT_METHODS.load(name)(**given)
    return method


def check_gradient_options(name: str, options: Mapping[str, Any]) -> None:
    """Raise what `make_gradient_method` would raise; without options nothing is imported."""
    GRADIENT_METHODS.require(name)
    if not options:
        return
    known = gradient_options(name)
    for option in options:
        if option not in known:
            has = f"it has {', '.join(known)}" if known else "it has none"
            raise ConfigurationError(f"the gradient method {name!r} has no option {option!r}; {has}")
    GRADIENT_METHODS.load(name)(**options)


def gradient_options(name: str) -> tuple[str, ...]:
    """The names of the options that a gradient method has."""
    if name in _WITHOUT_OPTIONS:
        return ()
    return tuple(inspect.signature(GRADIENT_METHODS.load(name)).parameters)
