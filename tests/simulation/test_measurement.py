import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from quantum_db.circuits import Circuit, PauliString, op
from quantum_db.circuits.observables import as_observables
from quantum_db.errors import CircuitError
from quantum_db.seeding import numpy_generator
from quantum_db.simulation.measurement import basis_change, parity_signs, sample_counts, sampled_expectations
from quantum_db.simulation.statevector import expectation_values, probabilities, simulate
from tests.physics.random_circuits import circuits, values

ENTANGLED = Circuit(
    3,
    (
        *(op("RY", wire, angle=0.4 + wire) for wire in range(3)),
        *(op("CNOT", 0, 1), op("CRX", 1, 2, angle=1.3), op("RZ", 0, angle=0.8), op("RYY", 0, 2, angle=0.9), op("T", 1)),
    ),
)


def states(rows=1):
    return simulate(ENTANGLED, torch.zeros(0, dtype=torch.float64)).expand(rows, -1)


def test_counts_sum_to_shots_and_follow_the_probabilities():
    counts = sample_counts(states(3), 20_000, numpy_generator(7, "shots"))
    assert counts.shape == (3, 8)
    assert np.all(counts.sum(axis=1) == 20_000)
    expected = 20_000 * probabilities(states()).numpy()[0]
    assert np.all(expected > 5)
    for row in counts:
        assert chisquare(row, expected * row.sum() / expected.sum()).pvalue > 1e-4
    assert not np.array_equal(counts[0], counts[1])


def test_the_seed_decides_the_counts():
    draws = [sample_counts(states(2), 500, numpy_generator(seed, "shots")) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(draws[0], draws[1])
    assert not np.array_equal(draws[0], draws[2])


def test_impossible_outcomes_never_occur():
    bell = simulate(Circuit(2, (op("H", 0), op("CNOT", 0, 1))), torch.zeros(0))
    counts = sample_counts(bell, 10_000, numpy_generator(0, "bell"))[0]
    assert counts[1] == counts[2] == 0
    assert counts.sum() == 10_000


@pytest.mark.parametrize("shots", [0, -1, 1.5, True, None, "10"])
def test_bad_shots(shots):
    with pytest.raises(CircuitError, match="positive integer"):
        sample_counts(states(), shots, numpy_generator(0, "shots"))


def test_standard_errors_are_those_of_repeated_experiments():
    observables = (*as_observables(["Z0", "X1", "Y0 Z2"]), PauliString.of("Z1", -3.0))
    estimates, errors = sampled_expectations(states(2000), observables, 200, numpy_generator(3, "repeat"))
    np.testing.assert_allclose(estimates.std(axis=0), errors.mean(axis=0), rtol=0.06)
    exact = expectation_values(states(), observables).numpy()[0]
    np.testing.assert_allclose(estimates.mean(axis=0), exact, atol=0.02)


def test_one_shot_has_an_error_and_certain_outcomes_have_none():
    estimates, errors = sampled_expectations(states(), as_observables(["Z0"]), 1, numpy_generator(3, "one"))
    assert abs(estimates[0, 0]) == 1
    assert np.isfinite(errors).all()
    zero = simulate(Circuit(1), torch.zeros(0))
    estimates, errors = sampled_expectations(zero, as_observables(["Z0", "I"]), 50, numpy_generator(3, "zero"))
    np.testing.assert_array_equal(estimates, [[1, 1]])
    np.testing.assert_array_equal(errors, [[0, 0]])


@settings(deadline=None, max_examples=60, derandomize=True)
@given(circuits(max_qubits=3, max_gates=10), st.integers(0, 10**6))
def test_sampled_expectations_within_five_standard_deviations(circuit, seed):
    weights, features = map(torch.tensor, values(circuit, 2, seed))
    final = simulate(circuit, weights, features)
    shots = 4000
    exact = expectation_values(final, circuit.observables).numpy()
    estimates, _ = sampled_expectations(final, circuit.observables, shots, numpy_generator(seed, "shots"))
    scale = np.abs([observable.coefficient for observable in circuit.observables])
    sigma = np.sqrt(np.clip(scale**2 - exact**2, 0, None) / shots)
    assert np.all(np.abs(estimates - exact) <= 5 * sigma + 1e-6)


def test_basis_changes_of_all_letters():
    final = states()
    observables = as_observables(["X0 Y1 Z2", "Y0 Z1 X2", "Z0 X1 Y2"])
    exact = expectation_values(final, observables).numpy()
    estimates, errors = sampled_expectations(final, observables, 100_000, numpy_generator(11, "letters"))
    assert np.all(np.abs(estimates - exact) < 5 * errors)
    assert [(o.gate, o.wires[0]) for o in basis_change([observables[0]])] == [("H", 0), ("Sdg", 1), ("H", 1)]


def test_parity_signs_are_the_diagonal_of_the_string():
    np.testing.assert_array_equal(
        parity_signs(PauliString.of("Z0 Z2"), 3), np.diag(PauliString.of("Z0 Z2").matrix(3)).real
    )
    np.testing.assert_array_equal(parity_signs(PauliString.of("I"), 2), np.ones(4))
