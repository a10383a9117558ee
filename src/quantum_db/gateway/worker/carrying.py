"""Carries one forwarded task through the journal: intent, submission, upstream id, outcome, bill.

Whatever happens between two lines, the ledger says enough for another worker to go on from there: `submitting` is
committed before anything is sent, and a job that may have been sent is looked for before it is sent again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field

import msgspec

from quantum_db.gateway.ledger.errors import LedgerUnavailableError
from quantum_db.gateway.ledger.records import LeasedTask, UpstreamRecord, UpstreamState
from quantum_db.gateway.upstream import (
    Backoff,
    SubmittedJob,
    UpstreamBusyError,
    UpstreamClient,
    UpstreamError,
    UpstreamJob,
    UpstreamOptions,
    UpstreamRefusedError,
    UpstreamSetupError,
    UpstreamUncertainError,
)
from quantum_db.gateway.worker.concluding import Conclusion
from quantum_db.gateway.worker.finding import Finder
from quantum_db.gateway.worker.ledger_calls import LedgerCalls
from quantum_db.gateway.worker.watching import Poller, Watch
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

_LOG = logging.getLogger(__name__)
_SETUP_PAUSE_S = 60.0
_SENT_WITHIN = 0.25  # of the settle time, after `submitting` was committed
_RUNNING = ("started", "running")  # IonQ's v0.3 word for it too


def intent_of(task: LeasedTask) -> str:
    """The intent id of a task: the same whoever makes it, and in the letters that IonQ allows in a name."""
    return f"qstore-{task.job_id}"


@dataclass(eq=False)
class Carried:
    """One task on its way. `sending` is true while a submission is under way, which is not to be cut off lightly."""

    task: LeasedTask
    cancel_requested: bool = False
    sending: bool = False
    watch: Watch | None = None
    began: float = field(default_factory=time.perf_counter)

    def cancel(self) -> None:
        """The user canceled the job."""
        self.cancel_requested = True
        if self.watch is not None:
            self.watch.changed.set()


class _Journal:
    """What the ledger's journal says of one task, with its ages on this process's clock."""

    def __init__(self, record: UpstreamRecord) -> None:
        self.intent_id = record.intent_id
        self._born = time.monotonic() - record.begun_s
        self._sent = time.monotonic() - (record.submitting_s or 0.0)
        self.update(record)

    def update(self, record: UpstreamRecord) -> None:
        self.state, self.upstream_id, self.cancel_requested = (
            record.state,
            record.upstream_id,
            record.cancel_requested,
        )

    def sends(self, moment: float) -> None:
        self._sent = moment

    @property
    def age_s(self) -> float:
        return time.monotonic() - self._born

    @property
    def sent_s(self) -> float:
        return time.monotonic() - self._sent


@dataclass(frozen=True)
class Carrier:
    """What all forwarded tasks of a worker share. `carry` raises the errors of the ledger, LeaseLostError above all."""

    ledger: LedgerCalls
    client: UpstreamClient
    poller: Poller
    finder: Finder
    conclusion: Conclusion
    options: UpstreamOptions
    backoff: Backoff
    metrics: PrometheusMetrics
    submitters: asyncio.Semaphore

    async def carry(self, carried: Carried) -> None:
        """See one task to its end, from wherever the journal says that it is."""
        task = carried.task
        record = task.upstream
        if record is None:
            code = task.details.get("fail_with")
            if code:  # only a gateway that was started with --inject-faults writes this
                await self.conclusion.fail(task, str(code), "injected fault")
                return
            record = await self.ledger(self.ledger.journal.begin, task.token, intent_of(task))
        upstream_id = await self._submitted(carried, _Journal(record))
        if upstream_id is None:
            return
        with self.poller.watching(upstream_id) as watch:
            carried.watch = watch
            job = await self._finished(carried, watch)
        await self.conclusion.conclude(carried.task, upstream_id, job, carried.cancel_requested, carried.began)

    async def _submitted(self, carried: Carried, journal: _Journal) -> str | None:
        """The job's id upstream, submitting the job when it certainly is not there; None when the task has ended."""
        task, failures = carried.task, 0
        while journal.state is not UpstreamState.ACCEPTED:
            if journal.state is UpstreamState.SUBMITTING:
                await self._look_up(carried, journal)
            elif carried.cancel_requested or journal.cancel_requested or task.cancel_requested:
                await self.ledger(self.ledger.queue.close_canceled, task.token, None)
                return None
            else:
                try:
                    await self._submit(carried, journal)
                except UpstreamRefusedError as error:
                    await self.conclusion.fail(task, "InvalidInput", f"the upstream refused the job: {error.reason}")
                    return None
                except (UpstreamBusyError, UpstreamSetupError) as error:
                    failures += 1
                    await self._pause(task, error, failures)
        return journal.upstream_id

    async def _submit(self, carried: Carried, journal: _Journal) -> None:
        """Submit once. Afterwards the journal is at accepted, at submitting (outcome unknown), or back at intent."""
        task = carried.task
        async with self.submitters:
            job = await self._job(task, journal.intent_id)
            await self.client.turn()
            carried.sending = True
            try:
                # Read before the commit: by the database's clock, `submitting` is later than this.
                moment = time.monotonic()
                journal.update(await self.ledger(self.ledger.journal.submitting, task.token))
                # Whoever takes over looks `settle_s` after the commit; what is sent must be over long before that.
                send_before = moment + self.options.settle_s * _SENT_WITHIN
                try:
                    upstream_id = await self.client.submit(job, send_before)
                except UpstreamUncertainError as error:
                    journal.sends(time.monotonic())  # it may have been sent last a moment ago
                    _LOG.warning("job %s: %s; it is looked for in %g s", task.job_id, error, self.options.settle_s)
                    return
                except UpstreamError:
                    journal.update(await self.ledger(self.ledger.journal.absent, task.token))
                    raise
                await self._accept(task, journal, upstream_id)
            finally:
                carried.sending = False

    async def _job(self, task: LeasedTask, intent_id: str) -> SubmittedJob:
        body = await self.ledger(self.ledger.jobs.body, task.job_id)
        return SubmittedJob(
            intent_id=intent_id,
            kind=task.kind,
            target=task.target,
            shots=task.shots,
            circuits_json=msgspec.json.encode(body),
            name=task.name or "",
            settings=task.settings or {},
            noise=task.noise or {},
        )

    async def _accept(self, task: LeasedTask, journal: _Journal, upstream_id: str) -> None:
        """Record the upstream's id. While the ledger is away it is kept here: it is what the money was paid for."""
        failures = 0
        while True:
            try:
                journal.update(await self.ledger(self.ledger.journal.accepted, task.token, upstream_id))
                return
            except LedgerUnavailableError as error:
                failures += 1
                _LOG.warning("job %s is upstream as %s, not yet recorded: %s", task.job_id, upstream_id, error)
                await asyncio.sleep(self.backoff.delay(failures))

    async def _look_up(self, carried: Carried, journal: _Journal) -> None:
        """Find out whether a submission arrived, after the time that it may need to."""
        task = carried.task
        await asyncio.sleep(max(0.0, self.options.settle_s - journal.sent_s))
        found = await self.finder.find(journal.intent_id, journal.age_s)
        if not found:
            _LOG.info("job %s is not upstream; it is submitted again", task.job_id)
            journal.update(await self.ledger(self.ledger.journal.absent, task.token))
            return
        self.metrics.count("qstore_gateway_upstream_adopted_total")
        _LOG.info("job %s is upstream as %s: adopted", task.job_id, found[0].id)
        await self._accept(task, journal, found[0].id)
        for double in found[1:]:
            self.metrics.count("qstore_gateway_errors_total", ("upstream_duplicate",))
            _LOG.error(
                "job %s is upstream a second time as %s, which is canceled there; a submission took longer than the "
                "settle time of %g s, or was repeated on its way: choose a longer settle time",
                task.job_id,
                double.id,
                self.options.settle_s,
            )
            await self._cancel(task, double.id)

    async def _finished(self, carried: Carried, watch: Watch) -> UpstreamJob | None:
        """The job in its final state; None when it is not there any more."""
        task, told, canceled = carried.task, False, False
        carried.cancel_requested = carried.cancel_requested or task.cancel_requested
        while True:
            if watch.is_missing:
                return None
            job = watch.job
            if job is not None and job.is_final:
                return job
            if carried.cancel_requested and not canceled:
                await self._cancel(task, watch.job_id)
                canceled = True
                self.poller.hurry(watch)
            if job is not None and job.status in _RUNNING and not told and not carried.cancel_requested:
                await self.ledger(self.ledger.journal.started, task.token)
                told = True
            await watch.changed.wait()
            watch.changed.clear()

    async def _cancel(self, task: LeasedTask, upstream_id: str) -> None:
        """Cancel upstream, until the service has understood. A refusal means that the job has ended already."""
        failures = 0
        while True:
            try:
                await self.client.cancel(upstream_id)
                return
            except UpstreamError as error:
                if isinstance(error, UpstreamRefusedError) or error.kind == "missing":
                    _LOG.info("job %s was not canceled upstream: %s", task.job_id, error)
                    return
                failures += 1
                await self._pause(task, error, failures)

    async def _pause(self, task: LeasedTask, error: UpstreamError, failures: int) -> None:
        if isinstance(error, UpstreamSetupError):
            _LOG.error("job %s waits: %s", task.job_id, error)
            await asyncio.sleep(self.backoff.spread(_SETUP_PAUSE_S))
            return
        _LOG.warning("job %s waits: %s", task.job_id, error)
        named = error.retry_after if isinstance(error, UpstreamBusyError) else None
        await asyncio.sleep(self.backoff.delay(failures, named))
