import numpy as np
import pytest
import torch

from quantum_db.backends.protocols import CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import GATES, Circuit, feature, op, weight
from quantum_db.errors import CircuitError
from quantum_db.gradients.fidelity import fidelities, inverse, perturbed_metric
from quantum_db.gradients.levels import levels
from quantum_db.gradients.measured_metric import expand_metric, measured_metric
from quantum_db.gradients.metric_tensor import exact_metric, quantum_fisher_information
from quantum_db.simulation.statevector import simulate
from tests.suites.gradient_methods import LAYERED, random_circuit, rows_of
from tests.suites.recording_executor import RecordingExecutor

EXACT = StatevectorExecutor()
# The example of Stokes et al. with the numbers that PennyLane's pages give for it.
STOKES = Circuit(
    3,
    (
        op("RY", 0, angle=np.pi / 4), op("RY", 1, angle=np.pi / 3), op("RY", 2, angle=np.pi / 7),
        op("RZ", 0, angle=weight(0)), op("RZ", 1, angle=weight(1)), op("CNOT", 0, 1), op("CNOT", 1, 2),
        op("RY", 1, angle=weight(2)), op("RX", 2, angle=weight(3)), op("CNOT", 0, 1), op("CNOT", 1, 2),
    ),
    ("Y0",),
)  # fmt: skip
STOKES_AT = [0.432, -0.123, 0.543, 0.233]
STOKES_BLOCKS = np.array(
    [[0.125, 0, 0, 0], [0, 0.1875, 0, 0], [0, 0, 0.24973433, -0.01524701], [0, 0, -0.01524701, 0.20293623]]
)


def state(circuit, weights, features):
    return simulate(circuit, torch.tensor(weights), torch.tensor(features)[None]).numpy()[0]


def by_hessian(circuit, weights, features, step=1e-3):
    """-1/2 times the Hessian of the fidelity, by differences of states."""
    at, count = state(circuit, weights, features), len(weights)

    def fidelity(move):
        return abs(np.vdot(at, state(circuit, weights + move, features))) ** 2

    unit, metric = step * np.eye(count), np.empty((count, count))
    for i in range(count):
        for j in range(count):
            signs = [(1, 1, 1), (1, -1, -1), (-1, 1, -1), (-1, -1, 1)]
            total = sum(sign * fidelity(a * unit[i] + b * unit[j]) for a, b, sign in signs)
            metric[i, j] = -0.5 * total / (4 * step**2)
    return metric


def test_the_published_example():
    rows = CircuitRows.of(STOKES, STOKES_AT)
    np.testing.assert_allclose(exact_metric(rows, blocks=True)[0], STOKES_BLOCKS, atol=1e-8)
    np.testing.assert_allclose(measured_metric(EXACT, rows)[0], STOKES_BLOCKS, atol=1e-8)
    full = exact_metric(rows)[0]
    np.testing.assert_allclose(full, by_hessian(STOKES, np.array(STOKES_AT), np.zeros(0)), atol=1e-6)
    assert abs(full[0, 2]) > 1e-3  # what the blocks leave out


def test_the_quantum_fisher_information_is_four_times_the_metric():
    rows = CircuitRows.of(STOKES, STOKES_AT)
    np.testing.assert_array_equal(quantum_fisher_information(rows), 4 * exact_metric(rows))
    single = CircuitRows.of(Circuit(1, (op("RX", 0, angle=weight(0)),)), [0.7])
    assert quantum_fisher_information(single).item() == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_full_metric_is_the_curvature_of_the_fidelity(seed):
    circuit = random_circuit(seed)
    rows = rows_of(circuit, 2, seed)
    found = exact_metric(rows)
    for number in range(2):
        wanted = by_hessian(circuit, rows.weights[number], rows.features[number])
        np.testing.assert_allclose(found[number], wanted, atol=1e-4)


@pytest.mark.parametrize("name", [name for name, gate in GATES.items() if gate.has_angle])
def test_every_gate(name):
    wires = (1, 0)[: GATES[name].arity]
    before = [op("RY", 0, angle=0.7), op("RX", 1, angle=-0.4), op("RZ", 1, angle=1.1), op("RX", 0, angle=0.3)]
    circuit = Circuit(2, (*before, op(name, *wires, angle=weight(0) * -1.7 + 0.2)))
    rows = CircuitRows.of(circuit, [0.9])
    wanted = by_hessian(circuit, rows.weights[0], np.zeros(0))
    np.testing.assert_allclose(exact_metric(rows)[0], wanted, atol=1e-5)
    np.testing.assert_allclose(measured_metric(EXACT, rows)[0], exact_metric(rows)[0], atol=1e-12)


@pytest.mark.parametrize("seed", range(12))
def test_measured_blocks_are_the_exact_ones(seed):
    circuit = random_circuit(seed)
    rows = rows_of(circuit, 3, seed)
    found = measured_metric(EXACT, rows)
    np.testing.assert_allclose(found, exact_metric(rows, blocks=True), atol=1e-10)
    np.testing.assert_array_equal(found, found.transpose(0, 2, 1))
    some = measured_metric(EXACT, rows, weights=[1])
    np.testing.assert_allclose(some[:, 0, 0], exact_metric(rows, [1], blocks=True)[:, 0, 0], atol=1e-10)
    np.testing.assert_allclose(exact_metric(rows, [1])[:, 0, 0], exact_metric(rows)[:, 1, 1], atol=1e-12)


def test_a_batch_is_the_loop_over_its_rows_in_chunks(monkeypatch):
    rows = rows_of(LAYERED, 5)
    together = exact_metric(rows)
    monkeypatch.setattr("quantum_db.gradients.metric_tensor._STATES_AT_ONCE", 13)
    np.testing.assert_allclose(exact_metric(rows), together, atol=1e-13)


def test_the_metric_is_positive():
    for seed in range(4):
        rows = rows_of(random_circuit(seed), 2, seed)
        assert np.linalg.eigvalsh(exact_metric(rows)).min() > -1e-12


def test_one_circuit_per_level_and_row():
    gates = [op(name, wire, angle=weight(3 * wire + k)) for wire in range(2) for k, name in enumerate(("RX", "RY"))]
    circuit = Circuit(2, (op("RY", 0, angle=feature(0)), *gates, op("CNOT", 0, 1), op("RX", 1, angle=weight(2))))
    assert [level.positions for level in levels(circuit, range(5))] == [(1, 3), (2, 4), (6,)]
    executor = RecordingExecutor()
    rows = rows_of(circuit, 4)
    measured_metric(executor, rows)
    assert executor.n_circuits == expand_metric(rows).n_circuits == 4 * 3
    same = CircuitRows.of(circuit, rows.weights[0], np.zeros((4, 1)))
    assert expand_metric(same).n_circuits == 3


def test_shots_scatter_around_the_exact_blocks():
    rows = CircuitRows.of(STOKES, STOKES_AT)
    drawn = np.array([measured_metric(EXACT, rows, shots=400, seed=seed)[0] for seed in range(40)])
    error = drawn.std(axis=0) / np.sqrt(40)
    assert np.all(np.abs(drawn.mean(axis=0) - STOKES_BLOCKS) <= 5 * error + 2e-3)
    assert error.max() > 1e-4


def test_nothing_to_relate():
    fixed = CircuitRows.of(Circuit(1, (op("H", 0),), ("Z0",)))
    assert exact_metric(fixed).shape == measured_metric(EXACT, fixed).shape == (1, 0, 0)
    empty = rows_of(LAYERED, 0)
    assert exact_metric(empty).shape == measured_metric(EXACT, empty).shape == (0, 3, 3)


@pytest.mark.parametrize("metric", [exact_metric, lambda rows, chosen: measured_metric(EXACT, rows, chosen)])
def test_weights_that_do_not_exist_are_refused(metric):
    with pytest.raises(CircuitError, match=r"weight 7 was asked for, but the circuit has 3 weight\(s\)"):
        metric(rows_of(LAYERED, 1), [0, 7])


class TestFidelity:
    @pytest.mark.parametrize("seed", range(6))
    def test_the_overlap_of_two_states(self, seed):
        circuit = random_circuit(seed)
        rows = rows_of(circuit, 2, seed)
        moves = np.random.default_rng(seed).normal(size=(3, circuit.n_weights))
        found = fidelities(EXACT, rows, moves)
        for number in range(2):
            at = state(circuit, rows.weights[number], rows.features[number])
            moved = [state(circuit, rows.weights[number] + move, rows.features[number]) for move in moves]
            np.testing.assert_allclose(found[number], [abs(np.vdot(at, s)) ** 2 for s in moved], atol=1e-12)

    def test_the_inverse_undoes_every_gate(self):
        angles = {name: 0.3 + 0.2 * number for number, name in enumerate(GATES) if GATES[name].has_angle}
        gates = tuple(op(name, *(1, 0)[: kind.arity], angle=angles.get(name)) for name, kind in GATES.items())
        circuit = Circuit(2, gates)
        np.testing.assert_allclose(circuit.then(inverse(circuit)).unitary(), np.eye(4), atol=1e-12)

    def test_the_mean_estimate_is_the_metric(self):
        rows = CircuitRows.of(STOKES, STOKES_AT)
        generator = np.random.default_rng(0)
        draws = [
            perturbed_metric(EXACT, rows, tuple(generator.choice([-1.0, 1.0], size=(2, 4))), spread=0.01)
            for _ in range(600)
        ]
        error = np.std(draws, axis=0) / np.sqrt(len(draws))
        assert np.all(np.abs(np.mean(draws, axis=0) - exact_metric(rows)[0]) <= 5 * error + 1e-4)
        assert error.max() < 0.03

    def test_four_circuits_per_row(self):
        executor = RecordingExecutor()
        perturbed_metric(executor, rows_of(LAYERED, 3), (np.ones(3), -np.ones(3)))
        assert executor.n_circuits == 4 * 3
