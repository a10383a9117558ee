"""Requests that wait for a job to end (long-polls): one watcher asks the ledger for all of them together.

A commit of this process wakes the watcher at once (`Database.listen`), and it asks about the jobs of that commit. What
other processes commit is found by asking about all every 5 to 250 ms, the more rarely the longer nothing has happened
and the longer one question takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping

from quantum_db.errors import QStoreError
from quantum_db.gateway.ledger.states import JobState

_LOG = logging.getLogger(__name__)
SHORTEST_PERIOD_S = 0.005
LONGEST_PERIOD_S = 0.25
_GROWTH = 1.5
_REST = 10  # a question that takes t seconds is followed by at least 10 t of rest
_SECONDS_AFTER_TROUBLE = 1.0
_FRESH_JOBS = 20_000

Statuses = Mapping[str, tuple[JobState, int]]


class FreshJobs:
    """The jobs this process has accepted that nobody has looked at yet; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, job_id: str) -> None:
        """Remember a job that was just accepted."""
        self._ids[job_id] = None
        if len(self._ids) > _FRESH_JOBS:
            self._ids.popitem(last=False)

    def first_look(self, job_id: str) -> bool:
        """Whether nobody has looked at the job before; False from then on."""
        found = job_id in self._ids
        self._ids.pop(job_id, None)
        return found


class StatusWatcher:
    """Lets requests wait until their job is finished or gone. All methods run in the event loop but `committed`."""

    def __init__(self, ask: Callable[[Iterable[str]], Awaitable[Statuses]]) -> None:
        """`ask` gives the status of those of many jobs that exist."""
        self._ask = ask
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._woken: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._changed: set[str] = set()

    @property
    def count(self) -> int:
        """How many requests are waiting."""
        return sum(len(futures) for futures in self._waiting.values())

    def start(self) -> None:
        """Begin to watch, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._task = self._loop.create_task(self._watch())

    def release(self) -> None:
        """Let every request go on with the status there is, and hold none from now on (for any thread)."""
        self._stopping = True
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._let_all_go)

    async def stop(self) -> None:
        """Let every request go on, and end."""
        self.release()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def committed(self, job_ids: frozenset[str]) -> None:
        """Tell that these jobs have changed; for any thread, returns at once."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._wake, job_ids)

    async def wait(self, job_id: str, seconds: float) -> None:
        """Return when the job is finished or gone, when `seconds` are over, or when the watcher stops."""
        if self._stopping or seconds <= 0 or self._woken is None:
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(job_id, set()).add(future)
        self._wake((job_id,))  # it may have ended before it was waited for
        try:
            await asyncio.wait((future,), timeout=seconds)
        finally:
            futures = self._waiting.get(job_id)
            if futures is not None:
                futures.discard(future)
                if not futures:
                    self._waiting.pop(job_id, None)

    def _wake(self, job_ids: Iterable[str]) -> None:
        changed = self._waiting.keys() & job_ids
        if changed and self._woken is not None:
            self._changed |= changed
            self._woken.set()

    def _let_all_go(self) -> None:
        for job_id in list(self._waiting):
            self._let_go(job_id)

    def _let_go(self, job_id: str) -> None:
        for future in self._waiting.pop(job_id, set()):
            if not future.done():
                future.set_result(None)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        period, sweep_at = SHORTEST_PERIOD_S, loop.time()
        while True:
            await self._sleep(max(0.0, sweep_at - loop.time()) if self._waiting else None)
            changed, self._changed = self._changed, set()
            sweeping = loop.time() >= sweep_at
            began = loop.time()
            try:
                found = await self._look(list(self._waiting) if sweeping else [*(changed & self._waiting.keys())])
            except QStoreError as error:  # the requests go on waiting: a restart of the database is not their concern
                _LOG.error("waiting requests could not be looked after: %s", error)
                sweep_at = loop.time() + _SECONDS_AFTER_TROUBLE
                continue
            if sweeping:
                period = SHORTEST_PERIOD_S if found else min(LONGEST_PERIOD_S, period * _GROWTH)
                sweep_at = loop.time() + max(period, _REST * (loop.time() - began))

    async def _sleep(self, seconds: float | None) -> None:
        """Sleep for `seconds` (None: until somebody waits), or until a commit wakes."""
        if self._woken is None:
            raise RuntimeError("the watcher was not started")
        try:
            await asyncio.wait_for(self._woken.wait(), seconds)
        except TimeoutError:
            return
        self._woken.clear()

    async def _look(self, asked: list[str]) -> bool:
        if not asked:
            return False
        statuses = await self._ask(asked)
        done = [job_id for job_id in asked if job_id not in statuses or statuses[job_id][0].terminal]
        for job_id in done:
            self._let_go(job_id)
        return bool(done)
