"""The first ledger: accounts, sessions, jobs, bodies, tasks, results, journals of the upstream service and of money."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_SERIAL = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MONEY = sa.Numeric().with_variant(sa.String(40), "sqlite")


def upgrade() -> None:
    """Make all tables."""
    _accounts_and_sessions()
    _jobs()
    _tasks()
    _journals()


def _accounts_and_sessions() -> None:
    op.create_table(
        "accounts",
        sa.Column("tenant", sa.String(63), primary_key=True),
        sa.Column("queued_jobs", sa.Integer, nullable=False),
        sa.Column("shots", sa.BigInteger, nullable=False),
        sa.Column("reserved", _MONEY, nullable=False),
        sa.Column("spent", _MONEY, nullable=False),
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(36), primary_key=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("target", sa.String(63), nullable=False),
        sa.Column("job_count_limit", sa.Integer),
        sa.Column("duration_limit_min", sa.Integer),
        sa.Column("cost_limit", _MONEY),
        sa.Column("details", sa.LargeBinary, nullable=False),
        sa.Column("jobs", sa.Integer, nullable=False),
        sa.Column("reserved", _MONEY, nullable=False),
        sa.Column("spent", _MONEY, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("ended_at", sa.BigInteger),
        sa.Column("end_reason", sa.String(20)),
    )
    op.create_index("ix_sessions_tenant", "sessions", ["tenant", "created_at"])


def _jobs() -> None:
    op.create_table(
        "jobs",
        sa.Column("seq", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(36), nullable=False, unique=True),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("session_id", sa.String(36), sa.ForeignKey("sessions.id")),
        sa.Column("target", sa.String(63), nullable=False),
        sa.Column("kind", sa.String(63), nullable=False),
        sa.Column("status", sa.String(10), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("forwarded", sa.Boolean, nullable=False),
        sa.Column("dry_run", sa.Boolean, nullable=False),
        sa.Column("n_circuits", sa.Integer, nullable=False),
        sa.Column("circuits_done", sa.Integer, nullable=False),
        sa.Column("open_tasks", sa.Integer, nullable=False),
        sa.Column("shots", sa.Integer, nullable=False),
        sa.Column("drawn_shots", sa.BigInteger, nullable=False),
        sa.Column("qubits", sa.Integer, nullable=False),
        sa.Column("gates_1q", sa.BigInteger, nullable=False),
        sa.Column("gates_2q", sa.BigInteger, nullable=False),
        sa.Column("name", sa.Text),
        sa.Column("metadata", sa.LargeBinary),
        sa.Column("noise", sa.LargeBinary),
        sa.Column("settings", sa.LargeBinary),
        sa.Column("details", sa.LargeBinary, nullable=False),
        sa.Column("intent_id", sa.Text),
        sa.Column("body_digest", sa.String(128), nullable=False),
        sa.Column("price", _MONEY, nullable=False),
        sa.Column("reserved", _MONEY, nullable=False),
        sa.Column("cost", _MONEY),
        sa.Column("submitted_at", sa.BigInteger, nullable=False),
        sa.Column("started_at", sa.BigInteger),
        sa.Column("completed_at", sa.BigInteger),
        sa.Column("failure_code", sa.String(63)),
        sa.Column("failure_message", sa.Text),
        sa.Column("deleted_at", sa.BigInteger),
    )
    op.create_index("ix_jobs_intent", "jobs", ["tenant", "intent_id"], unique=True)
    op.create_index("ix_jobs_digest", "jobs", ["tenant", "body_digest", "seq"])
    op.create_index("ix_jobs_tenant", "jobs", ["tenant", "seq"])
    op.create_index("ix_jobs_session", "jobs", ["session_id", "seq"])
    op.create_index("ix_jobs_state", "jobs", ["target", "status"])
    op.create_index("ix_jobs_completed", "jobs", ["tenant", "completed_at"])
    op.create_table(
        "bodies",
        sa.Column("job_seq", _SERIAL, sa.ForeignKey("jobs.seq"), primary_key=True, autoincrement=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )


def _tasks() -> None:
    op.create_table(
        "tasks",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("job_seq", _SERIAL, sa.ForeignKey("jobs.seq"), nullable=False),
        sa.Column("target", sa.String(63), nullable=False),
        sa.Column("first", sa.Integer, nullable=False),
        sa.Column("circuits", sa.Integer, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("not_before", sa.BigInteger, nullable=False),
        sa.Column("lease", sa.String(32)),
        sa.Column("worker_id", sa.Text),
        sa.Column("leased_until", sa.BigInteger),
        sa.Column("expired_leases", sa.Integer, nullable=False),
        sa.Column("cancel_requested", sa.Boolean, nullable=False),
    )
    op.create_index("ix_tasks_job", "tasks", ["job_seq", "first"])
    _partial_index("ix_tasks_waiting", ["target", "id", "circuits"], "waiting")
    _partial_index("ix_tasks_leased", ["target", "leased_until", "circuits"], "leased")
    op.create_table(
        "results",
        sa.Column("task_id", _SERIAL, sa.ForeignKey("tasks.id"), primary_key=True, autoincrement=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("circuits", sa.LargeBinary, nullable=False),
        sa.Column("execution_ms", sa.Float),
    )


def _partial_index(name: str, columns: list[str], state: str) -> None:
    condition = sa.text(f"state = '{state}'")
    op.create_index(name, "tasks", columns, sqlite_where=condition, postgresql_where=condition)


def _journals() -> None:
    op.create_table(
        "upstream_jobs",
        sa.Column("task_id", _SERIAL, sa.ForeignKey("tasks.id"), primary_key=True, autoincrement=False),
        sa.Column("intent_id", sa.Text, nullable=False, unique=True),
        sa.Column("state", sa.String(10), nullable=False),
        sa.Column("upstream_id", sa.Text, unique=True),
        sa.Column("submissions", sa.Integer, nullable=False),
        sa.Column("begun_at", sa.BigInteger, nullable=False),
        sa.Column("submitting_at", sa.BigInteger),
        sa.Column("accepted_at", sa.BigInteger),
    )
    op.create_table(
        "entries",
        sa.Column("id", _SERIAL, primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.String(36), nullable=False),
        sa.Column("tenant", sa.String(63), nullable=False),
        sa.Column("session_id", sa.String(36)),
        sa.Column("kind", sa.String(8), nullable=False),
        sa.Column("amount", _MONEY, nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_entries_tenant", "entries", ["tenant", "id"])
    op.create_index("ix_entries_job", "entries", ["job_id"])
