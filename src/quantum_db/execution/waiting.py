"""Waiting for jobs: one poller for all threads of a process, however many jobs they wait for."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field

from quantum_db.backends.remote import RemoteBackend, RemoteStatus, Ticket
from quantum_db.errors import LostJobError, QStoreError


@dataclass(frozen=True)
class Patience:
    """How jobs are waited for, in seconds.

    `first` and `longest` bound the time between two looks, which grows by half from look to look and starts anew when
    a job joins. `limit` is the longest wait for one job; None waits as long as it takes (queues of days are normal).
    """

    first: float = 0.1
    longest: float = 10.0
    limit: float | None = None


@dataclass(eq=False)
class _Wait:
    ticket: Ticket
    done: threading.Event = field(default_factory=threading.Event)
    status: RemoteStatus | None = None
    error: QStoreError | None = None


class JobWaiter:
    """Waits for the jobs of one backend. Its thread lives only while somebody waits."""

    def __init__(self, backend: RemoteBackend, patience: Patience) -> None:
        self._backend, self._patience = backend, patience
        self._mutex = threading.Lock()
        self._joined = threading.Event()
        self._waits: list[_Wait] = []
        self._polling = False

    def wait(self, ticket: Ticket) -> RemoteStatus:
        """The status of the job once it is terminal.

        The first look is this thread's own (a gateway holds it until the job is done); after that all share one poller.
        Raises LostJobError when `limit` has passed (the job goes on, and is adopted by the next run), and what the
        backend raises when it cannot be asked.
        """
        (status,) = self._backend.statuses([ticket])
        return status if status.is_terminal else self._join(_Wait(ticket))

    def _join(self, wait: _Wait) -> RemoteStatus:
        ticket = wait.ticket
        with self._mutex:
            self._waits.append(wait)
            self._joined.set()
            if not self._polling:
                self._polling = True
                threading.Thread(target=self._poll, name="job-waiter", daemon=True).start()
        if not wait.done.wait(self._patience.limit):
            with self._mutex:
                if wait in self._waits:
                    self._waits.remove(wait)
            raise LostJobError(
                f"job {ticket.job_id} on {ticket.intent.target} was not over after {self._patience.limit:g} s; it "
                f"goes on there. Start again later: it is then adopted, and not paid for twice"
            )
        if wait.error is not None:
            raise wait.error
        if wait.status is None:
            raise LostJobError(f"job {ticket.job_id} was given up without a status; start again to look at it")
        return wait.status

    def _poll(self) -> None:
        delay = self._patience.first
        while True:
            with self._mutex:
                waits = tuple(self._waits)
                if not waits:
                    self._polling = False
                    return
                if self._joined.is_set():
                    self._joined.clear()
                    delay = self._patience.first
            self._joined.wait(delay * random.uniform(0.8, 1.0))
            delay = min(delay * 1.5, self._patience.longest)
            self._look(waits)

    def _look(self, waits: tuple[_Wait, ...]) -> None:
        try:
            statuses = self._backend.statuses([wait.ticket for wait in waits])
        except LostJobError as error:
            if len(waits) == 1:
                self._end_all(waits, error)
            else:  # one job is lost; the others are not
                for wait in waits:
                    self._look((wait,))
            return
        except QStoreError as error:
            self._end_all(waits, error)
            return
        except BaseException as error:
            self._end_all(waits, LostJobError(f"waiting for jobs broke off: {type(error).__name__}: {error}"))
            raise
        for wait, status in zip(waits, statuses, strict=True):
            if status.is_terminal:
                wait.status = status
                self._end(wait)

    def _end_all(self, waits: tuple[_Wait, ...], error: QStoreError) -> None:
        for wait in waits:
            wait.error = error
            self._end(wait)

    def _end(self, wait: _Wait) -> None:
        with self._mutex:
            if wait in self._waits:
                self._waits.remove(wait)
        wait.done.set()
