import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.circuits import Circuit, op
from quantum_db.errors import CircuitError
from quantum_db.simulation.entanglement import entanglement_entropy, meyer_wallach
from quantum_db.simulation.statevector import simulate

BELL = torch.tensor([1, 0, 0, 1], dtype=torch.complex128) / np.sqrt(2)
GHZ = torch.tensor([1, 0, 0, 0, 0, 0, 0, 1], dtype=torch.complex128) / np.sqrt(2)
W = torch.tensor([0, 1, 1, 0, 1, 0, 0, 0], dtype=torch.complex128) / np.sqrt(3)


def random_states(rows, n_qubits, seed):
    generator = np.random.default_rng(seed)
    raw = generator.normal(size=(rows, 2**n_qubits)) + 1j * generator.normal(size=(rows, 2**n_qubits))
    return torch.as_tensor(raw / np.linalg.norm(raw, axis=1, keepdims=True))


def entropy_of_reduced_state(state, wires, n_qubits):
    """By the eigenvalues of the reduced density matrix, made by an explicit partial trace."""
    rest = [wire for wire in range(n_qubits) if wire not in wires]
    tensor = np.transpose(np.asarray(state).reshape((2,) * n_qubits), [*wires, *rest]).reshape(2 ** len(wires), -1)
    values = np.linalg.eigvalsh(tensor @ tensor.conj().T)
    values = values[values > 1e-15]
    return -np.sum(values * np.log(values))


def test_known_entropies():
    assert float(entanglement_entropy(BELL, [0])) == pytest.approx(np.log(2), abs=1e-14)
    for wires in ([0], [1], [2], [0, 1], [2, 0]):
        assert float(entanglement_entropy(GHZ, wires)) == pytest.approx(np.log(2), abs=1e-14)
        third = -np.log(1 / 3) / 3 - 2 * np.log(2 / 3) / 3
        assert float(entanglement_entropy(W, wires)) == pytest.approx(third, abs=1e-14)


def test_known_meyer_wallach_measures():
    assert float(meyer_wallach(BELL)) == pytest.approx(1, abs=1e-14)
    assert float(meyer_wallach(GHZ)) == pytest.approx(1, abs=1e-14)
    assert float(meyer_wallach(W)) == pytest.approx(8 / 9, abs=1e-14)
    half = torch.kron(BELL, torch.tensor([1, 0], dtype=torch.complex128))
    assert float(meyer_wallach(half)) == pytest.approx(2 / 3, abs=1e-14)


def test_product_states_have_none():
    circuit = Circuit(4, tuple(op(name, wire, angle=0.3 + wire) for wire in range(4) for name in ("RX", "RY")))
    state = simulate(circuit, torch.zeros(0, dtype=torch.float64))
    for wires in ([0], [3], [1, 2], [0, 2, 3]):
        assert float(entanglement_entropy(state, wires)) == pytest.approx(0, abs=1e-12)
    assert float(meyer_wallach(state)) == pytest.approx(0, abs=1e-12)


def test_two_bell_pairs_depend_on_the_cut():
    state = torch.kron(BELL, BELL)
    found = [float(entanglement_entropy(state, wires)) for wires in ([0, 1], [0], [0, 2], [1, 3])]
    assert found == pytest.approx([0, np.log(2), 2 * np.log(2), 2 * np.log(2)], abs=1e-13)


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 5), st.integers(0, 10**6), st.data())
def test_batches_agree_with_the_reduced_density_matrix(n_qubits, seed, data):
    states = random_states(3, n_qubits, seed)
    wires = data.draw(st.permutations(range(n_qubits)))[: data.draw(st.integers(1, n_qubits - 1))]
    found = entanglement_entropy(states, wires).numpy()
    wanted = [entropy_of_reduced_state(state, wires, n_qubits) for state in states]
    np.testing.assert_allclose(found, wanted, atol=1e-12)
    others = [wire for wire in range(n_qubits) if wire not in wires]
    np.testing.assert_allclose(found, entanglement_entropy(states, others).numpy(), atol=1e-12)
    assert found.max() <= min(len(wires), n_qubits - len(wires)) * np.log(2) + 1e-12
    measure = meyer_wallach(states).numpy()
    assert measure.min() >= 0
    assert measure.max() <= 1 + 1e-12


def test_single_precision_and_gradients():
    states = random_states(2, 3, 1)
    single = entanglement_entropy(states.to(torch.complex64), [1])
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), entanglement_entropy(states, [1]).numpy(), atol=1e-6)

    def entropies(angles):
        state = torch.cos(angles)[:, None] * torch.tensor([1.0, 0, 0, 0]) + torch.sin(angles)[:, None] * torch.tensor(
            [0, 0, 0, 1.0]
        )
        return entanglement_entropy(state.to(torch.complex128), [0]) + meyer_wallach(state.to(torch.complex128))

    angles = torch.tensor([0.3, 0.7], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(entropies, (angles,))
    product = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    entropies(product).sum().backward()
    assert torch.isfinite(product.grad).all()


@pytest.mark.parametrize("wires", [[], [0, 1, 2], [3], [-1], [0, 0]])
def test_wires_that_are_no_part_are_refused(wires):
    with pytest.raises(CircuitError, match="are no part of 3 qubits"):
        entanglement_entropy(W, wires)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (torch.tensor([1, 1, 0, 0], dtype=torch.complex128), r"row 0 of the states has norm 1\.414"),
        (torch.full((2, 4), torch.nan, dtype=torch.complex64), "row 0 of the states has norm nan"),
        (torch.zeros(3, dtype=torch.complex128), r"complex of shape \(rows, 2\^n\)"),
        (torch.tensor([1.0, 0]), "got torch.float32"),
        (torch.zeros(1, 2, 2, dtype=torch.complex128), r"got torch.complex128 of shape \(1, 2, 2\)"),
    ],
)
def test_what_is_no_state_is_refused(states, message):
    with pytest.raises(CircuitError, match=message):
        meyer_wallach(states)
