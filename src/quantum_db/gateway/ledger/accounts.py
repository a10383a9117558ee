"""What tenants and sessions have reserved and spent, and for what."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from sqlalchemy import BigInteger, bindparam, cast, func, literal_column, select

from quantum_db.gateway.ledger.columns import instant
from quantum_db.gateway.ledger.database import Database, Transaction
from quantum_db.gateway.ledger.errors import SessionNotFoundError
from quantum_db.gateway.ledger.records import ZERO, Balance, Entry, TenantLimits, UsageDay
from quantum_db.gateway.ledger.schema import accounts, entries, jobs, sessions

_EPOCH = date(1970, 1, 1)
_ACCOUNT = select(accounts).where(accounts.c.tenant == bindparam("key"))
_SESSION = select(sessions).where(sessions.c.id == bindparam("key"), sessions.c.tenant == bindparam("owner"))
_OF_SESSION = select(func.count().label("unfinished"), func.sum(jobs.c.drawn_shots).label("shots")).where(
    jobs.c.session_id == bindparam("key"), jobs.c.open_tasks > 0, jobs.c.completed_at.is_(None)
)
_TOTALS = select(accounts.c.tenant, accounts.c.reserved, accounts.c.spent)
_ENTRIES = select(entries).where(entries.c.tenant == bindparam("owner")).order_by(entries.c.id)
_DAY = (jobs.c.completed_at // literal_column("86400000")).label("day")  # whole numbers divide to whole ones
_USAGE = (
    select(
        _DAY,
        jobs.c.target,
        jobs.c.cost,
        func.count().label("n_jobs"),
        func.sum(jobs.c.circuits_done).label("n_circuits"),
        func.sum(cast(jobs.c.circuits_done, BigInteger) * jobs.c.shots).label("n_shots"),
    )
    .where(
        jobs.c.tenant == bindparam("owner"),
        jobs.c.completed_at >= bindparam("since"),
        jobs.c.completed_at < bindparam("until"),
        jobs.c.dry_run.is_(False),
    )
    .group_by(_DAY, jobs.c.target, jobs.c.cost)
)


class Accounts:
    """Money by tenant and by session. Synchronous and thread-safe; everything here only reads."""

    def __init__(self, database: Database) -> None:
        """Read the accounts of this ledger."""
        self._database = database

    def tenant(self, tenant: str, limits: TenantLimits | None = None) -> Balance:
        """The balance of a tenant, against the dollars of `limits`."""
        row = self._database.read(lambda transaction: transaction.first(_ACCOUNT, {"key": tenant}))
        limit = limits.usd if limits else None
        if row is None:
            return Balance(ZERO, ZERO, limit, limit, 0, 0)
        return _balance(row.reserved, row.spent, limit, row.queued_jobs, row.shots)

    def session(self, tenant: str, session_id: str) -> Balance:
        """The balance of a session against its own limit, with its unfinished jobs; SessionNotFoundError."""

        def work(transaction: Transaction) -> Balance:
            row = transaction.first(_SESSION, {"key": session_id, "owner": tenant})
            if row is None:
                raise SessionNotFoundError(f"there is no session {session_id[:80]}; check its id, or make one")
            queued = transaction.first(_OF_SESSION, {"key": session_id})
            jobs_now, shots = (0, 0) if queued is None else (int(queued.unfinished), int(queued.shots or 0))
            return _balance(row.reserved, row.spent, row.cost_limit, jobs_now, shots)

        return self._database.read(work)

    def totals(self) -> dict[str, tuple[Decimal, Decimal]]:
        """Reserved and spent dollars of every tenant that ever had a job."""
        rows = self._database.read(lambda transaction: transaction.all(_TOTALS))
        return {row.tenant: (row.reserved, row.spent) for row in rows}

    def entries(self, tenant: str, job_id: str | None = None) -> list[Entry]:
        """The journal of the tenant's money, of one job or of all, oldest first."""
        query = _ENTRIES if job_id is None else _ENTRIES.where(entries.c.job_id == job_id)
        rows = self._database.read(lambda transaction: transaction.all(query, {"owner": tenant}))
        return [Entry(row.job_id, row.tenant, row.session_id, row.kind, row.amount, instant(row.at)) for row in rows]

    def usage(self, tenant: str, since: datetime, until: datetime) -> list[UsageDay]:
        """What the tenant's jobs that ended from `since` to before `until` came to, by UTC day and target."""
        values = {"owner": tenant, "since": _milliseconds(since), "until": _milliseconds(until)}
        rows = self._database.read(lambda transaction: transaction.all(_USAGE, values))
        days: dict[tuple[int, str], UsageDay] = {}
        for row in rows:  # one for each different cost, so that the costs are added up exactly
            key = (int(row.day), row.target)
            day = _EPOCH + timedelta(days=key[0])
            sofar = days.get(key, UsageDay(day, row.target, 0, 0, 0, ZERO))
            days[key] = UsageDay(
                day,
                row.target,
                sofar.jobs + int(row.n_jobs),
                sofar.circuits + int(row.n_circuits),
                sofar.shots + int(row.n_shots),
                sofar.cost + (row.cost or ZERO) * int(row.n_jobs),
            )
        return [days[key] for key in sorted(days)]


def _balance(reserved: Decimal, spent: Decimal, limit: Decimal | None, queued_jobs: int, shots: int) -> Balance:
    remaining = None if limit is None else limit - reserved - spent
    return Balance(reserved, spent, limit, remaining, queued_jobs, shots)


def _milliseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)
