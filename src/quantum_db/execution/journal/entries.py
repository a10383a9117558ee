"""What the journal says of one job, put together from its records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Literal

from quantum_db.backends.remote import Collected, Intent, Ticket
from quantum_db.errors import StoreError
from quantum_db.execution.journal.chain import Line

Kind = Literal["opened", "intent", "submitted", "result", "failed", "dropped"]
EntryState = Literal["intent", "submitted", "result", "failed", "dropped"]

# What may follow what. An intent follows itself when its job proved to be absent and is sent again under the same id.
_NEXT: dict[str, frozenset[str]] = {
    "intent": frozenset({"intent", "submitted", "dropped"}),
    "submitted": frozenset({"result", "failed"}),
    "result": frozenset(),
    "failed": frozenset(),
    "dropped": frozenset(),
}


@dataclass(frozen=True)
class JobEntry:
    """One job: `state` is that of its latest record.

    intent: to be submitted, or submitted without an answer; submitted: the provider has it; result: complete; failed:
    the provider ended it without a result; dropped: certainly never accepted. `sent_at` is when it was last about to
    be sent (UTC, ISO 8601). `keys` name the circuits (see `circuit_keys`).
    """

    digest: str
    attempt: int
    intent: Intent
    state: EntryState
    sent_at: str
    options: Mapping[str, Any]
    sizes: tuple[tuple[int, int], ...]
    fingerprints: tuple[str, ...]
    seed: int
    as_written: bool = False
    ticket: Ticket | None = None
    cost_usd: Decimal | None = None
    message: str = ""
    line: Line | None = None
    """Where the latest record stands, without its content."""

    @property
    def is_open(self) -> bool:
        """Whether the provider may have a job of this entry whose end is not written down."""
        return self.state in ("intent", "submitted")

    def after(self, kind: str, record: Mapping[str, Any], line: Line) -> JobEntry:
        """The entry after one more record; StoreError when the record may not follow."""
        if kind not in _NEXT[self.state]:
            raise StoreError(
                f"the journal has a record {kind!r} of job {self.intent.intent_id} after {self.state!r}, which never "
                f"happens; the file was put together from several"
            )
        light = replace(line, record={})
        if kind == "intent":
            return replace(self, sent_at=str(record["sent_at"]), line=light)
        if kind == "submitted":
            ticket = Ticket(self.intent, str(record["job_id"]), str(record["submitted_at"]))
            return replace(self, state="submitted", ticket=ticket, line=light)
        cost = record.get("cost_usd")
        return replace(
            self,
            state=kind,  # type: ignore[arg-type]
            cost_usd=None if cost is None else Decimal(cost),
            message=str(record.get("message", "")),
            line=light,
        )


def intent_record(entry: JobEntry) -> dict[str, Any]:
    """The record of an intent."""
    return {
        "digest": entry.digest,
        "attempt": entry.attempt,
        "intent": entry.intent.to_json(),
        "sent_at": entry.sent_at,
        "options": dict(entry.options),
        "sizes": [list(size) for size in entry.sizes],
        "circuits": list(entry.fingerprints),
        "seed": entry.seed,
        "as_written": entry.as_written,
    }


def entry_from_intent(record: Mapping[str, Any], line: Line) -> JobEntry:
    """The entry that starts with the record of an intent."""
    return JobEntry(
        digest=record["digest"],
        attempt=record["attempt"],
        intent=Intent.from_json(record["intent"]),
        state="intent",
        sent_at=record["sent_at"],
        options=record["options"],
        sizes=tuple((ones, twos) for ones, twos in record["sizes"]),
        fingerprints=tuple(record["circuits"]),
        seed=record["seed"],
        as_written=record["as_written"],
        line=replace(line, record={}),
    )


def result_record(collected: Collected) -> dict[str, Any]:
    """The record of a complete result: the raw histograms, the cost, and when and how it was run."""
    return {
        "histograms": [{str(key): value for key, value in one.items()} for one in collected.histograms],
        "exact": collected.exact,
        "cost_usd": None if collected.cost_usd is None else str(collected.cost_usd),
        "queue_s": collected.queue_s,
        "run_s": collected.run_s,
        "calibration": collected.calibration,
    }


def collected_from(record: Mapping[str, Any]) -> Collected:
    """The result that `result_record` wrote."""
    return Collected(
        histograms=tuple({int(key): value for key, value in one.items()} for one in record["histograms"]),
        exact=record["exact"],
        cost_usd=None if record["cost_usd"] is None else Decimal(record["cost_usd"]),
        queue_s=record["queue_s"],
        run_s=record["run_s"],
        calibration=record["calibration"],
    )
