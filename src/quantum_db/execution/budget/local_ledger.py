"""The budget as a SQLite file in the folder of the run, shared by the processes of one machine."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path

from quantum_db.errors import BudgetExceededError, ConfigurationError, StoreError
from quantum_db.execution.budget import Balance

FILE = "budget.sqlite"
"""The ledger's file in the folder of a run."""
_BUSY_S = 60.0
_SCHEMA = """
CREATE TABLE IF NOT EXISTS account (one INTEGER PRIMARY KEY CHECK (one = 1), run TEXT NOT NULL, usd_limit TEXT,
    spent TEXT NOT NULL, reserved TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, state TEXT NOT NULL, reserved TEXT NOT NULL, cost TEXT,
    exact INTEGER NOT NULL DEFAULT 0, at TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class LedgerEntry:
    """One job's money: reserved, settled (at `cost`; `exact` says that the provider named it) or released."""

    key: str
    state: str
    reserved: Decimal
    cost: Decimal | None
    exact: bool
    at: str


class LocalBudget:
    """The ledger of one run in one file. For several threads, processes and forks: nothing is kept open between calls.

    Sums are Decimal and kept beside the entries, in the same transaction, so no step looks at more than one entry.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def open(cls, folder: Path | str, run: str, limit: Decimal | None) -> LocalBudget:
        """The ledger of the run `run` in `folder`, made if there is none; `limit` (US dollars) replaces the one before.

        Raises ConfigurationError for a negative limit, StoreError for a file of another run or a damaged one.
        """
        if limit is not None and not (isinstance(limit, Decimal) and limit.is_finite() and limit >= 0):
            raise ConfigurationError(f"the budget is {limit!r}; give a Decimal of US dollars, at least 0, or None")
        ledger = cls(Path(folder) / FILE)
        ledger.path.parent.mkdir(parents=True, exist_ok=True)
        stated = None if limit is None else str(limit)
        with ledger._connection() as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(_SCHEMA)
        with ledger._transaction() as connection:
            row = connection.execute("SELECT run FROM account").fetchone()
            if row is None:
                connection.execute("INSERT INTO account VALUES (1, ?, ?, '0', '0')", (run, stated))
            elif row[0] != run:
                raise StoreError(
                    f"{ledger.path} is the budget of run {row[0]!r}, not of {run!r}; give this run its own folder"
                )
            else:
                connection.execute("UPDATE account SET usd_limit = ?", (stated,))
        return ledger

    def reserve(self, key: str, amount: Decimal, force: bool = False) -> None:
        """Set `amount` aside for the job `key`, if that much is left."""
        with self._transaction() as connection:
            entry = self._entry(connection, key)
            if entry is not None and entry.state != "released":
                return
            balance = self._balance(connection)
            if balance.left is not None and amount > balance.left and not force:
                raise BudgetExceededError(
                    f"the next job may cost {amount} USD, and of the budget of {balance.limit} USD {balance.left} are "
                    f"left ({balance.spent} spent, {balance.reserved} reserved for jobs in flight). Nothing was "
                    f"submitted. Raise the budget and start again: what is paid for is not paid again"
                )
            self._write(connection, LedgerEntry(key, "reserved", amount, None, False, ""))
            self._add(connection, balance, Decimal(0), amount)

    def settle(self, key: str, cost: Decimal | None) -> None:
        """Count the job `key` as spent; what was reserved and not used is free again."""
        with self._transaction() as connection:
            entry = self._entry(connection, key)
            if entry is not None and entry.state == "settled" and (entry.exact or cost is None):
                return
            held = entry.reserved if entry is not None and entry.state == "reserved" else Decimal(0)
            counted = entry.cost or Decimal(0) if entry is not None and entry.state == "settled" else Decimal(0)
            final = (entry.reserved if entry is not None else Decimal(0)) if cost is None else cost
            reserved = entry.reserved if entry is not None else Decimal(0)
            balance = self._balance(connection)
            self._write(connection, LedgerEntry(key, "settled", reserved, final, cost is not None, ""))
            self._add(connection, balance, final - counted, -held)

    def release(self, key: str) -> None:
        """Free what was reserved for the job `key`; a settled one stays."""
        with self._transaction() as connection:
            entry = self._entry(connection, key)
            if entry is None or entry.state != "reserved":
                return
            balance = self._balance(connection)
            self._write(connection, LedgerEntry(key, "released", entry.reserved, None, False, ""))
            self._add(connection, balance, Decimal(0), -entry.reserved)

    def balance(self) -> Balance:
        """How things stand."""
        with self._transaction() as connection:
            return self._balance(connection)

    def reserved_keys(self, prefix: str) -> tuple[str, ...]:
        """The keys that begin with `prefix` and are still reserved."""
        return tuple(one.key for one in self.entries() if one.state == "reserved" and one.key.startswith(prefix))

    def entry(self, key: str) -> LedgerEntry | None:
        """The money of the job `key`; None when there never was any."""
        with self._connection() as connection:
            return self._entry(connection, key)

    def entries(self) -> tuple[LedgerEntry, ...]:
        """All entries, by key."""
        with self._transaction() as connection:
            rows = connection.execute("SELECT key, state, reserved, cost, exact, at FROM entries ORDER BY key")
            return tuple(map(_as_entry, rows))

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        connection = sqlite3.connect(self.path, timeout=_BUSY_S, isolation_level=None)
        try:
            connection.execute("PRAGMA synchronous=FULL")
            yield connection
        except (sqlite3.DatabaseError, InvalidOperation) as error:
            raise StoreError(
                f"the budget in {self.path} cannot be used ({error}); nothing is submitted without it. Free the disk "
                f"or the lock, or restore the file; the journal beside it says what was spent"
            ) from error
        finally:
            connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._connection() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield connection
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")

    def _balance(self, connection: sqlite3.Connection) -> Balance:
        row = connection.execute("SELECT usd_limit, spent, reserved FROM account").fetchone()
        if row is None:
            raise StoreError(f"{self.path} is no budget; open it with the run's name first")
        return Balance(None if row[0] is None else Decimal(row[0]), Decimal(row[1]), Decimal(row[2]))

    def _entry(self, connection: sqlite3.Connection, key: str) -> LedgerEntry | None:
        query = "SELECT key, state, reserved, cost, exact, at FROM entries WHERE key = ?"
        row = connection.execute(query, (key,)).fetchone()
        return None if row is None else _as_entry(row)

    def _write(self, connection: sqlite3.Connection, entry: LedgerEntry) -> None:
        cost = None if entry.cost is None else str(entry.cost)
        now = datetime.now(UTC).isoformat()
        values = (entry.key, entry.state, str(entry.reserved), cost, int(entry.exact), now)
        connection.execute("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?, ?, ?)", values)

    def _add(self, connection: sqlite3.Connection, balance: Balance, spent: Decimal, reserved: Decimal) -> None:
        values = (str(balance.spent + spent), str(balance.reserved + reserved))
        connection.execute("UPDATE account SET spent = ?, reserved = ?", values)


def _as_entry(row: tuple[str, str, str, str | None, int, str]) -> LedgerEntry:
    key, state, reserved, cost, exact, at = row
    return LedgerEntry(key, state, Decimal(reserved), None if cost is None else Decimal(cost), bool(exact), at)
