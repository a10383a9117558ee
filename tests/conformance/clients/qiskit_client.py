"""qiskit-ionq against a gateway: a request as JSON in, answers as JSON out. Runs in the clients' environment."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import numpy as np

Answer = Any
SHOTS = 200_000
_FIXED = {"si": "sdg", "ti": "tdg", "v": "sx", "vi": "sxdg", "cnot": "cx"}
_INTERACTIONS = {"xx": "rxx", "yy": "ryy", "zz": "rzz"}


class Scenarios:
    """Every feature of the client, each answering plain JSON; bit strings have qubit 0 first."""

    def __init__(self, request: dict[str, Any]) -> None:
        # qiskit-ionq looks up the number of qubits at this address, whatever `url` says
        os.environ["IONQ_API_URL"] = request["url"] + "/v0.4"
        from qiskit_ionq import IonQProvider

        self.request = request
        self.provider = IonQProvider(os.environ["IONQ_API_KEY"], url=request["url"] + "/v0.4")
        self.backend = self.provider.get_backend("ionq_simulator")

    def width(self) -> Answer:
        return {
            "simulator": self.backend.num_qubits,
            "qpu.forte-1": self.provider.get_backend("ionq_qpu.forte-1").num_qubits,
        }

    def single(self) -> Answer:
        return {name: self._exact(_build(form)) for name, form in self.request["circuits"].items()}

    def batch(self) -> Answer:
        circuits = [_build(form) for form in self.request["circuits"].values()]
        job = self.backend.run(circuits, shots=SHOTS)
        found = job.result(timeout=60).get_probabilities()
        return {name: _turned(p) for name, p in zip(self.request["circuits"], found, strict=True)}

    def padded(self) -> Answer:
        """A transpiled circuit is as wide as the backend; only its three active qubits may be simulated."""
        from qiskit import transpile

        circuit = transpile(_build(self.request["circuits"]["ladder"]), self.backend)
        return {bits[:3]: p for bits, p in self._exact(circuit).items()}

    def controlled(self) -> Answer:
        """Gates with several controls, and controlled phases, which travel as Z with an angle."""
        from qiskit import QuantumCircuit

        circuit = QuantumCircuit(3)
        circuit.h([0, 1, 2])
        circuit.mcp(0.7, [0, 1], 2)
        circuit.cp(1.1, 2, 0)
        circuit.ccx(0, 2, 1)
        circuit.crx(0.6, 1, 2)
        circuit.h([0, 2])
        exact = np.abs(_state(circuit)) ** 2
        circuit.measure_all()
        expected = {format(i, "03b")[::-1]: float(p) for i, p in enumerate(exact)}
        return {"found": self._exact(circuit), "expected": expected}

    def native(self) -> Answer:
        """Native gates go to the backend of native gates."""
        from qiskit import QuantumCircuit
        from qiskit_ionq import GPI2Gate, GPIGate, MSGate

        form = self.request["native"]
        circuit = QuantumCircuit(form["qubits"])
        for name, wires, angle in form["gates"]:
            gate = MSGate(*angle) if name == "ms" else {"gpi": GPIGate, "gpi2": GPI2Gate}[name](angle)
            circuit.append(gate, wires)
        circuit.measure_all()
        return self._exact(circuit, self.provider.get_backend("ionq_simulator", gateset="native"))

    def noise(self) -> Answer:
        circuit = _build(self.request["circuits"]["ladder"])
        runs = [
            self.backend.run(circuit, shots=4000, noise_model="aria-1", sampler_seed=5).result(timeout=60).get_counts()
            for _ in range(1)
        ]
        return {"counts": {bits[::-1]: n for bits, n in runs[0].items()}}

    def sampled(self) -> Answer:
        circuits = [_build(form) for form in self.request["circuits"].values()]
        counts = self.backend.run(circuits, shots=4000, sampler_seed=9).result(timeout=60).get_counts()
        named = zip(self.request["circuits"], counts, strict=True)
        return {name: {bits[::-1]: int(n) for bits, n in found.items()} for name, found in named}

    def cancel(self) -> Answer:
        job = self.backend.run(_build(self.request["circuits"]["ladder"]), shots=10)
        before = job.status().name
        job.cancel()
        return {"before": before, "after": self.backend.retrieve_job(job.job_id()).status().name}

    def submit(self) -> Answer:
        """Leave a batch behind for another process."""
        circuits = [_build(form) for form in self.request["circuits"].values()]
        return self.backend.run(circuits, shots=SHOTS).job_id()

    def retrieve(self) -> Answer:
        job = self.backend.retrieve_job(self.request["job_id"])
        found = job.result(timeout=60).get_probabilities()
        return {name: _turned(p) for name, p in zip(self.request["circuits"], found, strict=True)}

    def _exact(self, circuit: Any, backend: Any = None) -> dict[str, float]:
        job = (backend or self.backend).run(circuit, shots=SHOTS)
        return _turned(job.result(timeout=60).get_probabilities())


def _build(form: dict[str, Any]) -> Any:
    from qiskit import QuantumCircuit

    circuit = QuantumCircuit(form["qubits"])
    for name, wires, *angle in form["gates"]:
        getattr(circuit, _FIXED.get(name, _INTERACTIONS.get(name, name)))(*angle, *wires)
    circuit.measure_all()
    return circuit


def _state(circuit: Any) -> np.ndarray:
    from qiskit.quantum_info import Statevector

    return np.asarray(Statevector(circuit))


def _turned(probabilities: dict[str, float]) -> dict[str, float]:
    return {bits[::-1]: float(p) for bits, p in probabilities.items()}


def main() -> None:
    """Run the scenarios that the request names."""
    request = json.load(sys.stdin)
    scenarios = Scenarios(request)
    json.dump({name: getattr(scenarios, name)() for name in request["scenarios"]}, sys.stdout)


if __name__ == "__main__":
    main()
