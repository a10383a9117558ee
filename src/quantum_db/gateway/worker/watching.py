"""One poller for all upstream jobs of a worker: few requests, rarer the longer a job takes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from quantum_db.gateway.upstream import Backoff, UpstreamBusyError, UpstreamClient, UpstreamError, UpstreamJob

_LOG = logging.getLogger(__name__)
_GROWTH = 1.5
_TOGETHER = 0.25  # of its period: how much earlier than due a job is polled along with others
_TIMES_MISSING = 3


@dataclass(eq=False)
class Watch:
    """What is known of one upstream job; `changed` is set whenever that changes."""

    job_id: str
    due: float
    period: float
    job: UpstreamJob | None = None
    is_missing: bool = False
    times_missing: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Poller:
    """Polls the watched jobs until each is final. Of one event loop; `run` is its only task."""

    def __init__(self, client: UpstreamClient, backoff: Backoff, first_s: float, longest_s: float) -> None:
        self._client = client
        self._backoff = backoff
        self._first_s = first_s
        self._longest_s = longest_s
        self._watches: dict[str, Watch] = {}
        self._poked = asyncio.Event()

    @contextmanager
    def watching(self, job_id: str) -> Iterator[Watch]:
        """Poll a job for the length of the block, beginning at once: it may have ended long ago."""
        watch = Watch(job_id, asyncio.get_running_loop().time(), self._first_s)
        self._watches[job_id] = watch
        self._poked.set()
        try:
            yield watch
        finally:
            del self._watches[job_id]

    def hurry(self, watch: Watch) -> None:
        """Poll a job now, and often again: something was done to it."""
        watch.due, watch.period = asyncio.get_running_loop().time(), self._first_s
        self._poked.set()

    async def run(self) -> None:
        """Poll until cancelled."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            await self._until_due()
            now = loop.time()
            due = [watch for watch in self._watches.values() if watch.due <= now + _TOGETHER * watch.period]
            try:
                found = await self._client.jobs(watch.job_id for watch in due)
            except UpstreamError as error:
                failures += 1
                _LOG.warning("%d upstream jobs could not be polled: %s", len(due), error)
                named = error.retry_after if isinstance(error, UpstreamBusyError) else None
                await asyncio.sleep(self._backoff.delay(failures, named))
                continue
            failures = 0
            for watch in due:
                self._tell(watch, found.get(watch.job_id))
                watch.due = loop.time() + self._backoff.spread(watch.period)
                watch.period = min(_GROWTH * watch.period, self._longest_s)

    async def _until_due(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            self._poked.clear()
            waiting = [watch for watch in self._watches.values() if not _is_over(watch)]
            first = min((watch.due for watch in waiting), default=None)
            if first is not None and first <= loop.time():
                return
            try:
                async with asyncio.timeout_at(first):
                    await self._poked.wait()
            except TimeoutError:
                return

    @staticmethod
    def _tell(watch: Watch, job: UpstreamJob | None) -> None:
        """Note what was found. A job counts as missing only when it is so repeatedly: listings may lag behind."""
        if job is None:
            watch.times_missing += 1
            if watch.times_missing >= _TIMES_MISSING:
                watch.is_missing = True
                watch.changed.set()
            return
        watch.times_missing = 0
        if watch.job is None or watch.job.status != job.status:
            watch.changed.set()
        watch.job = job


def _is_over(watch: Watch) -> bool:
    return watch.is_missing or (watch.job is not None and watch.job.is_final)
