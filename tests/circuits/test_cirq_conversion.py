import sys

import cirq
import pytest

from quantum_db.circuits import Circuit, PauliString, feature, op, weight
from quantum_db.circuits.cirq_conversion import to_cirq, to_cirq_observable
from quantum_db.errors import MissingDependencyError

Q = cirq.LineQubit.range(3)


def test_gates_on_their_wires():
    converted = to_cirq(Circuit(3, (op("CNOT", 2, 0), op("Sdg", 1), op("RX", 1, angle=0.3))))
    assert list(converted.all_operations()) == [cirq.CNOT(Q[2], Q[0]), (cirq.S**-1)(Q[1]), cirq.rx(0.3)(Q[1])]


def test_open_slots_are_named_symbols():
    circuit = Circuit(1, (op("RY", 0, angle=weight(12)), op("RZ", 0, angle=feature(0) * 2.0 + 0.5)))
    assert cirq.parameter_names(to_cirq(circuit)) == {"weight_12", "feature_0"}


def test_observables():
    assert to_cirq_observable(PauliString.of("X0 Y2", -0.5)) == -0.5 * cirq.X(Q[0]) * cirq.Y(Q[2])
    assert to_cirq_observable(PauliString.of("I", 2.0)) == cirq.PauliString(coefficient=2.0)


def test_without_cirq_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "cirq", None)
    with pytest.raises(MissingDependencyError, match=r"needs the package 'cirq'.*pip install 'quantum-db\[ionq\]'"):
        to_cirq(Circuit(1))
