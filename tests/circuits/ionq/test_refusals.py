"""Malformed input: the code of IonQ's API, the place, and no more of the body than a word."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from quantum_db.circuits.ionq import WireError, WireLimits, WireProgram, read_input

SINGLE, MULTI = "ionq.circuit.v1", "ionq.multi-circuit.v1"
GATE = ("input", "circuit", 1)
OK = {"gate": "h", "target": 0}
EXP = {"gate": "pauliexp", "targets": [0, 1], "terms": ["XX"], "coefficients": [1.0], "time": 1.0}


def refused(kind: str, body: Any, limits: WireLimits | None = None) -> WireError:
    with pytest.raises(WireError) as caught:
        read_input(kind, body, limits)
    assert len(str(caught.value)) < 400
    return caught.value


@pytest.mark.parametrize(
    ("gate", "code", "keys"),
    [
        ({"gate": "frobnicate", "target": 0}, "UnsupportedGate", (*GATE, "gate")),
        ({"gate": "gpi", "target": 0, "phase": 0.1}, "UnsupportedGate", (*GATE, "gate")),
        ({"gate": None, "target": 0}, "InvalidInput", (*GATE, "gate")),
        ({"target": 0}, "InvalidInput", (*GATE, "gate")),
        ({"gate": "h"}, "InvalidInput", (*GATE, "targets")),
        ({"gate": "h", "targets": [0, 1]}, "InvalidInput", (*GATE, "targets")),
        ({"gate": "swap", "targets": [0]}, "InvalidInput", (*GATE, "targets")),
        ({"gate": "swap", "targets": [1, 1]}, "InvalidInput", GATE),
        ({"gate": "h", "target": 3}, "InvalidInput", (*GATE, "target")),
        ({"gate": "h", "target": -1}, "InvalidInput", (*GATE, "target")),
        ({"gate": "h", "target": 10**400}, "InvalidInput", (*GATE, "target")),
        ({"gate": "h", "target": "0"}, "InvalidInput", (*GATE, "target")),
        ({"gate": "h", "target": False}, "InvalidInput", (*GATE, "target")),
        ({"gate": "h", "target": 0.0}, "InvalidInput", (*GATE, "target")),
        ({"gate": "h", "targets": [{}]}, "InvalidInput", (*GATE, "targets")),
        ({"gate": "h", "target": 0, "targets": [0]}, "InvalidInput", (*GATE, "targets")),
        ({"gate": "cnot", "target": 0}, "InvalidInput", GATE),
        ({"gate": "cnot", "target": 0, "control": 0}, "InvalidInput", GATE),
        ({"gate": "rx", "target": 0}, "InvalidInput", (*GATE, "rotation")),
        ({"gate": "rx", "target": 0, "rotation": None}, "InvalidInput", (*GATE, "rotation")),
        ({"gate": "rx", "target": 0, "rotation": "1.0"}, "InvalidInput", (*GATE, "rotation")),
        ({"gate": "rx", "target": 0, "rotation": True}, "InvalidInput", (*GATE, "rotation")),
        ({"gate": "rx", "target": 0, "rotation": [1.0]}, "InvalidInput", (*GATE, "rotation")),
        ({"gate": "rx", "target": 0, "rotation": float("nan")}, "InvalidInput", (*GATE, "rotation")),
        ({"gate": "rx", "target": 0, "rotation": float("-inf")}, "InvalidInput", (*GATE, "rotation")),
        ({"gate": "rx", "target": 0, "rotation": 1e300}, "InvalidInput", (*GATE, "rotation")),
        ({"gate": "rx", "target": 0, "rotation": -(10**400)}, "InvalidInput", (*GATE, "rotation")),
        ({"gate": "x", "target": 0, "rotation": 0.1}, "InvalidInput", (*GATE, "rotation")),
        ({"gate": "zz", "targets": [0, 1], "phase": 0.1}, "InvalidInput", (*GATE, "rotation")),
        ({**EXP, "terms": ["XX", "ZI"], "coefficients": [1, 1]}, "UnsupportedGate", (*GATE, "terms")),
        ({**EXP, "terms": ["X"]}, "InvalidInput", (*GATE, "terms")),
        ({**EXP, "terms": ["XQ"]}, "InvalidInput", (*GATE, "terms")),
        ({**EXP, "terms": "XX"}, "InvalidInput", (*GATE, "terms")),
        ({**EXP, "terms": ["XX"] * 1001}, "InvalidInput", (*GATE, "terms")),
        ({**EXP, "coefficients": [1, 2]}, "InvalidInput", GATE),
        ({**EXP, "coefficients": ["1"]}, "InvalidInput", (*GATE, "coefficients", 0)),
        ({**EXP, "coefficients": [float("nan")]}, "InvalidInput", (*GATE, "coefficients", 0)),
        ({**EXP, "time": -0.5}, "InvalidInput", (*GATE, "time")),
        ({**EXP, "time": None}, "InvalidInput", (*GATE, "time")),
        ({**EXP, "time": 1e6, "coefficients": [1e6]}, "InvalidInput", (*GATE, "time")),
        (7, "InvalidInput", GATE),
    ],
)
def test_gates(gate: Any, code: str, keys: tuple[str | int, ...]) -> None:
    error = refused(SINGLE, {"qubits": 3, "circuit": [OK, gate]})
    assert (error.code, error.keys) == (code, keys)
    in_batch = refused(MULTI, {"qubits": 3, "circuits": [{"circuit": [OK]}, {"circuit": [OK, gate]}]})
    assert (in_batch.code, in_batch.keys) == (code, ("input", "circuits", 1, *keys[1:]))


@pytest.mark.parametrize(
    ("gate", "code", "keys"),
    [
        ({"gate": "h", "target": 0}, "UnsupportedGate", (*GATE, "gate")),
        ({"gate": "gpi", "target": 0, "phase": 0.1, "control": 1}, "UnsupportedGate", (*GATE, "controls")),
        ({"gate": "gpi2", "target": 0}, "InvalidInput", (*GATE, "phase")),
        ({"gate": "ms", "targets": [0, 1], "phases": [0.1]}, "InvalidInput", (*GATE, "phases")),
        ({"gate": "ms", "targets": [0, 1], "phases": [0.1, None]}, "InvalidInput", (*GATE, "phases", 1)),
        ({"gate": "ms", "targets": [0, 1]}, "InvalidInput", (*GATE, "phases")),
        ({"gate": "zz", "targets": [0, 1]}, "InvalidInput", GATE),
        ({"gate": "zz", "targets": [0, 1], "phase": 0.1, "angle": 0.1}, "InvalidInput", GATE),
        ({"gate": "zz", "targets": [0, 1], "rotation": 0.1}, "InvalidInput", GATE),
    ],
)
def test_native_gates(gate: dict[str, Any], code: str, keys: tuple[str | int, ...]) -> None:
    first = {"gate": "gpi", "target": 0, "phase": 0}
    error = refused(SINGLE, {"gateset": "native", "qubits": 3, "circuit": [first, gate]})
    assert (error.code, error.keys) == (code, keys)


@pytest.mark.parametrize(
    ("kind", "body", "code", "keys"),
    [
        ("ionq.qasm3.v1", {}, "InvalidInput", ("type",)),
        (SINGLE, None, "InvalidInput", ("input",)),
        (SINGLE, [], "InvalidInput", ("input",)),
        (SINGLE, {}, "InvalidInput", ("input", "circuit")),
        (SINGLE, {"circuit": {}}, "InvalidInput", ("input", "circuit")),
        (SINGLE, {"circuit": [OK], "qubits": 0}, "InvalidInput", ("input", "qubits")),
        (SINGLE, {"circuit": [OK], "qubits": True}, "InvalidInput", ("input", "qubits")),
        (SINGLE, {"circuit": [OK], "qubits": "3"}, "InvalidInput", ("input", "qubits")),
        (SINGLE, {"circuit": [OK], "qubits": 37}, "NotEnoughQubits", ("input", "qubits")),
        (SINGLE, {"circuit": [OK], "gateset": "qasm"}, "InvalidInput", ("input", "gateset")),
        (SINGLE, {"circuit": [OK], "gateset": ["qis"]}, "InvalidInput", ("input", "gateset")),
        (MULTI, {}, "InvalidInput", ("input", "circuits")),
        (MULTI, {"circuits": []}, "InvalidInput", ("input", "circuits")),
        (MULTI, {"circuits": [[OK]]}, "InvalidInput", ("input", "circuits", 0)),
        (MULTI, {"circuits": [{"circuit": [OK], "qubits": 99}]}, "NotEnoughQubits", ("input", "circuits", 0, "qubits")),
        (MULTI, {"circuits": [{"circuit": [OK], "name": 3}]}, "InvalidInput", ("input", "circuits", 0, "name")),
        (MULTI, {"circuits": [{"circuit": [OK], "gateset": ""}]}, "InvalidInput", ("input", "circuits", 0, "gateset")),
    ],
)
def test_jobs(kind: str, body: Any, code: str, keys: tuple[str | int, ...]) -> None:
    error = refused(kind, body)
    assert (error.code, error.keys) == (code, keys)


def test_limits() -> None:
    limits = WireLimits(max_circuits=2, max_gates=3, max_qubits=12, max_active=2, max_controls=1)
    two = {"circuit": [OK, OK]}
    assert refused(MULTI, {"circuits": [{"circuit": []}] * 3}, limits).keys == ("input", "circuits")
    assert refused(MULTI, {"circuits": [two, two]}, limits).code == "TooManyGates"
    three_wide = [{"gate": "h", "target": qubit} for qubit in range(3)]
    assert refused(SINGLE, {"circuit": three_wide}, limits).code == "NotEnoughQubits"
    many = {"gate": "x", "target": 0, "controls": [1, 2]}
    error = refused(SINGLE, {"circuit": [many]}, limits)
    assert (error.code, error.keys) == ("TooManyControls", ("input", "circuit", 0, "controls"))
    # a circuit that was read under wider limits is checked against the narrower ones again
    read_input(SINGLE, {"circuit": [many]})
    assert refused(SINGLE, {"circuit": [many]}, limits).code == "TooManyControls"
    eight = {"gate": "x", "target": 0, "controls": list(range(1, 9))}
    assert refused(SINGLE, {"circuit": [eight]}).code == "TooManyControls"


def test_gates_that_unfold_into_too_many() -> None:
    gate = {"gate": "rx", "target": 0, "controls": list(range(1, 8)), "rotation": 0.1}
    error = refused(SINGLE, {"circuit": [gate] * 5000})
    assert (error.code, error.keys[:2]) == ("QuantumCircuitComplexityError", ("input", "circuit"))


def test_deep_nesting_in_a_field_that_is_ignored() -> None:
    nested: Any = []
    for _ in range(5000):
        nested = [nested]
    error = refused(SINGLE, {"circuit": [{**OK, "note": nested}]})
    assert (error.code, error.keys) == ("InvalidInput", ("input", "circuit"))


def test_long_words_are_cut_in_messages() -> None:
    error = refused(SINGLE, {"circuit": [{"gate": "secret" * 1000, "target": 0}]})
    assert "secret" * 10 not in str(error)


WIRES, NUMBERS = ("target", "targets", "control", "controls"), ("rotation", "phases", "phase", "angle", "time")
FIELDS = ("gate", *WIRES, *NUMBERS, "coefficients", "terms", "qubits", "circuit", "circuits", "gateset")
NAMES = ("x", "rx", "z", "swap", "cnot", "zz", "pauliexp", "ms", "gpi2", "nop")

plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(NAMES)
json_values = st.recursive(
    plain,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4),
    max_leaves=12,
)
wires = st.integers(-1, 4) | st.lists(st.integers(-1, 4), max_size=3)
numbers = st.floats() | st.floats(-7, 7) | st.lists(st.floats(-7, 7), max_size=2)
gates = st.fixed_dictionaries(
    {"gate": st.sampled_from(NAMES)},
    optional={
        **dict.fromkeys(WIRES, wires | json_values),
        **dict.fromkeys((*NUMBERS, "coefficients"), numbers | json_values),
        "terms": st.lists(st.text("IXYZQ", max_size=3), max_size=2) | json_values,
    },
)
circuits = st.fixed_dictionaries({"circuit": st.lists(gates, max_size=3)})
bodies = st.fixed_dictionaries(
    {"circuit": st.lists(gates, max_size=4), "circuits": st.lists(circuits, max_size=3)},
    optional={"qubits": st.integers(-1, 40), "gateset": st.sampled_from(["qis", "native"])},
)


@settings(max_examples=300, deadline=None)
@given(kind=st.sampled_from([SINGLE, MULTI]), body=json_values | bodies)
def test_any_json_is_read_or_refused_with_a_place_that_exists(kind: str, body: Any) -> None:
    program: WireProgram | None = None
    keys: tuple[str | int, ...] = ("input",)
    try:
        program = read_input(kind, body)
    except WireError as error:
        keys = error.keys
    place: Any = {"input": body, "type": kind}
    assert keys[0] in place
    for key in keys[:-1]:  # the last may be a field that is missing
        place = place[key]
    for circuit in program.circuits if program else ():
        assert circuit.angles.shape == (circuit.structure.circuit.n_features,)
        assert max(circuit.active, default=0) < circuit.qubits
