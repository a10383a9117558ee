"""Every gate of the table against cirq's matrix of the same gate."""

import cirq
import numpy as np
import pytest

from quantum_db.circuits import GATES, Circuit, op
from quantum_db.circuits.cirq_conversion import to_cirq

ANGLES = (0.0, 0.3, -1.1, np.pi / 2, np.pi, -np.pi, 2.7, 5.0, 4 * np.pi - 0.2)


def independent_gates(angle):
    """cirq's gates written down here again, so that the conversion is tested as well."""
    half_turns = angle / np.pi
    return {
        "X": cirq.X,
        "Y": cirq.Y,
        "Z": cirq.Z,
        "H": cirq.H,
        "S": cirq.ZPowGate(exponent=0.5),
        "Sdg": cirq.ZPowGate(exponent=-0.5),
        "T": cirq.ZPowGate(exponent=0.25),
        "Tdg": cirq.ZPowGate(exponent=-0.25),
        "RX": cirq.Rx(rads=angle),
        "RY": cirq.Ry(rads=angle),
        "RZ": cirq.Rz(rads=angle),
        "PhaseShift": cirq.ZPowGate(exponent=half_turns),
        "CNOT": cirq.CNOT,
        "CZ": cirq.CZ,
        "SWAP": cirq.SWAP,
        "RXX": cirq.MSGate(rads=angle / 2),
        "RYY": cirq.YYPowGate(exponent=half_turns, global_shift=-0.5),
        "RZZ": cirq.ZZPowGate(exponent=half_turns, global_shift=-0.5),
        "CRX": cirq.ControlledGate(cirq.Rx(rads=angle)),
        "CRY": cirq.ControlledGate(cirq.Ry(rads=angle)),
        "CRZ": cirq.ControlledGate(cirq.Rz(rads=angle)),
    }


def test_the_list_is_complete():
    assert set(independent_gates(0.1)) == set(GATES)


@pytest.mark.parametrize("name", GATES)
def test_matrix(name):
    for angle in ANGLES if GATES[name].has_angle else (None,):
        expected = cirq.unitary(independent_gates(angle or 0.0)[name])
        np.testing.assert_allclose(GATES[name].matrix(angle), expected, atol=1e-14)


@pytest.mark.parametrize("name", GATES)
def test_conversion_keeps_wires_and_angle(name):
    arity = GATES[name].arity
    for wires in ((0,), (2,)) if arity == 1 else ((0, 1), (2, 0), (1, 2)):
        for angle in (0.3, -2.0) if GATES[name].has_angle else (None,):
            circuit = Circuit(3, (op(name, *wires, angle=angle),))
            expected = to_cirq(circuit).unitary(
                qubit_order=cirq.LineQubit.range(3), qubits_that_should_be_present=cirq.LineQubit.range(3)
            )
            np.testing.assert_allclose(circuit.unitary(), expected, atol=1e-14)
