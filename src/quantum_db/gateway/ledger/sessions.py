"""Sessions: groups of jobs on one target with common limits."""

from __future__ import annotations

import builtins
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, insert, select, update

from quantum_db.gateway.ledger.columns import instant, maybe_instant, now_ms
from quantum_db.gateway.ledger.database import Database, Transaction
from quantum_db.gateway.ledger.errors import SessionNotFoundError
from quantum_db.gateway.ledger.money import end_reason, over_at
from quantum_db.gateway.ledger.records import ZERO, Session, SessionLimits
from quantum_db.gateway.ledger.schema import sessions

_SELECT = select(sessions, now_ms().label("now"))
_ONE = _SELECT.where(sessions.c.id == bindparam("key"), sessions.c.tenant == bindparam("owner"))
_ALL = _SELECT.where(sessions.c.tenant == bindparam("owner")).order_by(sessions.c.created_at.desc(), sessions.c.id)
_INSERT = insert(sessions).values(created_at=now_ms())
_END = (
    update(sessions)
    .where(sessions.c.id == bindparam("key"), sessions.c.end_reason.is_(None))
    .values(end_reason=bindparam("reason"), ended_at=bindparam("at"))
)


class Sessions:
    """Sessions of tenants; jobs join one by `NewJob.session_id`. Synchronous and thread-safe.

    A session ends when its user ends it, with the last job that its number of jobs allows, when its duration (from
    its first job) is over, or when its cost limit is spent. Its accepted jobs go on.
    """

    def __init__(self, database: Database) -> None:
        """Keep sessions in this ledger."""
        self._database = database

    def create(
        self, tenant: str, target: str, limits: SessionLimits, details: Mapping[str, Any] | None = None
    ) -> Session:
        """Open a session for jobs on `target`; `details` is the API's own and is returned unchanged."""
        values = {
            "id": str(uuid.uuid4()),
            "tenant": tenant,
            "target": target,
            "job_count_limit": limits.job_count_limit,
            "duration_limit_min": limits.duration_limit_min,
            "cost_limit": limits.cost_limit,
            "details": dict(details or {}),
            "jobs": 0,
            "reserved": ZERO,
            "spent": ZERO,
        }

        def work(transaction: Transaction) -> Session:
            key = {"key": values["id"], "owner": tenant}
            if not (transaction.repeated and transaction.first(_ONE, key)):
                transaction.execute(_INSERT, values)
            return _require(transaction, tenant, str(values["id"]))

        return self._database.write(work)

    def get(self, tenant: str, session_id: str) -> Session:
        """The session; SessionNotFoundError."""
        return self._database.read(lambda transaction: _require(transaction, tenant, session_id))

    def list(self, tenant: str, active: bool | None = None, limit: int = 100) -> builtins.list[Session]:
        """The tenant's sessions, newest first; `active`: only those that take jobs, or only those that do not."""
        rows: Sequence[Row[Any]] = self._database.read(lambda transaction: transaction.all(_ALL, {"owner": tenant}))
        found = (_session_of(row) for row in rows)
        return [one for one in found if active is None or active == (one.end_reason is None)][:limit]

    def end(self, tenant: str, session_id: str) -> Session:
        """End a session; one that has ended is returned as it is. SessionNotFoundError."""

        def work(transaction: Transaction) -> Session:
            session = _require(transaction, tenant, session_id)
            if session.end_reason is not None:
                return session
            transaction.execute(_END, {"key": session_id, "reason": "user", "at": transaction.now()})
            return _require(transaction, tenant, session_id)

        return self._database.write(work)


def _require(transaction: Transaction, tenant: str, session_id: str) -> Session:
    row = transaction.first(_ONE, {"key": session_id, "owner": tenant})
    if row is None:
        raise SessionNotFoundError(f"there is no session {session_id[:80]}; check its id, or make one")
    return _session_of(row)


def _session_of(row: Row[Any]) -> Session:
    reason = end_reason(row)
    ended = row.ended_at if row.end_reason is not None else over_at(row)
    status = "ended" if reason is not None else "created" if row.started_at is None else "started"
    return Session(
        id=row.id,
        tenant=row.tenant,
        target=row.target,
        limits=SessionLimits(row.job_count_limit, row.duration_limit_min, row.cost_limit),
        details=row.details,
        status=status,
        jobs=row.jobs,
        reserved=row.reserved,
        spent=row.spent,
        created_at=instant(row.created_at),
        started_at=maybe_instant(row.started_at),
        ended_at=maybe_instant(ended),
        end_reason=reason,
    )
