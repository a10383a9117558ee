"""Jobs of the kill tests, drawn from a seed, and what an undisturbed run of them gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from quantum_db.circuits.ionq import read_input
from quantum_db.gateway.simulation import run_exact
from quantum_db.seeding import numpy_generator

QPU = "qpu.forte-1"
Gates = list[dict[str, Any]]


@dataclass(frozen=True)
class DrawnJob:
    """The body of one POST /jobs, and its histograms when nothing goes wrong."""

    body: dict[str, Any]
    expected: list[dict[str, float]]

    @property
    def is_paid(self) -> bool:
        return bool(self.body["backend"] == QPU)


def draw_jobs(seed: int, run: str) -> list[DrawnJob]:
    """Three to five jobs; most of them for the paid machine, about half of them with several circuits."""
    generator = numpy_generator(seed, "jobs of a kill test")
    return [_draw(generator, f"{run}-{number}") for number in range(int(generator.integers(3, 6)))]


def _draw(generator: np.random.Generator, intent: str) -> DrawnJob:
    circuits = [_gates(generator) for _ in range(int(generator.integers(2, 7)) if generator.random() < 0.5 else 1)]
    multi = len(circuits) > 1
    kind = "ionq.multi-circuit.v1" if multi else "ionq.circuit.v1"
    circuit = {"circuits": [{"circuit": gates} for gates in circuits]} if multi else {"circuit": circuits[0]}
    body: dict[str, Any] = {
        "backend": QPU if generator.random() < 0.75 else "simulator",
        "type": kind,
        "shots": int(generator.integers(100, 400)),
        "name": f"kill test {intent}",
        "metadata": {"qstore_intent": intent},
        "input": {"gateset": "qis", "qubits": 3, **circuit},
    }
    if body["backend"] == QPU:
        body["noise"] = {"model": "ideal"}  # the machine is played without noise, so that results can be compared
    return DrawnJob(body, run_exact(read_input(kind, body["input"]).circuits))


def _gates(generator: np.random.Generator) -> Gates:
    """Asymmetric circuits, so that neither qubits nor circuits can be confused."""
    gates: Gates = [
        {"gate": "ry", "target": qubit, "rotation": float(generator.uniform(0.2, 2.9))} for qubit in range(3)
    ]
    for _ in range(int(generator.integers(0, 3))):
        control, target = (int(qubit) for qubit in generator.permutation(3)[:2])
        gates.append({"gate": "cnot", "control": control, "target": target})
    return gates
