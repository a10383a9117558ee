"""pennylane-ionq against a gateway: a request as JSON in, answers as JSON out. Runs in the clients' environment."""

from __future__ import annotations

import json
import sys
from math import pi
from typing import Any

import numpy as np
import pennylane as qml
from pennylane_ionq import ops
from pennylane_ionq.api_client import APIClient

Answer = Any
_FIXED = {
    "x": qml.X, "y": qml.Y, "z": qml.Z, "h": qml.Hadamard, "s": qml.S, "t": qml.T, "v": qml.SX, "cnot": qml.CNOT,
    "swap": qml.SWAP,
}  # fmt: skip
_INVERSE = {"si": (qml.RZ, -pi / 2), "ti": (qml.RZ, -pi / 4), "vi": (qml.RX, -pi / 2)}
"""The device takes no adjoint gates; these rotations are the same up to a phase."""
_ANGLES = {
    "rx": qml.RX, "ry": qml.RY, "rz": qml.RZ, "xx": qml.IsingXX, "yy": qml.IsingYY, "zz": qml.IsingZZ, "gpi": ops.GPI,
    "gpi2": ops.GPI2,
}  # fmt: skip


class Scenarios:
    """Every feature of the client, each answering plain JSON; bit strings have qubit 0 first."""

    def __init__(self, request: dict[str, Any]) -> None:
        APIClient.BASE_URL = request["url"] + "/v0.4"  # the only way to another address
        self.request = request

    def single(self) -> Answer:
        return {name: self._exact(form) for name, form in self.request["circuits"].items()}

    def native(self) -> Answer:
        return self._exact(self.request["native"], gateset="native")

    def batch(self) -> Answer:
        """Two circuits of one width travel as one multi-circuit job."""
        device = qml.device("ionq.simulator", wires=2, shots=100_000)
        angles = self.request["shifted"]["angles"]
        tapes = [qml.tape.QuantumScript(_ansatz(angles[::turn]), [qml.expval(qml.Z(1))], 100_000) for turn in (1, -1)]
        return [float(value) for value in device.batch_execute(tapes)]

    def noise(self) -> Answer:
        form = self.request["circuits"]["ladder"]
        device = qml.device("ionq.simulator", wires=form["qubits"], shots=4000, noise_model="aria-1", noise_seed=11)
        return {"counts": {bits: round(p * 4000) for bits, p in _run(device, form).items()}}

    def qpu(self) -> Answer:
        form = self.request["circuits"]["one_hot"]
        device = qml.device("ionq.qpu", wires=form["qubits"], shots=1000, backend="forte-1")
        return {bits: round(p * 1000) for bits, p in _run(device, form).items()}

    def gradient(self) -> Answer:
        """The parameter-shift gradient of <Z_1> from shots."""
        device = qml.device("ionq.simulator", wires=2, shots=100_000)

        @qml.qnode(device, diff_method="parameter-shift")
        def value(a: float, b: float, c: float) -> Any:
            _ansatz([a, b, c])
            return qml.expval(qml.Z(1))

        angles = [qml.numpy.array(angle, requires_grad=True) for angle in self.request["shifted"]["angles"]]
        return [float(part) for part in qml.grad(value)(*angles)]

    def _exact(self, form: dict[str, Any], gateset: str = "qis") -> dict[str, float]:
        device = qml.device("ionq.simulator", wires=form["qubits"], shots=100, gateset=gateset)
        return _run(device, form)


def _run(device: Any, form: dict[str, Any]) -> dict[str, float]:
    with qml.queuing.AnnotatedQueue() as queue:
        for name, wires, *angle in form["gates"]:
            _apply(name, wires, *angle)
        qml.counts(wires=range(form["qubits"]))
    script = qml.tape.QuantumScript.from_queue(queue, shots=device.shots)
    device.batch_execute([script])
    probabilities = np.asarray(device.prob)
    return {format(i, f"0{form['qubits']}b"): float(p) for i, p in enumerate(probabilities) if p > 0}


def _apply(name: str, wires: list[int], angle: Any = None) -> None:
    if name in _FIXED:
        _FIXED[name](wires=wires)
    elif name in _INVERSE:
        rotation, turn = _INVERSE[name]
        rotation(turn, wires=wires)
    elif name == "ms":
        ops.MS(*angle, wires=wires)
    else:
        _ANGLES[name](angle, wires=wires)


def _ansatz(angles: list[Any]) -> list[Any]:
    a, b, c = angles
    return [qml.RY(a, 0), qml.RX(b, 1), qml.CNOT([0, 1]), qml.RY(c, 1)]


def main() -> None:
    """Run the scenarios that the request names."""
    request = json.load(sys.stdin)
    scenarios = Scenarios(request)
    json.dump({name: getattr(scenarios, name)() for name in request["scenarios"]}, sys.stdout)


if __name__ == "__main__":
    main()
