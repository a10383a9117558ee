"""Mitigated values against known channels, and their errors against the spread of samples."""

from __future__ import annotations

import numpy as np
import pytest

from quantum_db.backends.noisy import NoisySimulator
from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, feature, op
from quantum_db.circuits.observables import PauliString
from quantum_db.errors import BackendError, ConfigurationError
from quantum_db.execution.mitigated import MitigatedExecutor, MitigationOptions
from quantum_db.execution.mitigation.extrapolation import fit_weights
from quantum_db.execution.mitigation.readout import ReadoutCalibration
from quantum_db.simulation.noise import NoiseModel, Readout
from tests.execution.machines import HistogramMachine
from tests.suites.executors import COUNTED, MEASURED, rows_of

# Two-qubit gates only, on both qubits of the circuit: their depolarizing noise commutes with everything, so with g
# gates every Pauli string shrinks by exactly (1 - rate)^g.
GLOBAL = Circuit(
    2,
    (
        op("RXX", 0, 1, angle=0.9),
        op("CRY", 0, 1, angle=feature(0)),
        op("RZZ", 1, 0, angle=0.4),
        op("RXX", 0, 1, angle=-0.3),
    ),
    ("Z0", "Z1", "Z0 Z1"),
)
ROWS = CircuitRows.of(GLOBAL, (), [[0.7], [1.9]])
TRUTH = StatevectorExecutor().run(Batch((ROWS,)))[0].values


def mitigated(rate, **options):
    machine = NoisySimulator(noise_model=NoiseModel(two_qubit=rate))
    return MitigatedExecutor(machine, MitigationOptions(**options)).run(Batch((ROWS,)))[0].values


@pytest.mark.parametrize("folding", ["global", "gates"])
@pytest.mark.parametrize("factors", [(1, 3, 5), (1, 1.5, 2), (1, 2, 3, 4)])
@pytest.mark.parametrize("fit", ["linear", "polynomial", "richardson"])
def test_a_depolarizing_channel_is_extrapolated_as_its_formula_says(folding, factors, fit):
    rate, gates = 0.02, 4
    found = mitigated(rate, factors=factors, folding=folding, fit=fit)
    shrunk = [(1 - rate) ** (gates * factor) for factor in factors]
    np.testing.assert_allclose(found, TRUTH * (fit_weights(factors, fit) @ shrunk), atol=1e-12)


@pytest.mark.parametrize(
    ("options", "order"),
    [
        ({"factors": (1, 3), "fit": "linear"}, 2),
        ({"factors": (1, 3, 5), "fit": "polynomial", "degree": 2}, 3),
        ({"factors": (1, 2, 3, 5), "fit": "richardson"}, 4),
    ],
)
def test_what_is_left_is_of_the_order_of_the_fit(options, order):
    errors = [np.abs(mitigated(rate, **options) - TRUTH).max() for rate in (0.02, 0.01)]
    assert np.log2(errors[0] / errors[1]) == pytest.approx(order, abs=0.2)
    plain = np.abs(mitigated(0.01) - TRUTH).max()
    assert errors[1] < plain / 5


@pytest.mark.parametrize("factors", [(1, 3), (1, 1.5, 2, 3)])
def test_an_exponential_recovers_a_depolarizing_channel_exactly(factors):
    np.testing.assert_allclose(mitigated(0.05, factors=factors, fit="exponential"), TRUTH, atol=1e-7)


def test_probabilities_are_extrapolated_to_a_distribution():
    rows = CircuitRows.of(GLOBAL.measuring(()), (), [[0.7], [1.9]])
    machine = NoisySimulator(noise_model=NoiseModel(two_qubit=0.05))
    (found,) = MitigatedExecutor(machine, MitigationOptions((1, 3), fit="exponential")).run(Batch((rows,)))
    (truth,) = StatevectorExecutor().run(Batch((rows,)))
    np.testing.assert_allclose(found.values, truth.values, atol=1e-7)
    (linear,) = MitigatedExecutor(machine, MitigationOptions((1, 3, 5), fit="richardson")).run(Batch((rows,), 50, 1))
    assert linear.values.min() >= 0
    np.testing.assert_allclose(linear.values.sum(axis=1), 1)


@pytest.mark.parametrize("fit", ["linear", "richardson", "exponential"])
def test_noise_on_all_gates_in_all_bases_is_mostly_removed(fit):
    rows = rows_of(MEASURED, 5)
    truth = StatevectorExecutor().run(Batch((rows,)))[0].values
    machine = NoisySimulator(noise_model=NoiseModel(one_qubit=0.001, two_qubit=0.01))
    plain, better = (
        MitigatedExecutor(machine, options).run(Batch((rows,)))[0].values
        for options in (MitigationOptions(), MitigationOptions((1, 2, 3), fit=fit))
    )
    assert np.sqrt(np.mean((better - truth) ** 2)) < np.sqrt(np.mean((plain - truth) ** 2)) / 2.5


def test_the_change_of_basis_is_folded_too():
    circuit = Circuit(1, (op("RZ", 0, angle=0.3),), (PauliString.of("X0", 2.0),))
    batch = MitigatedExecutor(StatevectorExecutor(), MitigationOptions((1, 3))).expand(
        Batch((CircuitRows.of(circuit),))
    )
    first, folded = (part.circuit for part in batch.parts)
    assert [operation.gate for operation in first.operations] == ["RZ", "H"]
    assert [operation.gate for operation in folded.operations] == ["RZ", "H", "H", "RZ", "RZ", "H"]
    assert folded.observables == (PauliString.of("Z0"),)


def test_all_factors_are_one_batch_with_the_shots_divided_and_the_compiler_off():
    machine = HistogramMachine()
    executor = MitigatedExecutor(machine, MitigationOptions((1, 3, 5)))
    batch = Batch((rows_of(MEASURED, 2), rows_of(COUNTED, 2)), 100, 4)
    executor.run(batch)
    (job,) = machine.jobs
    assert (job.shots, job.seed, job.as_written) == (33, 4, True)
    assert not executor.differentiable
    MitigatedExecutor(machine, MitigationOptions()).run(batch)
    assert (machine.jobs[1].shots, machine.jobs[1].as_written) == (100, False)
    with pytest.raises(ConfigurationError, match="2 shots cannot be divided among 3"):
        executor.run(Batch(batch.parts, 2))


QUBITS = (Readout(0.02, 0.09), Readout(0.05, 0.01), Readout(0.0, 0.12))


@pytest.mark.parametrize("circuit", [MEASURED, MEASURED.measuring(("Z0 Z1 Z2", "Z1", "X0 Z2", "I")), COUNTED])
def test_asymmetric_readout_errors_of_each_qubit_are_taken_back_exactly(circuit):
    observables = tuple(PauliString(o.factors, 1.5) for o in circuit.observables)
    rows = rows_of(circuit.measuring(observables), 4)
    machine = HistogramMachine(readout=QUBITS)
    options = MitigationOptions(readout=ReadoutCalibration(QUBITS))
    (plain,) = machine.run(Batch((rows,)))
    (found,) = MitigatedExecutor(machine, options).run(Batch((rows,)))
    (truth,) = StatevectorExecutor().run(Batch((rows,)))
    np.testing.assert_allclose(found.values, truth.values, atol=1e-10)
    assert np.abs(plain.values - truth.values).max() > 0.01


def test_readout_and_gates_are_mitigated_together():
    readout = Readout(0.03, 0.06)
    machine = NoisySimulator(noise_model=NoiseModel(two_qubit=0.05, readout=readout))
    options = MitigationOptions((1, 3), fit="exponential", readout=ReadoutCalibration((readout,) * 2))
    (found,) = MitigatedExecutor(machine, options).run(Batch((ROWS,)))
    np.testing.assert_allclose(found.values, TRUTH, atol=1e-7)


def test_readout_is_corrected_on_thirty_six_qubits_by_the_marginals_of_the_observables():
    n = 36
    circuit = Circuit(n, (op("X", 0), op("X", 35)), ("Z0", "Z0 Z1 Z35", "Z35"))
    asked = MitigatedExecutor(
        HistogramMachine(), MitigationOptions(readout=ReadoutCalibration((Readout(0.01, 0.02),) * n))
    ).expand(Batch((CircuitRows.of(circuit),)))
    assert len(asked.parts[0].circuit.observables) == 8


@pytest.mark.parametrize(
    "options",
    [
        MitigationOptions((1, 2, 3), fit="linear"),
        MitigationOptions((1, 3), fit="richardson", folding="gates"),
        MitigationOptions((1, 3), fit="exponential"),
        MitigationOptions(readout=ReadoutCalibration((Readout(0.03, 0.06),) * 2)),
        MitigationOptions((1, 3), readout=ReadoutCalibration((Readout(0.03, 0.06),) * 2)),
    ],
    ids=["linear", "richardson", "exponential", "readout", "both"],
)
def test_standard_errors_are_the_spread_of_samples(options):
    machine = NoisySimulator(noise_model=NoiseModel(two_qubit=0.03, readout=Readout(0.03, 0.06)))
    rows = CircuitRows.of(GLOBAL, (), np.full((400, 1), 0.7))
    (found,) = MitigatedExecutor(machine, options).run(Batch((rows,), 1200, 5))
    spread = found.values.std(axis=0, ddof=1)
    stated = np.sqrt(np.mean(found.standard_errors**2, axis=0))
    np.testing.assert_allclose(spread, stated, rtol=0.15)  # the error of a spread of 400 is 0.035; four of it


def test_too_few_gates_for_a_factor_are_refused():
    circuit = Circuit(1, (op("RX", 0, angle=0.4),), ("Z0",))
    executor = MitigatedExecutor(StatevectorExecutor(), MitigationOptions((1, 1.2)))
    with pytest.raises(ConfigurationError, match="few gates cannot be folded by every factor"):
        executor.run(Batch((CircuitRows.of(circuit),)))


def test_wide_observables_are_refused_for_readout_correction():
    n = 12
    circuit = Circuit(n, (op("X", 0),), (" ".join(f"Z{wire}" for wire in range(n)),))
    calibration = ReadoutCalibration((Readout(0.01, 0.01),) * n)
    with pytest.raises(ConfigurationError, match="readout correction of 12 qubits"):
        MitigatedExecutor(StatevectorExecutor(), MitigationOptions(readout=calibration)).run(
            Batch((CircuitRows.of(circuit),))
        )


def test_incomplete_results_are_refused():
    class Losing(HistogramMachine):
        def run(self, batch):
            return super().run(batch)[:-1]

    with pytest.raises(BackendError, match="6 parts were run, but 5 came back"):
        MitigatedExecutor(Losing(), MitigationOptions((1, 3, 5))).run(Batch((rows_of(MEASURED, 1),)))


@pytest.mark.parametrize(
    "options", [{"factors": (1,)}, {"factors": (0.5, 2)}, {"factors": (1, 3), "fit": "magic"}, {"folding": "sideways"}]
)
def test_impossible_options_are_refused(options):
    with pytest.raises(ConfigurationError):
        MitigationOptions(**options)
