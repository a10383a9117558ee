"""What a tenant and a session have reserved and spent, moved within the transaction that changes their jobs.

Reserved is the sum of `reserve` entries less that of `release` entries, spent the sum of `settle` entries; both totals
stand in the tenant's account and in the session too, under their row's lock, so that no limit can be overrun.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from quantum_db.errors import BudgetExceededError
from quantum_db.gateway.ledger.columns import now_ms
from quantum_db.gateway.ledger.database import Transaction
from quantum_db.gateway.ledger.errors import QuotaError, SessionEndedError, SessionNotFoundError
from quantum_db.gateway.ledger.records import ZERO, NewJob, TenantLimits
from quantum_db.gateway.ledger.schema import accounts, entries, sessions

_ACCOUNT = select(accounts).where(accounts.c.tenant == bindparam("key")).with_for_update()
_SESSION = (
    select(sessions, now_ms().label("now"))
    .where(sessions.c.id == bindparam("key"), sessions.c.tenant == bindparam("owner"))
    .with_for_update()
)
_SESSION_TOTALS = select(sessions).where(sessions.c.id == bindparam("key")).with_for_update()
_SET_ACCOUNT = update(accounts).where(accounts.c.tenant == bindparam("key"))
_SET_SESSION = update(sessions).where(sessions.c.id == bindparam("key"))
_ADD_ENTRY = insert(entries).values(at=now_ms())
_EMPTY = {"queued_jobs": 0, "shots": 0, "reserved": ZERO, "spent": ZERO}


@dataclass(frozen=True)
class Move:
    """What the end of a job changes: its place in the queue, its shots, its reservation, its cost.

    `leaves_queue`: it was unfinished until now. `shots`: given back to the tenant. `released`: the reservation that
    ends. `spent`: what is charged.
    """

    job_id: str
    tenant: str
    session_id: str | None
    leaves_queue: bool
    shots: int = 0
    released: Decimal = ZERO
    spent: Decimal = ZERO


def lock_account(transaction: Transaction, tenant: str) -> Row[Any]:
    """The tenant's account, locked until the end of the transaction, and made when it is the tenant's first."""
    row = transaction.first(_ACCOUNT, {"key": tenant})
    if row is None:
        dialect = postgresql if transaction.locks_rows else sqlite
        transaction.execute(dialect.insert(accounts).values(tenant=tenant, **_EMPTY).on_conflict_do_nothing())
        row = transaction.first(_ACCOUNT, {"key": tenant})
        assert row is not None, "the account was made in this transaction"  # noqa: S101
    return row


def admit(transaction: Transaction, account: Row[Any], new: NewJob, limits: TenantLimits) -> None:
    """Check the limits of tenant and session, reserve the money and count the job.

    Raises QuotaError, BudgetExceededError, SessionNotFoundError or SessionEndedError.
    """
    reservation = ZERO if new.dry_run else new.reservation
    shots = 0 if new.dry_run else new.drawn_shots
    _check_tenant(account, new, limits, shots, reservation)
    if new.session_id is not None:
        _enter_session(transaction, new, reservation)
    if new.dry_run:
        return
    values = {
        "key": new.tenant,
        "queued_jobs": account.queued_jobs + 1,
        "shots": account.shots + shots,
        "reserved": account.reserved + reservation,
    }
    transaction.execute(_SET_ACCOUNT, values)
    if reservation:
        entry = {"job_id": new.id, "tenant": new.tenant, "session_id": new.session_id}
        transaction.execute(_ADD_ENTRY, {**entry, "kind": "reserve", "amount": reservation})


def _check_tenant(account: Row[Any], new: NewJob, limits: TenantLimits, shots: int, reservation: Decimal) -> None:
    if new.dry_run:
        return
    if limits.queued_jobs is not None and account.queued_jobs >= limits.queued_jobs:
        raise QuotaError(
            f"{account.queued_jobs} jobs of {new.tenant!r} are unfinished and its limit is {limits.queued_jobs}; wait "
            "for some to end, or cancel some"
        )
    if limits.shots is not None and account.shots + shots > limits.shots:
        raise QuotaError(
            f"{shots} shots are more than the {max(0, limits.shots - account.shots)} that {new.tenant!r} has left of "
            f"{limits.shots}; ask for a higher limit"
        )
    taken = account.spent + account.reserved
    if limits.usd is not None and taken + reservation > limits.usd:
        raise BudgetExceededError(
            f"the job may cost {reservation:f} USD, and {new.tenant!r} has {limits.usd - taken:f} USD left of "
            f"{limits.usd:f} ({account.spent:f} spent, {account.reserved:f} reserved); use fewer shots or circuits, or "
            "ask for a higher limit"
        )


def _enter_session(transaction: Transaction, new: NewJob, reservation: Decimal) -> None:
    row = transaction.first(_SESSION, {"key": new.session_id, "owner": new.tenant})
    if row is None:
        raise SessionNotFoundError(f"there is no session {new.session_id!r}; check its id, or make one")
    reason = end_reason(row)
    if reason is not None:
        raise SessionEndedError(f"session {new.session_id} has ended ({reason}); make another one")
    if row.target != new.target:
        raise SessionEndedError(f"session {new.session_id} is for {row.target}, not for {new.target}; make another one")
    taken = row.spent + row.reserved
    if row.cost_limit is not None and taken + reservation > row.cost_limit:
        raise BudgetExceededError(
            f"the job may cost {reservation:f} USD, and session {new.session_id} has {row.cost_limit - taken:f} USD "
            f"left of {row.cost_limit:f}; use fewer shots or circuits, or make another session"
        )
    if new.dry_run:
        return
    values = {"key": row.id, "jobs": row.jobs + 1, "reserved": row.reserved + reservation}
    started = {"started_at": row.now if row.started_at is None else row.started_at}
    full = row.job_count_limit is not None and row.jobs + 1 >= row.job_count_limit
    ended = {"ended_at": row.now, "end_reason": "job_count_limit"} if full else {}
    transaction.execute(_SET_SESSION.values(ended), {**values, **started})


def end_reason(row: Row[Any]) -> str | None:
    """Why a session (with the column `now`) takes no more jobs: the recorded reason, or that its time is over."""
    if row.end_reason is not None:
        return str(row.end_reason)
    return "duration_limit" if over_at(row) is not None else None


def over_at(row: Row[Any]) -> int | None:
    """When the session's duration was over, None if it is not; counted from its first job."""
    if row.duration_limit_min is None or row.started_at is None:
        return None
    over = int(row.started_at) + int(row.duration_limit_min) * 60_000
    return over if row.now >= over else None


def apply(transaction: Transaction, moves: Iterable[Move]) -> None:
    """Book the ends of jobs: totals of tenants, then of sessions, in one order for all, then the entries."""
    moves = list(moves)
    for tenant in sorted({move.tenant for move in moves}):
        row = lock_account(transaction, tenant)
        own = [move for move in moves if move.tenant == tenant]
        values = {
            "key": tenant,
            "queued_jobs": row.queued_jobs - sum(move.leaves_queue for move in own),
            "shots": row.shots - sum(move.shots for move in own),
            "reserved": row.reserved - sum((move.released for move in own), ZERO),
            "spent": row.spent + sum((move.spent for move in own), ZERO),
        }
        transaction.execute(_SET_ACCOUNT, values)
    for session_id in sorted({move.session_id for move in moves if move.session_id is not None}):
        _leave_session(transaction, session_id, [move for move in moves if move.session_id == session_id])
    lines = [line for move in moves for line in _lines(move)]
    if lines:
        transaction.execute(_ADD_ENTRY, lines)


def _leave_session(transaction: Transaction, session_id: str, moves: list[Move]) -> None:
    row = transaction.first(_SESSION_TOTALS, {"key": session_id})
    assert row is not None, "sessions are never deleted"  # noqa: S101
    spent = row.spent + sum((move.spent for move in moves), ZERO)
    reserved = row.reserved - sum((move.released for move in moves), ZERO)
    reached = row.cost_limit is not None and row.end_reason is None and spent >= row.cost_limit
    ended = {"ended_at": now_ms(), "end_reason": "cost_limit"} if reached else {}
    transaction.execute(_SET_SESSION.values(ended), {"key": session_id, "spent": spent, "reserved": reserved})


def _lines(move: Move) -> list[dict[str, Any]]:
    line = {"job_id": move.job_id, "tenant": move.tenant, "session_id": move.session_id}
    amounts = (("settle", move.spent), ("release", move.released))
    return [{**line, "kind": kind, "amount": amount} for kind, amount in amounts if amount]
