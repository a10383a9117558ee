"""The executor that counts: circuits, shots, jobs, seconds and dollars of a run, for reports and tracking."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from decimal import Decimal
from threading import Lock
from typing import Any

from quantum_db.backends.protocols import Batch, Executor, RowResults


@dataclass(frozen=True)
class ExecutionReport:
    """What was run so far.

    `batches`, `rows` and `seconds` are seen from above: what was asked for, and how long the answers took. The others
    are what machines did: different circuits run, their shots (of each circuit), jobs and their ids, US dollars
    charged, seconds in queues and on machines. Targets without jobs, such as simulators here, leave those at 0.
    """

    batches: int = 0
    rows: int = 0
    seconds: float = 0.0
    circuits: int = 0
    shots: int = 0
    jobs: int = 0
    cost_usd: Decimal = Decimal(0)
    queue_s: float = 0.0
    run_s: float = 0.0
    job_ids: tuple[str, ...] = ()

    def __add__(self, other: ExecutionReport) -> ExecutionReport:
        return ExecutionReport(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))

    def since(self, earlier: ExecutionReport) -> ExecutionReport:
        """What was added after `earlier`, an older report of the same run."""
        new = {f.name: getattr(self, f.name) - getattr(earlier, f.name) for f in fields(self) if f.name != "job_ids"}
        return ExecutionReport(**new, job_ids=self.job_ids[len(earlier.job_ids) :])

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object; dollars as text, so that no cent is rounded away."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        return {**values, "cost_usd": str(self.cost_usd), "job_ids": list(self.job_ids)}


@dataclass(eq=False)
class ExecutionMeter:
    """Where the executors of one run add up what they did; safe between threads."""

    _report: ExecutionReport = field(default_factory=ExecutionReport)
    _lock: Lock = field(default_factory=Lock)

    def add(self, **counted: Any) -> None:
        """Add to the fields of ExecutionReport by name, for example `add(jobs=1, cost_usd=Decimal("25.79"))`."""
        with self._lock:
            self._report = self._report + ExecutionReport(**counted)

    def report(self) -> ExecutionReport:
        """The sums so far."""
        with self._lock:
            return self._report


class ObservedExecutor:
    """Counts what passes through it into `meter`, and tells `on_progress` after every batch.

    The meter is shared with the executors further down, which know of jobs and dollars. Batches that fail count too:
    what they cost was paid.
    """

    def __init__(
        self,
        inner: Executor,
        meter: ExecutionMeter | None = None,
        on_progress: Callable[[ExecutionReport], None] | None = None,
    ) -> None:
        self.inner = inner
        self.meter = ExecutionMeter() if meter is None else meter
        self._on_progress = on_progress

    @property
    def name(self) -> str:
        """The inner target's name."""
        return self.inner.name

    @property
    def differentiable(self) -> bool:
        """As the inner executor."""
        return self.inner.differentiable

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run `batch` and count it."""
        started = time.perf_counter()
        try:
            return self.inner.run(batch)
        finally:
            self.meter.add(batches=1, rows=batch.n_circuits, seconds=time.perf_counter() - started)
            if self._on_progress is not None:
                self._on_progress(self.meter.report())
