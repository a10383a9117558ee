import numpy as np
import pytest

from quantum_db.backends.protocols import CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, PauliString, feature, op, weight
from quantum_db.circuits.ansatz import ANSAETZE
from quantum_db.errors import CircuitError, ConfigurationError
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.parameter_shift import ParameterShift
from quantum_db.gradients.variance import gradient_forecast, plateau_slope


def everywhere(n_qubits):
    return PauliString(tuple((wire, "Z") for wire in range(n_qubits)))


def product_of_cosines(n_qubits):
    """The value is the product of cos(w_i), so each derivative has the variance 2^-n."""
    rotations = tuple(op("RX", wire, angle=weight(wire)) for wire in range(n_qubits))
    return Circuit(n_qubits, rotations, (everywhere(n_qubits),))


def ansatz(n_qubits, depth, observable):
    layers = ANSAETZE.load("hardware_efficient")(n_qubits, depth, "linear").circuit()
    return layers.measuring([observable])


def deep_and_global(n_qubits):
    return ansatz(n_qubits, 3 * n_qubits, everywhere(n_qubits))


def shallow_and_local(n_qubits):
    return ansatz(n_qubits, 1, PauliString.of("Z0"))


@pytest.mark.parametrize("n_qubits", [1, 3, 6])
def test_variance_and_noise_in_closed_form(n_qubits):
    found = gradient_forecast(product_of_cosines(n_qubits), 100, draws=4000, seed=1)
    np.testing.assert_allclose(found.variance, 0.5**n_qubits, rtol=0.25)
    np.testing.assert_allclose(found.signal**2, found.variance, rtol=0.05)
    np.testing.assert_allclose(found.noise**2, 0.5 * (1 - 0.5**n_qubits) / 100, rtol=0.05)
    wanted = np.sqrt(0.5**n_qubits / (0.5 * (1 - 0.5**n_qubits) / 100))
    assert found.signal_to_noise == pytest.approx(wanted, rel=0.1)
    assert found.dead == ()


def test_a_gradient_below_its_noise_cannot_be_learned():
    found = gradient_forecast(product_of_cosines(10), 100, draws=1000)
    assert not found.can_learn
    assert found.signal_to_noise < 0.6
    assert found.sentence.startswith("This run cannot learn at these shots: the gradient's typical size is ")
    assert found.shots_needed == pytest.approx(2**9, rel=0.3)
    enough = gradient_forecast(product_of_cosines(10), 100 * found.shots_needed, draws=1000)
    assert enough.can_learn
    assert enough.signal_to_noise == pytest.approx(10, rel=0.01)
    assert enough.sentence.startswith("This run can learn at these shots")
    assert enough.shots_needed == pytest.approx(found.shots_needed, abs=1)


def test_the_noise_is_that_of_sampled_derivatives():
    circuit = Circuit(
        2,
        (
            op("RX", 0, angle=weight(0) * 0.5 + 0.3),
            op("CRY", 0, 1, angle=weight(1)),
            op("RY", 0, angle=weight(0)),
            op("RXX", 0, 1, angle=weight(2)),
        ),
        ("Z0", PauliString.of("X1", 2.0)),
    )
    found = gradient_forecast(circuit, 50, draws=400, seed=3)
    weights = np.random.default_rng(5).uniform(0, 4 * np.pi, (500, 3))
    rows = CircuitRows.of(circuit, weights, np.zeros((1, 0)))
    exact = ParameterShift().jacobian(StatevectorExecutor(), rows, Wanted()).weights
    sampled = ParameterShift().jacobian(StatevectorExecutor(), rows, Wanted(shots=50, seed=2)).weights
    scatter = np.sqrt(((sampled - exact) ** 2).mean(axis=0))
    live = scatter > 0
    np.testing.assert_allclose(found.noise[live], scatter[live], rtol=0.2)


def test_a_deep_circuit_with_a_global_observable_has_a_plateau():
    found = plateau_slope(deep_and_global, range(2, 8), draws=150, seed=1)
    assert found.is_plateau
    assert -1.6 < found.slope < -0.5
    assert found.variances[0] > 10 * found.variances[-1]
    assert "a barren plateau" in found.sentence


def test_a_shallow_circuit_with_a_local_observable_has_none():
    found = plateau_slope(shallow_and_local, range(2, 8), draws=150, seed=1)
    assert not found.is_plateau
    assert abs(found.slope) < 0.1
    assert "No barren plateau" in found.sentence


def test_the_slope_in_closed_form():
    found = plateau_slope(product_of_cosines, (1, 2, 3, 4, 5), draws=3000)
    assert found.slope == pytest.approx(-np.log(2), abs=0.06)
    assert abs(found.slope + np.log(2)) < 6 * found.slope_error + 0.05
    assert found.qubits == (1, 2, 3, 4, 5)


def test_seeds_decide_the_draws():
    circuit = shallow_and_local(3)
    first, again, other = (gradient_forecast(circuit, 10, draws=20, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.variance, again.variance)
    np.testing.assert_array_equal(first.noise, again.noise)
    assert not np.array_equal(first.variance, other.variance)


def test_dead_weights_are_named_and_have_no_signal():
    circuit = ansatz(3, 2, PauliString.of("Z0"))
    found = gradient_forecast(circuit, 200, draws=50)
    assert found.dead
    live = np.setdiff1d(np.arange(circuit.n_weights), found.dead)
    assert np.abs(found.signal[:, list(found.dead)]).max() < 1e-12
    assert np.abs(found.noise[:, list(found.dead)]).max() == 0
    assert found.signal[:, live].min() > 1e-3
    assert f"{len(found.dead)} of 18 weights are dead." in found.sentence


def test_a_circuit_that_cannot_move_says_so():
    circuit = Circuit(1, (op("RZ", 0, angle=weight(0)),), ("Z0",))
    found = gradient_forecast(circuit, 100)
    assert (found.can_move, found.can_learn, found.shots_needed, found.dead) == (False, False, None, (0,))
    assert found.sentence == "This run cannot learn: no weight moves any observable. 1 of 1 weights are dead."
    with pytest.raises(CircuitError, match="no weight of the circuit on 1 qubits moves any observable"):
        plateau_slope(lambda n: circuit, (1, 2, 3))


def test_exact_values_have_no_noise():
    found = gradient_forecast(product_of_cosines(3))
    assert (found.noise, found.signal_to_noise, found.can_learn, found.shots_needed) == (None, np.inf, True, 1)
    assert "Values are exact, so noise does not limit this run" in found.sentence


def test_given_weights_and_features_are_drawn_from():
    circuit = Circuit(1, (op("RY", 0, angle=feature(0)), op("RX", 0, angle=weight(0))), ("Z0",))
    found = gradient_forecast(circuit, 10, draws=30, weights=[[0.3]], features=[[0.0]])
    np.testing.assert_allclose(found.signal, np.sin(0.3), atol=1e-12)
    np.testing.assert_allclose(found.variance, 0, atol=1e-20)
    np.testing.assert_allclose(found.noise, np.sqrt(0.5 * np.sin(0.3) ** 2 / 10), atol=1e-12)


def test_large_circuits_are_differentiated_in_pieces(monkeypatch):
    from quantum_db.gradients import variance

    whole = gradient_forecast(shallow_and_local(4), 5, draws=33)
    monkeypatch.setattr(variance, "_AMPLITUDES", 2**6)
    pieces = gradient_forecast(shallow_and_local(4), 5, draws=33)
    np.testing.assert_allclose(whole.variance, pieces.variance, atol=1e-14)
    np.testing.assert_allclose(whole.noise, pieces.noise, atol=1e-14)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"draws": 1}, ConfigurationError, "draws must be an integer of at least 2"),
        ({"draws": 2.5}, ConfigurationError, "draws must be an integer of at least 2"),
        ({"shots": 0}, ConfigurationError, "shots must be a positive integer, got 0"),
        ({"seed": -1}, ConfigurationError, "seed must be an integer"),
        ({"weights": [[1.0, 2.0]]}, CircuitError, r"weights to draw from must have shape \(rows, 3\), got \(1, 2\)"),
        ({"weights": np.zeros((0, 3))}, CircuitError, r"weights to draw from must have shape"),
        ({"weights": [[np.nan] * 3]}, CircuitError, r"weights\[0, 0\] is nan"),
    ],
)
def test_bad_input_is_refused(options, error, message):
    with pytest.raises(error, match=message):
        gradient_forecast(product_of_cosines(3), **options)


def test_a_circuit_without_observables_is_refused():
    with pytest.raises(CircuitError, match="needs a circuit with observables"):
        gradient_forecast(Circuit(1, (op("RX", 0, angle=weight(0)),)))


def test_a_slope_needs_three_sizes():
    with pytest.raises(ConfigurationError, match=r"at least three numbers of qubits, got \(2, 3\)"):
        plateau_slope(product_of_cosines, (2, 3))
