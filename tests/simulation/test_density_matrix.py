import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.circuits import GATES, Circuit, feature, op, weight
from quantum_db.errors import CircuitError, ConfigurationError
from quantum_db.simulation import density_matrix
from quantum_db.simulation.density_matrix import (
    density_expectations,
    density_probabilities,
    rotated,
    simulate_density,
)
from quantum_db.simulation.noise import NOISE_MODELS, NoiseModel, amplitude_damping
from quantum_db.simulation.statevector import expectation_values, simulate
from tests.physics.noisy_circuits import NOISY, cirq_density, random_circuit
from tests.physics.random_circuits import circuits, values

ROWS = 3


def slots(circuit, seed, dtype=torch.float64):
    weights, features = values(circuit, ROWS, seed)
    return weights, features, torch.as_tensor(weights, dtype=dtype), torch.as_tensor(features, dtype=dtype)


@pytest.mark.parametrize("noise", [NOISY, NOISE_MODELS["aria-2"], NOISE_MODELS["ideal"]], ids=lambda noise: noise.name)
@pytest.mark.parametrize("n_qubits", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", [1, 2])
def test_the_whole_gate_table_agrees_with_cirq(noise, n_qubits, seed):
    table = [name for name, gate in GATES.items() if gate.arity <= n_qubits]
    circuit = random_circuit(n_qubits, 2 * len(table), seed)
    assert set(circuit.gate_counts()) == set(table)
    weights, features, *tensors = slots(circuit, seed)
    rho = simulate_density(circuit, *tensors, noise).numpy()
    wanted = np.stack([cirq_density(circuit, weights, row, noise) for row in features])
    np.testing.assert_allclose(rho, wanted, atol=1e-6)  # cirq's own arithmetic limits this
    assert len(rho) == ROWS


@settings(deadline=None, max_examples=25)
@given(circuits(max_qubits=3, max_gates=10), st.integers(0, 10**6))
def test_any_circuit_agrees_with_cirq(circuit, seed):
    weights, features, *tensors = slots(circuit, seed)
    rho = simulate_density(circuit, *tensors, NOISY)
    wanted = np.stack([cirq_density(circuit, weights, row, NOISY) for row in features])
    np.testing.assert_allclose(rho.numpy(), wanted, atol=1e-6)
    exact = [[np.trace(o.matrix(circuit.n_qubits) @ state).real for o in circuit.observables] for state in wanted]
    np.testing.assert_allclose(density_expectations(rho, circuit.observables).numpy(), exact, atol=1e-6)


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_without_noise_it_is_the_state_vector(dtype, tolerance):
    circuit = random_circuit(4, 40, 3)
    _, _, weights, features = slots(circuit, 3, dtype)
    states = simulate(circuit, weights, features)
    rho = simulate_density(circuit, weights, features)
    assert rho.dtype == states.dtype
    wanted = states[:, :, None] * states[:, None, :].conj()
    np.testing.assert_allclose(rho.numpy(), wanted.numpy(), atol=tolerance)
    np.testing.assert_allclose(
        density_expectations(rho, circuit.observables).numpy(),
        expectation_values(states, circuit.observables).numpy(),
        atol=tolerance,
    )


def test_states_are_states():
    circuit = random_circuit(3, 60, 5)
    _, _, weights, features = slots(circuit, 5)
    rho = simulate_density(circuit, weights, features, NOISY)
    np.testing.assert_allclose(rho.diagonal(dim1=1, dim2=2).sum(dim=1).numpy(), 1, atol=1e-13)
    np.testing.assert_allclose(rho.numpy(), rho.transpose(1, 2).conj().resolve_conj().numpy(), atol=1e-14)
    assert torch.linalg.eigvalsh(rho).min() > -1e-13
    purity = (rho @ rho).diagonal(dim1=1, dim2=2).sum(dim=1).real
    assert float(purity.max()) < 0.9
    assert float(density_probabilities(rho).min()) >= 0


def test_rotating_measures_in_another_basis():
    circuit = random_circuit(3, 30, 6).measuring(["X0 Y2"])
    _, _, weights, features = slots(circuit, 6)
    rho = simulate_density(circuit, weights, features, NOISY)
    turned = rotated(rho, (op("H", 0), op("Sdg", 2), op("H", 2)))
    signs = torch.tensor([1.0, -1, 1, -1, -1, 1, -1, 1], dtype=torch.float64)
    np.testing.assert_allclose(
        (density_probabilities(turned) @ signs).numpy(),
        density_expectations(rho, circuit.observables)[:, 0].numpy(),
        atol=1e-13,
    )


def test_rows_of_weights_and_shared_rows():
    circuit = Circuit(2, (op("RX", 0, angle=weight(0)), op("CRY", 0, 1, angle=feature(0))), ("Z1",))
    noise = NoiseModel(after_two_qubit=(amplitude_damping(0.1),))
    weights, features = torch.rand(4, 1, dtype=torch.float64), torch.rand(4, 1, dtype=torch.float64)
    together = simulate_density(circuit, weights, features, noise)
    for row in range(4):
        alone = simulate_density(circuit, weights[row], features[row : row + 1], noise)
        np.testing.assert_allclose(together[row : row + 1].numpy(), alone.numpy(), atol=1e-15)
    shared = simulate_density(circuit, weights, features[:1], noise)
    assert len(shared) == 4


def test_it_can_be_differentiated():
    circuit = random_circuit(2, 20, 9)
    weights = torch.rand(circuit.n_weights, dtype=torch.float64, requires_grad=True)
    features = torch.rand(2, circuit.n_features, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda w, f: density_expectations(simulate_density(circuit, w, f, NOISY), circuit.observables),
        (weights, features),
    )


def test_too_many_qubits_are_refused_with_what_they_need_and_what_fits(monkeypatch):
    monkeypatch.setattr(density_matrix, "available_bytes", lambda device: 8 * 2**30)
    with pytest.raises(ConfigurationError, match=r"14 qubits with 1 row\(s\) .* 12\.0 GiB, and 8\.0 GiB .* 13 qubits"):
        simulate_density(Circuit(14), torch.zeros(0, dtype=torch.float64))
    with pytest.raises(ConfigurationError, match=r"12 qubits fit. Use qpu_target 'trajectories'"):
        simulate_density(Circuit(14), torch.zeros(8, 0))


def test_a_circuit_beyond_any_machine_is_refused_before_allocating():
    with pytest.raises(ConfigurationError, match=r"30 qubits .* GiB .* qubits fit"):
        simulate_density(Circuit(30), torch.zeros(0))


@pytest.mark.parametrize(
    ("weights", "features", "message"),
    [
        (torch.zeros(3, 3), torch.zeros(2, 2), "3 rows of weights do not match 2 rows of features"),
        (torch.zeros(2), torch.zeros(2, 2), r"takes 3 weights, got values of shape \(2,\)"),
        (torch.zeros(3), torch.full((2, 2), float("nan")), "features hold NaN or infinite values"),
        (torch.zeros(3, dtype=torch.int64), torch.zeros(2, 2), "must be float32 or float64"),
    ],
)
def test_values_that_do_not_fit_are_refused(weights, features, message):
    circuit = Circuit(1, (op("RX", 0, angle=weight(2)), op("RY", 0, angle=feature(1))))
    with pytest.raises(CircuitError, match=message):
        simulate_density(circuit, weights, features)
