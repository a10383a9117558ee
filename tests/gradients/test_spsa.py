import numpy as np
import pytest

from quantum_db.backends.protocols import CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.errors import ConfigurationError
from quantum_db.gradients import GRADIENT_METHODS
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.spsa import SimultaneousPerturbation
from quantum_db.seeding import numpy_generator
from tests.suites.gradient_methods import LAYERED, RX_TWICE, degrees, exactly, random_circuit, rows_of
from tests.suites.recording_executor import RecordingExecutor

EXACT = StatevectorExecutor()
BOTH = Wanted(features=True, seed=3, standard_errors=True)


@pytest.mark.parametrize("seed", range(8))
def test_against_backpropagation_within_its_standard_errors(seed):
    circuit = random_circuit(seed)
    rows = rows_of(circuit, 2, seed)
    method = SimultaneousPerturbation(perturbation=0.01, draws=2000)
    found, wanted = method.jacobian(EXACT, rows, BOTH), exactly(rows)
    bias = 0.01**2 / 6 * sum(w.sum() for w in degrees(circuit)) ** 3 * 1.5
    for name in ("weights", "features"):
        error = np.abs(getattr(found, name) - getattr(wanted, name))
        assert np.all(error <= 5 * getattr(found.standard_errors, name) + bias)


def test_the_standard_error_is_the_root_of_the_other_squared_derivatives():
    rows = rows_of(LAYERED, 1)
    draws = 4000
    found = SimultaneousPerturbation(0.001, draws).jacobian(EXACT, rows, BOTH)
    wanted = exactly(rows)
    everything = np.concatenate([wanted.weights, wanted.features], axis=2)
    others = np.sqrt((everything**2).sum(axis=2, keepdims=True) - everything**2)
    errors = np.concatenate([found.standard_errors.weights, found.standard_errors.features], axis=2)
    np.testing.assert_allclose(errors, others / np.sqrt(draws), rtol=0.1, atol=1e-4)


def test_one_slot_alone_is_a_central_difference():
    found = SimultaneousPerturbation(0.001, 3).jacobian(EXACT, CircuitRows.of(RX_TWICE, [0.3]), Wanted())
    assert found.weights.item() == pytest.approx(-2 * np.sin(0.6), abs=1e-5)


def test_two_circuits_per_draw_whatever_the_number_of_slots():
    executor, method = RecordingExecutor(), SimultaneousPerturbation(draws=3)
    rows = rows_of(LAYERED, 4)
    method.jacobian(executor, rows, Wanted(features=True, seed=1))
    assert executor.n_circuits == method.circuit_count(rows, Wanted(features=True, seed=1)) <= 4 * 2 * 3
    assert method.circuit_count(rows, Wanted(False, False)) == 0
    one_slot = CircuitRows.of(RX_TWICE, [0.3])
    assert method.circuit_count(one_slot, Wanted()) == 2  # all draws are the same two circuits


def test_slots_that_are_not_wanted_are_not_moved():
    rows = rows_of(LAYERED, 2)
    found = SimultaneousPerturbation().jacobian(EXACT, rows, Wanted(weights=False, features=True))
    assert np.all(found.weights == 0)
    assert np.abs(found.features).max() > 0
    (batch,) = [SimultaneousPerturbation().expand(rows, Wanted(weights=False, features=True))]
    assert len(np.unique(batch.parts[0].weights, axis=0)) == 2


def test_the_seed_decides():
    rows = rows_of(LAYERED, 2)
    first, again, other = (SimultaneousPerturbation().jacobian(EXACT, rows, Wanted(seed=s)).weights for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_seed_of_its_own_draws_other_directions():
    rows, wanted = rows_of(LAYERED, 2), Wanted(seed=1)
    given = [SimultaneousPerturbation(seed=seed).jacobian(EXACT, rows, wanted).weights for seed in (None, 4, 4, 5)]
    np.testing.assert_array_equal(given[1], given[2])
    assert not np.array_equal(given[0], given[1])
    assert not np.array_equal(given[1], given[3])
    later = SimultaneousPerturbation(seed=4).jacobian(EXACT, rows, Wanted(seed=2)).weights
    assert not np.array_equal(later, given[1])  # drawn anew for each batch all the same


def test_without_a_seed_of_its_own_the_directions_are_those_of_the_batch():
    rows, wanted = rows_of(LAYERED, 2), Wanted(seed=1)
    (directions,) = {tuple(SimultaneousPerturbation()._directions(rows, wanted)[0, 0])}
    drawn = numpy_generator(1, "spsa", "directions").choice([-1.0, 1.0], size=(2, 8, len(directions)))
    assert directions == tuple(drawn[0, 0])


def test_empty_requests():
    for rows in (rows_of(LAYERED, 0), rows_of(LAYERED.measuring(()), 2)):
        found = SimultaneousPerturbation().jacobian(EXACT, rows, BOTH)
        assert found.weights.shape == (rows.n_rows, len(rows.circuit.observables), 3)


def test_shot_noise_is_in_the_standard_errors():
    rows = CircuitRows.of(RX_TWICE, [0.3])
    wanted = Wanted(shots=100, standard_errors=True)
    error = SimultaneousPerturbation(0.1, 4).jacobian(EXACT, rows, wanted).standard_errors.weights.item()
    single = np.sqrt((1 - np.cos(0.6) ** 2) / 100)
    assert error == pytest.approx(np.sqrt(2) * single / 0.2, rel=0.3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"perturbation": 0}, "the perturbation of SPSA must be a number above 0, got 0"),
        ({"perturbation": float("nan")}, "the perturbation of SPSA"),
        ({"draws": 0}, "the draws of SPSA must be a positive integer, got 0"),
        ({"draws": 2.0}, "the draws of SPSA"),
        ({"seed": -1}, "seed must be an integer from 0 to .*, got -1"),
    ],
)
def test_impossible_options_are_refused(options, message):
    with pytest.raises(ConfigurationError, match=message):
        SimultaneousPerturbation(**options)


def test_one_draw_has_no_standard_error():
    with pytest.raises(ConfigurationError, match="use at least 2 draws"):
        SimultaneousPerturbation(draws=1).jacobian(EXACT, rows_of(LAYERED, 1), BOTH)


def test_the_name():
    assert GRADIENT_METHODS.load("spsa")() == SimultaneousPerturbation(0.1, 8)
