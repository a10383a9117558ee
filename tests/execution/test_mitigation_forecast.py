"""The forecast against simulated runs: where mitigation helps, and where it makes things worse."""

from __future__ import annotations

import numpy as np
import pytest

from quantum_db.backends.noisy import NoisySimulator
from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, feature, op
from quantum_db.errors import ConfigurationError
from quantum_db.execution.mitigated import MitigatedExecutor, MitigationOptions
from quantum_db.execution.mitigation.readout import ReadoutCalibration
from quantum_db.execution.mitigation_forecast import TYPICAL, Expected, mitigation_forecast
from quantum_db.simulation.noise import NoiseModel, Readout
from tests.suites.executors import MEASURED, rows_of

ROWS = rows_of(MEASURED, 4)
TRUTH = StatevectorExecutor().run(Batch((ROWS,)))[0].values
ZNE = MitigationOptions((1, 3), fit="richardson")


def errors_of_runs(machine, options, shots, runs=60):
    executor = MitigatedExecutor(machine, options)
    many = CircuitRows(MEASURED, np.repeat(ROWS.weights, runs, axis=0), np.repeat(ROWS.features, runs, axis=0))
    (found,) = executor.run(Batch((many,), shots, 3))
    return np.sqrt(np.mean((found.values - np.repeat(TRUTH, runs, axis=0)) ** 2))


@pytest.mark.parametrize(
    ("noise", "shots", "options", "helps"),
    [
        (NoiseModel(one_qubit=0.002, two_qubit=0.04), 20000, ZNE, True),
        (NoiseModel(one_qubit=0.0003, two_qubit=0.005), 100, ZNE, False),
        (NoiseModel(two_qubit=0.03), 2000, MitigationOptions((1, 2, 3), fit="exponential"), False),
        (
            NoiseModel(readout=Readout(0.05, 0.08)), 1000,
            MitigationOptions(readout=ReadoutCalibration((Readout(0.05, 0.08),) * 3)), True,
        ),
    ],
    ids=["strong noise, many shots", "weak noise, few shots", "exponential", "readout"],
)  # fmt: skip
def test_forecast_and_simulated_runs_agree(noise, shots, options, helps):
    forecast = mitigation_forecast(Batch((ROWS,), shots), noise, options)
    machine = NoisySimulator(noise_model=noise)
    plain = errors_of_runs(machine, MitigationOptions(), shots)
    mitigated = errors_of_runs(machine, options, shots)
    assert forecast.method == "simulated"
    assert forecast.plain_error == pytest.approx(plain, rel=0.12)
    assert forecast.mitigated_error == pytest.approx(mitigated, rel=0.12)
    assert forecast.helps is helps
    assert (mitigated < plain) is np.True_ if helps else mitigated > plain


def test_the_shots_from_which_it_helps_are_where_both_errors_meet():
    noise = NoiseModel(one_qubit=0.0003, two_qubit=0.005)
    found = mitigation_forecast(Batch((ROWS,), 100), noise, ZNE)
    assert not found.helps
    assert found.shots_to_help is not None
    below, above = (
        mitigation_forecast(Batch((ROWS,), int(found.shots_to_help * share)), noise, ZNE) for share in (0.9, 1.1)
    )
    assert (below.helps, above.helps) == (False, True)
    assert "makes things worse" in str(below)
    assert "mitigation helps" in str(above)


def test_without_noise_mitigation_never_helps():
    found = mitigation_forecast(Batch((ROWS,), 1000), NoiseModel(), ZNE)
    assert not found.helps
    assert found.shots_to_help is None
    assert found.plain_bias == pytest.approx(0, abs=1e-12)
    assert "never helps here" in str(found)


def test_gate_shots_are_those_that_are_sent():
    found = mitigation_forecast(Batch((ROWS,), 1000), NoiseModel(two_qubit=0.01), MitigationOptions((1, 3)))
    assert found.gate_shots == pytest.approx(2)  # half of the shots once, half three times
    readout = MitigationOptions(readout=ReadoutCalibration((Readout(0.01, 0.01),) * 3))
    assert mitigation_forecast(Batch((ROWS,), 1000), NoiseModel(two_qubit=0.01), readout).gate_shots == 1


def test_large_circuits_are_modelled():
    n, rate = 20, 0.002
    gates = (*(op("RY", wire, angle=feature(0)) for wire in range(n)), *(op("CNOT", k, k + 1) for k in range(n - 1)))
    batch = Batch((CircuitRows.of(Circuit(n, gates, ("Z19", "Z0 Z3")), (), [[0.3]]),), 1000)
    found = mitigation_forecast(batch, NoiseModel(two_qubit=rate), ZNE)
    assert found.method == "modelled"
    kept = (1 - rate) ** 19
    assert found.plain_bias == pytest.approx(TYPICAL * (1 - kept))
    assert found.plain_noise == pytest.approx(np.sqrt((1 - (TYPICAL * kept) ** 2) / 1000))
    assert found.mitigated_bias == pytest.approx(TYPICAL * abs(1.5 * kept - 0.5 * kept**3 - 1))
    with pytest.raises(ConfigurationError, match="probabilities of 20 qubits"):
        mitigation_forecast(Batch((CircuitRows.of(Circuit(n, gates), (), [[0.3]]),), 10), NoiseModel(), ZNE)


def test_the_model_is_exact_for_noise_that_reaches_everything():
    """Two-qubit gates on both qubits of a circuit: the factor of the model is that of the density matrix."""
    from quantum_db.execution.mitigation_forecast import Modelled

    circuit = Circuit(2, (op("RXX", 0, 1, angle=np.pi / 3), op("CNOT", 0, 1), op("RZZ", 0, 1, angle=0.2)), ("Z0",))
    noise = NoiseModel(two_qubit=0.03, readout=Readout(0.02, 0.02))
    batch = Batch((CircuitRows.of(circuit),), 100)
    (simulated,), (modelled,) = Expected(noise).run(batch), Modelled(noise).run(batch)
    assert np.cos(np.pi / 3) == pytest.approx(TYPICAL)
    np.testing.assert_allclose(simulated.values, modelled.values, atol=1e-12)


def test_a_forecast_needs_shots_and_circuits():
    for batch in (Batch((ROWS,)), Batch((), 100)):
        with pytest.raises(ConfigurationError, match="needs a batch with shots"):
            mitigation_forecast(batch, NoiseModel(), ZNE)
