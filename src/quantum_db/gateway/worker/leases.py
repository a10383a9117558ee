"""The leases that a worker holds, and the heartbeat that keeps them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from quantum_db.gateway.ledger import CircuitQueue
from quantum_db.gateway.ledger.errors import LedgerUnavailableError
from quantum_db.gateway.ledger.records import LeasedTask
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

_LOG = logging.getLogger(__name__)
_BEATS_PER_LEASE = 4


def _nothing() -> None:
    """What a holder does who need not be told."""


@dataclass(frozen=True)
class _Held:
    task: LeasedTask
    on_lost: Callable[[], None]
    on_canceled: Callable[[], None]


class Leases:
    """All leases of one worker, safe to use from several threads. One `beat` prolongs them together."""

    def __init__(self, queue: CircuitQueue, lease_s: float, metrics: PrometheusMetrics) -> None:
        self._queue = queue
        self._lease_s = lease_s
        self._metrics = metrics
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()

    def hold(
        self, task: LeasedTask, on_lost: Callable[[], None] = _nothing, on_canceled: Callable[[], None] = _nothing
    ) -> None:
        """Keep the lease of `task` from now on; the callbacks come from the thread that beats."""
        with self._lock:
            self._held[task.token] = _Held(task, on_lost, on_canceled)
        if task.attempt == 1 and not task.taken_over:
            self._metrics.observe("qstore_gateway_queue_wait_seconds", task.waited_s, (task.target,))

    def drop(self, *tokens: str) -> None:
        """Stop keeping these leases; those that are not held are ignored."""
        with self._lock:
            for token in tokens:
                self._held.pop(token, None)

    def holds(self, token: str) -> bool:
        """Whether the lease was, at the last beat, still this worker's."""
        with self._lock:
            return token in self._held

    def tokens(self) -> tuple[str, ...]:
        """The tokens of all leases held."""
        with self._lock:
            return tuple(self._held)

    def lost(self, token: str) -> None:
        """Drop a lease that a write has found to be another's, and count it."""
        if self.holds(token):
            self._metrics.count("qstore_gateway_leases_lost_total")
            self.drop(token)

    def beat(self) -> None:
        """Prolong all leases; tell the holders of those that are lost or whose job was canceled."""
        tokens = self.tokens()
        if not tokens:
            return
        answer = self._queue.heartbeat(tokens, self._lease_s)
        for token in answer.lost & set(tokens):
            with self._lock:
                held = self._held.get(token)
            if held is not None:
                _LOG.info("lost the lease of a task of job %s", held.task.job_id)
                self.lost(token)
                held.on_lost()
        for token in answer.canceled:
            with self._lock:
                held = self._held.get(token)
            if held is not None:
                held.on_canceled()

    def beat_until(self, stopped: threading.Event) -> None:
        """Beat several times per lease until `stopped`; while the ledger is away the leases run on."""
        while not stopped.wait(self._lease_s / _BEATS_PER_LEASE):
            try:
                self.beat()
            except LedgerUnavailableError as error:
                _LOG.warning("leases could not be prolonged: %s", error)

    def release_all(self) -> None:
        """Give every lease back, so that other workers need not wait for it to end."""
        tokens = self.tokens()
        self.drop(*tokens)
        if not tokens:
            return
        try:
            self._queue.release(tokens)
        except LedgerUnavailableError as error:
            _LOG.warning("%d leases could not be given back and will run out: %s", len(tokens), error)
