"""cirq-ionq against a gateway: a request as JSON in, answers as JSON out. Runs in the clients' environment."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from math import pi
from typing import Any

import cirq
import cirq_ionq
import numpy as np

Answer = Any
REPETITIONS = 4000

_FIXED = {
    "x": cirq.X, "y": cirq.Y, "z": cirq.Z, "h": cirq.H, "s": cirq.S, "si": cirq.S**-1, "t": cirq.T, "ti": cirq.T**-1,
    "v": cirq.X**0.5, "vi": cirq.X**-0.5, "cnot": cirq.CNOT, "swap": cirq.SWAP,
}  # fmt: skip
_ROTATIONS = {"rx": cirq.rx, "ry": cirq.ry, "rz": cirq.rz}
_INTERACTIONS = {"xx": cirq.XXPowGate, "yy": cirq.YYPowGate, "zz": cirq.ZZPowGate}


def build(form: dict[str, Any]) -> cirq.Circuit:
    """The circuit of a neutral form, measured on all qubits under key "m"."""
    wires = cirq.LineQubit.range(form["qubits"])
    operations = [_gate(*gate).on(*(wires[w] for w in gate[1])) for gate in form["gates"]]
    return cirq.Circuit(operations, cirq.measure(*wires, key="m"))


def _gate(name: str, wires: list[int], angle: Any = None) -> cirq.Gate:
    if name in _FIXED:
        return _FIXED[name]
    if name in _ROTATIONS:
        return _ROTATIONS[name](angle)
    if name in _INTERACTIONS:
        return _INTERACTIONS[name](exponent=angle / pi)
    native = cirq_ionq.ionq_native_gates
    if name == "ms":
        return native.MSGate(phi0=angle[0], phi1=angle[1], theta=angle[2])
    return {"gpi": native.GPIGate, "gpi2": native.GPI2Gate}[name](phi=angle)


class Scenarios:
    """Every feature of the client, each answering plain JSON; bit strings have qubit 0 first."""

    def __init__(self, request: dict[str, Any]) -> None:
        self.request = request
        self.service = cirq_ionq.Service(remote_host=request["url"], max_retry_seconds=10)

    def single(self) -> Answer:
        return {name: self._exact(form) for name, form in self.request["circuits"].items()}

    def batch(self) -> Answer:
        circuits = [build(form) for form in self.request["circuits"].values()]
        job = self.service.create_batch_job(circuits, repetitions=100, target="simulator")
        results = zip(self.request["circuits"], job.results(polling_seconds=0.05), strict=True)
        return {name: _probabilities(result) for name, result in results}

    def sampled(self) -> Answer:
        circuits = [build(form) for form in self.request["circuits"].values()]
        results = self.service.run_batch(circuits, repetitions=REPETITIONS, target="simulator", seed=7)
        return {name: _counts(result) for name, result in zip(self.request["circuits"], results, strict=True)}

    def native(self) -> Answer:
        return self._exact(self.request["native"])

    def compiled_native(self) -> Answer:
        """Every circuit compiled to the native gates of Aria and of Forte by the client's own compiler."""
        found = {}
        for machine, gateset in (("aria", cirq_ionq.AriaNativeGateset()), ("forte", cirq_ionq.ForteNativeGateset())):
            form = self.request["circuits"]["ladder"]
            compiled = cirq.optimize_for_target_gateset(build(form), gateset=gateset)
            job = self.service.create_job(compiled, repetitions=100, target="simulator")
            found[machine] = _probabilities(job.results(polling_seconds=0.05))
        return found

    def noise(self) -> Answer:
        circuit = build(self.request["circuits"]["ladder"])
        noise = {"model": "aria-1", "seed": 11}
        runs = [
            self.service.create_job(circuit, repetitions=REPETITIONS, target="simulator", noise=noise).results(
                polling_seconds=0.05
            )
            for _ in range(2)
        ]
        first, second = ({bits: round(p * REPETITIONS) for bits, p in _probabilities(run).items()} for run in runs)
        return {"counts": first, "again": second}

    def qpu(self) -> Answer:
        """A machine's answer: shares of shots, which the client rounds to counts."""
        result = self.service.run(build(self.request["circuits"]["one_hot"]), 1000, target="qpu.forte-1")
        return _counts(result)

    def cancel(self) -> Answer:
        job = self.service.create_job(build(self.request["circuits"]["ladder"]), repetitions=10, target="simulator")
        before = job.status()
        job.cancel()
        return {"before": before, "after": self.service.get_job(job.job_id()).status()}

    def delete(self) -> Answer:
        job = self.service.create_job(build(self.request["circuits"]["ladder"]), repetitions=10, target="simulator")
        job.results(polling_seconds=0.05)
        job.delete()
        try:
            self.service.get_job(job.job_id())
        except cirq_ionq.IonQNotFoundException:
            return "gone"
        return "still there"

    def submit(self) -> Answer:
        """Leave a batch behind for another process."""
        circuits = [build(form) for form in self.request["circuits"].values()]
        return self.service.create_batch_job(circuits, repetitions=100, target="simulator").job_id()

    def retrieve(self) -> Answer:
        results = self.service.get_job(self.request["job_id"]).results(polling_seconds=0.05)
        return {name: _probabilities(result) for name, result in zip(self.request["circuits"], results, strict=True)}

    def listed(self) -> Answer:
        return [job.job_id() for job in self.service.list_jobs(limit=3, batch_size=2)]

    def gradient(self) -> Answer:
        """The parameter-shift gradient of <Z_1> from one batch of exact probabilities."""
        angles = self.request["shifted"]["angles"]
        circuits = [_shifted(angles, i, sign * pi / 2) for i in range(len(angles)) for sign in (1, -1)]
        job = self.service.create_batch_job(circuits, repetitions=100, target="simulator")
        values = [_z_of_last(_probabilities(result)) for result in job.results(polling_seconds=0.05)]
        return [(values[2 * i] - values[2 * i + 1]) / 2 for i in range(len(angles))]

    def errors(self) -> Answer:
        """What the client makes of a wrong key and of an unknown job."""
        found = []
        wrong = cirq_ionq.Service(remote_host=self.request["url"], api_key="wrong", max_retry_seconds=1)
        for service in (wrong, self.service):
            try:
                service.get_job("00000000-0000-4000-8000-000000000000")
            except (cirq_ionq.IonQException, cirq_ionq.IonQNotFoundException) as error:
                found.append([type(error).__name__, error.status_code])
        return found

    def _exact(self, form: dict[str, Any]) -> dict[str, float]:
        job = self.service.create_job(build(form), repetitions=100, target="simulator")
        return _probabilities(job.results(polling_seconds=0.05))


def _shifted(angles: list[float], number: int, shift: float) -> cirq.Circuit:
    a, b, c = (angle + (shift if i == number else 0.0) for i, angle in enumerate(angles))
    first, second = cirq.LineQubit.range(2)
    return cirq.Circuit(
        cirq.ry(a)(first), cirq.rx(b)(second), cirq.CNOT(first, second), cirq.ry(c)(second),
        cirq.measure(first, second, key="m"),
    )  # fmt: skip


def _z_of_last(probabilities: dict[str, float]) -> float:
    return sum(p * (1 - 2 * int(bits[-1])) for bits, p in probabilities.items())


def _probabilities(result: Any) -> dict[str, float]:
    if isinstance(result, cirq_ionq.QPUResult):
        return {_bits(key, result.num_qubits()): n / result.repetitions() for key, n in result.counts().items()}
    return {_bits(key, result.num_qubits()): p for key, p in result.probabilities().items()}


def _counts(result: cirq.Result) -> dict[str, int]:
    rows, times = np.unique(result.measurements["m"], axis=0, return_counts=True)
    return {"".join(map(str, row)): int(n) for row, n in zip(rows.astype(int), times, strict=True)}


def _bits(key: int, n_qubits: int) -> str:
    return format(key, f"0{n_qubits}b")


def main() -> None:
    """Run the scenarios that the request names."""
    request = json.load(sys.stdin)
    scenarios = Scenarios(request)
    answers = {}
    for name in request["scenarios"]:
        scenario: Callable[[], Answer] = getattr(scenarios, name)
        answers[name] = scenario()
    json.dump(answers, sys.stdout)


if __name__ == "__main__":
    main()
