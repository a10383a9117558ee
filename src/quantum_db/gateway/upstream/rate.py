"""A limit on how many requests leave this process per second, whatever it has to do."""

from __future__ import annotations

import asyncio
import time

from quantum_db.errors import ConfigurationError


class TokenBucket:
    """At most `per_second` requests a second on average, and at most `burst` at once.

    Requests are let through in the order in which they asked. Of one event loop.
    """

    def __init__(self, per_second: float, burst: int) -> None:
        if not per_second > 0 or burst < 1:
            raise ConfigurationError(
                f"a rate of {per_second:g} requests per second in bursts of {burst} lets nothing through; "
                "give a rate above 0 and a burst of at least 1"
            )
        self._per_second = per_second
        self._burst = burst
        self._tokens = float(burst)
        self._counted_at = time.monotonic()
        self._turn = asyncio.Lock()

    async def take(self) -> None:
        """Wait until a request may leave."""
        async with self._turn:  # asyncio's lock is first come, first served
            self._refill()
            while self._tokens < 1:
                await asyncio.sleep((1 - self._tokens) / self._per_second)
                self._refill()
            self._tokens -= 1

    def hold(self, seconds: float) -> None:
        """Let nothing through for `seconds`: the service asked for a pause."""
        self._refill()
        self._tokens = min(self._tokens, 1 - seconds * self._per_second)

    def _refill(self) -> None:
        now = time.monotonic()
        self._tokens = min(float(self._burst), self._tokens + (now - self._counted_at) * self._per_second)
        self._counted_at = now
