"""The jobs of a run in plain values, for reports, tracking and the chain of custody of a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from quantum_db.execution.budget import BudgetLedger
from quantum_db.execution.journal import Journal
from quantum_db.execution.metered import cost_of


@dataclass(frozen=True)
class JobRecord:
    """One job that the provider has accepted. `calibration` is the id of the machine's calibration, "" without one."""

    job_id: str
    target: str
    state: str
    circuits: int
    shots: int | None
    """Shots of each circuit; None for exact values."""
    cost_usd: Decimal
    calibration: str
    submitted_at: str
    """UTC, ISO 8601."""

    def to_json(self) -> dict[str, Any]:
        """The record as a JSON object; dollars as text."""
        return {**asdict(self), "cost_usd": str(self.cost_usd)}


def job_records(journal: Journal, ledger: BudgetLedger) -> tuple[JobRecord, ...]:
    """All jobs in `journal` that have an id at the provider, in order, at the cost that `ledger` has booked."""
    return tuple(
        JobRecord(
            job_id=entry.ticket.job_id,
            target=entry.intent.target,
            state=entry.state,
            circuits=len(entry.fingerprints),
            shots=entry.intent.shots,
            cost_usd=cost_of(entry, ledger),
            calibration=journal.result(entry).calibration if entry.state == "result" else "",
            submitted_at=entry.ticket.submitted_at,
        )
        for entry in journal.entries
        if entry.ticket is not None
    )


def total_cost(jobs: Sequence[JobRecord]) -> Decimal:
    """The sum of what the jobs cost."""
    return sum((job.cost_usd for job in jobs), Decimal(0))
