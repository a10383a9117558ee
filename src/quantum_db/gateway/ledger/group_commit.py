"""Several writers of one process share a commit: SQLite has one writer at a time, and each commit waits for the disk.

Whoever finds nobody writing writes for all who wait, in one transaction, and commits once; the others find their work
done when it is their turn. When one of the works fails, all is undone and each is done again by itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, Engine
from sqlalchemy.exc import DBAPIError

from quantum_db.gateway.ledger.engine import WRITE

T = TypeVar("T")
_MOST = 64  # works in one commit, so that the first of them need not wait long for the last


@dataclass(eq=False)
class _Request(Generic[T]):
    """One writer's work and, once `done`, what came of it."""

    work: Callable[[Connection], T]
    done: bool = False
    result: T | None = None
    error: Exception | None = None

    def run(self, connection: Connection) -> None:
        self.result = self.work(connection)


class GroupCommit:
    """Runs writes of many threads, together where they meet. Every caller returns after its work is on disk."""

    def __init__(self, engine: Engine) -> None:
        """Write through this engine, whose transactions with the option WRITE lock the database."""
        self._engine = engine
        self._turn = threading.Lock()
        self._guard = threading.Lock()
        self._waiting: list[_Request[Any]] = []

    def run(self, work: Callable[[Connection], T]) -> T:
        """Return what `work` returns, after a commit; whatever it raises undoes its own writes only."""
        request = _Request(work)
        with self._guard:
            self._waiting.append(request)
        with self._turn:
            if not request.done:
                self._write(self._group(request))
        if request.error is not None:
            raise request.error
        return request.result  # type: ignore[return-value]

    def _group(self, own: _Request[Any]) -> list[_Request[Any]]:
        with self._guard:
            others = [request for request in self._waiting if request is not own]
            group = [own, *others[: _MOST - 1]]
            self._waiting = others[_MOST - 1 :]
        return group

    def _write(self, group: list[_Request[Any]]) -> None:
        if len(group) > 1:
            try:
                self._write_together(group)
            except Exception:  # noqa: BLE001 - nothing was committed; below, each meets its own error and raises it
                pass
            else:
                return
        for request in group:
            self._write_alone(request)

    def _write_together(self, group: list[_Request[Any]]) -> None:
        with self._connect() as connection:
            for request in group:
                request.run(connection)
            _commit(connection)
        for request in group:
            request.done = True

    def _write_alone(self, request: _Request[Any]) -> None:
        try:
            with self._connect() as connection:
                request.run(connection)
                _commit(connection)
        except Exception as error:  # noqa: BLE001 - it is raised in the thread that it belongs to
            request.error = error
        request.done = True

    def _connect(self) -> Connection:
        return self._engine.connect().execution_options(**{WRITE: True})


def _commit(connection: Connection) -> None:
    try:
        connection.commit()
    except DBAPIError:
        connection.invalidate()  # SQLite may have left the transaction open, which the pool does not expect
        raise
