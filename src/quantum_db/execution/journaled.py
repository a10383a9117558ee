"""The executor that turns a remote machine into an Executor, and pays for nothing twice.

Before a job is sent, what is about to be sent is on disk; so is the provider's id as soon as it is known, and the raw
result before anything is made of it. After a kill at any instant, the same batch asked again is answered from the
journal, or by the job in flight, or, where nobody knows whether the job was accepted, by looking it up at the provider
under the intent id that every job carries. Only what is certainly absent is submitted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from weakref import WeakKeyDictionary

from quantum_db.backends.protocols import Batch, RowResults
from quantum_db.backends.remote import CircuitJob, Collected, RemoteBackend, RemoteStatus, Ticket
from quantum_db.errors import (
    BackendError,
    BudgetExceededError,
    ConfigurationError,
    LostJobError,
    QStoreError,
    RejectedJobError,
)
from quantum_db.errors import TransientBackendError as Transient
from quantum_db.execution.drawing_shots import shot_histograms
from quantum_db.execution.journal import JobEntry, Journal
from quantum_db.execution.measured import MeasuredBatch, measured_circuits
from quantum_db.execution.waiting import JobWaiter, Patience

_LOG = logging.getLogger(__name__)
_LONGEST_SUBMISSION_S = 600.0


@dataclass(frozen=True)
class Persistence:
    """How long is waited before and between submissions, in seconds.

    `settle`: an unanswered submission may still be on its way; only a job that is not found this long after its
    submission was given up is taken to be absent. `look`: between two looks for it. `busy`: how long a provider that
    takes nothing (HTTP 429, not reachable) is asked again, with delays from `first_delay` doubling to `longest_delay`.
    """

    settle: float = 60.0
    look: float = 2.0
    busy: float = 300.0
    first_delay: float = 0.5
    longest_delay: float = 30.0


@dataclass(frozen=True)
class Due:
    """What a batch would cost: its job's gates and shots, and the id under which it is or would be submitted.

    `settled` says that it is paid: its result is in the journal.
    """

    intent_id: str
    settled: bool
    sizes: tuple[tuple[int, int], ...]
    shots: int


@dataclass(frozen=True, eq=False)
class _Prepared:
    measured: MeasuredBatch
    job: CircuitJob
    digest: str


@dataclass(eq=False)
class JournaledExecutor:
    """Runs batches on `backend` through `journal`. For several threads: each batch is one job.

    A batch that was asked before, with the same seed, gets the recorded answer: the seed names the samples.
    """

    backend: RemoteBackend
    journal: Journal
    patience: Patience = field(default_factory=Patience)
    persistence: Persistence = field(default_factory=Persistence)

    def __post_init__(self) -> None:
        self._waiter = JobWaiter(self.backend, self.patience)
        self._prepared: WeakKeyDictionary[Batch, _Prepared | None] = WeakKeyDictionary()
        self._turns: dict[str, threading.Lock] = {}
        self._mutex = threading.Lock()

    @property
    def name(self) -> str:
        """The target's name."""
        return self.backend.target

    @property
    def differentiable(self) -> bool:
        """Gradients come from shifted circuits."""
        return False

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """The batch's results, from the journal, from a job in flight, or from a new job.

        Raises RejectedJobError (refused or failed), TransientBackendError (nothing was submitted) or LostJobError (a
        job is or may be in flight; ask again later).
        """
        prepared = self._prepare(batch)
        if prepared is None:
            return measured_circuits(batch).combine((), batch.shots)
        with self._turn(prepared.digest):
            collected = self._complete(prepared)
        return prepared.measured.combine(shot_histograms(collected, prepared.job), batch.shots)

    def due(self, batch: Batch) -> Due | None:
        """What the batch would cost now; None when it needs no machine."""
        prepared = self._prepare(batch)
        if prepared is None:
            return None
        entry = self.journal.latest(prepared.digest)
        settled = entry is not None and entry.state == "result"
        sizes = entry.sizes if entry is not None else self.backend.sizes(prepared.job)
        return Due(self.journal.next_intent_id(prepared.digest), settled, sizes, prepared.job.stated_shots)

    def charge(self, intent_id: str, ask: bool = True) -> Decimal | None:
        """What a job that is over has cost; None when that is not known, after asking the provider if `ask`."""
        entry = self.journal.entry(intent_id)
        if entry is None or entry.state == "dropped":
            return Decimal(0)
        if entry.cost_usd is None and entry.ticket is not None and ask:
            return self.backend.charged(entry.ticket)
        return entry.cost_usd

    def entries(self) -> tuple[JobEntry, ...]:
        """The journal's jobs on this target."""
        return tuple(entry for entry in self.journal.entries if entry.intent.target == self.backend.target)

    def adopt_open(self) -> int:
        """Bring every job in flight to its end, whether or not anybody asks for it again; how many there were.

        A job that nobody can find at the provider any more is written down as dropped.
        """
        waiting = [entry for entry in self.entries() if entry.is_open]
        for entry in waiting:
            with self._turn(entry.digest):
                current = self.journal.latest(entry.digest)
                if current is None or not current.is_open:
                    continue
                ticket = current.ticket or self._look_up(current)
                if ticket is None:
                    self.journal.record_dropped(current, "not found at the provider, and not asked for again")
                elif current.state == "intent":
                    current = self.journal.record_submitted(current, ticket, adopted=True)
                if ticket is not None:
                    with suppress(RejectedJobError):  # written down as failed, which is what was wanted
                        self._finish(current, ticket)
        return len(waiting)

    def _prepare(self, batch: Batch) -> _Prepared | None:
        if batch not in self._prepared:
            measured = measured_circuits(batch)
            prepared = None
            if measured.circuits:
                job = CircuitJob(measured.circuits, batch.shots, batch.seed, batch.as_written)
                prepared = _Prepared(measured, job, job.digest(self.backend.target, self.backend.options))
            self._prepared[batch] = prepared
        return self._prepared[batch]

    @contextmanager
    def _turn(self, digest: str) -> Iterator[None]:
        """Two threads that ask for the same job wait for one another: it is submitted once."""
        with self._mutex:
            turn = self._turns.setdefault(digest, threading.Lock())
        with turn:
            yield

    def _complete(self, prepared: _Prepared) -> Collected:
        entry = self.journal.latest(prepared.digest)
        if entry is not None and entry.state == "result":
            return self.journal.result(entry)
        if entry is None or not entry.is_open:
            entry = self._begin(prepared)
            ticket = self._submit(entry, prepared.job)
        else:
            ticket = entry.ticket or self._recover(entry, prepared.job)
        latest = self.journal.entry(entry.intent.intent_id) or entry
        return self._finish(latest, ticket)

    def _begin(self, prepared: _Prepared) -> JobEntry:
        job = prepared.job
        self.backend.check(job)
        sizes = self.backend.sizes(job)
        return self.journal.record_intent(job, prepared.digest, self.backend.target, self.backend.options, sizes)

    def _recover(self, entry: JobEntry, job: CircuitJob) -> Ticket:
        """The job of an intent whose outcome is unknown: found at the provider, or submitted again if it is absent."""
        ticket = self._look_up(entry)
        if ticket is not None:
            self.journal.record_submitted(entry, ticket, adopted=True)
            return ticket
        _LOG.warning("job %s is certainly not at the provider; it is submitted again", entry.intent.intent_id)
        return self._submit(self.journal.record_again(entry), job)

    def _submit(self, entry: JobEntry, job: CircuitJob) -> Ticket:
        begin, failures = time.monotonic(), 0
        while True:
            try:
                ticket = self.backend.submit(job, entry.intent)
            except Transient as error:
                failures += 1
                delay = min(self.persistence.longest_delay, self.persistence.first_delay * 2.0 ** (failures - 1))
                delay = max(delay, error.retry_after_s or 0.0)
                if time.monotonic() + delay - begin > self.persistence.busy:
                    ticket = self._refused(entry, error)
                    break
                time.sleep(delay)
            except (RejectedJobError, BudgetExceededError, ConfigurationError) as error:
                ticket = self._refused(entry, error)
                break
            except LostJobError as error:
                _LOG.warning("%s; looking job %s up", error, entry.intent.intent_id)
                return self._recover(entry, job)
            else:
                break
        self.journal.record_submitted(entry, ticket)
        return ticket

    def _refused(self, entry: JobEntry, error: QStoreError) -> Ticket:
        """Close an intent that was refused and raise `error`.

        One that was sent before without an answer may have been accepted then: that job is returned if it is found.
        """
        first_time = entry.sent_at == entry.intent.recorded_at
        ticket = None if first_time else self._look_up(entry)
        if ticket is None:
            self.journal.record_dropped(entry, str(error))
            raise error
        return ticket

    def _look_up(self, entry: JobEntry) -> Ticket | None:
        """The provider's job of an intent; None when it is still absent `settle` seconds after this look began.

        When the last submission left is not known exactly: it may have been repeated for a while after it was written
        down, and have hung until its time was up. So the time to settle begins now, unless all that is long ago.
        """
        age = (datetime.now(UTC) - datetime.fromisoformat(entry.sent_at)).total_seconds()
        long_ago = age > self.persistence.busy + self.persistence.settle + _LONGEST_SUBMISSION_S
        settled_at = time.monotonic() + (0.0 if long_ago else self.persistence.settle)
        while True:
            last = time.monotonic() >= settled_at
            found = self._find(entry)
            if found or last:
                break
            time.sleep(min(self.persistence.look, max(0.0, settled_at - time.monotonic())))
        if len(found) > 1:
            self._cancel_copies(found)
        return found[0] if found else None

    def _find(self, entry: JobEntry) -> tuple[Ticket, ...]:
        try:
            return self.backend.find(entry.intent)
        except Transient as error:
            raise LostJobError(
                f"whether job {entry.intent.intent_id} was accepted cannot be found out now ({error}); nothing is "
                f"submitted until it can. Start again later"
            ) from error

    def _cancel_copies(self, found: tuple[Ticket, ...]) -> None:
        """A submission was delivered more than once: the first job counts, the others are stopped."""
        names = ", ".join(ticket.job_id for ticket in found[1:])
        _LOG.warning("the provider has job %s more than once; %s stopped", found[0].intent.intent_id, names)
        for ticket in found[1:]:
            self.backend.cancel(ticket)

    def _finish(self, entry: JobEntry, ticket: Ticket) -> Collected:
        try:
            status = self._waiter.wait(ticket)
            if status.state == "completed":
                collected = self.backend.collect(ticket)
                self._check_complete(collected, ticket)
                self.journal.record_result(entry, collected)
                return collected
            cost = self.backend.charged(ticket)
        except Transient as error:
            raise LostJobError(
                f"job {ticket.job_id} is in flight on {ticket.intent.target}, and its provider cannot be asked now "
                f"({error}). Start again later: it is then adopted, and not paid for twice"
            ) from error
        self.journal.record_failed(entry, _why(status), cost)
        raise RejectedJobError(
            f"job {ticket.job_id} on {ticket.intent.target} ended as {_why(status)}; charged: "
            f"{'unknown' if cost is None else f'{cost} USD'}. Start again to submit it anew"
        )

    def _check_complete(self, collected: Collected, ticket: Ticket) -> None:
        if len(collected.histograms) != len(ticket.intent.n_qubits):
            raise BackendError(
                f"job {ticket.job_id} has {len(ticket.intent.n_qubits)} circuits and came back with "
                f"{len(collected.histograms)} results; none is used"
            )


def _why(status: RemoteStatus) -> str:
    reason = ": ".join(part for part in (status.code, status.message) if part)
    return f"{status.state} ({reason})" if reason else status.state
