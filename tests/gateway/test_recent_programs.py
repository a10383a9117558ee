"""Circuits kept for the workers of a process: bounded, the oldest make room."""

from __future__ import annotations

from quantum_db.circuits.ionq import WireProgram, read_input
from quantum_db.gateway.recent_programs import RecentPrograms


def program(n_circuits: int, n_gates: int = 1) -> WireProgram:
    gates = [{"gate": "rx", "target": 0, "rotation": 0.25 * k} for k in range(n_gates)]
    return read_input("ionq.multi-circuit.v1", {"qubits": 1, "circuits": [{"circuit": gates}] * n_circuits})


def test_the_oldest_make_room() -> None:
    one = program(10)  # ten circuits of one angle: 10 x 9, and one gate
    kept = RecentPrograms(most=3 * 91)
    for name in "abcd":
        kept.keep(name, one)
    assert [kept.get(name) for name in "abcd"] == [None, one.circuits, one.circuits, one.circuits]
    kept.drop("c")
    kept.drop("never there")
    kept.keep("e", one)
    assert kept.get("b") == one.circuits


def test_what_is_too_large_is_not_kept() -> None:
    kept = RecentPrograms(most=1000)
    kept.keep("small", program(2))
    kept.keep("many circuits", program(200))
    kept.keep("many gates", program(1, 600))
    assert kept.get("small") is not None
    assert kept.get("many circuits") is None
    assert kept.get("many gates") is None
