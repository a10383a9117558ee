"""The ledger for an event loop: its blocking calls run in a few threads, in the order in which they are made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import ParamSpec, TypeVar

from quantum_db.gateway.ledger import CircuitQueue, Database, JobLedger, UpstreamJournal

Given = ParamSpec("Given")
Answer = TypeVar("Answer")
_THREADS = 2


@dataclass(frozen=True)
class LedgerCalls:
    """`await ledger(ledger.journal.begin, token, intent)` calls without holding up the event loop."""

    jobs: JobLedger
    queue: CircuitQueue
    journal: UpstreamJournal
    _threads: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_THREADS, "ledger"))

    @classmethod
    def of(cls, database: Database) -> LedgerCalls:
        """The ledger in `database`."""
        return cls(JobLedger(database), CircuitQueue(database), UpstreamJournal(database))

    async def __call__(
        self, function: Callable[Given, Answer], *arguments: Given.args, **named: Given.kwargs
    ) -> Answer:
        """Call one of the ledger's methods in a thread; its errors come out here."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(function, *arguments, **named))

    def close(self) -> None:
        """Wait for calls that have begun."""
        self._threads.shutdown()
