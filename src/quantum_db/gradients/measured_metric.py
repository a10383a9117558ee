"""The Fubini-Study metric from circuits: covariances of generators, measured in front of the gates they generate.

For gates side by side g_ij = Re<K_i K_j> - <K_i><K_j> in the state before them, so one circuit per level of gates and
row, measured in one basis, gives a block. Blocks between levels would need an extra qubit; they are left at zero.
Stokes et al., arXiv:1909.02108, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows, Executor, RowResults
from quantum_db.circuits.circuit import Circuit, Operation
from quantum_db.circuits.observables import PauliString
from quantum_db.gradients.levels import Factors, PauliSum, generator, levels, multiplied
from quantum_db.gradients.metric_tensor import chosen_weights
from quantum_db.gradients.weighted_sums import distinct

FloatArray = npt.NDArray[np.float64]


def measured_metric(
    executor: Executor, rows: CircuitRows, weights: Sequence[int] | None = None, shots: int | None = None, seed: int = 0
) -> FloatArray:
    """The block-diagonal metric of each row, (rows, k, k), for the k chosen `weights` (all by default).

    Sampled values make it noisy: it may have small negative eigenvalues. Raises CircuitError for a weight that the
    circuit does not have.
    """
    batch = expand_metric(rows, weights)
    results = executor.run(Batch(batch.parts, shots, seed)) if batch.n_circuits else ()
    return combine_metric(rows, weights, results)


def expand_metric(rows: CircuitRows, weights: Sequence[int] | None = None) -> Batch:
    """One part per level: the circuit before its gates for every row, equal ones once."""
    blocks = _blocks(rows.circuit, chosen_weights(rows.circuit, weights))
    parts = [_part(rows, block)[0] for block in blocks]
    return Batch(tuple(part for part in parts if part.n_rows))


def combine_metric(rows: CircuitRows, weights: Sequence[int] | None, results: tuple[RowResults, ...]) -> FloatArray:
    """The metric from the results of the expanded batch."""
    chosen = chosen_weights(rows.circuit, weights)
    metric = np.zeros((rows.n_rows, len(chosen), len(chosen)))
    if not results:
        return metric
    for block, result in zip(_blocks(rows.circuit, chosen), results, strict=True):
        _, place = _part(rows, block)
        values = result.values[place]
        means = np.stack([_value(total, block, values) for total in block.generators], axis=1)
        for (i, j), total in block.products.items():
            covariance = _value(total, block, values) - means[:, i] * means[:, j]
            scaled = covariance * block.scales[i] * block.scales[j]
            a, b = chosen.index(block.weights[i]), chosen.index(block.weights[j])
            metric[:, a, b] += scaled
            if i != j:
                metric[:, b, a] += scaled
    return metric


@dataclass(frozen=True)
class _Block:
    """One level: the circuit before it with what is measured, and the covariances as sums of what is measured."""

    circuit: Circuit
    weights: tuple[int, ...]
    scales: tuple[float, ...]
    generators: tuple[PauliSum, ...]
    products: dict[tuple[int, int], PauliSum]
    columns: dict[Factors, int]


def _blocks(circuit: Circuit, chosen: tuple[int, ...]) -> tuple[_Block, ...]:
    return tuple(
        _block(circuit.n_qubits, level.prefix, tuple(circuit.operations[position] for position in level.positions))
        for level in levels(circuit, chosen)
    )


def _block(n_qubits: int, prefix: tuple[Operation, ...], gates: tuple[Operation, ...]) -> _Block:
    generators = tuple(generator(operation) for operation in gates)
    products = {
        (i, j): multiplied(generators[i], generators[j]) if i != j else generator(gates[i], power=2)
        for i in range(len(gates))
        for j in range(i, len(gates))
    }
    strings = dict.fromkeys(factors for total in (*generators, *products.values()) for factors in total if factors)
    slots = [operation.slot for operation in gates if operation.slot is not None]
    return _Block(
        circuit=Circuit(n_qubits, prefix, tuple(map(PauliString, strings))),
        weights=tuple(slot.index for slot in slots),
        scales=tuple(slot.scale for slot in slots),
        generators=generators,
        products=products,
        columns={factors: number for number, factors in enumerate(strings)},
    )


def _part(rows: CircuitRows, block: _Block) -> tuple[CircuitRows, npt.NDArray[np.int64]]:
    """The different rows of a block's circuit, and for every row of `rows` which of them is its own."""
    circuit = block.circuit
    weights, features = rows.weights[:, : circuit.n_weights], rows.features[:, : circuit.n_features]
    # slots that the circuit does not use make no difference between rows
    used = {(slot.kind, slot.index) for o in circuit.operations if (slot := o.slot) is not None}
    weights = weights * [("weight", index) in used for index in range(circuit.n_weights)]
    features = features * [("feature", index) in used for index in range(circuit.n_features)]
    first, place = distinct(CircuitRows(circuit, weights, features))
    return CircuitRows(circuit, weights[first], features[first]), place


def _value(total: PauliSum, block: _Block, values: FloatArray) -> FloatArray:
    """The expectation value of a sum of Pauli strings, (rows,), from `values` (rows, strings)."""
    result = np.zeros(len(values))
    for factors, coefficient in total.items():
        result += coefficient * (values[:, block.columns[factors]] if factors else 1.0)
    return result
