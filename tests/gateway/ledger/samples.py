"""Jobs to put into a ledger, and all parts of a ledger together."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from quantum_db.gateway.ledger import Accounts, CircuitQueue, Database, JobLedger, Sessions, UpstreamJournal
from quantum_db.gateway.ledger.records import Job, LeasedTask, NewJob, TaskRange, TaskResult

TENANT = "physics"
QPU = "qpu.forte-1"
_numbers = itertools.count()


def new_job(**changes: Any) -> NewJob:
    """A job of one circuit for the simulator, with a body of its own, or what `changes` makes of it."""
    values: dict[str, Any] = {
        "tenant": TENANT,
        "target": "simulator",
        "kind": "ionq.circuit.v1",
        "body": {"qubits": 2, "circuit": [{"gate": "h", "target": 0}]},
        "body_digest": f"digest{next(_numbers)}",
        "n_circuits": 1,
        "shots": 100,
        "qubits": 2,
        "gates_1q": 1,
        "gates_2q": 0,
        "metadata": {"measurement0": "m\x1f0,1", "shots": "100"},
        "name": "bell",
        "details": {"lang": "json"},
    }
    return NewJob(**{**values, **changes})


def paid_job(price: str = "25.79", **changes: Any) -> NewJob:
    """A job for a machine upstream that reserves its price."""
    amount = Decimal(price)
    return new_job(**{"target": QPU, "forwarded": True, "price": amount, "reservation": amount, **changes})


def in_tasks(*sizes: int) -> dict[str, Any]:
    """The arguments of a job whose circuits are cut into tasks of these sizes."""
    starts = itertools.accumulate(sizes, initial=0)
    ranges = tuple(TaskRange(start, size) for start, size in zip(starts, sizes, strict=False))
    return {"n_circuits": sum(sizes), "tasks": ranges, "kind": "ionq.multi-circuit.v1"}


def outcome(task: LeasedTask, **changes: Any) -> TaskResult:
    """A result that tells which circuit it belongs to."""
    circuits = [{"0": 0.25, "3": 0.75, str(task.first + k + 4): 0.0} for k in range(task.circuits)]
    return TaskResult(task.token, circuits, **changes)


@dataclass
class Ledger:
    """Everything that works on one database."""

    database: Database

    def __post_init__(self) -> None:
        self.jobs = JobLedger(self.database)
        self.queue = CircuitQueue(self.database, max_attempts=3)
        self.upstream = UpstreamJournal(self.database)
        self.accounts = Accounts(self.database)
        self.sessions = Sessions(self.database)

    def accept(self, **changes: Any) -> Job:
        """Accept a new job for the simulator."""
        return self.jobs.accept(new_job(**changes)).job

    def accept_paid(self, price: str = "25.79", **changes: Any) -> Job:
        """Accept a new job for a machine upstream."""
        return self.jobs.accept(paid_job(price, **changes)).job

    def take(
        self, worker: str = "w", target: str = "simulator", most: int = 1000, lease_s: float = 60
    ) -> list[LeasedTask]:
        """Lease tasks."""
        return self.queue.lease(worker, [target], most, lease_s)

    def take_one(self, **arguments: Any) -> LeasedTask:
        """Lease the only task that there is."""
        (task,) = self.take(**arguments)
        return task

    def submit_upstream(self, task: LeasedTask, upstream_id: str | None = None) -> None:
        """Journal a submit of a forwarded task up to its id upstream."""
        self.upstream.begin(task.token, f"intent-{task.job_id}")
        self.upstream.submitting(task.token)
        self.upstream.accepted(task.token, upstream_id or f"up-{task.job_id}")

    def status(self, job: Job) -> str:
        """The present status of a job."""
        return self.jobs.get(job.tenant, job.id).status

    def check_books(self) -> None:
        """The totals of every account are those of its journal, and what jobs still have reserved."""
        for tenant, (reserved, spent) in self.accounts.totals().items():
            sums = {"reserve": Decimal(0), "settle": Decimal(0), "release": Decimal(0)}
            for entry in self.accounts.entries(tenant):
                sums[entry.kind] += entry.amount
            assert reserved == sums["reserve"] - sums["release"], tenant
            assert spent == sums["settle"], tenant
            assert reserved >= 0
            assert spent >= 0
