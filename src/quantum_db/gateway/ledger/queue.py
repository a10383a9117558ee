"""The queue of circuits: tasks of accepted jobs, leased to workers, and what workers report about them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, bindparam, exists, func, insert, or_, select, union_all, update

from quantum_db.gateway.ledger.closing import Ending, end_jobs, lock_jobs, settle_canceled
from quantum_db.gateway.ledger.columns import now_ms
from quantum_db.gateway.ledger.database import Database, Transaction
from quantum_db.gateway.ledger.leases import Claim, chunks, held, require_lease, take
from quantum_db.gateway.ledger.records import ZERO, Failure, Heartbeat, LeasedTask, TaskResult
from quantum_db.gateway.ledger.schema import LEASED, WAITING, jobs, results, tasks
from quantum_db.gateway.ledger.states import JobState

_PROLONG = (
    update(tasks)
    .where(tasks.c.id.in_(bindparam("ids", expanding=True)))
    .values(leased_until=now_ms() + bindparam("ms"))
)
_GIVE_BACK = (
    update(tasks)
    .where(tasks.c.id.in_(bindparam("ids", expanding=True)))
    .values(state="waiting", lease=None, worker_id=None, leased_until=None, not_before=now_ms() + bindparam("ms"))
)
_DONE = (
    update(tasks)
    .where(tasks.c.id.in_(bindparam("ids", expanding=True)))
    .values(state="done", worker_id=None, leased_until=None)
)
_FAILED = update(tasks).where(tasks.c.id == bindparam("key")).values(state="failed", worker_id=None, leased_until=None)
_PROGRESS = (
    update(jobs)
    .where(jobs.c.seq == bindparam("key"))
    .values(
        open_tasks=jobs.c.open_tasks - bindparam("ended"),
        circuits_done=jobs.c.circuits_done + bindparam("run"),
        version=jobs.c.version + 1,
    )
)
_ADD_RESULTS = insert(results)
_OPEN = union_all(  # one query for each state, so that each has its own index
    select(tasks.c.target, tasks.c.circuits).where(tasks.c.state == WAITING),
    select(tasks.c.target, tasks.c.circuits).where(tasks.c.state == LEASED),
).subquery()
_LENGTH = select(_OPEN.c.target, func.sum(_OPEN.c.circuits).label("circuits")).group_by(_OPEN.c.target)
_TARGETS = tasks.c.target.in_(bindparam("targets", expanding=True))
_ANY = select(
    or_(
        exists().where(tasks.c.state == WAITING, _TARGETS, tasks.c.not_before <= now_ms()),
        exists().where(tasks.c.state == LEASED, _TARGETS, tasks.c.leased_until < now_ms()),
    ).label("some")
)


class CircuitQueue:
    """Tasks of accepted jobs, leased to workers. Synchronous and thread-safe.

    Every report about a task carries the token of its lease, and is refused once the task was leased to another
    worker or its job ended: a worker that was away too long can write nothing.
    """

    def __init__(self, database: Database, max_attempts: int = 5) -> None:
        """`max_attempts`: after so many leases in a row that just expired, a job fails with InternalError."""
        self._database = database
        self._max_attempts = max_attempts

    def lease(self, worker_id: str, targets: Sequence[str], max_circuits: int, lease_s: float) -> list[LeasedTask]:
        """The oldest tasks for these targets: together at most `max_circuits`, but at least one if any waits.

        Tasks whose lease ended without a report are among them. Jobs that run here become `started`.
        """
        claim = Claim(worker_id, targets, max_circuits, lease_s, self._max_attempts)
        return self._database.write(lambda transaction: take(transaction, claim))

    def heartbeat(self, tokens: Iterable[str], lease_s: float) -> Heartbeat:
        """Prolong leases to `lease_s` from now; says which do not hold any more, and whose user canceled."""
        wanted = frozenset(tokens)

        def work(transaction: Transaction) -> Heartbeat:
            alive = {token: row for token, row in held(transaction, wanted).items() if row.state == "leased"}
            for ids in chunks([row.id for row in alive.values()]):
                transaction.execute(_PROLONG, {"ids": ids, "ms": int(lease_s * 1000)})
            canceled = frozenset(token for token, row in alive.items() if row.cancel_requested)
            return Heartbeat(frozenset(wanted - alive.keys()), canceled)

        return self._database.write(work)

    def release(self, tokens: Iterable[str]) -> None:
        """Give tasks back at once, for another worker; those whose lease is lost are passed over."""
        wanted = frozenset(tokens)

        def work(transaction: Transaction) -> None:
            rows = held(transaction, wanted).values()
            for ids in chunks([row.id for row in rows if row.state == "leased"]):
                transaction.execute(_GIVE_BACK, {"ids": ids, "ms": 0})

        self._database.write(work)

    def complete(self, outcomes: Sequence[TaskResult]) -> frozenset[str]:
        """Record the results of tasks together; a job whose last task this was is completed and settled.

        Returns the tokens whose lease was lost: nothing is written for those. The same report twice counts once.
        ValueError when a task's results are not one map per circuit.
        """
        given = {outcome.token: outcome for outcome in outcomes}
        return self._database.write(lambda transaction: _complete(transaction, given))

    def fail(self, token: str, code: str, message: str, cost: Decimal | None = None) -> None:
        """Fail the whole job of this task with one of IonQ's failure codes; drop its other tasks.

        `cost`: what the upstream service charges all the same. The rest of the reservation is released.
        Raises LeaseLostError.
        """

        def work(transaction: Transaction) -> None:
            if _ended_before(transaction, token, "failed"):
                return
            row = require_lease(transaction, token)
            (job,) = lock_jobs(transaction, [row.job_seq])
            transaction.execute(_FAILED, {"key": row.id})
            if row.cancel_requested:
                settle_canceled(transaction, job, cost or ZERO)
            else:
                end_jobs(transaction, [Ending(job, JobState.FAILED, cost, Failure(code, message))])

        self._database.write(work)

    def retry(self, token: str, delay_s: float) -> None:
        """Give a task back to be taken again not before `delay_s` seconds from now. Raises LeaseLostError."""

        def work(transaction: Transaction) -> None:
            if transaction.repeated and token not in held(transaction, [token]):
                return  # given back by the commit before
            row = require_lease(transaction, token)
            transaction.execute(_GIVE_BACK, {"ids": [row.id], "ms": int(delay_s * 1000)})

        self._database.write(work)

    def close_canceled(self, token: str, cost: Decimal | None = None) -> None:
        """End a forwarded task that has no result: its user or the upstream service canceled it.

        The job becomes canceled if it is not yet; `cost` (None: nothing) is charged, the rest of the reservation
        released. Raises LeaseLostError.
        """

        def work(transaction: Transaction) -> None:
            if _ended_before(transaction, token, "canceled"):
                return
            row = require_lease(transaction, token)
            (job,) = lock_jobs(transaction, [row.job_seq])
            if row.cancel_requested:
                settle_canceled(transaction, job, cost or ZERO)
            else:
                end_jobs(transaction, [Ending(job, JobState.CANCELED, cost)])

        self._database.write(work)

    def queue_length(self) -> dict[str, int]:
        """Circuits that wait or are in flight, by target; targets without any are left out."""
        rows = self._database.read(lambda transaction: transaction.all(_LENGTH))
        return {row.target: int(row.circuits) for row in rows}

    def waiting(self, targets: Sequence[str]) -> bool:
        """Whether a worker for these targets could lease something now."""
        values = {"targets": list(targets)}
        row = self._database.read(lambda transaction: transaction.first(_ANY, values))
        return row is not None and bool(row.some)


def _ended_before(transaction: Transaction, token: str, state: str) -> bool:
    """Whether this very lease ended its task in the commit whose answer was lost."""
    if not transaction.repeated:
        return False
    row = held(transaction, [token]).get(token)
    return row is not None and row.state == state


def _complete(transaction: Transaction, given: dict[str, TaskResult]) -> frozenset[str]:
    found = held(transaction, given)
    lost = frozenset(token for token in given if token not in found or found[token].state not in ("leased", "done"))
    now = {token: row for token, row in found.items() if row.state == "leased"}
    for token, row in now.items():
        if len(given[token].circuits) != row.circuits:
            raise ValueError(f"task {token} has {row.circuits} circuits and {len(given[token].circuits)} results")
    if not now:
        return lost
    locked = {job.seq: job for job in lock_jobs(transaction, (row.job_seq for row in now.values()))}
    for ids in chunks([row.id for row in now.values()]):
        transaction.execute(_DONE, {"ids": ids})
    useful = {token: row for token, row in now.items() if not row.cancel_requested}
    for token, row in now.items():
        if row.cancel_requested:  # it ran before the upstream service heard that its user had canceled it
            job, cost = locked[row.job_seq], given[token].cost
            settle_canceled(transaction, job, job.price if cost is None else cost)
    if useful:
        transaction.execute(_ADD_RESULTS, [_result(row.id, given[token]) for token, row in useful.items()])
        _advance(transaction, locked, useful, given)
    return lost


def _result(task_id: int, outcome: TaskResult) -> dict[str, Any]:
    return {
        "task_id": task_id,
        "kind": outcome.kind.value,
        "circuits": list(outcome.circuits),
        "execution_ms": outcome.execution_ms,
    }


def _advance(
    transaction: Transaction, locked: dict[int, Row[Any]], useful: dict[str, Row[Any]], given: dict[str, TaskResult]
) -> None:
    """Count the finished tasks of each job; end those that have none left."""
    by_job: dict[int, list[tuple[str, Row[Any]]]] = {}
    for token, row in useful.items():
        by_job.setdefault(row.job_seq, []).append((token, row))
    endings, progress = [], []
    for seq, own in sorted(by_job.items()):
        job = locked[seq]
        if job.open_tasks == len(own):
            cost = given[own[0][0]].cost if len(own) == 1 else None
            endings.append(Ending(job, JobState.COMPLETED, cost))
        else:
            run = sum(row.circuits for _, row in own)
            progress.append({"key": seq, "ended": len(own), "run": run})
            transaction.changed.add(job.id)
    if progress:
        transaction.execute(_PROGRESS, progress)
    end_jobs(transaction, endings)
