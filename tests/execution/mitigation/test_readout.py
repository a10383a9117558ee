"""Readout correction against scipy, brute force and the truth."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize

from quantum_db.backends.noisy import NoisySimulator
from quantum_db.circuits.gates import kron
from quantum_db.errors import ConfigurationError
from quantum_db.execution.mitigation.readout import (
    ReadoutCalibration,
    along_qubits,
    calibrate_readout,
    corrected_distributions,
    on_simplex,
    state_variances,
    value_variances,
)
from quantum_db.simulation.noise import NoiseModel, Readout
from tests.execution.machines import HistogramMachine

QUBITS = (Readout(0.02, 0.09), Readout(0.05, 0.01), Readout(0.0, 0.12))
CONFUSIONS = [readout.confusion for readout in QUBITS]


def test_each_matrix_acts_on_its_own_qubit():
    table = np.random.default_rng(1).random((4, 8))
    np.testing.assert_allclose(along_qubits(CONFUSIONS, table), table @ kron(*CONFUSIONS).real.T, atol=1e-14)
    assert along_qubits(CONFUSIONS, np.zeros((0, 8))).shape == (0, 8)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-3, 3), min_size=2, max_size=2))
def test_the_nearest_point_of_a_segment_is_found(values):
    (found,) = on_simplex(np.array([values]))
    best = min(np.linspace(0, 1, 20001), key=lambda x: (x - values[0]) ** 2 + (1 - x - values[1]) ** 2)
    np.testing.assert_allclose(found, [best, 1 - best], atol=1e-4)


@pytest.mark.parametrize("seed", range(5))
def test_the_nearest_distribution_is_that_of_scipy(seed):
    point = np.random.default_rng(seed).normal(0.1, 0.3, 6)
    found = on_simplex(point[None])[0]
    best = minimize(
        lambda x: ((x - point) ** 2).sum(), np.full(6, 1 / 6), bounds=[(0, 1)] * 6, method="SLSQP",
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1}, options={"ftol": 1e-15, "maxiter": 500},
    ).x  # fmt: skip
    np.testing.assert_allclose(found, best, atol=1e-6)


def counts(distribution, shots, seed):
    shares = distribution @ kron(*CONFUSIONS).real.T
    return np.random.default_rng(seed).multinomial(shots, shares) / shots


GHZ = np.array([0.5, 0, 0, 0, 0, 0, 0, 0.5])


@pytest.mark.parametrize("seed", range(6))
def test_least_squares_on_the_simplex_is_that_of_scipy(seed):
    read = counts(GHZ, 300, seed)[None]
    (found,) = corrected_distributions(read, CONFUSIONS)
    matrix = kron(*CONFUSIONS).real
    best = minimize(
        lambda x: ((matrix @ x - read[0]) ** 2).sum(), np.full(8, 1 / 8),
        jac=lambda x: 2 * matrix.T @ (matrix @ x - read[0]), bounds=[(0, 1)] * 8, method="SLSQP",
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1}, options={"ftol": 1e-16, "maxiter": 1000},
    ).x  # fmt: skip
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(found, best, atol=1e-5)
    residual = ((matrix @ found - read[0]) ** 2).sum()
    assert residual <= ((matrix @ best - read[0]) ** 2).sum() + 1e-12


def test_what_was_read_without_sampling_is_corrected_exactly():
    truth = np.random.default_rng(2).dirichlet(np.full(8, 0.4), size=5)
    found = corrected_distributions(along_qubits(CONFUSIONS, truth), CONFUSIONS)
    np.testing.assert_allclose(found, truth, atol=1e-12)


def test_never_negative_where_the_inverse_is_and_nearer_to_the_truth():
    reads = np.stack([counts(GHZ, 1000, seed) for seed in range(300)])
    inverted = along_qubits([np.linalg.inv(matrix) for matrix in CONFUSIONS], reads)
    found = corrected_distributions(reads, CONFUSIONS)

    def distance(table):
        return np.abs(table - GHZ).sum(axis=1).mean() / 2

    assert (inverted.min(axis=1) < 0).mean() > 0.9
    assert found.min() >= 0
    assert distance(found) < distance(inverted) < distance(reads)


def test_variances_are_those_of_many_samples():
    truth = np.array([0.3, 0.05, 0.1, 0.05, 0.2, 0.1, 0.1, 0.1])
    reads = np.stack([counts(truth, 2000, seed) for seed in range(2000)])
    inverted = along_qubits([np.linalg.inv(matrix) for matrix in CONFUSIONS], reads)
    signs = kron(*[np.array([[1, -1]])] * 3).real[0]
    stated = value_variances(reads, CONFUSIONS, [np.array([1.0, -1.0])] * 3).mean() / 2000
    assert (inverted @ signs).var(ddof=1) == pytest.approx(stated, rel=0.13)
    np.testing.assert_allclose(
        inverted.var(axis=0, ddof=1), state_variances(reads, CONFUSIONS).mean(axis=0) / 2000, rtol=0.15
    )


def test_calibration_finds_each_qubits_errors():
    machine = HistogramMachine(readout=(*QUBITS, Readout(0.03, 0.0)))
    found = calibrate_readout(machine, 4, 40000, seed=3)
    wanted = [*QUBITS, Readout(0.03, 0.0)]
    for one, truth in zip(found.qubits, wanted, strict=True):
        for measured, true in ((one.one_from_zero, truth.one_from_zero), (one.zero_from_one, truth.zero_from_one)):
            assert abs(measured - true) <= 5 * np.sqrt(true * (1 - true) / 40000)
    assert found.target == "histogram machine"
    assert found.age() < timedelta(minutes=1)
    (job,) = machine.jobs
    assert job.as_written
    assert all(part.circuit.operations for part in job.parts)


@pytest.mark.parametrize("n_qubits", [1, 2, 3, 5])
def test_calibration_of_an_exact_machine_is_exact(n_qubits):
    noise = NoiseModel(readout=Readout(0.04, 0.07))
    found = calibrate_readout(NoisySimulator(noise_model=noise), n_qubits, None)
    assert len(found.qubits) == n_qubits
    for readout in found.qubits:
        assert (readout.one_from_zero, readout.zero_from_one) == (pytest.approx(0.04), pytest.approx(0.07))


def test_what_cannot_be_corrected_is_refused():
    with pytest.raises(ConfigurationError, match="no better than guessing"):
        ReadoutCalibration((Readout(0.4, 0.6),))
    with pytest.raises(ConfigurationError, match="qubit 3 is in use"):
        ReadoutCalibration(QUBITS).confusions((0, 3))
    with pytest.raises(ConfigurationError, match="when it was measured"):
        ReadoutCalibration(QUBITS).age()
    old = ReadoutCalibration(QUBITS, measured_at="2026-01-01T00:00:00+00:00")
    assert old.age(datetime(2026, 1, 2, tzinfo=UTC)) == timedelta(days=1)
