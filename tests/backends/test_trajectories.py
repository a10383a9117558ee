import numpy as np
import pytest

from quantum_db.backends.noisy import NoisySimulator
from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.trajectories import TrajectoryExecutor
from quantum_db.circuits import Circuit, op
from quantum_db.errors import ConfigurationError
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.parameter_shift import ParameterShift
from tests.backends.test_noisy import Ideal, Noisy
from tests.physics.noisy_circuits import MIXTURE, NOISY, random_circuit
from tests.suites.executors import MEASURED, ExecutorSuite, rows_of


class TestWithoutNoise(Ideal, ExecutorSuite):
    @pytest.fixture
    def executor(self):
        return TrajectoryExecutor()


class TestWithNoise(Noisy, ExecutorSuite):
    """With noise even values without shots have errors: at most 5 standard deviations of 2000 trajectories."""

    tolerance = 5 / np.sqrt(2000)

    @pytest.fixture
    def executor(self):
        return TrajectoryExecutor(noise_model=NOISY, trajectories=2000)

    def test_expectation_values_of_every_row_in_order(self, executor):
        rows = rows_of(MEASURED, 5)
        (result,) = executor.run(Batch((rows,)))
        deviation = np.abs(result.values - self.exact(rows)) / result.standard_errors
        assert deviation.max() < 5

    def test_nothing_asked_gives_nothing(self, executor):
        (result,) = executor.run(Batch((rows_of(MEASURED, 0),)))
        assert result.values.shape == (0, 3)
        assert result.standard_errors.shape == (0, 3)


@pytest.mark.parametrize("noise", [MIXTURE, NOISY, "aria-2"], ids=["mixture", "everything", "aria-2"])
def test_means_converge_to_the_density_matrix(noise):
    circuit = random_circuit(3, 40, 7)
    parts = (rows_of(circuit, 3), rows_of(circuit.measuring(()), 1))
    exact = NoisySimulator(noise_model=noise).run(Batch(parts))
    found = TrajectoryExecutor(noise_model=noise, trajectories=4000).run(Batch(parts, seed=2))
    for wanted, result in zip(exact, found, strict=True):
        deviation = np.abs(result.values - wanted.values) / np.maximum(result.standard_errors, 1e-12)
        assert deviation.max() < 5
        assert 0 < result.standard_errors.max() < 0.05


@pytest.mark.parametrize("noise", [MIXTURE, NOISY], ids=["mixture", "everything"])
def test_standard_errors_are_those_of_repeated_runs_and_fall_with_the_root(noise):
    rows = rows_of(random_circuit(3, 21, 8), 1)
    runs = [
        TrajectoryExecutor(noise_model=noise, trajectories=100).run(Batch((rows,), seed=seed))[0] for seed in range(60)
    ]
    scatter = np.std([run.values[0] for run in runs], axis=0, ddof=1)
    claimed = np.sqrt(np.mean([run.standard_errors[0] ** 2 for run in runs], axis=0))
    np.testing.assert_allclose(scatter[claimed > 0], claimed[claimed > 0], rtol=0.45)  # 5 sigma of 60 runs
    many = TrajectoryExecutor(noise_model=noise, trajectories=6400).run(Batch((rows,), seed=1))[0].standard_errors[0]
    np.testing.assert_allclose(claimed[claimed > 0] / many[claimed > 0], 8, rtol=0.15)


def test_shots_scatter_around_the_density_matrix():
    rows = rows_of(random_circuit(3, 30, 3), 2)
    exact = NoisySimulator(noise_model=NOISY).run(Batch((rows,)))[0].values
    found = TrajectoryExecutor(noise_model=NOISY).run(Batch((rows,), 2000, seed=4))[0]
    assert (np.abs(found.values - exact) / found.standard_errors).max() < 5


@pytest.mark.parametrize("limit", [1, 7])
@pytest.mark.parametrize("shots", [None, 12])
@pytest.mark.parametrize("noise", [MIXTURE, NOISY], ids=["mixture", "everything"])
def test_chunks_do_not_change_results(limit, shots, noise):
    batch = Batch((rows_of(MEASURED, 2),), shots, seed=2)
    whole, chunked = (
        TrajectoryExecutor(noise_model=noise, trajectories=12, max_concurrent_circuits=n).run(batch)[0]
        for n in (None, limit)
    )
    np.testing.assert_allclose(whole.values, chunked.values, atol=1e-14)


def test_seeds_decide_the_trajectories():
    batch = Batch((rows_of(MEASURED, 3),), seed=4)

    def values(noise_seed, batch=batch):
        return TrajectoryExecutor(noise_model=NOISY, noise_seed=noise_seed, trajectories=50).run(batch)[0].values

    np.testing.assert_array_equal(values(None), values(None))
    np.testing.assert_array_equal(values(3), values(3))
    assert not np.array_equal(values(3), values(4))
    assert not np.array_equal(values(None), values(3))
    assert not np.array_equal(values(None), values(None, Batch(batch.parts, seed=5)))


def test_the_gradient_by_shifted_circuits_agrees_with_the_density_matrix():
    rows = rows_of(MEASURED, 1)
    wanted = Wanted(features=True, seed=3)
    exact = ParameterShift().jacobian(NoisySimulator(noise_model=MIXTURE), rows, wanted)
    found = ParameterShift().jacobian(TrajectoryExecutor(noise_model=MIXTURE, trajectories=3000), rows, wanted)
    np.testing.assert_allclose(found.weights, exact.weights, atol=0.08)
    assert np.abs(exact.weights).max() > 0.15


def test_circuits_beyond_density_matrices_run():
    n_qubits = 15
    operations = (op("H", 0), *(op("CNOT", wire, wire + 1) for wire in range(n_qubits - 1)))
    rows = CircuitRows.of(Circuit(n_qubits, operations, (f"Z0 Z{n_qubits - 1}",)))
    (found,) = TrajectoryExecutor("complex64", noise_model="aria-1", trajectories=300).run(Batch((rows,), seed=1))
    # each of the 14 pairs is depolarized once, and the string that travels back crosses all of them
    wanted = (1 - 0.0133) ** (n_qubits - 1)
    assert abs(found.values[0, 0] - wanted) < 5 * found.standard_errors[0, 0]
    assert 0.005 < found.standard_errors[0, 0] < 0.05


@pytest.mark.parametrize("count", [0, -1, 1.5, True, "many"])
def test_impossible_numbers_of_trajectories_are_refused(count):
    with pytest.raises(ConfigurationError, match="trajectories must be a positive integer or None"):
        TrajectoryExecutor(trajectories=count)


def test_a_circuit_too_large_for_memory_is_refused_with_its_size():
    for observables in (("Z0",), ()):
        rows = CircuitRows.of(Circuit(45, (op("H", 0),), observables))
        for shots in (None, 10):
            with pytest.raises(ConfigurationError, match=r"45 qubits .* GiB"):
                TrajectoryExecutor(noise_model="aria-1").run(Batch((rows,), shots))
