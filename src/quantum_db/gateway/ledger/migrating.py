"""Brings the schema of a ledger up to date, once, whoever comes first."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import Connection, Engine, inspect, text

from quantum_db.errors import StoreError
from quantum_db.gateway.ledger.engine import WRITE
from quantum_db.gateway.ledger.schema import HEAD

SCRIPTS = Path(__file__).parent / "migrations"
_LOCK = 0x51_53_54_4F_52_45  # any number will do, if nobody else takes it: "QSTORE"


def migrate(engine: Engine, where: str) -> None:
    """Bring the ledger to HEAD; raise StoreError when a newer Q-Store made it or when it is something else."""
    with engine.connect() as connection:
        if _revision(connection, where) == HEAD:
            return
    with engine.connect().execution_options(**{WRITE: True}) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        if _revision(connection, where) != HEAD:  # another process may have been first
            _upgrade(connection)
        connection.commit()


def _revision(connection: Connection, where: str) -> str | None:
    tables = inspect(connection).get_table_names()
    if not tables:
        return None
    if "alembic_version" not in tables or "jobs" not in tables:
        raise StoreError(
            f"{where} holds something else than a ledger (tables {', '.join(sorted(tables)[:5])}); name another"
        )
    revision = str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())
    if revision not in _known():
        raise StoreError(
            f"the ledger {where} has schema {revision}, made by a newer Q-Store; this one knows up to {HEAD}; upgrade "
            "Q-Store, or restore a backup from before"
        )
    return revision


def _known() -> tuple[str, ...]:
    return tuple(file.name.partition("_")[0][1:] for file in (SCRIPTS / "versions").glob("r*.py"))


def _upgrade(connection: Connection) -> None:
    from alembic import command  # heavy, and needed only when there is something to do
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, HEAD)
