"""One ledger database: opening, transactions, what to do when the server goes away, and who hears of changes."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection, CursorResult, Engine, Executable, Row, select

from quantum_db.gateway.ledger.columns import now_ms
from quantum_db.gateway.ledger.engine import FAULTS, Fault, classify, make_engine, parse_url, translate
from quantum_db.gateway.ledger.errors import CommitUnknownError, LedgerUnavailableError
from quantum_db.gateway.ledger.group_commit import GroupCommit
from quantum_db.gateway.ledger.migrating import migrate

_LOG = logging.getLogger(__name__)
_FIRST_WAIT_S = 0.02
_LONGEST_WAIT_S = 1.0
T = TypeVar("T")
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]


class Transaction:
    """One open transaction. `changed` collects the ids of jobs whose listeners are told after the commit.

    `repeated` says that an earlier try of the same work may already have been committed.
    """

    def __init__(self, connection: Connection, repeated: bool = False) -> None:
        self._connection = connection
        self.repeated = repeated
        self.changed: set[str] = set()

    @property
    def locks_rows(self) -> bool:
        """Whether rows must be locked one by one; SQLite has one writer at a time anyway."""
        return self._connection.dialect.name != "sqlite"

    def execute(self, statement: Executable, parameters: Parameters | None = None) -> CursorResult[Any]:
        """Run a statement, once for each set of parameters."""
        return self._connection.execute(statement, parameters)  # type: ignore[return-value, unused-ignore]

    def all(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Sequence[Row[Any]]:
        """All rows of a query."""
        return self._connection.execute(statement, parameters).all()

    def first(self, statement: Executable, parameters: Mapping[str, Any] | None = None) -> Row[Any] | None:
        """The first row of a query, or None."""
        return self._connection.execute(statement, parameters).first()

    def now(self) -> int:
        """The database's time in milliseconds."""
        return int(self._connection.execute(_NOW).scalar_one())


_NOW = select(now_ms())


class Database:
    """One ledger database. Thread-safe: share one per process. After a fork open a new one."""

    def __init__(self, engine: Engine, where: str, retry_s: float) -> None:
        """Use `Database.open`; `where` is the address without its password."""
        self._engine = engine
        self._where = where
        self._retry_s = retry_s
        self._listeners: list[Callable[[frozenset[str]], None]] = []
        self._group = GroupCommit(engine) if engine.dialect.name == "sqlite" else None

    @staticmethod
    def open(url: str, retry_s: float = 30.0) -> Database:
        """Open a ledger and bring its schema up to date.

        `url` is `sqlite:///path` (the file is made) or `postgresql+pg8000://user:password@host:port/name`. While a
        server is away, reads are repeated for up to `retry_s` seconds, writes too if they certainly did not happen.

        Raises ConfigurationError for an address of another kind, StoreError for a damaged file, a schema of a newer
        Q-Store or a refused login, LedgerUnavailableError when the server does not answer.
        """
        parsed = parse_url(url)
        database = Database(make_engine(parsed), parsed.render_as_string(hide_password=True), retry_s)
        try:
            database._attempts(lambda: migrate(database._engine, database._where))
        except BaseException:
            database.close()
            raise
        return database

    def read(self, work: Callable[[Transaction], T]) -> T:
        """Run `work`, which only reads, in one transaction; again when the server went away."""

        def once() -> T:
            with self._engine.connect() as connection:
                return work(Transaction(connection))

        return self._attempts(once)

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run `work` in one transaction and commit it durably.

        The work is run again after a deadlock, and when the server went away; if that was during the commit, with
        `Transaction.repeated` set: it must find what it wrote before and come to the same. Gives up after a while with
        LedgerUnavailableError (certainly nothing was written) or CommitUnknownError.
        """
        repeated = False

        def within(connection: Connection) -> tuple[T, frozenset[str]]:
            transaction = Transaction(connection, repeated)
            return work(transaction), frozenset(transaction.changed)

        def once() -> tuple[T, frozenset[str]]:
            nonlocal repeated
            if self._group is not None:
                return self._group.run(within)
            with self._engine.connect() as connection:
                outcome = within(connection)
                try:
                    connection.commit()
                except FAULTS as error:
                    repeated = repeated or classify(error) is Fault.DISCONNECTED
                    raise
                return outcome

        try:
            result, changed = self._attempts(once)
        except LedgerUnavailableError:
            if not repeated:
                raise
            raise CommitUnknownError(
                f"the connection to the ledger {self._where} broke during a commit, which may or may not have "
                "happened; ask again later"
            ) from None
        if changed:
            self._tell(changed)
        return result

    def listen(self, callback: Callable[[frozenset[str]], None]) -> None:
        """Call `callback(job_ids)` after every commit of this process that made or changed these jobs.

        It is called in the thread that committed: it must be quick (for an event loop: `call_soon_threadsafe`).
        """
        self._listeners.append(callback)

    def ping(self) -> None:
        """Raise LedgerUnavailableError, or StoreError, unless the database answers."""
        self.read(lambda transaction: transaction.now())

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _attempts(self, once: Callable[[], T]) -> T:
        deadline = time.monotonic() + self._retry_s
        wait = _FIRST_WAIT_S
        while True:
            try:
                return once()
            except FAULTS as error:
                if classify(error) is Fault.FINAL or time.monotonic() + wait > deadline:
                    instead = translate(error, self._where)
                    if instead is None:
                        raise
                    # The database's own text may hold values of a statement, so it is not chained on.
                    raise instead from None
                _LOG.warning("the ledger did not answer (%s); trying again", type(error).__name__)
            time.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)

    def _tell(self, changed: frozenset[str]) -> None:
        for callback in self._listeners:
            callback(changed)
