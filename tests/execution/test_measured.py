"""Batches as circuits for a machine, and the way back, against matrices."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, feature, op, weight
from quantum_db.circuits.observables import PauliString
from quantum_db.errors import BackendError, CircuitError
from quantum_db.execution.measured import measured_circuits, parity_mask
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.parameter_shift import ParameterShift
from tests.suites.executors import COUNTED, MEASURED, rows_of


def exact_histograms(measured):
    found = []
    for circuit in measured.circuits:
        shares = np.abs(circuit.unitary()[:, 0]) ** 2
        found.append({int(state): float(shares[state]) for state in np.flatnonzero(shares > 1e-15)})
    return found


@pytest.mark.parametrize("flipped", list(itertools.product((0, 1), repeat=3)))
def test_every_bit_keeps_its_place(flipped):
    circuit = Circuit(3, tuple(op("X", wire) for wire, one in enumerate(flipped) if one), ("Z0", "Z1", "Z2", "Z0 Z2"))
    batch = Batch((CircuitRows.of(circuit), CircuitRows.of(circuit.measuring(()))))
    measured = measured_circuits(batch)
    state = int("".join(map(str, flipped)), 2)
    assert measured.n_circuits == (1 if any(flipped) else 0)
    values, probabilities = measured.combine([{state: 1.0}] * measured.n_circuits, None)
    signs = [1 - 2 * bit for bit in flipped]
    np.testing.assert_array_equal(values.values, [[*signs, signs[0] * signs[2]]])
    np.testing.assert_array_equal(probabilities.values, np.eye(8)[[state]])


def test_values_of_every_basis_are_those_of_the_matrices():
    words = ["Z0", "X0 Y2", "Y1", "Z1 Z2", "I", "X0", "Y0 X1 Z2"]
    observables = tuple(
        PauliString.of(word, coefficient) for coefficient, word in zip(range(-3, 4), words, strict=True)
    )
    rows = rows_of(MEASURED.measuring(observables), 4)
    measured = measured_circuits(Batch((rows,)))
    (found,) = measured.combine(exact_histograms(measured), None)
    (wanted,) = StatevectorExecutor().run(Batch((rows,)))
    np.testing.assert_allclose(found.values, wanted.values, atol=1e-12)
    assert found.standard_errors is None


def test_circuits_have_no_slots_no_observables_and_are_all_different():
    parts = (
        rows_of(MEASURED, 3),
        rows_of(MEASURED, 3),
        rows_of(MEASURED.measuring(("Z1", "X1")), 3),
        rows_of(COUNTED, 2),
    )
    measured = measured_circuits(Batch(parts))
    circuits = measured.circuits
    # three rows in three bases, the Z basis of them shared with nothing of the third part (X1 joins Z0 and Z2 above)
    assert len({circuit.fingerprint for circuit in circuits}) == len(circuits) == measured.n_circuits
    assert all(not c.n_weights and not c.n_features and not c.observables for c in circuits)
    assert measured_circuits(Batch(parts)).circuits == circuits
    for part, found, wanted in zip(
        parts, measured.combine(exact_histograms(measured), None), StatevectorExecutor().run(Batch(parts)), strict=True
    ):
        assert found.values.shape[0] == part.n_rows
        np.testing.assert_allclose(found.values, wanted.values, atol=1e-12)


def test_equal_circuits_that_were_written_differently_are_run_once():
    one = Circuit(2, (op("RX", 0, angle=weight(0) * 2.0), op("RY", 1, angle=0.5)), ("Z0",))
    other = Circuit(2, (op("RY", 1, angle=feature(0)), op("RZ", 0, angle=0.0), op("RX", 0, angle=1.0)), ("Z1",))
    batch = Batch(
        (CircuitRows.of(one, [0.5]), CircuitRows.of(other, (), [0.5]), CircuitRows.of(one.measuring(()), [0.5]))
    )
    assert measured_circuits(batch).n_circuits == 1


def test_rotations_by_zero_are_left_out_unless_the_batch_runs_as_written():
    circuit = Circuit(
        2, (op("RX", 0, angle=weight(0)), op("RY", 1, angle=feature(0)), op("RZ", 1, angle=0.0)), ("Z0", "X1")
    )
    rows = CircuitRows.of(circuit, [0.0], [[0.7], [0.0], [-0.0]])
    assert [len(c.operations) for c in measured_circuits(Batch((rows,))).circuits] == [2, 1]
    written = measured_circuits(Batch((rows,), as_written=True))
    assert [len(c.operations) for c in written.circuits] == [4, 4]


def test_what_has_no_gates_is_answered_here():
    empty = Circuit(3, (op("RX", 1, angle=feature(0)),), ("Z0 Z1", "Z2"))
    rows = CircuitRows.of(empty, (), [[0.0]])
    constant = CircuitRows.of(MEASURED.measuring((PauliString.of("I", 2.5),)), [0.1, 0.2], [0.3, 0.4])
    measured = measured_circuits(Batch((rows, constant), shots=10))
    assert measured.circuits == ()
    values, constants = measured.combine([], 10)
    np.testing.assert_array_equal(values.values, [[1.0, 1.0]])
    np.testing.assert_array_equal(values.standard_errors, [[0.0, 0.0]])
    np.testing.assert_array_equal(constants.values, [[2.5]])


def test_thirty_six_qubits_stay_sparse():
    n = 36
    gates = (*(op("RY", wire, angle=feature(wire)) for wire in range(n)), op("CNOT", 0, 35))
    circuit = Circuit(n, gates, (*(f"Z{wire}" for wire in range(n)), "Z0 Z35", "X1"))
    measured = measured_circuits(Batch((CircuitRows.of(circuit, (), np.full(n, 0.3)),), shots=4))
    assert measured.n_circuits == 2
    first = {(1 << 35) + 1: 0.75, 1 << 20: 0.25}
    (result,) = measured.combine([first, {5: 1.0}], 4)
    wanted = np.ones(38)
    wanted[[0, 35]] = -0.5
    wanted[15] = 0.5
    np.testing.assert_allclose(result.values[0], wanted)
    np.testing.assert_allclose(result.standard_errors[0], np.sqrt((1 - wanted**2) / 3))
    with pytest.raises(BackendError, match=r"2\^36 numbers"):
        measured_circuits(Batch((CircuitRows.of(circuit.measuring(()), (), np.full(n, 0.3)),)))
    with pytest.raises(CircuitError, match="at most 64 qubits"):
        measured_circuits(Batch((CircuitRows.of(Circuit(65, (op("X", 0),), ("Z0",))),)))


def test_standard_errors_of_shares_are_those_of_one_sample():
    measured = measured_circuits(Batch((rows_of(COUNTED, 1),), shots=20))
    (result,) = measured.combine([{0: 0.4, 3: 0.6}], 20)
    np.testing.assert_allclose(result.values, [[0.4, 0, 0, 0.6]])
    np.testing.assert_allclose(result.standard_errors, np.sqrt([[0.4 * 0.6 / 20, 0, 0, 0.6 * 0.4 / 20]]))


@pytest.mark.parametrize(
    ("histograms", "message"),
    [
        ([], "1 circuits were run, but 0 results came back"),
        ([{0: 1.0}, {0: 1.0}], "but 2 results came back"),
        ([{}], "without any result"),
        ([{4: 1.0}], "has 2 qubits, but basis state 4"),
        ([{-1: 1.0}], "basis state -1"),
        ([{0: 0.5, 1: 0.4}], "sum to 0.9"),
        ([{0: 1.5, 1: -0.5}], "from -0.5 to 1.5"),
        ([{0: float("nan")}], "nan"),
    ],
)
def test_what_is_no_result_is_refused(histograms, message):
    measured = measured_circuits(Batch((rows_of(COUNTED, 1),)))
    with pytest.raises(BackendError, match=message):
        measured.combine(histograms, None)


def test_rounded_probabilities_are_scaled_to_one():
    measured = measured_circuits(Batch((rows_of(COUNTED, 1),)))
    (result,) = measured.combine([{0: 0.333333, 1: 0.666662}], None)
    assert result.values.sum() == pytest.approx(1, abs=1e-15)


def test_a_whole_gradient_is_one_set_of_circuits_and_exact():
    rows = rows_of(MEASURED, 3)
    wanted = Wanted(True, True, None, 0)
    method = ParameterShift()
    expanded = method.expand(rows, wanted)
    measured = measured_circuits(expanded)
    assert measured.n_circuits <= 3 * expanded.n_circuits
    results = measured.combine(exact_histograms(measured), None)
    found = method.combine(rows, wanted, results)
    truth = method.jacobian(StatevectorExecutor(), rows, wanted)
    np.testing.assert_allclose(found.weights, truth.weights, atol=1e-12)
    np.testing.assert_allclose(found.features, truth.features, atol=1e-12)


def test_masks_count_from_the_most_significant_bit():
    assert parity_mask((0,), 3) == 0b100
    assert parity_mask((1, 2), 3) == 0b011
