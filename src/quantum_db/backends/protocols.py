"""What everything above the machines sees: a batch of circuits goes in, complete results come out in the same order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from quantum_db.circuits.circuit import Circuit
from quantum_db.errors import CircuitError

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CircuitRows:
    """One circuit with the values of its slots, row by row.

    `weights` is (rows, n_weights), `features` is (rows, n_features), float64. A circuit with observables asks for
    their expectation values, one without asks for the probabilities of the basis states.
    """

    circuit: Circuit
    weights: FloatArray
    features: FloatArray

    def __post_init__(self) -> None:
        for name, values, width in (
            ("weights", self.weights, self.circuit.n_weights),
            ("features", self.features, self.circuit.n_features),
        ):
            if values.ndim != 2 or values.shape[1] != width:
                raise CircuitError(f"the circuit takes {name} of shape (rows, {width}), got {values.shape}")
            if not np.all(np.isfinite(values)):
                row, column = (int(i) for i in np.argwhere(~np.isfinite(values))[0])
                raise CircuitError(
                    f"{name}[{row}, {column}] is {values[row, column]}; every slot needs a finite number"
                )
        if len(self.weights) != len(self.features):
            raise CircuitError(f"{len(self.weights)} rows of weights, but {len(self.features)} rows of features")

    @classmethod
    def of(cls, circuit: Circuit, weights: npt.ArrayLike = (), features: npt.ArrayLike = ()) -> CircuitRows:
        """Make rows from values of one or two dimensions; a single row of either serves all rows of the other."""
        pair = [np.atleast_2d(np.asarray(values, dtype=np.float64)) for values in (weights, features)]
        rows = max(map(len, pair)) if all(map(len, pair)) else 0
        shared = [np.broadcast_to(v, (rows, v.shape[1])) if len(v) == 1 else v for v in pair]
        return cls(circuit, *shared)

    @property
    def n_rows(self) -> int:
        """How many circuits this stands for."""
        return len(self.weights)


@dataclass(frozen=True, eq=False)
class Batch:
    """All circuits of one request. `shots` None asks for exact values; `seed` seeds the sampling.

    `as_written` says that every gate must run as it is written: the machine's compiler must be off, because these
    circuits hold gates that undo each other on purpose (error mitigation). Whoever copies a batch keeps the mark.
    """

    parts: tuple[CircuitRows, ...]
    shots: int | None = None
    seed: int = 0
    as_written: bool = False

    @property
    def n_circuits(self) -> int:
        """How many circuits the batch stands for."""
        return sum(part.n_rows for part in self.parts)


@dataclass(frozen=True, eq=False)
class RowResults:
    """The results of one part, in the order of its rows.

    `values` holds expectation values (rows, observables), or probabilities (rows, 2^n) for a circuit without
    observables. `standard_errors` has the same shape where the values were sampled and is None where they are exact.
    """

    values: FloatArray
    standard_errors: FloatArray | None = None


class Executor(Protocol):
    """Runs batches. It returns one RowResults per part, complete and in order, or raises BackendError."""

    @property
    def name(self) -> str:
        """The target's name, as in `qpu_target`."""
        ...

    @property
    def differentiable(self) -> bool:
        """Whether gradients can be had by backpropagation through the simulation."""
        ...

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run every circuit of `batch`."""
        ...
