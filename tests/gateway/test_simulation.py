"""Circuits on the wire, run: exactly, with noise, in any width, and in pieces."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np
import pytest
from scipy.stats import chisquare

from quantum_db.circuits.ionq import WireCircuit, WireError, read_input
from quantum_db.errors import CircuitError, ConfigurationError
from quantum_db.gateway import simulation
from quantum_db.gateway.simulation import largest_qubits, machine_noise, run_exact, run_noisy
from quantum_db.simulation.noise import NoiseModel, Readout

H = {"gate": "h", "target": 0}


def read(*circuits: list[dict[str, Any]], **fields: Any) -> tuple[WireCircuit, ...]:
    body = {**fields, "circuits": [{"circuit": gates} for gates in circuits]}
    return read_input("ionq.multi-circuit.v1", body).circuits


def rotated(angle: float, qubits: int) -> list[dict[str, Any]]:
    gates: list[dict[str, Any]] = [
        {"gate": "ry", "target": qubit, "rotation": angle * (qubit + 1)} for qubit in range(qubits)
    ]
    return gates + [{"gate": "cnot", "control": qubit, "target": qubit + 1} for qubit in range(qubits - 1)]


def p_value(counts: dict[str, int], probabilities: dict[str, float], shots: int) -> float:
    assert set(counts) <= set(probabilities)
    observed = np.array([counts.get(key, 0) for key in probabilities])
    wanted = np.array(list(probabilities.values()))
    return float(chisquare(observed, wanted / wanted.sum() * shots).pvalue)


def test_exact_results_are_in_order_and_only_hold_outcomes_that_occur() -> None:
    circuits = read(
        [{"gate": "x", "target": 2}], [H], [], [{"gate": "x", "target": 0}], [H, {"gate": "t", "target": 0}]
    )
    found = run_exact(circuits)
    assert [set(histogram) for histogram in found] == [{"4"}, {"0", "1"}, {"0"}, {"1"}, {"0", "1"}]
    assert all(sum(histogram.values()) == pytest.approx(1, abs=1e-12) for histogram in found)


def test_a_batch_gives_what_its_circuits_give_alone() -> None:
    circuits = read(*(rotated(0.1 * number, 3 + number % 2) for number in range(10)))
    for circuit, histogram in zip(circuits, run_exact(circuits), strict=True):
        (alone,) = run_exact([circuit])
        assert alone.keys() == histogram.keys()
        assert list(alone.values()) == pytest.approx(list(histogram.values()), abs=1e-14)


def test_circuits_without_numbers_each_get_a_result() -> None:
    assert run_exact(read([H], [H], [H])) == [run_exact(read([H]))[0]] * 3


def test_only_active_qubits_are_simulated() -> None:
    circuits = read([{"gate": "h", "target": 28}, {"gate": "cnot", "control": 28, "target": 3}], qubits=29)
    (found,) = run_exact(circuits)
    assert found == pytest.approx({"0": 0.5, str(2**28 + 2**3): 0.5})


def test_batches_larger_than_the_working_set(monkeypatch: pytest.MonkeyPatch) -> None:
    circuits = read(*(rotated(0.2 * number, 4) for number in range(7)))
    whole, noisy = run_exact(circuits), run_noisy(circuits, machine_noise("aria-1"), 50, seed=1)
    monkeypatch.setattr(simulation, "_WORKING_SET", 2 * 48 * 2**4)  # two states, and less than one density matrix
    assert run_exact(circuits) == whole
    assert run_noisy(circuits, machine_noise("aria-1"), 50, seed=1) == noisy


def test_wide_circuits_agree_with_the_batched_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    circuits = read(rotated(0.3, 6), rotated(0.4, 6))
    monkeypatch.setattr(simulation, "_DIRECT_ROWS", 0)
    prepared = run_exact(circuits)
    monkeypatch.setattr(simulation, "_PREPARED_QUBITS", 1)
    for one, other in zip(prepared, run_exact(circuits), strict=True):
        assert one == pytest.approx(other, abs=1e-13)


def test_single_circuits_agree_with_the_batched_simulator(monkeypatch: pytest.MonkeyPatch) -> None:
    swaps = [{"gate": "swap", "targets": [4, 1], "control": 3}, {"gate": "yy", "targets": [3, 0], "rotation": 0.4}]
    exponential = {"gate": "pauliexp", "targets": [2, 0, 4], "terms": ["XYZ"], "coefficients": [0.7], "time": 0.9}
    circuits = read(rotated(0.3, 5), [*rotated(0.4, 5), *swaps, exponential, *rotated(-0.2, 4)], [H])
    direct = run_exact(circuits)
    monkeypatch.setattr(simulation, "_DIRECT_ROWS", 0)
    for one, other in zip(direct, run_exact(circuits), strict=True):
        assert one == pytest.approx(other, abs=1e-13)


def test_twenty_qubits() -> None:
    ladder = [{"gate": "cnot", "control": qubit, "target": qubit + 1} for qubit in range(19)]
    (found,) = run_exact(read([{"gate": "ry", "target": 0, "rotation": 2 * pi / 3}, *ladder]))
    assert found == pytest.approx({"0": 0.25, str(2**20 - 1): 0.75})


def test_too_many_outcomes_for_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulation, "MAX_OUTCOMES", 7)
    with pytest.raises(WireError, match="8 outcomes, the limit is 7") as caught:
        run_exact(read([{"gate": "h", "target": qubit} for qubit in range(3)]))
    assert caught.value.code == "QuantumCircuitComplexityError"


def test_memory_decides_what_can_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 1 < largest_qubits() <= 29
    monkeypatch.setattr(simulation, "available_bytes", lambda device: 48 * 2**21 + 5)
    assert largest_qubits() == 21
    monkeypatch.setattr("quantum_db.simulation.memory.available_bytes", lambda device: 48 * 2**20)
    with pytest.raises(WireError, match="20 qubits fit") as caught:
        run_exact(read([{"gate": "h", "target": qubit} for qubit in range(21)]))
    assert caught.value.code == "QuantumCircuitComplexityError"


def test_noise_of_a_machine_by_name() -> None:
    assert machine_noise("forte-1").two_qubit == 0.004949333
    for name in ("harmony", "harmony-1", "forte-enterprise-1", "nonsense"):
        with pytest.raises(ConfigurationError, match=r"known: ideal, aria-1, aria-2, forte-1\..* not published"):
            machine_noise(name)


@pytest.mark.parametrize("width", [4, 8])
def test_noisy_counts_follow_the_channel(width: int) -> None:
    # the chance that depolarising after each gate leaves a basis state as it is, worked out by hand
    one, two, shots = 0.1, 0.2, 4000
    noise = NoiseModel("test", one, two)
    gates = [{"gate": "x", "target": qubit} for qubit in range(width)]
    (counts,) = run_noisy(read(gates, qubits=width), noise, shots, seed=3)
    assert sum(counts.values()) == shots
    expected = (1 - one / 2) ** width
    share = counts[str(2**width - 1)] / shots
    assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / shots))
    pair = [*gates, {"gate": "cnot", "control": 0, "target": 1}]
    (counts,) = run_noisy(read(pair, qubits=width), noise, shots, seed=4)
    # after the CNOT qubit 1 is 0; its pair is mixed with the chance `two`
    pure = (1 - one / 2) ** 2 * (1 - two) + two / 4
    expected = pure * (1 - one / 2) ** (width - 2)
    assert counts[str(2**width - 3)] / shots == pytest.approx(expected, abs=4 * np.sqrt(expected / shots))


def test_both_methods_draw_from_one_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    (circuit,) = read(rotated(0.7, 4))
    noise, shots = NoiseModel("test", 0.02, 0.1), 4000
    (density,) = run_noisy([circuit], noise, shots, seed=5)
    monkeypatch.setattr(simulation, "_ALWAYS_DENSITY", 0)
    monkeypatch.setattr(simulation, "_LARGEST_DENSITY", 0)
    (trajectories,) = run_noisy([circuit], noise, shots, seed=5)
    assert sum(trajectories.values()) == shots
    keys = sorted(set(density) | set(trajectories))
    table = np.array([[found.get(key, 0) for key in keys] for found in (density, trajectories)], dtype=float)
    table = table[:, table.sum(axis=0) >= 10]
    means = table.sum(axis=0) / 2
    assert chisquare(table.ravel(), np.concatenate([means, means]), ddof=len(means), sum_check=False).pvalue > 1e-4


@pytest.mark.parametrize("width", [3, 9])
def test_without_noise_samples_follow_the_exact_probabilities(width: int) -> None:
    (circuit,) = read(rotated(1.0, width))
    (exact,) = run_exact([circuit])
    likely = {key: value for key, value in exact.items() if value * 20000 > 5}
    (counts,) = run_noisy([circuit], machine_noise("ideal"), 20000, seed=6)
    kept = {key: count for key, count in counts.items() if key in likely}
    assert p_value(kept, likely, sum(kept.values())) > 1e-4
    assert sum(kept.values()) / 20000 == pytest.approx(sum(likely.values()), abs=0.01)


@pytest.mark.parametrize("width", [2, 9])
def test_counts_depend_on_the_seed_and_the_place_in_the_job_only(width: int) -> None:
    circuits = read(*(rotated(0.5 + 0.1 * (number % 2), width) for number in range(6)), [H])
    noise = machine_noise("aria-2")
    whole = run_noisy(circuits, noise, 60, seed=9)
    assert [sum(counts.values()) for counts in whole] == [60] * 7
    pieces = [run_noisy(circuits[a:b], noise, 60, seed=9, first=a) for a, b in ((0, 1), (1, 4), (4, 7))]
    assert [counts for piece in pieces for counts in piece] == whole
    assert whole[0] != whole[2]  # the same circuit at another place has its own random numbers
    assert run_noisy(circuits, noise, 60, seed=10) != whole


def test_native_rz_is_virtual_and_has_no_noise() -> None:
    gates = [{"gate": "gpi", "target": 0, "phase": 0.1}, {"gate": "ms", "targets": [0, 1], "phases": [0.2, 0.1]}]
    noise, shots = NoiseModel("test", 0.5, 0.0), 20000
    (counts,) = run_noisy(read([gates[0]], gateset="native"), noise, shots, seed=1)
    assert counts["1"] / shots == pytest.approx(0.75, abs=0.015)  # the noise of one gate, not of X and RZ
    (counts,) = run_noisy(read([gates[1]], gateset="native"), noise, shots, seed=1)
    assert set(counts) == {"0", "3"}  # no two-qubit noise, and none of the four RZ
    turned = {"gate": "rz", "target": 0, "rotation": 0.1}
    (counts,) = run_noisy(read([turned]), noise, shots, seed=1)
    assert counts["1"] / shots == pytest.approx(0.25, abs=0.015)  # in the gate set qis RZ is a gate like all others


def test_circuits_without_gates_under_noise() -> None:
    assert run_noisy(read([], [{"gate": "nop", "target": 1}]), machine_noise("aria-1"), 7, seed=0) == [{"0": 7}] * 2


def test_what_cannot_be_sampled() -> None:
    with pytest.raises(CircuitError, match="shots must be a positive integer"):
        run_noisy(read([H]), machine_noise("aria-1"), 0, seed=0)
    with pytest.raises(ConfigurationError, match="has readout errors"):
        run_noisy(read([H]), NoiseModel("own", readout=Readout(0.1, 0.0)), 10, seed=0)
