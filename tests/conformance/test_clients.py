"""The unmodified clients of IonQ's API against a running gateway; what they get is held against cirq's simulators."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from math import pi
from typing import Any

import cirq
import numpy as np
import pytest
from scipy.stats import chi2

from tests.conformance.circuits import CIRCUITS, NATIVE, SHIFTED
from tests.conformance.conftest import ask

CLIENTS = ("cirq", "qiskit", "pennylane", "ionq_core")
EXACT = 1e-6
NOISE = {1: 0.0005, 2: 0.0133}
"""Depolarizing rates of aria-1 for gates on one and two qubits."""

_FIXED = {
    "x": cirq.X, "y": cirq.Y, "z": cirq.Z, "h": cirq.H, "s": cirq.S, "si": cirq.S**-1, "t": cirq.T, "ti": cirq.T**-1,
    "v": cirq.X**0.5, "vi": cirq.X**-0.5, "cnot": cirq.CNOT, "swap": cirq.SWAP,
}  # fmt: skip
_ROTATIONS = {"rx": cirq.rx, "ry": cirq.ry, "rz": cirq.rz}
_INTERACTIONS = {"xx": cirq.XXPowGate, "yy": cirq.YYPowGate, "zz": cirq.ZZPowGate}


def _native(name: str, angle: Any) -> cirq.Gate:
    """Native gates from their matrices in IonQ's documentation; angles in turns."""
    if name == "ms":
        a, b, theta = angle
        up, down = np.exp(2j * pi * (a + b)), np.exp(2j * pi * (a - b))
        cos, sin = np.cos(pi * theta), -1j * np.sin(pi * theta)
        return cirq.MatrixGate(
            np.array(
                [
                    [cos, 0, 0, sin / up],
                    [0, cos, sin / down, 0],
                    [0, sin * down, cos, 0],
                    [sin * up, 0, 0, cos],
                ]
            )
        )
    turn = np.exp(2j * pi * angle)
    if name == "gpi":
        return cirq.MatrixGate(np.array([[0, 1 / turn], [turn, 0]]))
    return cirq.MatrixGate(np.array([[1, -1j / turn], [-1j * turn, 1]]) / np.sqrt(2))


def _gate(name: str, angle: Any = None) -> cirq.Gate:
    if name in _FIXED:
        return _FIXED[name]
    if name in _ROTATIONS:
        return _ROTATIONS[name](angle)
    if name in _INTERACTIONS:
        return _INTERACTIONS[name](exponent=angle / pi)
    return _native(name, angle)


def _operations(form: Mapping[str, Any]) -> list[cirq.Operation]:
    wires = cirq.LineQubit.range(form["qubits"])
    return [_gate(name, *angle).on(*(wires[w] for w in on)) for name, on, *angle in form["gates"]]


def expected(form: Mapping[str, Any]) -> dict[str, float]:
    """The exact probabilities of bit strings with qubit 0 first."""
    wires = cirq.LineQubit.range(form["qubits"])
    state = cirq.Simulator(dtype=np.complex128).simulate(cirq.Circuit(_operations(form)), qubit_order=wires)
    shares = np.abs(state.final_state_vector) ** 2
    return {format(i, f"0{len(wires)}b"): float(p) for i, p in enumerate(shares)}


def expected_noisy(form: Mapping[str, Any]) -> dict[str, float]:
    """The same with IonQ's depolarizing noise of aria-1 after every gate, by cirq's density matrices."""
    wires = cirq.LineQubit.range(form["qubits"])
    noisy: list[cirq.Operation] = []
    for operation in _operations(form):
        count = len(operation.qubits)
        paulis = ["".join(letters) for letters in product("IXYZ", repeat=count)]
        share = NOISE[count] / len(paulis)
        chances = {p: share + (1 - NOISE[count] if p == "I" * count else 0.0) for p in paulis}
        noisy += [operation, cirq.asymmetric_depolarize(error_probabilities=chances).on(*operation.qubits)]
    result = cirq.DensityMatrixSimulator(dtype=np.complex128).simulate(cirq.Circuit(noisy), qubit_order=wires)
    shares = np.real(np.diag(result.final_density_matrix))
    return {format(i, f"0{len(wires)}b"): float(p) for i, p in enumerate(shares)}


def agree(found: Mapping[str, float], wanted: Mapping[str, float], atol: float = EXACT) -> None:
    """Every outcome within `atol`, those that are not there counting as 0."""
    assert set(found) <= set(wanted)
    assert sum(found.values()) == pytest.approx(1, abs=1e-5)
    for bits, share in wanted.items():
        assert found.get(bits, 0.0) == pytest.approx(share, abs=atol), bits


def agree_in_the_mean(counts: Mapping[str, int], wanted: Mapping[str, float]) -> None:
    """Pearson's chi-square test of counts against probabilities; rare outcomes are taken together."""
    shots = sum(counts.values())
    common = {bits for bits, p in wanted.items() if p * shots >= 5}
    pairs = [(counts.get(bits, 0), wanted[bits] * shots) for bits in common]
    seen = shots - sum(n for n, _ in pairs)
    rest = sum(p for bits, p in wanted.items() if bits not in common) * shots
    if rest >= 5:
        pairs.append((seen, rest))
    else:
        assert seen <= 20
    statistic = sum((n - m) ** 2 / m for n, m in pairs)
    assert chi2.sf(statistic, len(pairs) - 1) > 1e-4


@pytest.mark.parametrize("client", CLIENTS)
def test_exact_results_of_single_circuits(running: str, client: str) -> None:
    answers = ask(client, running, "single", "native")
    for name, form in CIRCUITS.items():
        if client == "qiskit":  # it drops outcomes that its own samples missed
            wanted = {bits: p for bits, p in expected(form).items() if bits in answers["single"][name]}
            assert sum(wanted.values()) > 0.999
            for bits, p in wanted.items():
                assert answers["single"][name][bits] == pytest.approx(p, abs=EXACT)
        else:
            agree(answers["single"][name], expected(form))
    if client == "qiskit":
        for bits, share in answers["native"].items():
            assert share == pytest.approx(expected(NATIVE)[bits], abs=EXACT)
        assert sum(answers["native"].values()) > 0.999
    else:
        agree(answers["native"], expected(NATIVE))


@pytest.mark.parametrize("client", ["cirq", "qiskit", "ionq_core"])
def test_batches_keep_order_and_bits_and_are_found_by_another_process(running: str, client: str) -> None:
    answers = ask(client, running, "batch", "submit")
    later = ask(client, running, "retrieve", job_id=answers["submit"])["retrieve"]
    for found in (answers["batch"], later):
        assert list(found) == list(CIRCUITS)
        for name, form in CIRCUITS.items():
            wanted = expected(form)
            assert sum(found[name].values()) > 0.999
            for bits, share in found[name].items():
                assert share == pytest.approx(wanted[bits], abs=EXACT), (name, bits)


@pytest.mark.parametrize("client", ["cirq", "qiskit"])
def test_sampled_counts_follow_the_distribution(running: str, client: str) -> None:
    counts = ask(client, running, "sampled")["sampled"]
    for name, form in CIRCUITS.items():
        assert sum(counts[name].values()) == 4000
        agree_in_the_mean(counts[name], expected(form))


@pytest.mark.parametrize("client", CLIENTS)
def test_noise_models_follow_the_density_matrix(running: str, client: str) -> None:
    answer = ask(client, running, "noise")["noise"]
    assert sum(answer["counts"].values()) == 4000
    agree_in_the_mean(answer["counts"], expected_noisy(CIRCUITS["ladder"]))
    if client == "cirq":
        assert answer["again"] == answer["counts"], "the same seed gives the same shots"


def test_cirq_compiles_to_native_gates(running: str) -> None:
    found = ask("cirq", running, "compiled_native")["compiled_native"]
    for machine in ("aria", "forte"):
        agree(found[machine], expected(CIRCUITS["ladder"]))


@pytest.mark.parametrize("client", ["cirq", "pennylane"])
def test_a_played_machine_answers_shares_of_shots(running: str, client: str) -> None:
    counts = ask(client, running, "qpu")["qpu"]
    assert sum(counts.values()) == 1000
    assert max(counts, key=lambda bits: counts[bits]) == max(
        (wanted := expected(CIRCUITS["one_hot"])), key=lambda bits: wanted[bits]
    )


def _gradient() -> list[float]:
    """By finite differences of cirq's exact expectation value of Z on qubit 1."""

    def value(angles: list[float]) -> float:
        a, b, c = angles
        form = {"qubits": 2, "gates": [["ry", [0], a], ["rx", [1], b], ["cnot", [0, 1]], ["ry", [1], c]]}
        return sum(p * (1 - 2 * int(bits[1])) for bits, p in expected(form).items())

    angles, step, found = SHIFTED["angles"], 1e-5, []
    for i in range(3):
        up, down = ([x + sign * step * (j == i) for j, x in enumerate(angles)] for sign in (1, -1))
        found.append((value(up) - value(down)) / (2 * step))
    return found


def test_parameter_shift_gradients(running: str) -> None:
    exact = _gradient()
    assert min(map(abs, exact)) > 0.01
    assert ask("cirq", running, "gradient")["gradient"] == pytest.approx(exact, abs=EXACT)
    # 100,000 shots: five standard errors of a difference of two means of values within [-1, 1]
    assert ask("pennylane", running, "gradient")["gradient"] == pytest.approx(exact, abs=5 * np.sqrt(0.5 / 1e5))


def test_pennylane_runs_tapes_as_one_batch(running: str) -> None:
    values = ask("pennylane", running, "batch")["batch"]
    wanted = []
    for angles in (SHIFTED["angles"], SHIFTED["angles"][::-1]):
        a, b, c = angles
        form = {"qubits": 2, "gates": [["ry", [0], a], ["rx", [1], b], ["cnot", [0, 1]], ["ry", [1], c]]}
        wanted.append(sum(p * (1 - 2 * int(bits[1])) for bits, p in expected(form).items()))
    assert values == pytest.approx(wanted, abs=5 / np.sqrt(1e5))


def test_qiskit_knows_the_width_and_sends_padded_and_controlled_circuits(running: str) -> None:
    answers = ask("qiskit", running, "width", "padded", "controlled")
    assert answers["width"] == {"simulator": 29, "qpu.forte-1": 36}
    wanted = expected(CIRCUITS["ladder"])
    for bits, share in answers["padded"].items():
        assert share == pytest.approx(wanted[bits], abs=EXACT)
    for bits, share in answers["controlled"]["found"].items():
        assert share == pytest.approx(answers["controlled"]["expected"][bits], abs=EXACT)


@pytest.mark.parametrize("client", ["cirq", "qiskit", "ionq_core"])
def test_a_waiting_job_is_canceled(waiting: str, client: str) -> None:
    answer = ask(client, waiting, "cancel")["cancel"]
    assert answer["after"].lower() in ("canceled", "cancelled")
    assert answer.get("before", "submitted").lower() in ("submitted", "ready", "initializing", "queued")


@pytest.mark.parametrize(("client", "gone"), [("cirq", "gone"), ("ionq_core", 404)])
def test_a_deleted_job_is_gone(running: str, client: str, gone: object) -> None:
    assert ask(client, running, "delete")["delete"] == gone


def test_lists_end(running: str) -> None:
    """cirq re-reads the first page for ever where `next` is null; ionq-core fails where it is missing."""
    ask("cirq", running, "single")
    listed = ask("cirq", running, "listed")["listed"]
    assert len(listed) == len(set(listed)) == 3
    every = ask("ionq_core", running, "listed")["listed"]
    assert len(every) == len(set(every)) >= len(CIRCUITS)


def test_errors_reach_the_clients_as_their_own(running: str) -> None:
    assert ask("cirq", running, "errors")["errors"] == [["IonQException", 401], ["IonQNotFoundException", 404]]
    assert ask("ionq_core", running, "errors")["errors"] == ["AuthenticationError", 401]


def test_ionq_core_reads_machines_costs_sessions_and_artifacts(running: str) -> None:
    answers = ask("ionq_core", running, "whoami", "backends", "artifacts", "cost", "session")
    assert set(answers["whoami"]) >= {"key_id", "key_name"}
    assert answers["backends"]["qubits"]["qpu.forte-1"] == 36
    assert answers["backends"]["characterizations"] == 200
    assert answers["artifacts"]
    assert set(answers["artifacts"].values()) == {200}
    assert answers["cost"]["dry_run"]["dry_run"] is True
    assert answers["cost"]["dry_run"]["estimated_cost"]["value"] > 0
    assert answers["session"] == {"second": 400, "jobs": 1}
