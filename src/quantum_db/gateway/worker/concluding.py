"""What becomes of a forwarded task when its upstream job has ended: results, failure or cancellation, and the bill."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import TypeVar

from quantum_db.gateway.ledger.errors import LeaseLostError
from quantum_db.gateway.ledger.records import LeasedTask, ResultKind, TaskResult
from quantum_db.gateway.upstream import (
    Backoff,
    UpstreamAnswerError,
    UpstreamBusyError,
    UpstreamClient,
    UpstreamError,
    UpstreamJob,
    UpstreamMissingError,
    UpstreamRefusedError,
)
from quantum_db.gateway.worker.ledger_calls import LedgerCalls
from quantum_db.telemetry.prometheus_metrics import PrometheusMetrics

_LOG = logging.getLogger(__name__)
Answer = TypeVar("Answer")
_MULTI = "ionq.multi-circuit.v1"
_BAD_ANSWERS = 5  # in a row, before a completed job's results are given up
_COST_LOOKS = 4  # at a finished job's cost, before the price table is believed instead
FAILURE_CODES = frozenset({
    "InvalidInput", "CompilationError", "ContractExpiredError", "DebiasingError", "InternalError", "NotEnoughQubits",
    "OptimizationError", "PreflightError", "QuantumCircuitComplexityError", "QuantumComputerError",
    "QuotaExhaustedError", "SimulationError", "SimulationTimeout", "SystemCancel", "TooLongPredictedExecutionTime",
    "TooManyControls", "TooManyGates", "TooManyShots", "UnknownBillingError", "UnsupportedGate",
})  # fmt: skip
"""IonQ's codes of a failed job; any other is passed on as InternalError."""


@dataclass(frozen=True)
class Conclusion:
    """Writes the end of forwarded tasks into the ledger, the bill in the same transaction as the outcome."""

    ledger: LedgerCalls
    client: UpstreamClient
    backoff: Backoff
    metrics: PrometheusMetrics

    async def conclude(
        self, task: LeasedTask, upstream_id: str, job: UpstreamJob | None, canceled_here: bool, began: float
    ) -> None:
        """End `task` as its upstream job did (None: it is not there any more). Raises the errors of the ledger."""
        if job is None or job.status == "deleted":
            await self._vanished(task, upstream_id, canceled_here)
            return
        cost = await self._cost(task, upstream_id, job)
        if job.status == "canceled" or canceled_here:
            await self.ledger(self.ledger.queue.close_canceled, task.token, cost)
        elif job.status == "failed":
            code = job.failure_code if job.failure_code in FAILURE_CODES else "InternalError"
            await self.fail(task, code, job.failure_message or "the job failed upstream", cost)
        else:
            await self._complete(task, job, cost, began)

    async def fail(self, task: LeasedTask, code: str, message: str, cost: Decimal | None = None) -> None:
        """Fail the job of `task`; `cost` is what it is charged nevertheless."""
        self.metrics.count("qstore_gateway_errors_total", (code,))
        await self.ledger(self.ledger.queue.fail, task.token, code, message, cost)

    async def _complete(self, task: LeasedTask, job: UpstreamJob, cost: Decimal | None, began: float) -> None:
        multi = task.kind == _MULTI
        try:
            histograms = await self._read(lambda: self.client.histograms(job, multi, task.circuits), task, "results")
        except (UpstreamAnswerError, UpstreamMissingError, UpstreamRefusedError) as error:
            # It ran and is billed; what it gave cannot be used.
            await self.fail(
                task, "InternalError", f"the results of upstream job {job.id} cannot be read: {error}", cost
            )
            return
        result = TaskResult(task.token, histograms, ResultKind.PROBABILITIES, cost)
        if await self.ledger(self.ledger.queue.complete, [result]):
            raise LeaseLostError("its lease ended, or it was canceled, before its results could be written")
        self.metrics.observe("qstore_gateway_run_seconds", time.perf_counter() - began, (task.target,))

    async def _vanished(self, task: LeasedTask, upstream_id: str, canceled_here: bool) -> None:
        """The upstream knows the job no more. What it cost cannot be asked, so the whole price counts as spent."""
        price = (await self.ledger(self.ledger.jobs.get, task.tenant, task.job_id)).price
        _LOG.error("upstream job %s of job %s is gone; its price is charged", upstream_id, task.job_id)
        if canceled_here:
            await self.ledger(self.ledger.queue.close_canceled, task.token, price)
            return
        message = f"upstream job {upstream_id} does not exist any more; it may have been deleted there"
        await self.fail(task, "InternalError", message, price)

    async def _cost(self, task: LeasedTask, upstream_id: str, job: UpstreamJob) -> Decimal | None:
        """The upstream's bill. None (a completed job is then charged its own price) when it gives none in dollars."""
        for look in range(1, _COST_LOOKS + 1):
            try:
                cost = await self._read(lambda: self.client.cost(upstream_id), task, "cost")
            except (UpstreamMissingError, UpstreamRefusedError, UpstreamAnswerError) as error:
                _LOG.warning("job %s: the upstream has no bill: %s", task.job_id, error)
                return None
            if cost is not None:
                return cost
            if look < _COST_LOOKS:
                await asyncio.sleep(self.backoff.delay(look))
        charged = "its own price is charged" if job.status == "completed" else "nothing is charged"
        _LOG.warning("job %s: upstream job %s has no cost in dollars; %s", task.job_id, upstream_id, charged)
        return None

    async def _read(self, read: Callable[[], Awaitable[Answer]], task: LeasedTask, what: str) -> Answer:
        """Read until there is an answer. One that breaks the API, or is missing, is asked for several times."""
        failures, bad = 0, 0
        while True:
            try:
                return await read()
            except UpstreamError as error:
                if isinstance(error, UpstreamRefusedError):
                    raise
                if isinstance(error, UpstreamAnswerError | UpstreamMissingError):
                    bad += 1
                    if bad >= _BAD_ANSWERS:
                        raise
                failures += 1
                _LOG.warning("job %s: the %s cannot be had yet: %s", task.job_id, what, error)
                named = error.retry_after if isinstance(error, UpstreamBusyError) else None
                await asyncio.sleep(self.backoff.delay(failures, named))
