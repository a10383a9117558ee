"""Circuits that this process has read lately, so that a worker in it need not read them from the ledger again."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

from quantum_db.circuits.ionq import WireCircuit, WireProgram

_MOST_NUMBERS = 500_000
"""Angles and gates kept, of all jobs together: some tens of megabytes."""


class RecentPrograms:
    """The circuits of jobs that are about to be run here; the oldest make room. Safe to use from several threads.

    It only saves time: what is not here any more is read from the ledger, which holds the same circuits.
    """

    def __init__(self, most: int = _MOST_NUMBERS) -> None:
        """`most`: how many angles and gates are kept."""
        self._most = most
        self._held = 0
        self._kept: OrderedDict[str, tuple[tuple[WireCircuit, ...], int]] = OrderedDict()
        self._lock = Lock()

    def keep(self, job_id: str, program: WireProgram) -> None:
        """Keep the circuits of a job, unless they are too many."""
        size = _numbers(program.circuits)
        if size > self._most:
            return
        with self._lock:
            self._kept[job_id] = (program.circuits, size)
            self._held += size
            while self._held > self._most:
                self._held -= self._kept.popitem(last=False)[1][1]

    def get(self, job_id: str) -> tuple[WireCircuit, ...] | None:
        """The circuits of a job, None when they are not kept."""
        with self._lock:
            found = self._kept.get(job_id)
        return None if found is None else found[0]

    def drop(self, job_id: str) -> None:
        """Forget a job."""
        with self._lock:
            found = self._kept.pop(job_id, None)
            self._held -= 0 if found is None else found[1]


def _numbers(circuits: tuple[WireCircuit, ...]) -> int:
    """Angles of all circuits, gates of each structure once, and something for every circuit."""
    structures = {circuit.structure for circuit in circuits}
    return sum(len(circuit.angles) + 8 for circuit in circuits) + sum(len(one.steps) for one in structures)
