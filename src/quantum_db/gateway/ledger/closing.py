"""How a job ends, however it ends: its state, its remaining tasks and its money, in the transaction of the caller.

Rows are locked in one order everywhere (tasks by id, jobs by seq, accounts, sessions), so that no two transactions
wait for each other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Boolean, Row, bindparam, case, func, select, update

from quantum_db.gateway.ledger import money
from quantum_db.gateway.ledger.columns import now_ms
from quantum_db.gateway.ledger.database import Transaction
from quantum_db.gateway.ledger.records import ZERO, Failure, UpstreamState
from quantum_db.gateway.ledger.schema import jobs, tasks, upstream_jobs
from quantum_db.gateway.ledger.states import JobState, path

OPEN = ("waiting", "leased")
"""States of a task that somebody still has to do something about; the others are done, failed and canceled."""

_IN_UPSTREAM = (UpstreamState.SUBMITTING, UpstreamState.ACCEPTED)
_MONEY_COLUMNS = (
    jobs.c.seq, jobs.c.id, jobs.c.tenant, jobs.c.session_id, jobs.c.status, jobs.c.version, jobs.c.open_tasks,
    jobs.c.circuits_done, jobs.c.n_circuits, jobs.c.drawn_shots, jobs.c.price, jobs.c.reserved, jobs.c.forwarded,
)  # fmt: skip
_LOCK_JOBS = (
    select(*_MONEY_COLUMNS)
    .where(jobs.c.seq.in_(bindparam("seqs", expanding=True)))
    .order_by(jobs.c.seq)
    .with_for_update()
)
_LOCK_TASKS = select(tasks.c.id).where(tasks.c.job_seq == bindparam("seq")).order_by(tasks.c.id).with_for_update()
_END = (
    update(jobs)
    .where(jobs.c.seq == bindparam("key"))
    .values(
        completed_at=now_ms(),
        started_at=case(
            (bindparam("ran", type_=Boolean), func.coalesce(jobs.c.started_at, now_ms())), else_=jobs.c.started_at
        ),
    )
)
_COMPLETE = (  # many jobs at once: what a completion writes when no bill came with it
    update(jobs)
    .where(jobs.c.seq.in_(bindparam("seqs", expanding=True)))
    .values(
        status=JobState.COMPLETED.value,
        version=jobs.c.version + len(path(JobState.STARTED, JobState.COMPLETED)),
        open_tasks=0,
        circuits_done=jobs.c.n_circuits,
        cost=jobs.c.price,
        reserved=ZERO,
        completed_at=now_ms(),
    )
)
_DROP_TASKS = (
    update(tasks)
    .where(tasks.c.job_seq.in_(bindparam("seqs", expanding=True)), tasks.c.state.in_(OPEN))
    .values(state="canceled", worker_id=None, leased_until=None)
)
_WANT_CANCELED = (
    update(tasks).where(tasks.c.job_seq == bindparam("seq"), tasks.c.state.in_(OPEN)).values(cancel_requested=True)
)
_MAYBE_UPSTREAM = (
    select(tasks.c.id)
    .join(upstream_jobs, upstream_jobs.c.task_id == tasks.c.id)
    .where(tasks.c.job_seq == bindparam("seq"), tasks.c.state.in_(OPEN), upstream_jobs.c.state.in_(_IN_UPSTREAM))
)
_SETTLE = update(jobs).where(jobs.c.seq == bindparam("key")).values(reserved=ZERO)
_UPSTREAM_DONE = (
    update(upstream_jobs)
    .where(
        upstream_jobs.c.task_id.in_(select(tasks.c.id).where(tasks.c.job_seq.in_(bindparam("seqs", expanding=True))))
    )
    .values(state=UpstreamState.DONE)
)


@dataclass(frozen=True)
class Ending:
    """How one job ends: its row, its last state, what it costs (None: its price if completed, nothing otherwise)."""

    job: Row[Any]
    state: JobState
    cost: Decimal | None = None
    failure: Failure | None = None


def lock_jobs(transaction: Transaction, seqs: Iterable[int]) -> Sequence[Row[Any]]:
    """The rows of these jobs that endings need, locked in order."""
    return transaction.all(_LOCK_JOBS, {"seqs": sorted(set(seqs))})


def end_jobs(transaction: Transaction, endings: Sequence[Ending]) -> None:
    """End jobs, each by legal steps only, drop their open tasks and settle their money.

    Raises IllegalTransitionError when one has ended before.
    """
    rows, moves, plain = [], [], []
    for ending in endings:
        job, steps = ending.job, path(JobState(ending.job.status), ending.state)
        completed = ending.state == JobState.COMPLETED
        cost = ending.cost if ending.cost is not None else job.price if completed else ZERO
        if completed and ending.cost is None and job.status == JobState.STARTED:
            plain.append(job.seq)
        else:
            rows.append(_row(ending, job.version + len(steps), cost))
        moves.append(
            money.Move(
                job.id, job.tenant, job.session_id, True, 0 if completed else job.drawn_shots, job.reserved, cost
            )
        )
        transaction.changed.add(job.id)
    if plain:
        transaction.execute(_COMPLETE, {"seqs": plain})
    if rows:
        transaction.execute(_END, rows)
    unfinished = [ending.job.seq for ending in endings if ending.state != JobState.COMPLETED]
    if unfinished:
        transaction.execute(_DROP_TASKS, {"seqs": unfinished})
    forwarded = [ending.job.seq for ending in endings if ending.job.forwarded]
    if forwarded:
        transaction.execute(_UPSTREAM_DONE, {"seqs": forwarded})
    money.apply(transaction, moves)


def _row(ending: Ending, version: int, cost: Decimal) -> dict[str, Any]:
    completed = ending.state == JobState.COMPLETED
    return {
        "key": ending.job.seq,
        "status": ending.state.value,
        "version": version,
        "open_tasks": 0,
        "circuits_done": ending.job.n_circuits if completed else ending.job.circuits_done,
        "cost": cost,
        "reserved": ZERO,
        "failure_code": ending.failure.code if ending.failure else None,
        "failure_message": ending.failure.message if ending.failure else None,
        "ran": completed,
    }


def cancel_job(transaction: Transaction, seq: int) -> None:
    """Cancel an unfinished job; a finished one is left as it is.

    If its circuits may be at the upstream service, its task and its reservation stay until the worker has heard what
    became of them: for its user the job is canceled all the same.
    """
    if transaction.locks_rows:
        transaction.all(_LOCK_TASKS, {"seq": seq})
    (job,) = lock_jobs(transaction, [seq])
    state = JobState(job.status)
    if state.terminal:
        return
    if not transaction.all(_MAYBE_UPSTREAM, {"seq": seq}):
        end_jobs(transaction, [Ending(job, JobState.CANCELED)])
        return
    steps = path(state, JobState.CANCELED)
    transaction.execute(_WANT_CANCELED, {"seq": seq})
    values = {"key": seq, "status": JobState.CANCELED, "version": job.version + len(steps), "ran": False}
    transaction.execute(_END, values)
    money.apply(transaction, [money.Move(job.id, job.tenant, job.session_id, True, job.drawn_shots)])
    transaction.changed.add(job.id)


def settle_canceled(transaction: Transaction, job: Row[Any], cost: Decimal) -> None:
    """Book what a canceled job did cost upstream, release its reservation, and close its task."""
    transaction.execute(_SETTLE, {"key": job.seq, "cost": cost, "version": job.version + 1})
    transaction.execute(_DROP_TASKS, {"seqs": [job.seq]})
    transaction.execute(_UPSTREAM_DONE, {"seqs": [job.seq]})
    move = money.Move(job.id, job.tenant, job.session_id, False, released=job.reserved, spent=cost)
    money.apply(transaction, [move])
    transaction.changed.add(job.id)
