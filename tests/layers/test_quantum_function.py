"""The chain rule stands outside the shift rule: expectation values are shifted, losses are not."""

import numpy as np
import pytest

from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, feature, op, weight
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.parameter_shift import ParameterShift
from quantum_db.layers.quantum_function import QuantumFunction

ROTATION = Circuit(1, (op("RY", 0, angle=weight(0)),), ("Z0",))
NO_FEATURES = np.zeros((1, 0))


def function_of(circuit):
    return QuantumFunction(circuit, StatevectorExecutor(), ParameterShift())


def loss_gradient(angle, target):
    """d/dangle of (f - target)^2 by the chain rule."""
    function, weights = function_of(ROTATION), np.array([angle])
    values = function.forward(weights, NO_FEATURES)
    by_weight, _ = function.vjp(weights, NO_FEATURES, 2 * (values - target), Wanted())
    return by_weight.item()


def shifted_loss(angle, target):
    """What shifting the loss itself would give."""

    def loss(t):
        return (function_of(ROTATION).forward(np.array([t]), NO_FEATURES).item() - target) ** 2

    return (loss(angle + np.pi / 2) - loss(angle - np.pi / 2)) / 2


@pytest.mark.parametrize("angle", [-1.0, 0.3, 2.0])
def test_shifting_the_loss_would_give_zero_everywhere(angle):
    assert loss_gradient(angle, 0.0) == pytest.approx(-np.sin(2 * angle), abs=1e-12)
    assert shifted_loss(angle, 0.0) == pytest.approx(0, abs=1e-12)


def test_shifting_the_loss_would_be_wrong_a_hundredfold():
    assert loss_gradient(3.0, -1.0) == pytest.approx(-0.0028, abs=5e-5)
    assert shifted_loss(3.0, -1.0) == pytest.approx(-0.282, abs=5e-4)


def test_the_vjp_is_the_weighted_sum_of_the_jacobian():
    circuit = Circuit(
        2,
        (op("RY", 0, angle=feature(0)), op("RX", 1, angle=weight(0)), op("CNOT", 0, 1), op("RY", 1, angle=weight(1))),
        ("Z0", "Z1", "X1"),
    )
    generator = np.random.default_rng(1)
    weights, slots = generator.normal(size=2), generator.normal(size=(4, 1))
    cotangent = generator.normal(size=(4, 3))
    function = function_of(circuit)
    by_weight, by_slot = function.vjp(weights, slots, cotangent, Wanted(True, True))
    assert (by_weight.shape, by_slot.shape) == ((2,), (4, 1))

    def total(w, s):
        return (cotangent * function.forward(w, s)).sum()

    for index in range(2):
        step = 1e-6 * np.eye(2)[index]
        numerical = (total(weights + step, slots) - total(weights - step, slots)) / 2e-6
        assert by_weight[index] == pytest.approx(numerical, abs=1e-8)
    for row in range(4):
        step = 1e-6 * np.eye(4)[:, [row]]
        numerical = (total(weights, slots + step) - total(weights, slots - step)) / 2e-6
        assert by_slot[row, 0] == pytest.approx(numerical, abs=1e-8)


def test_what_is_not_wanted_is_zero():
    circuit = Circuit(1, (op("RY", 0, angle=feature(0)), op("RX", 0, angle=weight(0))), ("Y0",))
    values = (np.array([0.4]), np.array([[0.3]]), np.ones((1, 1)))
    by_weight, by_slot = function_of(circuit).vjp(*values, Wanted(weights=False, features=True))
    assert by_weight.item() == 0
    assert abs(by_slot.item()) > 0.1
