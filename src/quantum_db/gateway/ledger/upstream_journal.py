"""The write-ahead journal of jobs that are forwarded to an upstream service.

Each step is on disk before the caller goes on: the intent before anything is sent, `submitting` before the one request
that may cost money, the upstream id as soon as it is known. Whoever finds the journal after a crash knows what may
have happened: `intent` was certainly not sent, `submitting` must be looked up by its intent id before it is sent again,
`accepted` is only waited for.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select, update

from quantum_db.gateway.ledger.closing import lock_jobs
from quantum_db.gateway.ledger.columns import now_ms
from quantum_db.gateway.ledger.database import Database, Transaction
from quantum_db.gateway.ledger.errors import IllegalTransitionError, LeaseLostError
from quantum_db.gateway.ledger.leases import require_lease
from quantum_db.gateway.ledger.records import UpstreamRecord, UpstreamState
from quantum_db.gateway.ledger.rows import upstream_of
from quantum_db.gateway.ledger.schema import jobs, tasks, upstream_jobs
from quantum_db.gateway.ledger.states import JobState, path

_RECORD = (
    select(
        upstream_jobs, upstream_jobs.c.state.label("upstream_state"), tasks.c.lease, tasks.c.cancel_requested,
        tasks.c.target, jobs.c.id.label("job_id"), now_ms().label("now"),
    )
    .join(tasks, tasks.c.id == upstream_jobs.c.task_id)
    .join(jobs, jobs.c.seq == tasks.c.job_seq)
)  # fmt: skip
_OF_TASK = _RECORD.where(upstream_jobs.c.task_id == bindparam("key"))
_WAITING = (
    _RECORD.where(
        upstream_jobs.c.state == UpstreamState.ACCEPTED.value,
        tasks.c.state == "leased",
        tasks.c.worker_id == bindparam("worker"),
    )
    .order_by(tasks.c.id)
    .limit(bindparam("most"))
)
_BEGIN = insert(upstream_jobs).values(state=UpstreamState.INTENT.value, submissions=0, begun_at=now_ms())
_STEP = update(upstream_jobs).where(upstream_jobs.c.task_id == bindparam("key"))
_SUBMITTING = _STEP.values(
    state=UpstreamState.SUBMITTING.value, submitting_at=now_ms(), submissions=upstream_jobs.c.submissions + 1
)
_ABSENT = _STEP.values(state=UpstreamState.INTENT.value)
_ACCEPTED = _STEP.values(state=UpstreamState.ACCEPTED.value, accepted_at=now_ms())
_JOB_STATUS = update(jobs).where(jobs.c.seq == bindparam("key"))


class UpstreamJournal:
    """intent -> submitting -> accepted -> done (when the queue is told the outcome). Synchronous and thread-safe.

    All methods raise LeaseLostError when the token's lease does not hold any more.
    """

    def __init__(self, database: Database) -> None:
        """Keep the journal in this ledger."""
        self._database = database

    def begin(self, token: str, intent_id: str) -> UpstreamRecord:
        """Record that this task is to be submitted under `intent_id`.

        A task that was begun before, perhaps by another worker, keeps its record, which is returned: use its intent id.
        """

        def work(transaction: Transaction) -> UpstreamRecord:
            task = require_lease(transaction, token)
            if transaction.first(_OF_TASK, {"key": task.id}) is None:
                transaction.execute(_BEGIN, {"task_id": task.id, "intent_id": intent_id})
            return _record(transaction, task.id)

        return self._database.write(work)

    def submitting(self, token: str) -> UpstreamRecord:
        """Record that the job is about to be sent: from now on it may exist, and cost money, upstream.

        Raises LeaseLostError when the user has canceled the job: then it must not be sent (call
        `CircuitQueue.close_canceled`). Raises IllegalTransitionError when the record is not `intent`: what may have
        been sent is looked up first.
        """

        def work(transaction: Transaction) -> UpstreamRecord:
            task, record = self._held(transaction, token)
            if transaction.repeated and record.upstream_state == UpstreamState.SUBMITTING:
                return upstream_of(record)
            if task.cancel_requested:
                raise LeaseLostError(f"the job of {token} was canceled by its user; do not send it")
            _require(record, UpstreamState.SUBMITTING, (UpstreamState.INTENT,))
            transaction.execute(_SUBMITTING, {"key": task.id})
            return _record(transaction, task.id)

        return self._database.write(work)

    def absent(self, token: str) -> UpstreamRecord:
        """Record that the job certainly is not upstream (refused, or looked up in vain): it may be sent again."""

        def work(transaction: Transaction) -> UpstreamRecord:
            task, record = self._held(transaction, token)
            _require(record, UpstreamState.INTENT, (UpstreamState.SUBMITTING, UpstreamState.INTENT))
            transaction.execute(_ABSENT, {"key": task.id})
            return _record(transaction, task.id)

        return self._database.write(work)

    def accepted(self, token: str, upstream_id: str) -> UpstreamRecord:
        """Record the id of the job upstream; the job becomes `ready`. The same id twice is one and the same."""

        def work(transaction: Transaction) -> UpstreamRecord:
            task, record = self._held(transaction, token)
            if record.upstream_state == UpstreamState.ACCEPTED and record.upstream_id == upstream_id:
                return upstream_of(record)
            _require(record, UpstreamState.ACCEPTED, (UpstreamState.SUBMITTING,))
            transaction.execute(_ACCEPTED, {"key": task.id, "upstream_id": upstream_id})
            _move_job(transaction, task.job_seq, JobState.READY)
            return _record(transaction, task.id)

        return self._database.write(work)

    def started(self, token: str) -> None:
        """Record that the upstream service runs the job: it becomes `started`. Again is harmless."""

        def work(transaction: Transaction) -> None:
            task = require_lease(transaction, token)
            _move_job(transaction, task.job_seq, JobState.STARTED)

        self._database.write(work)

    def waiting(self, worker_id: str, limit: int = 10_000) -> list[UpstreamRecord]:
        """The accepted jobs whose outcome this worker waits for, oldest first."""
        values = {"worker": worker_id, "most": limit}
        rows: Iterable[Row[Any]] = self._database.read(lambda transaction: transaction.all(_WAITING, values))
        return [upstream_of(row) for row in rows]

    def _held(self, transaction: Transaction, token: str) -> tuple[Row[Any], Row[Any]]:
        task = require_lease(transaction, token)
        record = transaction.first(_OF_TASK, {"key": task.id})
        if record is None:
            raise IllegalTransitionError(f"task {token} has no intent yet; call begin first")
        return task, record


def _record(transaction: Transaction, task_id: int) -> UpstreamRecord:
    row = transaction.first(_OF_TASK, {"key": task_id})
    assert row is not None, "written in this transaction"  # noqa: S101
    return upstream_of(row)


def _require(record: Row[Any], new: UpstreamState, allowed: tuple[UpstreamState, ...]) -> None:
    if UpstreamState(record.upstream_state) not in allowed:
        raise IllegalTransitionError(
            f"the upstream record of job {record.job_id} cannot go from {record.upstream_state} to {new}; it may come "
            f"from {', '.join(allowed)} only"
        )


def _move_job(transaction: Transaction, seq: int, new: JobState) -> None:
    """Take the job forward to `new`; one that is there, further or canceled stays."""
    (job,) = lock_jobs(transaction, [seq])
    state = JobState(job.status)
    if state.terminal or state == new or (state, new) == (JobState.STARTED, JobState.READY):
        return
    steps = path(state, new)
    started = {"started_at": func.coalesce(jobs.c.started_at, now_ms())} if new == JobState.STARTED else {}
    transaction.execute(
        _JOB_STATUS.values(started), {"key": seq, "status": new.value, "version": job.version + len(steps)}
    )
    transaction.changed.add(job.id)
