"""One search for all submissions whose outcome is unknown."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass

from quantum_db.gateway.upstream import (
    Backoff,
    UpstreamBusyError,
    UpstreamClient,
    UpstreamError,
    UpstreamJob,
    find_intents,
)

_LOG = logging.getLogger(__name__)


@dataclass(eq=False)
class _Question:
    born: float
    answer: asyncio.Future[list[UpstreamJob]]


class Finder:
    """Answers whether intents have arrived upstream; questions that come together are one search.

    Of one event loop; `run` is its only task.
    """

    def __init__(self, client: UpstreamClient, backoff: Backoff) -> None:
        self._client = client
        self._backoff = backoff
        self._asked: dict[str, _Question] = {}
        self._poked = asyncio.Event()

    async def find(self, intent_id: str, age_s: float) -> list[UpstreamJob]:
        """The upstream jobs of an intent that is `age_s` seconds old, oldest first; [] only when there is none."""
        loop = asyncio.get_running_loop()
        question = _Question(loop.time() - age_s, loop.create_future())
        self._asked[intent_id] = question
        self._poked.set()
        try:
            return await question.answer
        finally:
            if self._asked.get(intent_id) is question:
                del self._asked[intent_id]

    async def run(self) -> None:
        """Search until cancelled; a search that fails is done again, for only a whole one can say "absent"."""
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            await self._poked.wait()
            self._poked.clear()
            asked = dict(self._asked)
            if not asked:
                continue
            try:
                lookup = await find_intents(
                    self._client, {intent: loop.time() - question.born for intent, question in asked.items()}
                )
            except UpstreamError as error:
                failures += 1
                _LOG.warning("%d submissions could not be looked up: %s", len(asked), error)
                named = error.retry_after if isinstance(error, UpstreamBusyError) else None
                await asyncio.sleep(self._backoff.delay(failures, named))
                self._poked.set()
                continue
            failures = 0
            for intent, question in asked.items():
                if not question.answer.done():
                    question.answer.set_result(lookup.found.get(intent, []))
