import cirq
import numpy as np
import pytest

from quantum_db.backends import BACKENDS
from quantum_db.backends.noisy import NoisySimulator
from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.backends.trajectories import TrajectoryExecutor
from quantum_db.circuits import Circuit, op
from quantum_db.circuits.cirq_conversion import to_cirq
from quantum_db.errors import ConfigurationError
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.parameter_shift import ParameterShift
from quantum_db.simulation import density_matrix
from quantum_db.simulation.noise import NoiseModel, Readout
from tests.physics.noisy_circuits import NOISY, cirq_density, random_circuit, read_expectation, read_probabilities
from tests.suites.executors import COUNTED, MEASURED, ExecutorSuite, rows_of


class Ideal:
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


class Noisy:
    """Values with noise by cirq, and readout errors in closed form."""

    tolerance = 1e-6

    def reference(self, circuit, weights, features):
        rho = cirq_density(circuit, weights, features, NOISY)
        if not circuit.observables:
            return read_probabilities(rho, NOISY.readout)
        return [read_expectation(rho, observable, NOISY.readout) for observable in circuit.observables]


class TestWithoutNoise(Ideal, ExecutorSuite):
    @pytest.fixture
    def executor(self):
        return BACKENDS.load("noisy_simulator")()


class TestWithNoise(Noisy, ExecutorSuite):
    @pytest.fixture
    def executor(self):
        return NoisySimulator(noise_model=NOISY)


class TestWithNoiseInChunks(Noisy, ExecutorSuite):
    @pytest.fixture
    def executor(self):
        return NoisySimulator(noise_model=NOISY, max_concurrent_circuits=2, noise_seed=9)


class TestWithNoiseInSinglePrecision(Noisy, ExecutorSuite):
    tolerance = 1e-5

    @pytest.fixture
    def executor(self):
        return NoisySimulator("complex64", noise_model=NOISY)


@pytest.mark.parametrize("kind", [NoisySimulator, TrajectoryExecutor])
def test_ideal_noise_is_the_state_vector_simulator(kind):
    circuit = random_circuit(4, 50, 2)
    parts = (rows_of(circuit, 6), rows_of(circuit.measuring(()), 3))
    ideal = kind(noise_model="ideal").run(Batch(parts))
    for one, other in zip(ideal, StatevectorExecutor().run(Batch(parts)), strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-10)
        assert one.standard_errors is None


def test_ideal_noise_draws_the_samples_of_the_state_vector_simulator():
    batch = Batch((rows_of(MEASURED, 5), rows_of(COUNTED, 2)), 100, seed=6)
    for one, other in zip(NoisySimulator().run(batch), StatevectorExecutor().run(batch), strict=True):
        np.testing.assert_allclose(one.values, other.values, atol=1e-12)
        np.testing.assert_allclose(one.standard_errors, other.standard_errors, atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_large_random_circuits_agree_with_cirq(seed):
    circuit = random_circuit(4, 45, seed)
    rows = rows_of(circuit, 3)
    (found,) = NoisySimulator(noise_model=NOISY).run(Batch((rows,)))
    for row in range(3):
        rho = cirq_density(circuit, rows.weights[row], rows.features[row], NOISY)
        wanted = [read_expectation(rho, observable, NOISY.readout) for observable in circuit.observables]
        np.testing.assert_allclose(found.values[row], wanted, atol=1e-6)


@pytest.mark.parametrize("kind", [NoisySimulator, TrajectoryExecutor])
def test_readout_errors_in_closed_form(kind):
    up, down = 0.03, 0.11
    executor = kind(noise_model=NoiseModel(readout=Readout(up, down)))
    flipped = Circuit(2, (op("X", 1),))
    measured = flipped.measuring(["Z0", "Z1", "Z0 Z1", "X0", "I"])
    counted, values = executor.run(Batch((CircuitRows.of(flipped), CircuitRows.of(measured))))
    np.testing.assert_allclose(
        counted.values[0], [(1 - up) * down, (1 - up) * (1 - down), up * down, up * (1 - down)], atol=1e-15
    )
    zero, one, plus = 1 - 2 * up, 2 * down - 1, down - up
    np.testing.assert_allclose(values.values[0], [zero, one, zero * one, plus, 1], atol=1e-14)


@pytest.mark.parametrize("kind", [NoisySimulator, TrajectoryExecutor])
def test_readout_errors_in_samples(kind):
    executor = kind(noise_model=NoiseModel(readout=Readout(0.03, 0.11)))
    rows = CircuitRows.of(Circuit(2, (op("X", 1),)))
    (counted,) = executor.run(Batch((rows,), shots=20_000, seed=3))
    wanted = np.array([0.97 * 0.11, 0.97 * 0.89, 0.03 * 0.11, 0.03 * 0.89])
    assert np.abs(counted.values[0] - wanted).max() < 5 * np.sqrt(0.25 / 20_000)


@pytest.mark.parametrize("noise", ["aria-1", NOISY], ids=["aria-1", "everything"])
def test_the_gradient_by_shifted_circuits_is_exact(noise):
    circuit = random_circuit(3, 30, 4)
    rows = rows_of(circuit, 2)
    executor = NoisySimulator(noise_model=noise)
    found = ParameterShift().jacobian(executor, rows, Wanted(features=True))

    def values(weights, features):
        return executor.run(Batch((CircuitRows(circuit, weights, features),)))[0].values

    for index in range(circuit.n_weights):
        step = np.eye(circuit.n_weights)[index] * 1e-5
        slope = (values(rows.weights + step, rows.features) - values(rows.weights - step, rows.features)) / 2e-5
        np.testing.assert_allclose(found.weights[:, :, index], slope, atol=1e-8)
    for index in range(circuit.n_features):
        step = np.eye(circuit.n_features)[index] * 1e-5
        slope = (values(rows.weights, rows.features + step) - values(rows.weights, rows.features - step)) / 2e-5
        np.testing.assert_allclose(found.features[:, :, index], slope, atol=1e-8)
    assert np.abs(found.weights).max() > 0.05


def test_the_noise_seed_gives_other_samples():
    batch = Batch((rows_of(MEASURED, 4),), 60, seed=1)
    first, again, other, without = (
        NoisySimulator(noise_model=NOISY, noise_seed=seed).run(batch)[0].values for seed in (5, 5, 6, None)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert not np.array_equal(first, without)


def test_more_noise_moves_values_towards_zero():
    rows = CircuitRows.of(Circuit(3, (op("H", 0), op("CNOT", 0, 1), op("CNOT", 1, 2)), ("Z0 Z1", "X0 X1 X2")))
    found = [
        np.abs(NoisySimulator(noise_model=name).run(Batch((rows,)))[0].values).min()
        for name in ("ideal", "forte-1", "aria-1", "aria-2")
    ]
    assert found == sorted(found, reverse=True)
    assert found[0] == pytest.approx(1)

    assert found[2] == pytest.approx((1 - 0.0005) * (1 - 0.0133) ** 2, abs=1e-12)


def test_fourteen_qubits_are_refused_with_what_they_need(monkeypatch):
    monkeypatch.setattr(density_matrix, "available_bytes", lambda device: 4 * 2**30)
    with pytest.raises(
        ConfigurationError, match=r"14 qubits with 1 row\(s\) .* need 12\.0 GiB, .* 13 qubits fit"
    ) as error:
        NoisySimulator().run(Batch((CircuitRows.of(Circuit(14, (), ("Z0",))),)))
    assert "trajectories" in str(error.value)
    with pytest.raises(ConfigurationError, match=r"40 qubits .* GiB"):
        NoisySimulator().run(Batch((CircuitRows.of(Circuit(40)),)))


@pytest.mark.parametrize("kind", [NoisySimulator, TrajectoryExecutor])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float32"}, "unknown precision 'float32'; known: complex64, complex128"),
        ({"max_concurrent_circuits": 0}, "max_concurrent_circuits must be a positive integer or None, got 0"),
        ({"device": "tpu!"}, "unknown device 'tpu!'"),
        ({"noise_model": "harmony"}, "unknown noise model 'harmony'; known: ideal, aria-1"),
        ({"noise_seed": -1}, "seed must be an integer"),
    ],
)
def test_bad_options_are_refused(kind, options, message):
    with pytest.raises(ConfigurationError, match=message):
        kind(**options)


def test_neither_can_be_differentiated_by_torch():
    assert [(e.name, e.differentiable) for e in (NoisySimulator(), TrajectoryExecutor())] == [
        ("noisy_simulator", False),
        ("trajectories", False),
    ]
