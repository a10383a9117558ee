"""The forms in which clients write gates and circuits, what they count for, and what a batch shares."""

from __future__ import annotations

import copy
import json
from math import pi
from typing import Any

import numpy as np
import pytest

from quantum_db.circuits.ionq import WireError, WireLimits, read_input
from tests.circuits.ionq.references import difference, read_one, unitary

MULTI = "ionq.multi-circuit.v1"


def layers(rng: np.random.Generator, depth: int = 2) -> list[dict[str, Any]]:
    gates: list[dict[str, Any]] = []
    for _ in range(depth):
        gates += [{"gate": "ry", "targets": [qubit], "rotation": float(rng.uniform(-3, 3))} for qubit in range(4)]
        gates += [{"gate": "cnot", "control": qubit, "target": (qubit + 1) % 4} for qubit in range(4)]
    return gates


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"gate": "x", "target": 1}, {"gate": "x", "targets": [1]}),
        ({"gate": "not", "target": 1}, {"gate": "x", "target": [1]}),
        ({"gate": "cnot", "control": 0, "target": 1}, {"gate": "cnot", "controls": [0], "targets": [1]}),
        ({"gate": "cnot", "control": 0, "target": 1}, {"gate": "x", "controls": [0], "targets": [1]}),
        ({"gate": "sdg", "target": 1}, {"gate": "si", "target": 1, "controls": []}),
        ({"gate": "sx", "target": 1}, {"gate": "v", "target": 1, "controls": None, "rotation": None}),
        ({"gate": "sxdg", "target": 1}, {"gate": "vi", "target": 1}),
        ({"gate": "tdg", "target": 1}, {"gate": "ti", "target": 1}),
        ({"gate": "z", "target": 1, "rotation": pi}, {"gate": "z", "target": 1}),
        ({"gate": "rx", "target": 1, "rotation": 1}, {"gate": "rx", "target": 1, "rotation": 1.0, "label": "a"}),
    ],
)
def test_forms_that_mean_the_same(one: dict[str, Any], other: dict[str, Any]) -> None:
    first = [{"gate": "h", "target": 0}, {"gate": "t", "target": 1}]
    assert difference(unitary(read_one([*first, one])), unitary(read_one([*first, other]))) < 1e-14


def test_circuits_that_differ_in_their_numbers_share_one_structure() -> None:
    rng = np.random.default_rng(0)
    given = {"gateset": "qis", "qubits": 4, "circuits": [{"circuit": layers(rng)} for _ in range(20)]}
    before = copy.deepcopy(given)
    program = read_input(MULTI, given)
    assert given == before
    assert len({circuit.structure for circuit in program.circuits}) == 1
    for circuit, entry in zip(program.circuits, given["circuits"], strict=True):
        alone = read_one(entry["circuit"], qubits=4)
        assert alone.structure is circuit.structure
        np.testing.assert_array_equal(alone.angles, circuit.angles)
        assert alone.digest == circuit.digest
    assert len({circuit.digest for circuit in program.circuits}) == 20
    with pytest.raises(ValueError, match="read-only"):
        program.circuits[0].angles[0] = 1.0


def test_the_order_of_circuits_is_kept_when_structures_alternate() -> None:
    gates = [
        [{"gate": "rx", "target": 0, "rotation": float(number)}, {"gate": "h", "target": number % 3}]
        for number in range(12)
    ]
    program = read_input(
        MULTI, {"qubits": 3, "circuits": [{"circuit": c, "name": f"c{k}"} for k, c in enumerate(gates)]}
    )
    assert [circuit.angles.tolist() for circuit in program.circuits] == [[float(number)] for number in range(12)]
    assert [circuit.name for circuit in program.circuits] == [f"c{number}" for number in range(12)]
    assert program.circuits[0].structure is program.circuits[9].structure
    assert program.circuits[0].structure is not program.circuits[1].structure


def test_equal_gates_in_another_width_or_on_other_qubits_share_the_circuit_but_not_the_digest() -> None:
    low, high = (read_one([{"gate": "h", "target": qubit}], qubits=30) for qubit in (0, 29))
    assert low.structure is high.structure
    assert (low.active, high.active) == ((0,), (29,))
    assert low.digest != high.digest
    assert low.structure.circuit.n_qubits == 1


def test_a_structure_is_never_taken_for_one_that_only_looks_alike() -> None:
    # 1, 1.0 and true are equal in Python: only the first is a qubit
    good = [{"gate": "rx", "target": 1, "rotation": 0.5}]
    for wrong in (True, 1.0):
        both = [{"circuit": good}, {"circuit": [{"gate": "rx", "target": wrong, "rotation": 0.5}]}]
        with pytest.raises(WireError, match="a qubit is an integer"):
            read_input(MULTI, {"qubits": 2, "circuits": both})
    # the same fields in the same order, cut into gates at another place
    one = [{"gate": "h", "target": 0}, {"controls": None, "gate": "x", "target": 1}]
    other = [{"gate": "h", "target": 0, "controls": None}, {"gate": "x", "target": 1}]
    assert unitary(read_one(one)).shape == unitary(read_one(other)).shape == (4, 4)
    program = read_input(MULTI, {"circuits": [{"circuit": one}, {"circuit": other}]})
    assert program.circuits[0].structure is program.circuits[1].structure


def test_counts_of_gates_are_as_billed() -> None:
    def counts(gate: dict[str, Any], **fields: Any) -> tuple[int, int, int]:
        circuit = read_one([gate], **fields)
        return circuit.gates_1q, circuit.gates_2q, circuit.n_gates

    assert counts({"gate": "h", "target": 0}) == (1, 0, 1)
    assert counts({"gate": "nop", "target": 0}) == (0, 0, 1)
    assert counts({"gate": "cnot", "target": 0, "control": 1}) == (0, 1, 1)
    assert counts({"gate": "z", "target": 0, "control": 1, "rotation": 0.1}) == (0, 1, 1)
    assert counts({"gate": "x", "target": 0, "controls": [1, 2]}) == (0, 6, 1)
    assert counts({"gate": "swap", "targets": [0, 3], "controls": [1, 2]}) == (0, 12, 1)
    assert counts({"gate": "ms", "targets": [0, 1], "phases": [0, 0]}, gateset="native") == (0, 1, 1)
    pauliexp = {"gate": "pauliexp", "targets": [0, 1, 2], "time": 1, "coefficients": [1, 1]}
    assert counts({**pauliexp, "terms": ["XXX", "IIX"]}) == (2, 4, 1)
    assert counts({**pauliexp, "terms": ["XXX", "III"], "control": 3}) == (1, 12, 1)


def test_totals_of_a_program() -> None:
    rng = np.random.default_rng(1)
    program = read_input(MULTI, {"qubits": 9, "circuits": [{"circuit": layers(rng)}, {"circuit": [], "qubits": 2}]})
    assert (program.n_circuits, program.qubits, program.n_gates) == (2, 9, 16)
    assert (program.gates_1q, program.gates_2q) == (8, 8)
    assert [circuit.qubits for circuit in program.circuits] == [9, 2]


def test_width_without_qubits_is_what_the_gates_need() -> None:
    assert read_one([{"gate": "x", "target": 4}]).qubits == 5
    assert read_one([]).qubits == 1
    assert read_one([{"gate": "nop", "target": 4}]).active == ()


def test_a_circuit_may_have_its_own_gate_set() -> None:
    native = {"gate": "zz", "targets": [0, 1], "phase": 0.1}
    qis = {"gate": "zz", "targets": [0, 1], "rotation": 0.2 * pi}
    program = read_input(
        MULTI, {"gateset": "native", "circuits": [{"circuit": [native]}, {"circuit": [qis], "gateset": "qis"}]}
    )
    first, second = program.circuits
    assert (first.gateset, second.gateset) == ("native", "qis")
    assert difference(unitary(first), unitary(second)) < 1e-12
    assert first.structure.virtual_rz
    assert not second.structure.virtual_rz


def test_a_circuit_of_many_gates_and_limits_of_another_target() -> None:
    gates = [{"gate": "rx", "target": number % 2, "rotation": number} for number in range(3000)]
    circuit = read_one(gates)
    assert circuit.n_gates == circuit.gates_1q == 3000
    wide = read_input(MULTI, {"circuits": [{"circuit": [{"gate": "h", "target": 80}]}]}, WireLimits(max_qubits=100))
    assert wide.qubits == 81


def test_what_the_json_parser_gives_is_what_is_read() -> None:
    gates = '[{"gate": "rx", "target": 0, "rotation": 1E-3}, {"gate": "ry", "target": 1, "rotation": -0}]'
    text = f'{{"qubits": 2, "circuit": {gates}}}'
    circuit = read_input("ionq.circuit.v1", json.loads(text)).circuits[0]
    assert circuit.angles.tolist() == [0.001, 0.0]
