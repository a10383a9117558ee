"""`IonQBackend`: jobs on one target of IonQ's API, in its cloud or behind the gateway."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote
from weakref import WeakKeyDictionary

from quantum_db.backends.ionq.client import IonQClient, MissingJobError
from quantum_db.backends.ionq.jobs import carries, job_body, seconds_between, status_of, time_of
from quantum_db.backends.ionq.native import native_gates
from quantum_db.backends.ionq.options import SIMULATOR, IonQOptions
from quantum_db.backends.ionq.results import many_histograms, single_histogram
from quantum_db.backends.ionq.serialization import WireGates, qis_circuit, qis_gates
from quantum_db.backends.ionq.targets import calibration_of, find_target, limits_of, report_of
from quantum_db.backends.remote import (
    CircuitJob,
    Collected,
    Histogram,
    Intent,
    RemoteStatus,
    TargetLimits,
    TargetReport,
    Ticket,
)
from quantum_db.errors import BackendError, LostJobError, RejectedJobError

_PAGE = 100
_IDS_PER_REQUEST = 50
_CLOCK_MARGIN = timedelta(hours=1)
"""How far the provider's clock may be from ours when old jobs are told from new ones."""


class IonQBackend:
    """Jobs on `target`. Make one with `IonQBackend.connect`, which asks the API for the target's limits."""

    def __init__(self, client: IonQClient, target: str, options: IonQOptions, limits: TargetLimits) -> None:
        self._client, self._options, self._limits = client, options, limits
        self._target = options.check_target(target)
        self._over: dict[str, Mapping[str, Any]] = {}
        self._written: WeakKeyDictionary[CircuitJob, list[WireGates]] = WeakKeyDictionary()

    @classmethod
    def connect(cls, client: IonQClient, target: str, options: IonQOptions | None = None) -> IonQBackend:
        """The backend of `target`; ConfigurationError for an unknown or retired target, or a refused key."""
        chosen = options or IonQOptions()
        name = chosen.check_target(target)
        return cls(client, name, chosen, limits_of(find_target(client, name)))

    @property
    def target(self) -> str:
        """The target's full name."""
        return self._target

    @property
    def limits(self) -> TargetLimits:
        """What one job may hold."""
        return self._limits

    @property
    def options(self) -> Mapping[str, Any]:
        """What results depend on beside circuits, shots and seed."""
        return self._options.for_results()

    @property
    def is_exact(self) -> bool:
        """Whether the target gives probabilities instead of drawing shots."""
        return self._target == SIMULATOR and self._options.noise_model == "ideal"

    def check(self, job: CircuitJob) -> None:
        """Raise RejectedJobError when `job` breaks a limit; nothing is sent."""
        limits = self._limits
        if job.shots is None and not self.is_exact:
            raise RejectedJobError(f"{self._target} draws shots and has no exact values; say how many shots to take")
        if job.as_written and self._options.native is not None:
            raise RejectedJobError(
                "the circuits must run as written, and compiling them to native gates merges gates; leave native out"
            )
        widest = max(circuit.n_qubits for circuit in job.circuits)
        shots = limits.min_shots if job.shots is None else job.shots
        if shots < limits.min_shots:
            raise self._beyond(f"{shots} shots", f"at least {limits.min_shots}", "take more shots")
        for number, circuit in enumerate(job.circuits):
            if not circuit.operations:
                raise RejectedJobError(f"circuit {number} has no gates; its answer is |0...0> and needs no machine")
        for what, value, limit, remedy in (
            ("shots", shots, limits.max_shots, "take fewer"),
            ("circuits in one job", len(job.circuits), limits.max_circuits, "split the job"),
            ("qubits", widest, limits.max_qubits, "use a smaller circuit or another target"),
        ):
            if limit is not None and value > limit:
                raise self._beyond(f"{value} {what}", f"at most {limit}", remedy)
        gates = sum(map(sum, self.sizes(job)))
        if limits.max_gates is not None and gates > limits.max_gates:
            raise self._beyond(f"{gates} gates", f"at most {limits.max_gates} in one job", "split the job")

    def sizes(self, job: CircuitJob) -> tuple[tuple[int, int], ...]:
        """One-qubit and two-qubit gates of each circuit, as sent and so as billed."""
        if self._options.native is None:
            return tuple(qis_circuit(circuit).count_by_arity() for circuit in job.circuits)
        return tuple(_size(gates) for gates in self._gates(job))

    def submit(self, job: CircuitJob, intent: Intent) -> Ticket:
        """Check and send `job` once."""
        self.check(job)
        body = job_body(job, self._gates(job), self._target, self._options, intent)
        limit = self._limits.max_body_bytes
        if limit is not None and len(body) > limit:
            raise self._beyond(f"{len(body)} bytes", f"at most {limit}", "split the job")
        answer = self._client.submit(body)
        job_id = answer.get("id") if isinstance(answer, Mapping) else None
        if not isinstance(job_id, str) or not job_id:
            raise LostJobError(f"{self._client.url} accepted a job and named no id; it is looked up by its intent id")
        return Ticket(intent, job_id, datetime.now(UTC).isoformat())

    def statuses(self, tickets: Sequence[Ticket]) -> tuple[RemoteStatus, ...]:
        """How the jobs stand: one request for one job (which a gateway holds until it is done), few for many."""
        if len(tickets) == 1:
            return (self._status(tickets[0], self._job(tickets[0])),)
        known: dict[str, Mapping[str, Any]] = {}
        for first in range(0, len(tickets), _IDS_PER_REQUEST):
            ids = ",".join(ticket.job_id for ticket in tickets[first : first + _IDS_PER_REQUEST])
            answer = self._client.get("/jobs", {"ids": ids, "limit": _PAGE})
            known |= {str(entry.get("id")): entry for entry in answer.get("jobs", ())}
        return tuple(self._status(ticket, known.get(ticket.job_id) or self._job(ticket)) for ticket in tickets)

    def collect(self, ticket: Ticket) -> Collected:
        """The results of a completed job, complete and in order, or BackendError."""
        answer = self._over.pop(ticket.job_id, None) or self._job(ticket)
        status = status_of(answer)
        if status.state != "completed":
            raise BackendError(f"job {ticket.job_id} is {status.state}, so it has no results yet; wait for it")
        return Collected(
            histograms=self._histograms(ticket, answer),
            exact=self.is_exact,
            cost_usd=self.charged(ticket),
            queue_s=seconds_between(answer, "submitted_at", "started_at"),
            run_s=_run_seconds(answer),
            calibration=self._calibration(answer),
        )

    def charged(self, ticket: Ticket) -> Decimal | None:
        """What the job has cost in US dollars; None when the provider says nothing, or bills in credits."""
        try:
            answer = self._client.get_money(f"/jobs/{quote(ticket.job_id, safe='')}/cost")
        except MissingJobError:
            return None
        cost = answer.get("cost") if isinstance(answer, Mapping) else None
        if not isinstance(cost, Mapping) or str(cost.get("unit", "usd")).lower() != "usd":
            return None
        try:
            return None if cost.get("value") is None else Decimal(str(cost["value"]))
        except InvalidOperation:
            return None

    def cancel(self, ticket: Ticket) -> None:
        """Ask for the job to be stopped; nothing happens to one that is over."""
        if not status_of(self._job(ticket)).is_terminal:
            self._client.put(f"/jobs/{quote(ticket.job_id, safe='')}/status/cancel")

    def find(self, intent: Intent) -> tuple[Ticket, ...]:
        """All jobs that carry the intent's id, oldest first; the listing is read back to before the intent."""
        since = datetime.fromisoformat(intent.recorded_at) - _CLOCK_MARGIN
        found = [entry for entry in self._listing(since) if carries(entry, intent.intent_id)]
        found.sort(key=lambda entry: str(entry.get("submitted_at") or ""))
        now = datetime.now(UTC).isoformat()
        return tuple(Ticket(intent, str(entry["id"]), str(entry.get("submitted_at") or now)) for entry in found)

    def report(self) -> TargetReport:
        """Status, queue, fidelities and calibration of the target now."""
        return report_of(self._target, find_target(self._client, self._target))

    def _gates(self, job: CircuitJob) -> list[WireGates]:
        if job not in self._written:
            compiled: Callable[[Sequence[Any]], list[WireGates]] = qis_gates
            native = self._options.native
            self._written[job] = (
                compiled(job.circuits) if native is None else [native_gates(c, native).gates for c in job.circuits]
            )
        return self._written[job]

    def _status(self, ticket: Ticket, answer: Mapping[str, Any]) -> RemoteStatus:
        status = status_of(answer)
        if status.state == "completed":
            self._over[ticket.job_id] = answer  # so that `collect` need not ask again
        return status

    def _job(self, ticket: Ticket) -> Mapping[str, Any]:
        try:
            answer = self._client.get(f"/jobs/{quote(ticket.job_id, safe='')}")
        except MissingJobError:
            raise LostJobError(
                f"{self._client.url} does not know job {ticket.job_id}: it was deleted there, or belongs to another "
                f"account or address. It is not submitted again by itself; to pay for it again, use a new run folder"
            ) from None
        if not isinstance(answer, Mapping):
            raise BackendError(f"{self._client.url} answered for job {ticket.job_id} with something that is no object")
        return answer

    def _calibration(self, answer: Mapping[str, Any]) -> str:
        return "" if self._target == SIMULATOR else calibration_of(answer) or self.report().calibration

    def _histograms(self, ticket: Ticket, answer: Mapping[str, Any]) -> tuple[Histogram, ...]:
        path, sizes = f"/jobs/{quote(ticket.job_id, safe='')}/results/probabilities", ticket.intent.n_qubits
        if len(sizes) == 1:
            return (single_histogram(self._client.get(path), sizes[0]),)
        children = [str(child) for child in answer.get("child_job_ids") or ()]
        return many_histograms(self._client.get(f"{path}/aggregated"), sizes, children)

    def _listing(self, since: datetime) -> Iterator[Mapping[str, Any]]:
        """The account's jobs, back to `since`: newest first, as the API lists them."""
        query: dict[str, str | int] = {"limit": _PAGE}
        seen: set[str] = set()
        while True:
            answer = self._client.get("/jobs", query)
            jobs = answer.get("jobs") if isinstance(answer, Mapping) else None
            if not isinstance(jobs, list):
                raise BackendError(f"{self._client.url} answered GET /jobs without a list of jobs")
            yield from jobs
            cursor = answer.get("next")
            times = [time_of(entry, "submitted_at") for entry in jobs]
            if not cursor or not jobs or all(moment is not None and moment < since for moment in times):
                return
            if cursor in seen:
                raise BackendError(f"{self._client.url} lists its jobs in a circle; a lost job cannot be looked up")
            seen.add(str(cursor))
            query = {"limit": _PAGE, "next": str(cursor)}

    def _beyond(self, what: str, allowed: str, remedy: str) -> RejectedJobError:
        return RejectedJobError(f"the job has {what}, and {self._target} takes {allowed}; {remedy}. Nothing was sent")


def _size(gates: WireGates) -> tuple[int, int]:
    twos = sum("control" in gate or len(gate.get("targets", ())) == 2 for gate in gates)
    return len(gates) - twos, twos


def _run_seconds(answer: Mapping[str, Any]) -> float | None:
    stated = answer.get("execution_duration_ms")
    if isinstance(stated, (int, float)) and not isinstance(stated, bool):
        return stated / 1000
    return seconds_between(answer, "started_at", "completed_at")
