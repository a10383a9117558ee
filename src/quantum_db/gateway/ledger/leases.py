"""Which tasks a worker gets, and which leases still hold."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, bindparam, func, select, update

from quantum_db.gateway.ledger.closing import Ending, end_jobs, lock_jobs
from quantum_db.gateway.ledger.columns import now_ms
from quantum_db.gateway.ledger.database import Transaction
from quantum_db.gateway.ledger.errors import LeaseLostError
from quantum_db.gateway.ledger.records import Failure, LeasedTask, UpstreamState
from quantum_db.gateway.ledger.rows import make_token, read_token, upstream_of
from quantum_db.gateway.ledger.schema import LEASED, WAITING, jobs, tasks, upstream_jobs
from quantum_db.gateway.ledger.states import JobState, path

CHUNK = 1000  # tasks in one statement
_WAITING = (
    select(tasks.c.id, tasks.c.job_seq, tasks.c.circuits)
    .where(
        tasks.c.state == WAITING,
        tasks.c.target == bindparam("of_target"),
        tasks.c.not_before <= now_ms(),
        tasks.c.id > bindparam("above"),
    )
    .order_by(tasks.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_OLDEST = (
    select(tasks.c.id)
    .where(tasks.c.state == WAITING, tasks.c.target == bindparam("of_target"), tasks.c.not_before <= now_ms())
    .order_by(tasks.c.id)
    .limit(1)
)
_EXPIRED = (
    select(
        tasks.c.id, tasks.c.job_seq, tasks.c.circuits, tasks.c.expired_leases, upstream_jobs.c.state.label("upstream")
    )
    .outerjoin(upstream_jobs, upstream_jobs.c.task_id == tasks.c.id)
    .where(
        tasks.c.state == LEASED,
        tasks.c.target.in_(bindparam("targets", expanding=True)),
        tasks.c.leased_until < now_ms(),
    )
    .order_by(tasks.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=tasks)
)
_TAKE = (
    update(tasks)
    .where(tasks.c.id.in_(bindparam("ids", expanding=True)))
    .values(
        state="leased",
        lease=bindparam("new_lease"),
        worker_id=bindparam("worker"),
        leased_until=now_ms() + bindparam("ms"),
    )
)
_COUNT_EXPIRED = (
    update(tasks)
    .where(tasks.c.id.in_(bindparam("ids", expanding=True)))
    .values(expired_leases=tasks.c.expired_leases + 1)
)
_LEASED = (
    select(
        tasks.c.id.label("task_id"), tasks.c.lease, tasks.c.first, tasks.c.circuits, tasks.c.not_before,
        tasks.c.expired_leases, tasks.c.cancel_requested, tasks.c.target, tasks.c.leased_until,
        jobs.c.id.label("job_id"), jobs.c.tenant, jobs.c.kind, jobs.c.n_circuits, jobs.c.shots, jobs.c.name,
        jobs.c.noise, jobs.c.settings, jobs.c.details, jobs.c.forwarded,
        upstream_jobs.c.intent_id, upstream_jobs.c.state.label("upstream_state"), upstream_jobs.c.upstream_id,
        upstream_jobs.c.submissions, upstream_jobs.c.begun_at, upstream_jobs.c.submitting_at,
        upstream_jobs.c.accepted_at, now_ms().label("now"),
    )
    .join(jobs, jobs.c.seq == tasks.c.job_seq)
    .outerjoin(upstream_jobs, upstream_jobs.c.task_id == tasks.c.id)
    .where(tasks.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(tasks.c.id)
)  # fmt: skip
_LOCK_READY = (
    select(jobs.c.seq, jobs.c.id)
    .where(
        jobs.c.seq.in_(bindparam("seqs", expanding=True)),
        jobs.c.status == JobState.READY.value,
        jobs.c.forwarded.is_(False),
    )
    .order_by(jobs.c.seq)
    .with_for_update()
)
_START = (
    update(jobs)
    .where(jobs.c.seq.in_(bindparam("seqs", expanding=True)))
    .values(
        status=path(JobState.READY, JobState.STARTED)[-1].value,
        started_at=func.coalesce(jobs.c.started_at, now_ms()),
        version=jobs.c.version + 1,
    )
)
_HELD = select(tasks).where(tasks.c.id.in_(bindparam("ids", expanding=True))).order_by(tasks.c.id).with_for_update()


@dataclass(frozen=True)
class Claim:
    """What a worker asks for: its name, targets, circuits at most, and for how long."""

    worker_id: str
    targets: Sequence[str]
    max_circuits: int
    lease_s: float
    max_attempts: int


def take(transaction: Transaction, claim: Claim) -> list[LeasedTask]:
    """Lease the oldest tasks that fit the claim; end jobs whose leases expired too often."""
    again = _expired(transaction, claim)
    chosen, room = list(again), claim.max_circuits - sum(row.circuits for row in again)
    for target in _oldest_first(transaction, claim.targets):
        found = _waiting(transaction, target, room, bool(chosen))
        chosen += found
        room -= sum(row.circuits for row in found)
    if not chosen:
        return []
    lease, ids = uuid.uuid4().hex, [row.id for row in chosen]
    values = {"new_lease": lease, "worker": claim.worker_id, "ms": int(claim.lease_s * 1000)}
    for part in chunks(ids):
        transaction.execute(_TAKE, {"ids": part, **values})
    if again:
        transaction.execute(_COUNT_EXPIRED, {"ids": [row.id for row in again]})
    _start(transaction, sorted({row.job_seq for row in chosen}))
    expired = {row.id for row in again}
    rows = [row for part in chunks(ids) for row in transaction.all(_LEASED, {"ids": part})]
    return [_task_of(row, row.task_id in expired) for row in rows]


def _expired(transaction: Transaction, claim: Claim) -> list[Row[Any]]:
    """Tasks whose worker did not come back. Those that may be paid for upstream are never given up."""
    found = transaction.all(_EXPIRED, {"targets": list(claim.targets), "most": CHUNK})
    hopeless, again, room = [], list[Row[Any]](), claim.max_circuits
    for row in found:
        paid = row.upstream in (UpstreamState.SUBMITTING, UpstreamState.ACCEPTED)
        if row.expired_leases + 1 >= claim.max_attempts and not paid:
            hopeless.append(row.job_seq)
        elif not again or row.circuits <= room:
            again.append(row)
            room -= row.circuits
    if hopeless:
        message = f"{claim.max_attempts} workers in a row stopped without a word while they ran circuits of this job"
        failure = Failure("InternalError", message)
        live = [job for job in lock_jobs(transaction, hopeless) if not JobState(job.status).terminal]
        end_jobs(transaction, [Ending(job, JobState.FAILED, failure=failure) for job in live])
    return [row for row in again if row.job_seq not in hopeless]


def _oldest_first(transaction: Transaction, targets: Sequence[str]) -> list[str]:
    """The targets with waiting tasks, that of the oldest task first."""
    if len(targets) < 2:
        return list(targets)
    oldest = ((transaction.first(_OLDEST, {"of_target": target}), target) for target in sorted(set(targets)))
    return [target for _, target in sorted((row.id, target) for row, target in oldest if row is not None)]


def _waiting(transaction: Transaction, target: str, room: int, some: bool) -> list[Row[Any]]:
    """The oldest waiting tasks of a target that fit in `room`; if there are no others, one that does not."""
    chosen: list[Row[Any]] = []
    above, most = 0, 1  # a first one, so that no more large tasks are locked than needed
    while room > 0:
        found = transaction.all(_WAITING, {"of_target": target, "above": above, "most": most})
        for row in found:
            if row.circuits > room and (chosen or some):
                return chosen
            chosen.append(row)
            room -= row.circuits
        if len(found) < most:
            return chosen
        above, most = found[-1].id, max(1, min(CHUNK, room // max(1, found[-1].circuits)))
    return chosen


def _start(transaction: Transaction, seqs: Sequence[int]) -> None:
    for part in chunks(seqs):
        ready = transaction.all(_LOCK_READY, {"seqs": part})
        if ready:
            transaction.execute(_START, {"seqs": [row.seq for row in ready]})
            transaction.changed.update(row.id for row in ready)


def _task_of(row: Row[Any], taken_over: bool) -> LeasedTask:
    return LeasedTask(
        token=make_token(row.task_id, row.lease),
        task_id=row.task_id,
        job_id=row.job_id,
        tenant=row.tenant,
        target=row.target,
        kind=row.kind,
        first=row.first,
        circuits=row.circuits,
        n_circuits=row.n_circuits,
        shots=row.shots,
        name=row.name,
        noise=row.noise,
        settings=row.settings,
        details=row.details,
        forwarded=row.forwarded,
        attempt=row.expired_leases + 1,
        taken_over=taken_over,
        waited_s=max(0, row.now - row.not_before) / 1000,
        cancel_requested=row.cancel_requested,
        upstream=None if row.intent_id is None else upstream_of(row),
    )


def held(transaction: Transaction, tokens: Iterable[str]) -> dict[str, Row[Any]]:
    """The tasks of these tokens that have not been leased anew, locked, in any state; the others are left out."""
    read = {read_token(token): token for token in tokens}
    ids = sorted(task for task, _ in read)
    rows = [row for part in chunks(ids) for row in transaction.all(_HELD, {"ids": part})]
    return {read[row.id, row.lease]: row for row in rows if (row.id, row.lease) in read}


def require_lease(transaction: Transaction, token: str) -> Row[Any]:
    """The leased task of this token, locked; LeaseLostError when it is another worker's or nobody's."""
    row = held(transaction, [token]).get(token)
    if row is None or row.state != "leased":
        why = "another worker has it by now" if row is None else f"it is {row.state}"
        raise LeaseLostError(f"the lease {token} does not hold any more: {why}; drop the work")
    return row


def chunks(ids: Sequence[int]) -> Iterable[list[int]]:
    """The ids in parts that fit in one statement."""
    return (list(ids[start : start + CHUNK]) for start in range(0, len(ids), CHUNK))
