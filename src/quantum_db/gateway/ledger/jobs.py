"""Jobs: how they come into the ledger, are looked up, canceled and forgotten."""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import Row, Select, bindparam, delete, func, insert, select, update

from quantum_db.errors import StoreError
from quantum_db.gateway.ledger import money
from quantum_db.gateway.ledger.closing import cancel_job
from quantum_db.gateway.ledger.columns import instant, now_ms
from quantum_db.gateway.ledger.database import Database, Transaction
from quantum_db.gateway.ledger.errors import JobNotFoundError
from quantum_db.gateway.ledger.records import (
    ZERO,
    Accepted,
    Job,
    JobFilter,
    JobPage,
    NewJob,
    ResultKind,
    Results,
    TaskRange,
    TenantLimits,
)
from quantum_db.gateway.ledger.rows import SELECT_JOB, job_of, values_of
from quantum_db.gateway.ledger.schema import bodies, jobs, results, tasks
from quantum_db.gateway.ledger.states import JobState, path

_CHUNK = 1000  # ids in one query
_REPEATABLE = (JobState.SUBMITTED, JobState.READY, JobState.STARTED, JobState.COMPLETED)
_ALIVE = jobs.c.deleted_at.is_(None)
_OWN = (jobs.c.tenant == bindparam("owner"), jobs.c.id == bindparam("key"), _ALIVE)

_BY_ID = SELECT_JOB.where(*_OWN)
_BY_SEQ = SELECT_JOB.where(jobs.c.seq == bindparam("seq"))
_SEQ = select(jobs.c.seq).where(*_OWN)
_SEQ_OF_CURSOR = select(jobs.c.seq).where(jobs.c.tenant == bindparam("owner"), jobs.c.id == bindparam("key"))
_BY_INTENT = select(jobs.c.seq).where(jobs.c.tenant == bindparam("owner"), jobs.c.intent_id == bindparam("intent"))
_BY_DIGEST = (
    select(jobs.c.seq)
    .where(
        jobs.c.tenant == bindparam("owner"),
        jobs.c.body_digest == bindparam("digest"),
        jobs.c.intent_id.is_(None),
        jobs.c.status.in_(_REPEATABLE),
        jobs.c.submitted_at > now_ms() - bindparam("window_ms"),
        _ALIVE,
    )
    .order_by(jobs.c.seq)
    .limit(1)
)
_INSERT_JOB = insert(jobs).values(submitted_at=now_ms()).returning(jobs.c.seq, jobs.c.submitted_at)
_INSERT_DONE = (
    insert(jobs)
    .values(submitted_at=now_ms(), started_at=now_ms(), completed_at=now_ms())
    .returning(jobs.c.seq, jobs.c.submitted_at)
)
_INSERT_BODY = insert(bodies)
_INSERT_TASKS = insert(tasks)
_FORGET = (
    update(jobs)
    .where(jobs.c.seq == bindparam("key"))
    .values(deleted_at=now_ms(), intent_id=None, name=None, metadata=None)
)
_DROP_BODY = delete(bodies).where(bodies.c.job_seq == bindparam("key"))
_DROP_RESULTS = delete(results).where(
    results.c.task_id.in_(select(tasks.c.id).where(tasks.c.job_seq == bindparam("key")))
)
_STATUSES = select(jobs.c.id, jobs.c.status, jobs.c.version).where(
    jobs.c.id.in_(bindparam("ids", expanding=True)), _ALIVE
)
_BODY = select(bodies.c.body).join(jobs, jobs.c.seq == bodies.c.job_seq).where(jobs.c.id == bindparam("key"), _ALIVE)
_RESULTS = (
    select(tasks.c.first, results.c.kind, results.c.circuits)
    .join(tasks, tasks.c.id == results.c.task_id)
    .where(tasks.c.job_seq == bindparam("seq"))
    .order_by(tasks.c.first)
)
_RESULT_OF_ONE = _RESULTS.where(
    tasks.c.first <= bindparam("circuit"), tasks.c.first + tasks.c.circuits > bindparam("circuit")
)
_COUNTS = select(jobs.c.target, jobs.c.status, func.count().label("number")).group_by(jobs.c.target, jobs.c.status)


class JobLedger:
    """Jobs, their bodies and their results. All methods are synchronous and thread-safe."""

    def __init__(self, database: Database, window_s: float = 2.0) -> None:
        """`window_s`: for how many seconds an identical body without an intent id counts as a repeat; 0: never."""
        self._database = database
        self._window_ms = int(window_s * 1000)

    def accept(self, new: NewJob, limits: TenantLimits | None = None) -> Accepted:
        """Commit a job with its reservation, body and tasks; when this returns, it is on disk.

        A submit that repeats one of the same tenant returns the first job: for ever with the same intent id (until
        that job is deleted), within the window with the same digest and no intent id, unless that job failed or was
        canceled. Nothing is stored, and QuotaError, BudgetExceededError, SessionNotFoundError or SessionEndedError
        raised, when a limit is in the way; LedgerUnavailableError when the database is.
        """
        ranges = _checked_tasks(new)
        allowed = limits or TenantLimits()
        return self._database.write(lambda transaction: self._accept(transaction, new, ranges, allowed))

    def _accept(
        self, transaction: Transaction, new: NewJob, ranges: Sequence[TaskRange], limits: TenantLimits
    ) -> Accepted:
        account = money.lock_account(transaction, new.tenant)
        if transaction.repeated:  # the commit before may have happened
            earlier = transaction.first(_BY_ID, {"owner": new.tenant, "key": new.id})
            if earlier is not None:
                return Accepted(job_of(earlier), created=True)
        seq = self._first_submit(transaction, new)
        if seq is not None:
            row = transaction.first(_BY_SEQ, {"seq": seq})
            assert row is not None, "seen in this transaction"  # noqa: S101
            return Accepted(job_of(row), created=False)
        money.admit(transaction, account, new, limits)
        transaction.changed.add(new.id)
        return Accepted(_store(transaction, new, ranges), created=True)

    def _first_submit(self, transaction: Transaction, new: NewJob) -> int | None:
        if new.intent_id is not None:
            row = transaction.first(_BY_INTENT, {"owner": new.tenant, "intent": new.intent_id})
        elif self._window_ms > 0:
            values = {"owner": new.tenant, "digest": new.body_digest, "window_ms": self._window_ms}
            row = transaction.first(_BY_DIGEST, values)
        else:
            row = None
        return None if row is None else int(row.seq)

    def get(self, tenant: str, job_id: str) -> Job:
        """The job; JobNotFoundError when this tenant has none of that id. For a child give the job's own id."""
        row = self._database.read(lambda transaction: transaction.first(_BY_ID, {"owner": tenant, "key": job_id}))
        if row is None:
            raise _not_found([job_id])
        return job_of(row)

    def list(self, tenant: str, which: JobFilter | None = None, limit: int = 25, after: str | None = None) -> JobPage:
        """The tenant's jobs, newest first, `limit` of them from behind the cursor `after` (`next` of the page before).

        Raises JobNotFoundError for a cursor of nobody's or of another tenant.
        """
        query = _filtered(SELECT_JOB.where(jobs.c.tenant == tenant, _ALIVE), which or JobFilter())
        query = query.order_by(jobs.c.seq.desc()).limit(limit + 1)

        def work(transaction: Transaction) -> Sequence[Row[Any]]:
            if after is None:
                return transaction.all(query)
            last = transaction.first(_SEQ_OF_CURSOR, {"owner": tenant, "key": after})
            if last is None:
                raise _not_found([after])
            return transaction.all(query.where(jobs.c.seq < last.seq))

        found = tuple(job_of(row) for row in self._database.read(work))
        return JobPage(found[:limit], found[limit - 1].id if len(found) > limit else None)

    def cancel(self, tenant: str, job_id: str) -> Job:
        """Cancel a job and return it; a finished one is returned as it is. JobNotFoundError.

        A forwarded job that may be upstream is canceled at once for its user. Its reservation stays until the worker
        has heard from upstream (`CircuitQueue.close_canceled`).
        """
        return self.cancel_many(tenant, [job_id])[0]

    def cancel_many(self, tenant: str, job_ids: Sequence[str]) -> tuple[Job, ...]:
        """Cancel several jobs together, or none when one is unknown (JobNotFoundError names it)."""
        return self._database.write(lambda transaction: _cancel(transaction, tenant, job_ids))

    def delete(self, tenant: str, job_id: str) -> Job:
        """Cancel a job if it is unfinished, then forget its circuits, results, metadata and intent id.

        Returns it as it was last. What it cost stays in the accounts. JobNotFoundError.
        """
        return self.delete_many(tenant, [job_id])[0]

    def delete_many(self, tenant: str, job_ids: Sequence[str]) -> tuple[Job, ...]:
        """Delete several jobs together, or none when one is unknown (JobNotFoundError names it)."""

        def work(transaction: Transaction) -> tuple[Job, ...]:
            if transaction.repeated:
                return _forgotten(transaction, tenant, job_ids) or _delete(transaction, tenant, job_ids)
            return _delete(transaction, tenant, job_ids)

        return self._database.write(work)

    def statuses(self, job_ids: Iterable[str]) -> dict[str, tuple[JobState, int]]:
        """Status and version of those of these jobs that exist, of any tenant, by id."""
        ids = builtins.list(job_ids)

        def work(transaction: Transaction) -> dict[str, tuple[JobState, int]]:
            chunks = (ids[start : start + _CHUNK] for start in range(0, len(ids), _CHUNK))
            rows = (row for chunk in chunks for row in transaction.all(_STATUSES, {"ids": chunk}))
            return {row.id: (JobState(row.status), row.version) for row in rows}

        return self._database.read(work)

    def body(self, job_id: str) -> Any:
        """The `input` of a job of any tenant, as it was stored; JobNotFoundError, also when it was deleted."""
        row = self._database.read(lambda transaction: transaction.first(_BODY, {"key": job_id}))
        if row is None:
            raise _not_found([job_id])
        return row.body

    def results(self, tenant: str, job_id: str, circuit: int | None = None) -> Results:
        """The results of a completed job: of all circuits in order, or only of number `circuit` (from 0).

        Raises JobNotFoundError; StoreError when the job is not completed, or was a dry run.
        """

        def work(transaction: Transaction) -> tuple[Row[Any], Sequence[Row[Any]]]:
            job = transaction.first(_BY_ID, {"owner": tenant, "key": job_id})
            if job is None or (circuit is not None and not 0 <= circuit < job.n_circuits):
                raise _not_found([job_id])
            if job.status != JobState.COMPLETED:
                return job, ()
            if circuit is None:
                return job, transaction.all(_RESULTS, {"seq": job.seq})
            return job, transaction.all(_RESULT_OF_ONE, {"seq": job.seq, "circuit": circuit})

        job, found = self._database.read(work)
        if not found:
            why = "it was a dry run" if job.dry_run else f"its status is {job.status}"
            raise StoreError(f"job {job_id} has no results: {why}; only completed jobs that ran have some")
        maps = tuple(found[0].circuits) if circuit is None else (found[0].circuits[circuit - found[0].first],)
        if circuit is None:
            maps = tuple(one for row in found for one in row.circuits)
        return Results(ResultKind(found[0].kind), maps)

    def counts(self) -> dict[tuple[str, JobState], int]:
        """How many jobs there are by target and state, deleted ones included."""
        rows = self._database.read(lambda transaction: transaction.all(_COUNTS))
        return {(row.target, JobState(row.status)): row.number for row in rows}


def _checked_tasks(new: NewJob) -> Sequence[TaskRange]:
    ranges = tuple(new.tasks) or (TaskRange(0, new.n_circuits),)
    ends = [0, *(one.first + one.circuits for one in ranges)]
    whole = all(one.first == end and one.circuits > 0 for one, end in zip(ranges, ends, strict=False))
    if not whole or ends[-1] != new.n_circuits:
        raise ValueError(f"the tasks of a job must cover its {new.n_circuits} circuits without gap or overlap")
    if new.forwarded and len(ranges) != 1:
        raise ValueError("a forwarded job is one job upstream, so it must have exactly one task")
    if not ZERO <= new.price <= new.reservation:
        raise ValueError(f"the reservation {new.reservation} does not cover the price {new.price}")
    return ranges


def _store(transaction: Transaction, new: NewJob, ranges: Sequence[TaskRange]) -> Job:
    status = JobState.SUBMITTED if new.forwarded else path(JobState.SUBMITTED, JobState.READY)[-1]
    values = {**values_of(new), "status": status, "version": 1, "reserved": new.reservation, "cost": None}
    values["open_tasks"] = len(ranges)
    if new.dry_run:
        done = {"status": JobState.COMPLETED, "open_tasks": 0, "reserved": ZERO, "cost": ZERO}
        row = transaction.first(_INSERT_DONE, {**values, **done})
    else:
        row = transaction.first(_INSERT_JOB, values)
    assert row is not None, "an insert that returns"  # noqa: S101
    transaction.execute(_INSERT_BODY, {"job_seq": row.seq, "body": new.body})
    if new.dry_run:
        stored = transaction.first(_BY_SEQ, {"seq": row.seq})
        assert stored is not None, "inserted in this transaction"  # noqa: S101
        return job_of(stored)
    task = {"job_seq": row.seq, "target": new.target, "state": "waiting", "not_before": row.submitted_at}
    task |= {"expired_leases": 0, "cancel_requested": False}
    transaction.execute(_INSERT_TASKS, [{**task, "first": one.first, "circuits": one.circuits} for one in ranges])
    return _fresh(new, status, row.submitted_at)


def _fresh(new: NewJob, status: JobState, submitted_at: int) -> Job:
    """The job as it was just written, without reading it again."""
    return Job(
        id=new.id,
        tenant=new.tenant,
        target=new.target,
        kind=new.kind,
        status=status,
        version=1,
        n_circuits=new.n_circuits,
        circuits_done=0,
        shots=new.shots,
        qubits=new.qubits,
        gates_1q=new.gates_1q,
        gates_2q=new.gates_2q,
        metadata=new.metadata,
        name=new.name,
        noise=new.noise,
        settings=new.settings,
        details=new.details,
        session_id=new.session_id,
        intent_id=new.intent_id,
        forwarded=new.forwarded,
        dry_run=new.dry_run,
        price=new.price,
        reserved=new.reservation,
        cost=None,
        submitted_at=instant(submitted_at),
        started_at=None,
        completed_at=None,
        failure=None,
        upstream_id=None,
    )


def _filtered(query: Select[Any], which: JobFilter) -> Select[Any]:
    if which.ids is not None:
        query = query.where(jobs.c.id.in_(which.ids))
    if which.statuses is not None:
        query = query.where(jobs.c.status.in_(which.statuses))
    same = {"target": which.target, "session_id": which.session_id, "name": which.name, "intent_id": which.intent_id}
    return query.where(*(jobs.c[column] == value for column, value in same.items() if value is not None))


def _seqs(transaction: Transaction, tenant: str, job_ids: Sequence[str]) -> builtins.list[int]:
    found = [(job_id, transaction.first(_SEQ, {"owner": tenant, "key": job_id})) for job_id in job_ids]
    unknown = [job_id for job_id, row in found if row is None]
    if unknown:
        raise _not_found(unknown)
    return [int(row.seq) for _, row in found if row is not None]


def _cancel(transaction: Transaction, tenant: str, job_ids: Sequence[str]) -> tuple[Job, ...]:
    seqs = _seqs(transaction, tenant, job_ids)
    for seq in sorted(set(seqs)):
        cancel_job(transaction, seq)
    rows = (transaction.first(_BY_SEQ, {"seq": seq}) for seq in seqs)
    return tuple(job_of(row) for row in rows if row is not None)


def _delete(transaction: Transaction, tenant: str, job_ids: Sequence[str]) -> tuple[Job, ...]:
    last = _cancel(transaction, tenant, job_ids)
    for seq in _seqs(transaction, tenant, job_ids):
        for statement in (_DROP_RESULTS, _DROP_BODY, _FORGET):
            transaction.execute(statement, {"key": seq})
    transaction.changed.update(job.id for job in last)
    return last


def _forgotten(transaction: Transaction, tenant: str, job_ids: Sequence[str]) -> tuple[Job, ...]:
    """These jobs, if all of them are deleted by now."""
    query = SELECT_JOB.where(jobs.c.tenant == tenant, jobs.c.id.in_(job_ids), jobs.c.deleted_at.is_not(None))
    gone = {row.id: job_of(row) for row in transaction.all(query)}
    return tuple(gone[job_id] for job_id in job_ids) if set(job_ids) == set(gone) else ()


def _not_found(job_ids: Sequence[str]) -> JobNotFoundError:
    named = ", ".join(job_id[:80] for job_id in job_ids[:5]) + (", ..." if len(job_ids) > 5 else "")
    return JobNotFoundError(f"there is no job {named}; check the id, and that it belongs to this API key")
