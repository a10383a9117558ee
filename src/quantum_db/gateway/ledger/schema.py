"""The tables of the ledger. A change here needs a new file in `migrations/versions` and a new HEAD.

Times are milliseconds since 1970 (UTC) by the database's clock.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    literal_column,
    text,
)

from quantum_db.gateway.ledger.columns import Money, Packed

HEAD = "0001"
"""The revision that this version of Q-Store works with."""

WAITING: ColumnElement[str] = literal_column("'waiting'")
LEASED: ColumnElement[str] = literal_column("'leased'")
"""States of tasks, written out in the statement: an index of part of the rows is of use only then."""

metadata = MetaData()
_SERIAL = BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows by itself only in an INTEGER key

accounts = Table(
    "accounts",
    metadata,
    Column("tenant", String(63), primary_key=True),
    Column("queued_jobs", Integer, nullable=False),
    Column("shots", BigInteger, nullable=False),
    Column("reserved", Money, nullable=False),
    Column("spent", Money, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("tenant", String(63), nullable=False),
    Column("target", String(63), nullable=False),
    Column("job_count_limit", Integer),
    Column("duration_limit_min", Integer),
    Column("cost_limit", Money),
    Column("details", Packed, nullable=False),
    Column("jobs", Integer, nullable=False),
    Column("reserved", Money, nullable=False),
    Column("spent", Money, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("ended_at", BigInteger),
    Column("end_reason", String(20)),
    Index("ix_sessions_tenant", "tenant", "created_at"),
)

jobs = Table(
    "jobs",
    metadata,
    Column("seq", _SERIAL, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("tenant", String(63), nullable=False),
    Column("session_id", String(36), ForeignKey("sessions.id")),
    Column("target", String(63), nullable=False),
    Column("kind", String(63), nullable=False),
    Column("status", String(10), nullable=False),
    Column("version", Integer, nullable=False),
    Column("forwarded", Boolean, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("n_circuits", Integer, nullable=False),
    Column("circuits_done", Integer, nullable=False),
    Column("open_tasks", Integer, nullable=False),
    Column("shots", Integer, nullable=False),
    Column("drawn_shots", BigInteger, nullable=False),
    Column("qubits", Integer, nullable=False),
    Column("gates_1q", BigInteger, nullable=False),
    Column("gates_2q", BigInteger, nullable=False),
    Column("name", Text),
    Column("metadata", Packed),
    Column("noise", Packed),
    Column("settings", Packed),
    Column("details", Packed, nullable=False),
    Column("intent_id", Text),
    Column("body_digest", String(128), nullable=False),
    Column("price", Money, nullable=False),
    Column("reserved", Money, nullable=False),
    Column("cost", Money),
    Column("submitted_at", BigInteger, nullable=False),
    Column("started_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("failure_code", String(63)),
    Column("failure_message", Text),
    Column("deleted_at", BigInteger),
    Index("ix_jobs_intent", "tenant", "intent_id", unique=True),  # NULLs are distinct in both databases
    Index("ix_jobs_digest", "tenant", "body_digest", "seq"),
    Index("ix_jobs_tenant", "tenant", "seq"),
    Index("ix_jobs_session", "session_id", "seq"),
    Index("ix_jobs_state", "target", "status"),
    Index("ix_jobs_completed", "tenant", "completed_at"),
)

bodies = Table(
    "bodies",
    metadata,
    Column("job_seq", _SERIAL, ForeignKey("jobs.seq"), primary_key=True, autoincrement=False),
    Column("body", Packed, nullable=False),
)

tasks = Table(
    "tasks",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("job_seq", _SERIAL, ForeignKey("jobs.seq"), nullable=False),
    Column("target", String(63), nullable=False),
    Column("first", Integer, nullable=False),
    Column("circuits", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    Column("not_before", BigInteger, nullable=False),
    Column("lease", String(32)),
    Column("worker_id", Text),
    Column("leased_until", BigInteger),
    Column("expired_leases", Integer, nullable=False),
    Column("cancel_requested", Boolean, nullable=False),
    Index("ix_tasks_job", "job_seq", "first"),
    Index(
        "ix_tasks_waiting",
        "target",
        "id",
        "circuits",
        sqlite_where=text("state = 'waiting'"),
        postgresql_where=text("state = 'waiting'"),
    ),
    Index(
        "ix_tasks_leased",
        "target",
        "leased_until",
        "circuits",
        sqlite_where=text("state = 'leased'"),
        postgresql_where=text("state = 'leased'"),
    ),
)

results = Table(
    "results",
    metadata,
    Column("task_id", _SERIAL, ForeignKey("tasks.id"), primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("circuits", Packed, nullable=False),
    Column("execution_ms", Float),
)

upstream_jobs = Table(
    "upstream_jobs",
    metadata,
    Column("task_id", _SERIAL, ForeignKey("tasks.id"), primary_key=True, autoincrement=False),
    Column("intent_id", Text, nullable=False, unique=True),
    Column("state", String(10), nullable=False),
    Column("upstream_id", Text, unique=True),
    Column("submissions", Integer, nullable=False),
    Column("begun_at", BigInteger, nullable=False),
    Column("submitting_at", BigInteger),
    Column("accepted_at", BigInteger),
)

entries = Table(
    "entries",
    metadata,
    Column("id", _SERIAL, primary_key=True, autoincrement=True),
    Column("job_id", String(36), nullable=False),
    Column("tenant", String(63), nullable=False),
    Column("session_id", String(36)),
    Column("kind", String(8), nullable=False),
    Column("amount", Money, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("ix_entries_tenant", "tenant", "id"),
    Index("ix_entries_job", "job_id"),
)
