"""Connections to the two databases that can hold a ledger, and what their errors mean."""

from __future__ import annotations

import sqlite3
from enum import Enum
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from quantum_db.errors import ConfigurationError, QStoreError, StoreError
from quantum_db.gateway.ledger.errors import LedgerUnavailableError

WRITE = "qstore_write"
"""Execution option of a connection that is going to write."""

_SQLITE_BUSY_MS = 10_000
_CHECKPOINT_PAGES = 8000  # 32 MB of log: a commit that moves the log into the file waits for the disk several times
_SOCKET_TIMEOUT_S = 60.0
_POOL = {"pool_size": 8, "max_overflow": 56, "pool_timeout": 30.0}
_ROLLED_BACK = ("40001", "40P01")  # serialization failure, deadlock: the server undid the transaction
_AWAY = ("08", "57P0", "53300")  # connection lost or refused, server stopping or starting, too many connections


FAULTS = (DBAPIError, PoolTimeoutError, OSError)
"""What a database raises; pg8000 lets the bare OSError of a broken socket through."""

Raised = DBAPIError | PoolTimeoutError | OSError


class Fault(Enum):
    """What an error of the database says about trying again."""

    LATER = "later"  # the same work may succeed soon
    DISCONNECTED = "disconnected"  # as LATER, but a commit under way may have happened
    FINAL = "final"


def parse_url(url: str) -> URL:
    """Check the address of a ledger; ConfigurationError never shows a password."""
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise ConfigurationError(
            "the address of the ledger cannot be read; write sqlite:///folder/gateway.db or "
            "postgresql+pg8000://user:password@host:5432/database"
        ) from error
    if parsed.drivername == "sqlite":
        if parsed.database in (None, "", ":memory:"):
            raise ConfigurationError("a ledger must outlive its process; name a file: sqlite:///folder/gateway.db")
        return parsed
    if parsed.drivername == "postgresql":
        return parsed.set(drivername="postgresql+pg8000")
    if parsed.drivername != "postgresql+pg8000":
        raise ConfigurationError(
            f"a ledger cannot be kept in {parsed.drivername!r}; write sqlite:///folder/gateway.db or "
            "postgresql+pg8000://user:password@host:5432/database"
        )
    return parsed


def make_engine(url: URL) -> Engine:
    """Return SQLAlchemy's engine for the address; nothing is connected yet."""
    if url.get_backend_name() == "sqlite":
        return _sqlite_engine(url)
    options: dict[str, Any] = {"timeout": _SOCKET_TIMEOUT_S, "tcp_keepalive": True, "application_name": "q-store"}
    engine = create_engine(url, connect_args=options, **_POOL)
    engine.dialect.use_insertmanyvalues_wo_returning = True  # pg8000 would send every row by itself
    return engine


def _sqlite_engine(url: URL) -> Engine:
    folder = Path(str(url.database)).absolute().parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"the folder {folder} of the ledger cannot be made ({error.strerror}); name another"
        ) from error
    # Without an isolation level the driver begins nothing by itself; _begin does.
    options = {"timeout": _SQLITE_BUSY_MS / 1000, "isolation_level": None, "check_same_thread": False}
    engine = create_engine(url, connect_args=options, **_POOL)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_sqlite(connection: sqlite3.Connection, _: Any) -> None:
    connection.execute(f"PRAGMA busy_timeout = {_SQLITE_BUSY_MS}")
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise StoreError(
            f"SQLite cannot keep its write-ahead log beside the ledger (journal mode is {mode!r}), as on a network "
            "folder; put the file on a local disk, or use PostgreSQL"
        )
    connection.execute("PRAGMA synchronous = FULL")  # a commit is on disk before it is answered
    connection.execute(f"PRAGMA wal_autocheckpoint = {_CHECKPOINT_PAGES}")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin(connection: Connection) -> None:
    # A transaction that reads first and writes later could not be upgraded while another one writes.
    write = connection.get_execution_options().get(WRITE, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")


def classify(error: Raised) -> Fault:
    """Say whether the work that met this error can be tried again."""
    if isinstance(error, PoolTimeoutError):
        return Fault.LATER
    if isinstance(error, OSError):
        return Fault.DISCONNECTED
    if isinstance(error.orig, sqlite3.Error):
        return Fault.LATER if _sqlite_code(error) in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED) else Fault.FINAL
    code = _sqlstate(error)
    if code in _ROLLED_BACK:
        return Fault.LATER
    if error.connection_invalidated or code.startswith(_AWAY) or not code:
        return Fault.DISCONNECTED  # pg8000 gives no code when it is the connection that failed
    return Fault.FINAL


def translate(error: Raised, where: str) -> QStoreError | None:
    """The error to raise instead, without statements and values; None for a fault of the program itself."""
    if isinstance(error, IntegrityError):
        return None
    if isinstance(error, PoolTimeoutError):
        return LedgerUnavailableError(f"no connection to the ledger {where} became free; try again")
    if isinstance(error, DBAPIError) and isinstance(error.orig, sqlite3.Error):
        return _translate_sqlite(error, where)
    if isinstance(error, DBAPIError) and classify(error) is Fault.FINAL:
        code = _sqlstate(error)
        if code.startswith("53"):
            return LedgerUnavailableError(f"the database of the ledger {where} is out of space or memory ({code})")
        if code.startswith(("28", "3D", "3F")):
            return StoreError(
                f"the ledger {where} refuses this user or has no such database ({code}); check the address"
            )
        return None
    return LedgerUnavailableError(f"the ledger {where} cannot be reached now; check that its server runs; try again")


def _translate_sqlite(error: DBAPIError, where: str) -> QStoreError | None:
    code = _sqlite_code(error)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return StoreError(
            f"the ledger {where} is damaged or no SQLite database ({error.orig}); move it away and restore a backup, "
            "or name a new file"
        )
    if code == sqlite3.SQLITE_FULL:
        return LedgerUnavailableError(f"the disk of the ledger {where} is full; nothing was written; make room")
    if code == sqlite3.SQLITE_IOERR:
        return LedgerUnavailableError(f"the disk of the ledger {where} failed ({error.orig}); check it; see its log")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return LedgerUnavailableError(f"the ledger {where} is locked by another process for too long; try again")
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM):
        return StoreError(
            f"the ledger {where} cannot be opened or written ({error.orig}); check folder and permissions"
        )
    return None


def _sqlite_code(error: DBAPIError) -> int:
    """The primary result code; extended codes have it in the lower byte."""
    return int(getattr(error.orig, "sqlite_errorcode", 0)) & 0xFF


def _sqlstate(error: DBAPIError) -> str:
    details = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return str(details.get("C", "")) if isinstance(details, dict) else ""
