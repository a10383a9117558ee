import cirq
import numpy as np
import pytest

from quantum_db.backends import BACKENDS
from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits.cirq_conversion import to_cirq
from quantum_db.errors import ConfigurationError
from tests.suites.executors import COUNTED, MEASURED, ExecutorSuite, rows_of


class Reference:
    """Exact values by cirq."""

    def reference(self, circuit, weights, features):
        wires = cirq.LineQubit.range(circuit.n_qubits)
        bound = to_cirq(circuit.bind(weights, features))
        state = cirq.final_state_vector(
            bound, qubit_order=wires, dtype=np.complex128, ignore_terminal_measurements=False
        )
        if not circuit.observables:
            return np.abs(state) ** 2
        return [(state.conj() @ o.matrix(circuit.n_qubits) @ state).real for o in circuit.observables]


class TestExecutor(Reference, ExecutorSuite):
    @pytest.fixture
    def executor(self):
        return BACKENDS.load("simulator")()


class TestExecutorInChunks(Reference, ExecutorSuite):
    @pytest.fixture
    def executor(self):
        return StatevectorExecutor(max_concurrent_circuits=2)


class TestExecutorInSinglePrecision(Reference, ExecutorSuite):
    tolerance = 2e-6

    @pytest.fixture
    def executor(self):
        return StatevectorExecutor(precision="complex64")


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("shots", [None, 200])
def test_chunks_do_not_change_results(limit, shots):
    parts = (rows_of(MEASURED, 7), rows_of(COUNTED, 5))
    whole = StatevectorExecutor().run(Batch(parts, shots, seed=2))
    chunked = StatevectorExecutor(max_concurrent_circuits=limit).run(Batch(parts, shots, seed=2))
    for one, other in zip(whole, chunked, strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-15 if shots is None else 0)


def test_no_more_rows_than_allowed_are_simulated_at_once(monkeypatch):
    from quantum_db.backends import statevector

    seen = []

    def watched(circuit, weights, features):
        seen.append(len(weights))
        return simulate(circuit, weights, features)

    simulate = statevector.differentiable_expectations
    monkeypatch.setattr(statevector, "differentiable_expectations", watched)
    StatevectorExecutor(max_concurrent_circuits=3).run(Batch((rows_of(MEASURED, 8),)))
    assert seen == [3, 3, 2]


def test_the_target_is_a_differentiable_simulator():
    executor = StatevectorExecutor()
    assert (executor.name, executor.differentiable) == ("simulator", True)


def test_precision_is_that_of_the_states():
    rows = rows_of(MEASURED, 20)
    single, double = (StatevectorExecutor(name).run(Batch((rows,)))[0].values for name in ("complex64", "complex128"))
    assert 1e-9 < np.abs(single - double).max() < 1e-5
    assert single.dtype == np.float64


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float32"}, "unknown precision 'float32'; known: complex64, complex128"),
        ({"precision": ["complex64"]}, "unknown precision"),
        ({"max_concurrent_circuits": 0}, "max_concurrent_circuits must be a positive integer or None, got 0"),
        ({"max_concurrent_circuits": 2.0}, "must be a positive integer or None, got 2.0"),
        ({"max_concurrent_circuits": True}, "must be a positive integer or None, got True"),
        ({"device": "tpu!"}, "unknown device 'tpu!'; known: cpu, cuda"),
        ({"device": 5}, "unknown device 5|not simulated on device|torch sees"),
        ({"device": "meta"}, "not simulated on device 'meta'"),
        ({"device": "cuda:99"}, "'cuda:99' was asked for, but torch sees"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        StatevectorExecutor(**options)


def test_an_unknown_target_lists_the_known_ones():
    with pytest.raises(ConfigurationError, match=r"unknown qpu target 'qpu\.nowhere'; known: .*simulator"):
        BACKENDS.load("qpu.nowhere")


def test_a_circuit_too_large_for_memory_is_refused_with_its_size():
    from quantum_db.circuits import Circuit

    with pytest.raises(ConfigurationError, match=r"simulating 45 qubits .* GiB"):
        StatevectorExecutor().run(Batch((CircuitRows.of(Circuit(45, (), ("Z0",))),)))
