"""Dead slots: never one with a gradient, and all those that are dead by construction."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.circuits import Circuit, class_observables, feature, op, single_qubit, weight
from quantum_db.circuits.ansatz.hardware_efficient import HardwareEfficientAnsatz
from quantum_db.circuits.encoders.angle import AngleEncoder
from quantum_db.circuits.light_cone import dead_weights, live_slots
from quantum_db.circuits.variational import variational_circuit
from quantum_db.simulation.statevector import expectation_values, simulate
from tests.physics.random_circuits import circuits


def largest_gradients(circuit, seed, rows=2):
    """The largest gradient of any observable in each weight and each feature slot, over random points."""
    generator = torch.Generator().manual_seed(seed)
    inputs = [
        (6 * torch.rand(rows, count, dtype=torch.float64, generator=generator) - 3).requires_grad_()
        for count in (circuit.n_weights, circuit.n_features)
    ]
    largest = [np.zeros(circuit.n_weights), np.zeros(circuit.n_features)]
    values = expectation_values(simulate(circuit, *inputs), circuit.observables)
    for column in values.sum(dim=0):
        if column.requires_grad:
            gradients = torch.autograd.grad(column, inputs, retain_graph=True, allow_unused=True)
            for kind, gradient in enumerate(gradients):
                if gradient is not None and gradient.numel():
                    largest[kind] = np.maximum(largest[kind], gradient.abs().max(dim=0).values.numpy())
    return largest


@settings(deadline=None, max_examples=150)
@given(circuits(max_gates=10), st.integers(0, 10**6))
def test_a_slot_with_a_gradient_is_never_called_dead(circuit, seed):
    live = live_slots(circuit)
    for kind, gradients in zip(("weight", "feature"), largest_gradients(circuit, seed), strict=True):
        for index, gradient in enumerate(gradients):
            assert (kind, index) in live or gradient < 1e-12


def test_the_last_rz_of_the_linear_layout_are_dead():
    ansatz = HardwareEfficientAnsatz(8, 4)
    circuit = variational_circuit(AngleEncoder(8, 8), ansatz, single_qubit(8))
    last_rz = tuple(3 * 8 * 3 + 3 * wire + 2 for wire in range(8))
    assert dead_weights(circuit) == last_rz
    weights, features = largest_gradients(circuit, seed=1)
    assert np.all(weights[list(last_rz)] < 1e-12)
    assert np.all(np.delete(weights, last_rz) > 1e-5)
    assert np.all(features > 1e-5)


def test_pairs_keep_them_dead_and_another_basis_does_not():
    ansatz = HardwareEfficientAnsatz(4, 2)
    assert len(dead_weights(ansatz.circuit().measuring(class_observables(4, 10)))) == 4
    assert dead_weights(ansatz.circuit().measuring(single_qubit(4, "Y"))) == ()


def test_gates_outside_the_light_cone():
    circuit = Circuit(
        3,
        (op("RX", 0, angle=weight(0)), op("RX", 2, angle=weight(1)), op("CNOT", 0, 1), op("RX", 2, angle=feature(0))),
        ("Z1",),
    )
    assert live_slots(circuit) == {("weight", 0)}
    assert dead_weights(circuit) == (1,)


def test_a_weight_that_no_gate_uses_or_that_enters_with_factor_zero_is_dead():
    circuit = Circuit(1, (op("RX", 0, angle=weight(2)), op("RX", 0, angle=weight(1) * 0.0)), ("Z0",))
    assert dead_weights(circuit) == (0, 1)


@pytest.mark.parametrize(("fixed", "dead"), [("H", ()), ("S", (0,)), ("CNOT", (0,))])
def test_fixed_gates_turn_the_basis(fixed, dead):
    wires = (0, 1) if fixed == "CNOT" else (0,)
    circuit = Circuit(2, (op("RX", 0, angle=0.4), op("RZ", 0, angle=weight(0)), op(fixed, *wires)), ("Z0",))
    assert dead_weights(circuit) == dead


def test_nothing_measured_means_nothing_alive():
    assert dead_weights(Circuit(1, (op("RX", 0, angle=weight(0)),))) == (0,)


def test_a_leading_phase_of_a_basis_state_is_dead():
    circuit = Circuit(
        2,
        (
            op("X", 0),
            op("RZ", 0, angle=weight(0)),
            op("CRZ", 0, 1, angle=weight(1)),
            op("CNOT", 0, 1),
            op("RY", 1, angle=weight(2)),
            op("CRZ", 0, 1, angle=weight(3)),
            op("H", 0),
            op("H", 1),
        ),
        ("Z0", "Z1"),
    )
    assert dead_weights(circuit) == (0, 1)
