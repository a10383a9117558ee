"""How many circuits run is known before, nothing runs twice, and standard errors are those of the results."""

import numpy as np
import pytest

from quantum_db.backends.protocols import CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, feature, op, weight
from quantum_db.circuits.ansatz import ANSAETZE
from quantum_db.circuits.encoders import encoder_from_spec
from quantum_db.circuits.light_cone import dead_weights
from quantum_db.circuits.observables import single_qubit
from quantum_db.circuits.variational import variational_circuit
from quantum_db.gradients.finite_difference import FiniteDifference
from quantum_db.gradients.method import Wanted, measurement_groups
from quantum_db.gradients.parameter_shift import ParameterShift
from quantum_db.gradients.spsa import SimultaneousPerturbation
from tests.suites.gradient_methods import LAYERED, exactly, rows_of
from tests.suites.recording_executor import RecordingExecutor

EXACT = StatevectorExecutor()


def layered(n_qubits, depth, pattern="linear"):
    encoder = encoder_from_spec({"name": "angle", "n_qubits": n_qubits, "n_features": n_qubits})
    ansatz = ANSAETZE.load("hardware_efficient")(n_qubits, depth, pattern)
    return variational_circuit(encoder, ansatz, single_qubit(n_qubits))


def test_the_layout_of_the_requirement_takes_176_circuits_per_row():
    circuit = layered(8, 4)
    assert circuit.n_weights == 96
    assert dead_weights(circuit) == tuple(72 + 3 * wire + 2 for wire in range(8))  # RZ of the last layer
    rows = rows_of(circuit, 2)
    assert ParameterShift().circuit_count(rows, Wanted()) == 2 * 2 * 88
    executor = RecordingExecutor(precision="complex64")
    ParameterShift().jacobian(executor, rows, Wanted())
    assert executor.n_circuits == 352
    assert measurement_groups(circuit) == 1


@pytest.mark.parametrize("method", [ParameterShift(), FiniteDifference(), SimultaneousPerturbation()])
@pytest.mark.parametrize("pattern", ["linear", "circular", "full"])
def test_what_was_counted_is_what_runs(method, pattern):
    rows, executor = rows_of(layered(3, 2, pattern), 3), RecordingExecutor()
    wanted = Wanted(features=True, seed=5)
    known = method.circuit_count(rows, wanted)
    method.jacobian(executor, rows, wanted)
    assert executor.n_circuits == known
    assert len(executor.batches) == 1
    (part,) = executor.batches[0].parts
    everything = np.concatenate([part.weights, part.features], axis=1)
    assert len(np.unique(everything, axis=0)) == len(everything)


def test_equal_rows_are_run_once():
    rows = rows_of(LAYERED, 3)
    order = [0, 1, 0, 2, 1, 0]
    repeated = CircuitRows(LAYERED, rows.weights[order], rows.features[order])
    both = Wanted(features=True)
    for method in (ParameterShift(), FiniteDifference()):
        assert method.circuit_count(repeated, both) == method.circuit_count(rows, both)
        found, wanted = method.jacobian(EXACT, repeated, both), method.jacobian(EXACT, rows, both)
        np.testing.assert_array_equal(found.weights, wanted.weights[order])
        np.testing.assert_array_equal(found.features, wanted.features[order])


def test_a_dead_place_of_a_live_slot_is_not_shifted():
    circuit = Circuit(
        2, (op("RX", 0, angle=weight(0)), op("RX", 1, angle=weight(0)), op("RZ", 0, angle=weight(0))), ("Z0",)
    )
    rows = CircuitRows.of(circuit, [0.4])
    assert ParameterShift().circuit_count(rows, Wanted()) == 2
    np.testing.assert_allclose(ParameterShift().jacobian(EXACT, rows, Wanted()).weights, [[[-np.sin(0.4)]]], atol=1e-12)


def test_circuits_that_are_equal_but_written_otherwise():
    gates = (op("RX", 0, angle=weight(0)), op("CRY", 1, 0, angle=weight(1)), op("RX", 2, angle=feature(0)))
    first = Circuit(3, (op("H", 1), *gates), ("Z0", "Z2"))
    second = Circuit(3, (gates[2], op("H", 1), *gates[:2]), ("Z0", "Z2"))
    assert first == second
    for circuit in (first, second):
        rows = CircuitRows.of(circuit, [0.3, 0.8], [[-0.5]])
        found, wanted = ParameterShift().jacobian(EXACT, rows, Wanted(features=True)), exactly(rows)
        np.testing.assert_allclose(found.weights, wanted.weights, atol=1e-12)
        np.testing.assert_allclose(found.features, wanted.features, atol=1e-12)


def test_bases_that_a_machine_measures():
    assert measurement_groups(Circuit(2, (), ("Z0", "Z1", "Z0 Z1"))) == 1
    assert measurement_groups(Circuit(2, (), ("Z0", "X0", "X1", "Y0"))) == 3
    assert measurement_groups(Circuit(2)) == 1


@pytest.mark.parametrize("method", [ParameterShift(), FiniteDifference(0.3), FiniteDifference(0.3, "forward")])
def test_standard_errors_are_the_scatter_over_seeds(method):
    rows = rows_of(LAYERED, 1, seed=6)
    found = [
        method.jacobian(EXACT, rows, Wanted(features=True, shots=200, seed=seed, standard_errors=True))
        for seed in range(80)
    ]
    for name in ("weights", "features"):
        scatter = np.std([getattr(jacobian, name) for jacobian in found], axis=0)
        told = np.mean([getattr(jacobian.standard_errors, name) for jacobian in found], axis=0)
        assert np.all(np.abs(told - scatter) <= 0.35 * scatter + 1e-9)
        assert scatter.max() > 0.01


def test_standard_errors_only_on_request():
    rows = rows_of(LAYERED, 1)
    assert ParameterShift().jacobian(EXACT, rows, Wanted(shots=10)).standard_errors is None
