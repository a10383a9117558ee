"""Derivatives: shift rules against the exact derivative, automatic differentiation against finite differences."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.circuits import GATES, Circuit, feature, op, weight
from quantum_db.simulation.statevector import expectation_values, simulate
from tests.physics.random_circuits import circuits, values

ROTATIONS = [name for name, gate in GATES.items() if gate.has_angle]


def random_hermitian(size, generator):
    matrix = generator.normal(size=(size, size)) + 1j * generator.normal(size=(size, size))
    return matrix + matrix.conj().T


@pytest.mark.parametrize("name", ROTATIONS)
def test_shift_rule_is_the_exact_derivative(name):
    gate, generator = GATES[name], np.random.default_rng(3)
    size = 2**gate.arity
    for angle in generator.uniform(-np.pi, np.pi, 5):
        observable = random_hermitian(size, generator)
        state = generator.normal(size=size) + 1j * generator.normal(size=size)
        state /= np.linalg.norm(state)

        def energy(t, state=state, observable=observable):
            turned = gate.matrix(t) @ state
            return (turned.conj() @ observable @ turned).real

        turned = gate.matrix(angle) @ state
        commutator = 1j * (gate.generator @ observable - observable @ gate.generator)
        exact = (turned.conj() @ commutator @ turned).real
        shifted = sum(coefficient * energy(angle + shift) for coefficient, shift in gate.shift_rule)
        assert shifted == pytest.approx(exact, abs=1e-10)
        numerical = (energy(angle + 1e-5) - energy(angle - 1e-5)) / 2e-5
        assert shifted == pytest.approx(numerical, abs=1e-7)


def test_two_terms_are_not_enough_for_a_controlled_rotation():
    assert len(GATES["RX"].shift_rule) == 2
    assert len(GATES["PhaseShift"].shift_rule) == 2
    assert len(GATES["RZZ"].shift_rule) == 2
    assert [len(GATES[name].shift_rule) for name in ("CRX", "CRY", "CRZ")] == [4, 4, 4]


def measured(circuit):
    def function(weights, features):
        return expectation_values(simulate(circuit, weights, features), circuit.observables)

    return function


def test_gradcheck_in_weights_and_features_of_a_batch():
    circuit = Circuit(
        3,
        (
            op("H", 0),
            op("RY", 1, angle=feature(0) * 1.3 + 0.2),
            op("RX", 2, angle=weight(0)),
            op("CNOT", 0, 1),
            op("CRX", 1, 2, angle=weight(1) * -0.7),
            op("RZZ", 2, 0, angle=feature(1)),
            op("PhaseShift", 1, angle=weight(0) + 0.4),
            op("RYY", 0, 1, angle=weight(2)),
            op("RX", 0, angle=feature(0)),
            op("SWAP", 0, 2),
            op("CRZ", 2, 1, angle=weight(2) * 2.0),
            op("RX", 1, angle=weight(3)),
        ),
        ("Z0", "X1 Y2", "Y0 Z1 X2"),
    )
    generator = torch.Generator().manual_seed(2)
    weights = torch.randn(4, dtype=torch.float64, generator=generator, requires_grad=True)
    features = torch.randn(3, 2, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(measured(circuit), (weights, features))
    rows = torch.randn(3, 4, dtype=torch.float64, generator=generator, requires_grad=True)
    assert torch.autograd.gradcheck(measured(circuit), (rows, features))
    assert torch.autograd.gradgradcheck(measured(circuit), (weights, features))


@settings(deadline=None, max_examples=20)
@given(circuits(max_qubits=3, max_gates=8), st.integers(0, 10**6))
def test_gradcheck_of_random_circuits(circuit, seed):
    inputs = [torch.tensor(value) for value in values(circuit, 2, seed)]
    wanted = [index for index, value in enumerate(inputs) if value.numel()]

    def function(*given):
        filled = dict(zip(wanted, given, strict=True))
        return measured(circuit)(*(filled.get(index, value) for index, value in enumerate(inputs)))

    if wanted:
        assert torch.autograd.gradcheck(function, tuple(inputs[index].requires_grad_() for index in wanted))


def test_gradient_through_initial_states():
    generator = torch.Generator().manual_seed(4)
    states = torch.randn(2, 4, dtype=torch.complex128, generator=generator, requires_grad=True)
    circuit = Circuit(2, (op("RX", 0, angle=weight(0)), op("CNOT", 0, 1)), ("Z1", "X0"))
    weights = torch.tensor([0.3], dtype=torch.float64)

    def function(initial):
        return expectation_values(simulate(circuit, weights, initial_states=initial), circuit.observables)

    assert torch.autograd.gradcheck(function, (states,))


def test_a_shared_weight_differentiates_as_the_sum_of_its_uses():
    circuit = Circuit(1, (op("RX", 0, angle=weight(0)), op("RX", 0, angle=weight(0))), ("Z0",))
    weights = torch.tensor([0.3], dtype=torch.float64, requires_grad=True)
    measured(circuit)(weights, None).sum().backward()
    assert weights.grad.item() == pytest.approx(-2 * np.sin(0.6), abs=1e-12)  # -1.129 at 0.3


def test_a_circuit_first_run_for_inference_can_be_trained():
    circuit = Circuit(2, (op("RX", 0, angle=weight(0)), op("CRY", 0, 1, angle=weight(0) * 1.7)), ("Z1",))
    with torch.inference_mode():
        simulate(circuit, torch.tensor([0.4]))
    weights = torch.tensor([0.4], requires_grad=True)
    measured(circuit)(weights, None).sum().backward()
    assert weights.grad.abs().item() > 0.01
