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
from quantum_db.circuits.circuit import Circuit
from quantum_db.circuits.observables import qubit_wise_commuting_groups
from quantum_db.errors import ConfigurationError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Wanted:
    """Which derivatives are asked for, and how they may be measured (`shots` None: exactly).

    `standard_errors` asks for the standard error of each derivative as well, where the method knows it. Raises
    ConfigurationError for shots that are no positive integer.
    """

    weights: bool = True
    features: bool = False
    shots: int | None = None
    seed: int = 0
    standard_errors: bool = False

    def __post_init__(self) -> None:
        shots = self.shots
        if shots is not None and (isinstance(shots, bool) or not isinstance(shots, int) or shots < 1):
            raise ConfigurationError(f"shots must be a positive integer, got {shots!r}; leave it out for exact values")


@dataclass(frozen=True, eq=False)
class Jacobian:
    """Derivatives of every observable: in weights (rows, observables, n_weights), in features likewise.

    `standard_errors` has the same shapes; it is None where nobody asked for it and where the derivatives are exact.
    """

    weights: FloatArray
    features: FloatArray
    standard_errors: Jacobian | None = None


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

    def circuit_count(self, rows: CircuitRows, wanted: Wanted) -> int:
        """How many circuits `jacobian` will run, known before it runs.

        A machine measures one basis at a time, so there it is this times `measurement_groups(rows.circuit)`.
        """
        return self.expand(rows, wanted).n_circuits


def measurement_groups(circuit: Circuit) -> int:
    """In how many bases `circuit` has to be measured, so how often a machine runs it with all its shots."""
    return max(1, len(qubit_wise_commuting_groups(circuit.observables)))
