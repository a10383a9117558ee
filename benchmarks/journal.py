"""What the journal and the budget add to a circuit: seconds beyond a backend that answers at once.

`python -m benchmarks.journal [--circuits 100] [--jobs 40]` prints one line per part. The backend here costs nothing,
so everything measured is Q-Store's own work: the digest, three records with fsync, the ledger with fsync, and reading
the result back.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import tempfile
import time
from decimal import Decimal
from pathlib import Path

import numpy as np

from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.remote import CircuitJob, Collected, Intent, RemoteStatus, TargetLimits, TargetReport, Ticket
from quantum_db.circuits import Circuit, feature, op, weight
from quantum_db.execution.budget.local_ledger import LocalBudget
from quantum_db.execution.budgeted import BudgetedExecutor
from quantum_db.execution.journal import Journal
from quantum_db.execution.journaled import JournaledExecutor
from quantum_db.execution.measured import measured_circuits

QUBITS, LAYERS = 4, 3


class Instant:
    """A machine that has every result at once: |0...0> with a small admixture of all states."""

    target, limits, options = "simulator", TargetLimits(), {"noise_model": "ideal"}
    histogram = dict.fromkeys(range(2**QUBITS), 1 / 2**QUBITS)

    def check(self, job: CircuitJob) -> None:
        """Everything fits."""

    def sizes(self, job: CircuitJob) -> tuple[tuple[int, int], ...]:
        """As written."""
        return tuple(circuit.count_by_arity() for circuit in job.circuits)

    def submit(self, job: CircuitJob, intent: Intent) -> Ticket:
        """Accepted."""
        return Ticket(intent, f"job-{intent.intent_id}", intent.recorded_at)

    def statuses(self, tickets: list[Ticket]) -> tuple[RemoteStatus, ...]:
        """Done."""
        return tuple(RemoteStatus("completed") for _ in tickets)

    def collect(self, ticket: Ticket) -> Collected:
        """The same for all."""
        return Collected((self.histogram,) * len(ticket.intent.n_qubits), True, Decimal("0.5"))

    def charged(self, ticket: Ticket) -> Decimal:
        """A fixed price."""
        return Decimal("0.5")

    def cancel(self, ticket: Ticket) -> None:
        """Nothing to stop."""

    def find(self, intent: Intent) -> tuple[Ticket, ...]:
        """Nothing is ever lost."""
        return ()

    def report(self) -> TargetReport:
        """Always there."""
        return TargetReport(self.target, True, "available")


def circuit() -> Circuit:
    """36 gates on 4 qubits, as in a variational layer of three repetitions."""
    operations, number = [], 0
    for _ in range(LAYERS):
        for wire in range(QUBITS):
            operations += [op("RY", wire, angle=weight(number)), op("RZ", wire, angle=weight(number + 1))]
            number += 2
        operations += [op("CNOT", wire, (wire + 1) % QUBITS) for wire in range(QUBITS)]
    return Circuit(QUBITS, (op("RY", 0, angle=feature(0)), *operations), ("Z0", "Z1"))


def batches(count: int, circuits: int) -> list[Batch]:
    """`count` different batches of `circuits` different circuits."""
    generator, shape = np.random.default_rng(0), circuit()
    return [
        Batch((CircuitRows.of(shape, generator.uniform(-3, 3, 24), generator.uniform(-1, 1, (circuits, 1))),), 200, n)
        for n in range(count)
    ]


def milliseconds(work, given: list[Batch]) -> list[float]:
    """How long `work` takes for each batch."""
    found = []
    for batch in given:
        begin = time.perf_counter()
        work(batch)
        found.append((time.perf_counter() - begin) * 1e3)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--circuits", type=int, default=100)
    parser.add_argument("--jobs", type=int, default=40)
    options = parser.parse_args()
    given = batches(options.jobs, options.circuits)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        plain = milliseconds(lambda batch: _without(batch), given)
        with Journal.open(folder / "a", "run") as journal:
            journaled = milliseconds(JournaledExecutor(Instant(), journal).run, given)
        with Journal.open(folder / "b", "run") as journal:
            ledger = LocalBudget.open(folder / "b", "run", Decimal(1000))
            executor = BudgetedExecutor(JournaledExecutor(Instant(), journal), ledger, lambda sizes, shots: Decimal(1))
            budgeted = milliseconds(executor.run, given)
            again = milliseconds(JournaledExecutor(Instant(), journal).run, batches(options.jobs, options.circuits))
    rows = {
        "without": plain,
        "journaled": journaled,
        "journaled and budgeted": budgeted,
        "answered by the journal": again,
    }
    medians = {name: statistics.median(values) for name, values in rows.items()}
    report = {
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "circuits_per_job": options.circuits,
        "jobs": options.jobs,
        "median_ms_per_job": {name: round(value, 3) for name, value in medians.items()},
        "overhead_ms_per_circuit": {
            name: round((medians[name] - medians["without"]) / options.circuits, 4)
            for name in ("journaled", "journaled and budgeted")
        },
    }
    print(json.dumps(report, indent=2))


def _without(batch: Batch) -> None:
    """The same work without journal and budget: circuits, a job, its results, values."""
    from quantum_db.execution.drawing_shots import shot_histograms

    machine, measured = Instant(), measured_circuits(batch)
    job = CircuitJob(measured.circuits, batch.shots, batch.seed)
    ticket = machine.submit(job, Intent.of(job, machine.target, "plain"))
    measured.combine(shot_histograms(machine.collect(ticket), job), batch.shots)


if __name__ == "__main__":
    main()
