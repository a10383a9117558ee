"""Folding keeps the unitary and adds exactly the gates it promises."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.circuits import Circuit, feature, op, weight
from quantum_db.circuits.gates import GATES
from quantum_db.errors import ConfigurationError
from quantum_db.execution.mitigation.folding import fold, inverse


def random_circuit(gates, seed, n_qubits=3):
    generator = np.random.default_rng(seed)
    operations = []
    for _ in range(gates):
        kind = GATES[list(GATES)[generator.integers(len(GATES))]]
        wires = generator.permutation(n_qubits)[: kind.arity]
        operations.append(op(kind.name, *wires, angle=float(generator.uniform(-3, 3)) if kind.has_angle else None))
    return Circuit(n_qubits, tuple(operations), ("Z0",))


@pytest.mark.parametrize("name", GATES)
def test_the_inverse_of_every_gate_undoes_it(name):
    kind = GATES[name]
    operation = op(name, *range(kind.arity), angle=0.7 if kind.has_angle else None)
    both = Circuit(kind.arity, (operation, inverse(operation))).unitary()
    np.testing.assert_allclose(both, np.eye(2**kind.arity), atol=1e-14)


def test_the_inverse_of_a_slot_is_a_slot():
    circuit = Circuit(2, (op("CRY", 0, 1, angle=weight(0) * 1.5 + 0.2), op("RXX", 0, 1, angle=feature(0))))
    undone = Circuit(2, tuple(inverse(operation) for operation in reversed(circuit.operations)))
    together = circuit.then(undone).bind([0.4], [0.9])
    np.testing.assert_allclose(together.unitary(), np.eye(4), atol=1e-14)


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 30), st.floats(1, 9), st.sampled_from(["global", "gates"]), st.integers(0, 10**6))
def test_the_unitary_stays_and_the_factor_is_the_number_of_gates(gates, factor, folding, seed):
    circuit = random_circuit(gates, seed)
    found = fold(circuit, factor, folding)
    np.testing.assert_allclose(found.circuit.unitary(), circuit.unitary(), atol=1e-11)
    assert found.circuit.observables == circuit.observables
    assert len(found.circuit.operations) == pytest.approx(found.factor * gates)
    assert abs(found.factor - factor) <= 1 / gates + 1e-9  # the nearest number of pairs


@pytest.mark.parametrize("folding", ["global", "gates"])
@pytest.mark.parametrize("factor", [1, 3, 5, 7])
def test_odd_factors_are_exact_for_every_kind_of_gate(folding, factor):
    circuit = random_circuit(17, 4)
    found = fold(circuit, factor, folding, (1.0, 18.6))
    assert found.factor == pytest.approx(factor, abs=1e-12)
    ones, twos = circuit.count_by_arity()
    assert found.circuit.count_by_arity() == (factor * ones, factor * twos)


def test_odd_global_folding_is_the_circuit_forth_and_back():
    a, b = op("H", 0), op("RX", 1, angle=0.3)
    folded = fold(Circuit(2, (a, b)), 3, "global").circuit.operations
    assert folded == (a, b, op("RX", 1, angle=-0.3), op("H", 0), a, b)


def test_odd_folding_of_gates_is_each_gate_forth_and_back():
    a, b = op("S", 0), op("RX", 1, angle=0.3)
    folded = fold(Circuit(2, (a, b)), 3, "gates").circuit.operations
    assert folded == (a, op("Sdg", 0), a, b, op("RX", 1, angle=-0.3), b)


def test_partial_global_folding_repeats_the_end():
    gates = tuple(op("RX", 0, angle=float(k)) for k in range(1, 5))
    found = fold(Circuit(1, gates), 2, "global")
    assert found.factor == 2
    back = tuple(op("RX", 0, angle=-float(k)) for k in (4, 3))
    assert found.circuit.operations == (*gates, *back, *gates[2:])


def test_partial_folding_of_gates_is_spread_evenly_over_both_kinds():
    pair = (op("H", 0), op("CNOT", 0, 1))
    circuit = Circuit(2, pair * 10)
    found = fold(circuit, 2, "gates")
    assert found.factor == 2
    assert found.circuit.count_by_arity() == (20, 20)
    # every second gate of each kind: no stretch of four gates of the original is left out
    lengths = [len(fold(Circuit(2, pair * count), 2, "gates").circuit.operations) for count in (2, 4, 6)]
    assert lengths == [8, 16, 24]


def test_weights_decide_what_a_partial_factor_means():
    circuit = Circuit(2, (op("H", 0),) * 8 + (op("CNOT", 0, 1),) * 4)
    assert fold(circuit, 2, "gates", (1.0, 10.0)).circuit.count_by_arity() == (16, 8)
    # three pairs of two-qubit gates, 30, are 3.6 more than 48 * 1.1 / 2: nothing is left for those on one qubit
    found = fold(circuit, 2.1, "gates", (1.0, 10.0))
    assert found.circuit.count_by_arity() == (8 + 2 * 6, 4 + 2 * 2)
    assert found.factor == pytest.approx((20 + 10 * 8) / 48)
    last = fold(circuit, 2, "global", (1.0, 10.0))
    assert last.circuit.count_by_arity() == (8, 8)
    assert last.factor == pytest.approx(88 / 48)


def test_a_circuit_without_gates_stays():
    assert fold(Circuit(2), 3).circuit == Circuit(2)


@pytest.mark.parametrize("factor", [0.9, -1, float("nan"), True, "3", 1e9])
def test_impossible_factors_are_refused(factor):
    with pytest.raises(ConfigurationError, match="noise factor"):
        fold(Circuit(1, (op("X", 0),)), factor)


def test_impossible_ways_and_weights_are_refused():
    circuit = Circuit(1, (op("X", 0),))
    with pytest.raises(ConfigurationError, match="unknown folding 'random'"):
        fold(circuit, 3, "random")
    for weights in ((0.0, 0.0), (-1.0, 1.0), (float("inf"), 1.0)):
        with pytest.raises(ConfigurationError, match="gate_weights"):
            fold(circuit, 3, "global", weights)
    with pytest.raises(ConfigurationError, match="weight 0"):
        fold(circuit, 3, "global", (0.0, 1.0))
