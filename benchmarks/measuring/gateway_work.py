"""The jobs that the gateway is measured with: circuits of 4 qubits and 36 gates, as bodies of POST /v0.4/jobs."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

QUBITS, LAYERS = 4, 3
GATES = 36


def circuits(count: int, seed: int) -> list[dict[str, Any]]:
    """Circuits of one form with angles of their own: three layers of RX RY on each qubit and a ring of CNOTs."""
    angles = np.random.default_rng(seed).uniform(-np.pi, np.pi, (count, LAYERS, QUBITS, 2)).round(6)
    return [{"circuit": _gates(own.tolist())} for own in angles]


def _gates(angles: list[list[list[float]]]) -> list[dict[str, Any]]:
    gates: list[dict[str, Any]] = []
    for layer in angles:
        for qubit, (first, second) in enumerate(layer):
            gates.append({"gate": "rx", "targets": [qubit], "rotation": first})
            gates.append({"gate": "ry", "targets": [qubit], "rotation": second})
        gates += [{"gate": "cnot", "targets": [(q + 1) % QUBITS], "controls": [q]} for q in range(QUBITS)]
    assert len(gates) == GATES
    return gates


class Bodies:
    """Bodies of jobs with `count` circuits, each with a name of its own, so that none is taken for a repeat."""

    def __init__(self, count: int, kinds: int = 4) -> None:
        self.count = count
        self._rests = []
        for seed in range(kinds):
            own = circuits(count, seed)
            given = {"gateset": "qis", "qubits": QUBITS}
            many = {"type": "ionq.multi-circuit.v1", "input": {**given, "circuits": own}}
            one = {"type": "ionq.circuit.v1", "input": {**given, **own[0]}}
            self._rests.append(json.dumps({"backend": "simulator", "shots": 1000, **(many if count > 1 else one)}))
        self._given = 0

    def inputs(self) -> list[dict[str, Any]]:
        """The `input` of each kind of body."""
        return [json.loads(rest)["input"] for rest in self._rests]

    def next(self) -> bytes:
        """A body that was not given before."""
        self._given += 1
        rest = self._rests[self._given % len(self._rests)]
        return f'{{"name": "job {self._given}", {rest[1:]}'.encode()
