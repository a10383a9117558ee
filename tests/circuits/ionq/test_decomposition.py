"""Every gate with every number of controls against its matrix."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np
import pytest
import torch
from scipy.linalg import expm

from quantum_db.circuits.gates import PAULI, kron
from quantum_db.simulation.statevector import simulate
from quantum_db.simulation.threads import threads_for
from tests.circuits.ionq.references import MATRICES, difference, embedded, read_one, rotation, unitary

QUBITS = 5


def checked(gate: dict[str, Any], matrix: np.ndarray, targets: list[int], controls: list[int]) -> None:
    everywhere = [{"gate": "h", "target": qubit} for qubit in range(QUBITS)]  # all qubits active, in wire order
    circuit = read_one([*everywhere, gate], qubits=QUBITS)
    start = embedded(kron(*[MATRICES["h"]] * QUBITS), list(range(QUBITS)), [], QUBITS)
    assert difference(unitary(circuit), embedded(matrix, targets, controls, QUBITS) @ start) < 1e-12


@pytest.mark.parametrize("controls", [[], [4], [0, 4], [4, 0, 3], [0, 1, 3, 4]])
@pytest.mark.parametrize("name", sorted(set(MATRICES) - {"swap"}))
def test_fixed_gates(name: str, controls: list[int]) -> None:
    checked({"gate": name, "target": 2, "controls": controls}, MATRICES[name], [2], controls)


@pytest.mark.parametrize("controls", [[], [4], [0, 4], [4, 0, 3], [0, 1, 3, 4]])
@pytest.mark.parametrize("letter", "XYZ")
def test_rotations(letter: str, controls: list[int]) -> None:
    gate = {"gate": f"r{letter.lower()}", "targets": [2], "controls": controls, "rotation": 0.7}
    checked(gate, rotation(letter, 0.7), [2], controls)


@pytest.mark.parametrize("controls", [[], [4], [0, 4], [4, 0, 3], [0, 1, 3, 4]])
def test_z_with_a_rotation_is_a_phase_gate(controls: list[int]) -> None:
    gate = {"gate": "z", "targets": [2], "controls": controls, "rotation": -1.3}
    checked(gate, np.diag([1, np.exp(-1.3j)]), [2], controls)


@pytest.mark.parametrize("controls", [[], [4], [4, 0], [0, 2, 4]])
@pytest.mark.parametrize("letter", "XYZ")
def test_ising_gates(letter: str, controls: list[int]) -> None:
    gate = {"gate": 2 * letter.lower(), "targets": [3, 1], "controls": controls, "rotation": 1.1}
    checked(gate, rotation(2 * letter, 1.1), [3, 1], controls)


@pytest.mark.parametrize("controls", [[], [4], [4, 0], [0, 2, 4]])
def test_swap(controls: list[int]) -> None:
    checked({"gate": "swap", "targets": [3, 1], "controls": controls}, MATRICES["swap"], [3, 1], controls)


@pytest.mark.parametrize("controls", [[0], [0, 3], [4, 1, 0]])
def test_cnot(controls: list[int]) -> None:
    checked({"gate": "cnot", "controls": controls, "target": 2}, MATRICES["x"], [2], controls)


@pytest.mark.parametrize("controls", [[], [4], [4, 2]])
@pytest.mark.parametrize("terms", [["X"], ["II"], ["XY"], ["IZ"], ["ZYX"], ["YIX", "YZI", "IIX"], ["ZZI", "XXI"]])
def test_pauliexp_is_the_exponential_of_its_terms(terms: list[str], controls: list[int]) -> None:
    targets = [3, 0, 1][: len(terms[0])]
    coefficients = [0.8 - 0.5 * number for number in range(len(terms))]
    gate = {"gate": "pauliexp", "terms": terms, "coefficients": coefficients, "time": 0.9, "targets": targets,
            "controls": controls}  # fmt: skip
    # little-endian: the last letter is that of the first target
    words = [kron(*(PAULI[letter] for letter in reversed(term))) for term in terms]
    generator = sum(c * word for c, word in zip(coefficients, words, strict=True))
    checked(gate, expm(-0.9j * np.asarray(generator)), targets, controls)


def test_seven_controls() -> None:
    controls = [7, 5, 0, 1, 2, 6, 3]
    circuit = read_one([{"gate": "ry", "target": 4, "controls": controls, "rotation": 0.4}], qubits=8)
    everything = torch.eye(2**8, dtype=torch.complex128)  # each basis state in turn, the columns of the matrix
    weights, features = torch.zeros(0, dtype=torch.float64), torch.tensor(circuit.angles)[None]
    with threads_for(8, 1):
        found = simulate(circuit.structure.circuit, weights, features.expand(2**8, -1), everything).T.numpy()
    assert difference(found, embedded(rotation("Y", 0.4), [4], controls, 8)) < 1e-12


def test_native_gates_in_turns() -> None:
    turn = 2 * pi
    gpi = np.array([[0, np.exp(-0.3j * turn)], [np.exp(0.3j * turn), 0]])
    assert difference(unitary(read_one([{"gate": "gpi", "target": 0, "phase": 0.3}], gateset="native")), gpi) < 1e-12
    gpi2 = np.array([[1, -1j * np.exp(-0.3j * turn)], [-1j * np.exp(0.3j * turn), 1]]) / np.sqrt(2)
    assert difference(unitary(read_one([{"gate": "gpi2", "target": 0, "phase": 0.3}], gateset="native")), gpi2) < 1e-12
    ms = [{"gate": "ms", "targets": [0, 1], "phases": [0.1, 0.3], "angle": 0.2}]
    frame = kron(rotation("Z", 0.1 * turn), rotation("Z", 0.3 * turn))
    wanted = frame @ rotation("XX", 0.2 * turn) @ frame.conj().T
    assert difference(unitary(read_one(ms, gateset="native")), wanted) < 1e-12
    for key in ("phase", "angle"):
        zz = read_one([{"gate": "zz", "targets": [0, 1], key: 0.15}], gateset="native")
        assert difference(unitary(zz), rotation("ZZ", 0.15 * turn)) < 1e-12


def test_the_angle_of_ms_is_a_quarter_turn_by_default() -> None:
    given = {"gate": "ms", "targets": [1, 0], "phases": [0.1, 0.3]}
    by_default, said = (read_one([{**given, **more}], gateset="native") for more in ({}, {"angle": 0.25}))
    assert difference(unitary(by_default), unitary(said)) < 1e-14
