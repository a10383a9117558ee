"""Gradients that are weighted sums of expectation values at other slot values, and what they have in common.

Circuits that would be the same are run once, and standard errors follow from those of the results: circuits are
sampled independently, so their variances add.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows, RowResults
from quantum_db.circuits.circuit import Circuit
from quantum_db.circuits.light_cone import live_slots
from quantum_db.gradients.method import CircuitGradient, FloatArray, Jacobian, Wanted

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Terms:
    """Entry k adds `factors[k]` times the result of row `points[k]` of `circuits` to a derivative.

    The derivative is that of row `rows[k]` in slot `slots[k]`, where the weights are numbered before the features.
    All four arrays have the shape (terms,).
    """

    circuits: CircuitRows
    points: IntArray
    rows: IntArray
    slots: IntArray
    factors: FloatArray


class WeightedSumGradient(CircuitGradient):
    """A gradient that is described by its `terms`."""

    @abstractmethod
    def terms(self, rows: CircuitRows, wanted: Wanted) -> Terms:
        """What to run and how to add it up; rows of its circuits may be equal, they are run once."""

    def expand(self, rows: CircuitRows, wanted: Wanted) -> Batch:
        """One part with every different circuit once, in the order of first use."""
        circuits = self.terms(rows, wanted).circuits
        first, _ = distinct(circuits)
        if not len(first):
            return Batch(())
        return Batch((CircuitRows(circuits.circuit, circuits.weights[first], circuits.features[first]),))

    def combine(self, rows: CircuitRows, wanted: Wanted, results: tuple[RowResults, ...]) -> Jacobian:
        """Add up the weighted results of each derivative's circuits."""
        if not results:
            return zero_jacobian(rows)
        terms, (result,) = self.terms(rows, wanted), results
        _, place = distinct(terms.circuits)
        points = place[terms.points]
        jacobian = added_up(rows, terms, terms.factors[:, None] * result.values[points])
        if not wanted.standard_errors or result.standard_errors is None:
            return jacobian
        return Jacobian(jacobian.weights, jacobian.features, _errors(rows, terms, points, result.standard_errors))


def distinct(circuits: CircuitRows) -> tuple[IntArray, IntArray]:
    """The positions of the first of each group of equal rows, and for every row the number of its group."""
    known: dict[bytes, int] = {}
    first: list[int] = []
    values = np.concatenate([circuits.weights, circuits.features], axis=1) + 0.0  # -0.0 becomes 0.0
    place = np.empty(len(values), dtype=np.int64)
    for number, row in enumerate(values):
        place[number] = known.setdefault(row.tobytes(), len(known))
        if len(known) > len(first):
            first.append(number)
    return np.array(first, dtype=np.int64), place


def zero_jacobian(rows: CircuitRows) -> Jacobian:
    """Zeros in the shapes of the derivatives of `rows`."""
    shape, circuit = (rows.n_rows, len(rows.circuit.observables)), rows.circuit
    return Jacobian(np.zeros((*shape, circuit.n_weights)), np.zeros((*shape, circuit.n_features)))


def added_up(rows: CircuitRows, terms: Terms, parts: FloatArray) -> Jacobian:
    """The sums of `parts`, shape (terms, observables), over the terms of each derivative."""
    circuit = rows.circuit
    n_slots = circuit.n_weights + circuit.n_features
    total = np.zeros((rows.n_rows * n_slots, len(circuit.observables)))
    np.add.at(total, terms.rows * n_slots + terms.slots, parts)
    by_slot = total.reshape(rows.n_rows, n_slots, -1).transpose(0, 2, 1)
    return Jacobian(by_slot[:, :, : circuit.n_weights].copy(), by_slot[:, :, circuit.n_weights :].copy())


def live_columns(rows: CircuitRows, wanted: Wanted) -> IntArray:
    """The wanted slots that can move an observable, the weights numbered before the features."""
    circuit, live = rows.circuit, _live(rows.circuit)
    asked = [("weight", index) for index in range(circuit.n_weights) if wanted.weights]
    columns = [index for kind, index in asked if (kind, index) in live]
    if wanted.features:
        features = (index for index in range(circuit.n_features) if ("feature", index) in live)
        columns += [circuit.n_weights + index for index in features]
    return np.array(columns, dtype=np.int64)


def moved_rows(rows: CircuitRows, moves: FloatArray) -> CircuitRows:
    """Each row of `rows` with each of its `moves`, shape (rows, moves, slots), added: rows * moves rows."""
    n_weights = rows.circuit.n_weights
    values = np.concatenate([rows.weights, rows.features], axis=1)[:, None, :] + moves
    flat = values.reshape(values.shape[0] * values.shape[1], values.shape[2])
    return CircuitRows(rows.circuit, flat[:, :n_weights], flat[:, n_weights:])


@lru_cache(maxsize=64)
def _live(circuit: Circuit) -> frozenset[tuple[str, int]]:
    return live_slots(circuit)


def _errors(rows: CircuitRows, terms: Terms, points: IntArray, errors: FloatArray) -> Jacobian:
    """Standard errors; a circuit that stands in several terms of one derivative counts with the sum of its factors."""
    key = np.stack([terms.rows, terms.slots, points], axis=1)
    different, place = np.unique(key, axis=0, return_inverse=True)
    row, slot, point = different.T
    factors = np.zeros(len(different))
    np.add.at(factors, place.ravel(), terms.factors)
    merged = Terms(terms.circuits, point, row, slot, factors)
    variances = added_up(rows, merged, (factors[:, None] * errors[point]) ** 2)
    return Jacobian(np.sqrt(variances.weights), np.sqrt(variances.features))
