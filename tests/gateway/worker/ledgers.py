"""Jobs in a real ledger, as the gateway would have accepted them."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from quantum_db.gateway.ledger import Accounts, CircuitQueue, Database, JobLedger, UpstreamJournal
from quantum_db.gateway.ledger.records import Job, NewJob, TaskRange
from quantum_db.gateway.worker import WorkerOptions
from quantum_db.gateway.worker.leases import Leases
from quantum_db.telemetry.gateway_metrics import GATEWAY_METRICS
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

TENANT = "physics"
Gates = list[dict[str, Any]]
FLIP_FIRST: Gates = [{"gate": "x", "target": 0}]  # of three qubits: key "1", since qubit 0 is the lowest bit
BELL: Gates = [{"gate": "h", "target": 0}, {"gate": "cnot", "control": 0, "target": 1}]


def rotation(angle: float) -> Gates:
    return [{"gate": "ry", "target": 1, "rotation": angle}]


@dataclass
class Ledger:
    """All parts of one ledger."""

    database: Database
    url: str

    def __post_init__(self) -> None:
        self.jobs = JobLedger(self.database)
        self.queue = CircuitQueue(self.database)
        self.journal = UpstreamJournal(self.database)
        self.accounts = Accounts(self.database)
        self.metrics = PrometheusMetrics(GATEWAY_METRICS)

    def accept(self, circuits: Sequence[Gates], tasks: Sequence[int] = (), **changes: Any) -> str:
        """Accept a job of `circuits` on three qubits, cut into tasks of these sizes; its id."""
        multi = len(circuits) > 1
        body: dict[str, Any] = {"gateset": "qis", "qubits": 3}
        body.update({"circuits": [{"circuit": gates} for gates in circuits]} if multi else {"circuit": circuits[0]})
        first, ranges = 0, []
        for size in tasks:
            ranges.append(TaskRange(first, size))
            first += size
        given: dict[str, Any] = {
            "tenant": TENANT, "target": "simulator", "kind": f"ionq.{'multi-' if multi else ''}circuit.v1",
            "body": body, "body_digest": hashlib.sha256(json.dumps([body, time.time_ns()]).encode()).hexdigest(),
            "n_circuits": len(circuits), "shots": 100, "qubits": 3, "gates_1q": 1, "gates_2q": 0, "tasks": ranges,
        }  # fmt: skip
        return self.jobs.accept(NewJob(**{**given, **changes})).job.id

    def forwarded(self, circuits: Sequence[Gates] = (BELL,), **changes: Any) -> str:
        """Accept a job that is to go upstream, with 3 dollars set aside and a price of 2."""
        given = {"target": "qpu.forte-1", "forwarded": True, "price": Decimal(2), "reservation": Decimal(3)}
        return self.accept(circuits, **{**given, **changes})

    def job(self, job_id: str) -> Job:
        return self.jobs.get(TENANT, job_id)

    def results(self, job_id: str) -> list[dict[str, Any]]:
        return list(self.jobs.results(TENANT, job_id).circuits)

    def leases(self, options: WorkerOptions) -> Leases:
        return Leases(self.queue, options.lease_s, self.metrics)

    def metric(self, line: str) -> float:
        """The value of one line of /metrics, 0 when it is not there."""
        for found in self.metrics.exposition()[0].decode().splitlines():
            if found.startswith(line + " "):
                return float(found.rsplit(" ", 1)[1])
        return 0.0


def wait_for(condition: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until `condition` is true; an AssertionError after a while."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "it did not come to pass in time"
        time.sleep(0.01)
