"""Rows of the ledger as records."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from quantum_db.gateway.ledger.columns import instant, maybe_instant
from quantum_db.gateway.ledger.errors import LeaseLostError
from quantum_db.gateway.ledger.records import Failure, Job, NewJob, UpstreamRecord, UpstreamState
from quantum_db.gateway.ledger.schema import jobs, tasks, upstream_jobs
from quantum_db.gateway.ledger.states import JobState

_UPSTREAM_ID = (
    select(upstream_jobs.c.upstream_id)
    .join(tasks, tasks.c.id == upstream_jobs.c.task_id)
    .where(tasks.c.job_seq == jobs.c.seq)
    .limit(1)
    .scalar_subquery()
)
SELECT_JOB = select(jobs, _UPSTREAM_ID.label("upstream_id"))


def job_of(row: Row[Any]) -> Job:
    """A job from a row of SELECT_JOB."""
    return Job(
        id=row.id,
        tenant=row.tenant,
        target=row.target,
        kind=row.kind,
        status=JobState(row.status),
        version=row.version,
        n_circuits=row.n_circuits,
        circuits_done=row.circuits_done,
        shots=row.shots,
        qubits=row.qubits,
        gates_1q=row.gates_1q,
        gates_2q=row.gates_2q,
        metadata=row.metadata,
        name=row.name,
        noise=row.noise,
        settings=row.settings,
        details=row.details,
        session_id=row.session_id,
        intent_id=row.intent_id,
        forwarded=row.forwarded,
        dry_run=row.dry_run,
        price=row.price,
        reserved=row.reserved,
        cost=row.cost,
        submitted_at=instant(row.submitted_at),
        started_at=maybe_instant(row.started_at),
        completed_at=maybe_instant(row.completed_at),
        failure=Failure(row.failure_code, row.failure_message) if row.failure_code is not None else None,
        upstream_id=row.upstream_id,
    )


def values_of(new: NewJob) -> dict[str, Any]:
    """The columns of a new job that come from its submit."""
    return {
        "id": new.id,
        "tenant": new.tenant,
        "session_id": new.session_id,
        "target": new.target,
        "kind": new.kind,
        "forwarded": new.forwarded,
        "dry_run": new.dry_run,
        "n_circuits": new.n_circuits,
        "shots": new.shots,
        "drawn_shots": new.drawn_shots,
        "qubits": new.qubits,
        "gates_1q": new.gates_1q,
        "gates_2q": new.gates_2q,
        "name": new.name,
        "metadata": new.metadata,
        "noise": new.noise,
        "settings": new.settings,
        "details": new.details,
        "intent_id": new.intent_id,
        "body_digest": new.body_digest,
        "price": new.price,
        "circuits_done": 0,
    }


def upstream_of(row: Row[Any]) -> UpstreamRecord:
    """An upstream record from a row of upstream_jobs with `lease`, `cancel_requested`, `job_id`, `target` and `now`."""
    return UpstreamRecord(
        token=make_token(row.task_id, row.lease),
        job_id=row.job_id,
        target=row.target,
        intent_id=row.intent_id,
        state=UpstreamState(row.upstream_state),
        upstream_id=row.upstream_id,
        submissions=row.submissions,
        begun_at=instant(row.begun_at),
        submitting_at=maybe_instant(row.submitting_at),
        accepted_at=maybe_instant(row.accepted_at),
        cancel_requested=row.cancel_requested,
        begun_s=max(0, row.now - row.begun_at) / 1000,
        submitting_s=None if row.submitting_at is None else max(0, row.now - row.submitting_at) / 1000,
    )


def make_token(task_id: int, lease: str) -> str:
    """The fencing token of one task under one lease: another lease of the same task has another token."""
    return f"{task_id}:{lease}"


def read_token(token: str) -> tuple[int, str]:
    """Task and lease of a token; LeaseLostError for text that never was one."""
    task, _, lease = token.partition(":")
    if not task.isdecimal() or not lease:
        raise LeaseLostError(f"{token[:80]!r} is no token of a lease; use the one that the task came with")
    return int(task), lease
