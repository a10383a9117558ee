"""One worker: its threads, their leases, and how they stop."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from quantum_db.gateway.ledger import CircuitQueue, Database, JobLedger
from quantum_db.gateway.recent_programs import RecentPrograms
from quantum_db.gateway.worker.forwarding import Forwarding
from quantum_db.gateway.worker.leases import Leases
from quantum_db.gateway.worker.options import WorkerOptions
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

_LOG = logging.getLogger(__name__)


class Worker:
    """Leases circuits of its targets and runs or forwards them. `run` blocks; the other methods are for any thread."""

    def __init__(
        self,
        options: WorkerOptions,
        database: Database,
        metrics: PrometheusMetrics,
        programs: RecentPrograms | None = None,
    ) -> None:
        """Make a worker on `database`, which it shares with whoever else uses it and does not close.

        `programs` are circuits that a gateway in the same process has read.

        Raises ConfigurationError when jobs are to be forwarded without a key for the upstream.
        """
        self._options = options
        self._database = database
        self._metrics = metrics
        self._programs = RecentPrograms() if programs is None else programs
        self._queue = CircuitQueue(database)
        self._leases = Leases(self._queue, options.lease_s, metrics)
        self._stopped = threading.Event()
        self._wanted = threading.Event()
        self._failure: BaseException | None = None
        self._ended = threading.Event()
        upstream = options.upstream() if options.forwarded else None
        self._forwarding = Forwarding(options, upstream, database, self._leases, metrics) if upstream else None

    def run(self) -> None:
        """Work until `stop` is called; then give all leases back.

        Raises what ended a thread of it, for then it stops as a whole and its process is to be started again.
        """
        beats = threading.Event()
        heart = self._thread("heartbeat", lambda: self._leases.beat_until(beats))
        threads = [self._thread(f"work-{number}", part) for number, part in enumerate(self._parts())]
        self._ended.wait()
        try:
            self.stop()
            for thread in threads:  # a long simulation is not waited for: its lease is given back
                thread.join(self._options.stop_s)
            self._leases.release_all()
        finally:
            beats.set()
            heart.join(self._options.stop_s)
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Claim no more work, give back what is not finished soon, and let `run` return."""
        self._stopped.set()
        self._ended.set()
        if self._forwarding is not None:
            self._forwarding.stop()
        self._wanted.set()

    def notify(self) -> None:
        """There may be new work: look for it now. Cheap."""
        self._wanted.set()
        if self._forwarding is not None:
            self._forwarding.notify()

    def _parts(self) -> list[Callable[[], None]]:
        parts: list[Callable[[], None]] = []
        if self._forwarding is not None:
            parts.append(self._forwarding.run)
        if self._options.simulated:
            # Only here, so that a worker that only forwards starts quickly and stays small.
            from quantum_db.gateway.worker.coalescing import HistogramCache
            from quantum_db.gateway.worker.simulating import Simulating

            cache = HistogramCache()
            jobs = JobLedger(self._database)
            parts.extend(
                Simulating(
                    self._options,
                    jobs,
                    self._queue,
                    self._leases,
                    self._metrics,
                    cache,
                    self._stopped,
                    self._wanted,
                    self._programs,
                ).run
                for _ in range(self._options.concurrency)
            )
        return parts

    def _thread(self, name: str, part: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                part()
            except BaseException as error:  # noqa: BLE001 - raised again by `run`
                self._failure = self._failure or error
                self._ended.set()

        # Daemons: a simulation that cannot be interrupted must not keep the process from ending.
        thread = threading.Thread(target=run, name=f"qstore-{name}", daemon=True)
        thread.start()
        return thread
