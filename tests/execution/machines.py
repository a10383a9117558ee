"""Machines for the tests of executors: real circuits and real counts, on this computer."""

from __future__ import annotations

import threading
from decimal import Decimal

import numpy as np

from quantum_db.backends.protocols import Batch, CircuitRows, RowResults
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.errors import TransientBackendError
from quantum_db.execution.measured import MeasuredBatch, measured_circuits
from quantum_db.execution.mitigation.readout import along_qubits
from quantum_db.seeding import numpy_generator
from quantum_db.simulation.noise import Readout


class HistogramMachine:
    """Runs bound circuits and counts bits, as a provider does; everything goes through `measured_circuits`.

    `readout` gives every qubit its own readout error. Where not `duplicates_once`, equal rows are drawn one by one.
    """

    name = "histogram machine"
    differentiable = False

    def __init__(self, readout: tuple[Readout, ...] = (), duplicates_once: bool = True) -> None:
        self.readout = readout
        self.duplicates_once = duplicates_once
        self.jobs: list[Batch] = []
        self._lock = threading.Lock()

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        with self._lock:
            self.jobs.append(batch)
        if self.duplicates_once or batch.shots is None:
            return self._once(batch)
        return tuple(self._row_by_row(part, batch, number) for number, part in enumerate(batch.parts))

    def _row_by_row(self, part: CircuitRows, batch: Batch, number: int) -> RowResults:
        found = []
        for row in range(part.n_rows):
            seed = int(numpy_generator(batch.seed, number, row).integers(2**32))
            single = CircuitRows(part.circuit, part.weights[[row]], part.features[[row]])
            found.append(self._once(Batch((single,), batch.shots, seed))[0])
        if not found:
            return self._once(Batch((part,), batch.shots))[0]
        return RowResults(
            np.concatenate([one.values for one in found]), np.concatenate([one.standard_errors for one in found])
        )

    def _once(self, batch: Batch) -> tuple[RowResults, ...]:
        measured = measured_circuits(batch)
        histograms = []
        for circuit, exact in zip(measured.circuits, self._probabilities(measured), strict=True):
            shares = exact / exact.sum()
            if batch.shots is not None:
                generator = numpy_generator(batch.seed, circuit.fingerprint)
                shares = generator.multinomial(batch.shots, shares) / batch.shots
            histograms.append({int(state): float(shares[state]) for state in np.flatnonzero(shares)})
        return measured.combine(histograms, batch.shots)

    def _probabilities(self, measured: MeasuredBatch) -> list[np.ndarray]:
        found: dict[int, np.ndarray] = {}
        for structure, circuit in enumerate(measured.structures):
            members = [number for number, of in enumerate(measured.of) if of == structure]
            features = np.array([measured.angles[number] for number in members]).reshape(len(members), -1)
            rows = CircuitRows(circuit, np.zeros((len(members), 0)), features)
            exact = StatevectorExecutor().run(Batch((rows,)))[0].values
            if self.readout:
                exact = along_qubits([readout.confusion for readout in self.readout[: circuit.n_qubits]], exact)
            found.update(zip(members, exact, strict=True))
        return [found[number] for number in range(measured.n_circuits)]


class PricedMachine(HistogramMachine):
    """Charges for each gate of each shot, and a job at least `minimum`."""

    name = "priced machine"

    def __init__(self, meter, minimum: Decimal) -> None:
        super().__init__()
        self.meter, self.minimum = meter, minimum

    def price(self, batch: Batch) -> Decimal:
        measured = measured_circuits(batch)
        if not measured.circuits:
            return Decimal(0)
        gates = sum(len(circuit.operations) for circuit in measured.circuits)
        return max(self.minimum, Decimal("0.0001645") * gates * (batch.shots or 0))

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        results = super().run(batch)
        circuits = measured_circuits(batch).n_circuits
        if circuits:
            self.meter.add(jobs=1, circuits=circuits, shots=circuits * (batch.shots or 0), cost_usd=self.price(batch))
        return results


class FailingMachine:
    """Gives what `inner` gives, but raises `error` in the runs whose numbers (from 0) are in `at`."""

    differentiable = False

    def __init__(self, inner, at, error=None) -> None:
        self.inner, self.at = inner, set(at)
        self.error = error or TransientBackendError("the machine is down for maintenance")
        self.name = f"failing {inner.name}"
        self.runs = 0
        self._lock = threading.Lock()

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        with self._lock:
            number = self.runs
            self.runs += 1
        if number in self.at:
            raise self.error
        return self.inner.run(batch)
