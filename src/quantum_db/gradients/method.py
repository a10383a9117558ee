"""What a gradient method is: the derivatives of every observable in every slot, on a given executor.

Only expectation values are differentiated. The loss enters outside, by the chain rule, since a shift rule does not
hold for a loss that is not linear in the expectation values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows, Executor, RowResults

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Wanted:
    """Which derivatives are asked for, and how they may be measured (`shots` None: exactly)."""

    weights: bool = True
    features: bool = False
    shots: int | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Jacobian:
    """Derivatives of every observable: in weights (rows, observables, n_weights), in features likewise."""

    weights: FloatArray
    features: FloatArray


class GradientMethod(Protocol):
    """Gives the derivatives of the expectation values of `rows`; slots that are not wanted come out zero."""

    def jacobian(self, executor: Executor, rows: CircuitRows, wanted: Wanted) -> Jacobian:
        """Run what is needed on `executor` and return the derivatives."""
        ...


class CircuitGradient(ABC):
    """A gradient from running circuits: two pure functions around one batch, so it works on every executor."""

    @abstractmethod
    def expand(self, rows: CircuitRows, wanted: Wanted) -> Batch:
        """The circuits whose results give the wanted derivatives."""

    @abstractmethod
    def combine(self, rows: CircuitRows, wanted: Wanted, results: tuple[RowResults, ...]) -> Jacobian:
        """The derivatives from the results of the expanded batch."""

    def jacobian(self, executor: Executor, rows: CircuitRows, wanted: Wanted) -> Jacobian:
        """Expand, run once, combine."""
        batch = replace(self.expand(rows, wanted), shots=wanted.shots, seed=wanted.seed)
        return self.combine(rows, wanted, executor.run(batch) if batch.n_circuits else ())
