"""Forwards jobs upstream: one event loop that submits, waits for thousands of jobs, and brings their results back."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import threading
from collections.abc import Callable

from quantum_db.gateway.ledger import Database
from quantum_db.gateway.ledger.errors import JobNotFoundError, LeaseLostError, LedgerUnavailableError
from quantum_db.gateway.ledger.records import LeasedTask
from quantum_db.gateway.upstream import Backoff, UpstreamClient, UpstreamOptions
from quantum_db.gateway.worker.carrying import Carried, Carrier
from quantum_db.gateway.worker.concluding import Conclusion
from quantum_db.gateway.worker.finding import Finder
from quantum_db.gateway.worker.leases import Leases
from quantum_db.gateway.worker.ledger_calls import LedgerCalls
from quantum_db.gateway.worker.options import WorkerOptions
from quantum_db.gateway.worker.watching import Poller
from quantum_db.seeding import numpy_generator
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

_LOG = logging.getLogger(__name__)
_LEASED_AT_ONCE = 50
_SUBMITTING_AT_ONCE = 4
_FIRST_IDLE_S = 0.01
_RETRY_S = 1.0
_STOP_LOOK_S = 0.02


class Forwarding:
    """The forwarding half of a worker. `run` blocks; `stop` and `notify` may be called from other threads."""

    def __init__(
        self,
        options: WorkerOptions,
        upstream: UpstreamOptions,
        database: Database,
        leases: Leases,
        metrics: PrometheusMetrics,
    ) -> None:
        self._options = options
        self._upstream = upstream
        self._ledger = LedgerCalls.of(database)
        self._leases = leases
        self._metrics = metrics
        self._carried: dict[str, tuple[Carried, asyncio.Task[None]]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._guard = threading.Lock()  # of the loop's existence
        self._wanted = asyncio.Event()
        self._stopping = threading.Event()

    def run(self) -> None:
        """Forward until stopped. An error that is no failure of the ledger or the upstream comes out here."""
        try:
            asyncio.run(self._run())
        finally:
            self._ledger.close()

    def stop(self) -> None:
        """Lease no more, let submissions under way end (for at most `stop_s`), leave the rest to other workers."""
        self._stopping.set()
        self.notify()

    def notify(self) -> None:
        """There may be work."""
        self._soon(self._wanted.set)

    def _soon(self, function: Callable[[], object]) -> None:
        with self._guard:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(function)

    async def _run(self) -> None:
        with self._guard:
            self._loop = asyncio.get_running_loop()
        try:
            async with UpstreamClient(self._upstream, self._observe) as client:
                await self._forward(client)
        finally:
            with self._guard:
                self._loop = None

    async def _forward(self, client: UpstreamClient) -> None:
        seed = int.from_bytes(hashlib.sha256(self._options.worker_id.encode()).digest()[:4], "big")
        backoff = Backoff(numpy_generator(seed, "upstream backoff"))
        poller = Poller(client, backoff, self._upstream.poll_first_s, self._upstream.poll_longest_s)
        finder = Finder(client, backoff)
        carrier = Carrier(
            self._ledger,
            client,
            poller,
            finder,
            Conclusion(self._ledger, client, backoff, self._metrics),
            self._upstream,
            backoff,
            self._metrics,
            asyncio.Semaphore(_SUBMITTING_AT_ONCE),
        )
        background = [asyncio.create_task(part) for part in (poller.run(), finder.run(), self._lease(carrier))]
        try:
            # Only `_lease` ends by itself, when the worker stops; an error of any of them is an error of the worker.
            await asyncio.wait(background, return_when=asyncio.FIRST_COMPLETED)
            for task in background:
                if task.done():
                    task.result()
            await self._finish_submissions()
        finally:
            running = [task for _, task in self._carried.values()]
            for task in (*background, *running):
                task.cancel()
            await asyncio.gather(*background, *running, return_exceptions=True)

    async def _lease(self, carrier: Carrier) -> None:
        """Take up tasks while there is room for more, until the worker stops."""
        idle, options = _FIRST_IDLE_S, self._options
        while not self._stopping.is_set():
            tasks = await self._leased() if len(self._carried) < options.max_waiting else []
            for task in tasks:
                self._start(carrier, task)
            self._metrics.set("qstore_gateway_upstream_waiting", len(self._carried))
            if tasks:
                idle = _FIRST_IDLE_S
                continue
            self._wanted.clear()
            try:
                async with asyncio.timeout(idle):
                    await self._wanted.wait()
            except TimeoutError:
                idle = min(2 * idle, options.idle_s)

    async def _leased(self) -> list[LeasedTask]:
        options, queue = self._options, self._ledger.queue
        try:
            if not await self._ledger(queue.waiting, options.forwarded):
                return []
            return await self._ledger(
                queue.lease, options.worker_id, options.forwarded, _LEASED_AT_ONCE, options.lease_s
            )
        except LedgerUnavailableError as error:
            _LOG.warning("the ledger is not available: %s", error)
            await asyncio.sleep(_RETRY_S)
            return []

    def _start(self, carrier: Carrier, task: LeasedTask) -> None:
        carried = Carried(task, cancel_requested=task.cancel_requested)
        running = asyncio.create_task(self._carry(carrier, carried))
        self._carried[task.token] = (carried, running)
        self._leases.hold(
            task,
            on_lost=lambda: self._soon(running.cancel),
            on_canceled=lambda: self._soon(carried.cancel),
        )

    async def _carry(self, carrier: Carrier, carried: Carried) -> None:
        task = carried.task
        try:
            if not task.forwarded:  # accepted by a gateway that plays the machine
                _LOG.error("job %s is to be simulated, and this worker forwards %s", task.job_id, task.target)
                await self._ledger(self._ledger.queue.retry, task.token, self._options.lease_s)
                return
            await carrier.carry(carried)
        except (LeaseLostError, JobNotFoundError) as error:
            _LOG.info("job %s is another worker's, or canceled: %s", task.job_id, error)
            self._leases.lost(task.token)
        except LedgerUnavailableError as error:
            # What the ledger holds now is not known here. The lease runs out, and then its journal says how to go on.
            _LOG.warning("job %s is left for later: %s", task.job_id, error)
        finally:
            del self._carried[task.token]
            if not self._stopping.is_set():
                self._leases.drop(task.token)

    async def _finish_submissions(self) -> None:
        """Wait for submissions whose answer is on its way: cut off, they would have to be looked up."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self._options.stop_s
        while loop.time() < end and any(carried.sending for carried, _ in self._carried.values()):
            await asyncio.sleep(_STOP_LOOK_S)

    def _observe(self, operation: str, seconds: float, outcome: str) -> None:
        self._metrics.observe("qstore_gateway_upstream_seconds", seconds, (operation,))
        if outcome != "ok":
            self._metrics.count("qstore_gateway_upstream_errors_total", (operation, outcome))
