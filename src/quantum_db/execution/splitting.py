"""Splits circuits into the fewest jobs that a target's limits allow; always the same way for the same circuits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from quantum_db.backends.remote import CircuitJob, TargetLimits
from quantum_db.circuits.circuit import Circuit
from quantum_db.errors import RejectedJobError

_BODY_FRAME = 4096
"""Bytes of a job's body beside its circuits: names, metadata, settings."""
_WITHOUT_ANGLE = 44
"""Bytes of one gate as compact JSON, at most: {"gate":"cnot","control":30,"target":31} and a comma."""
_WITH_ANGLE = 70
"""{"gate":"zz","targets":[30,31],"rotation":-1.2345678901234567e-100} and a comma."""
_BYTES_PER_CIRCUIT = 96


@dataclass(frozen=True)
class JobLoad:
    """What one circuit adds to a job: gates, and bytes of the body."""

    gates: int
    body_bytes: int


def written_load(circuit: Circuit) -> JobLoad:
    """The load of `circuit` sent gate by gate as it is written, in IonQ's compact JSON, of up to 100 qubits.

    A provider that lacks a gate gets several for it; then its own writing must be measured (`machine_load`).
    """
    gates = len(circuit.operations)
    turning = sum(operation.angle is not None for operation in circuit.operations)
    return JobLoad(gates, _BYTES_PER_CIRCUIT + _WITH_ANGLE * turning + _WITHOUT_ANGLE * (gates - turning))


Load = Callable[[Circuit], JobLoad]
"""Measures a circuit; asked once for circuits that differ in their angles only, so it must hold for all angles."""


class Billed(Protocol):
    """What says how many gates of a circuit are billed, as a RemoteBackend does."""

    def sizes(self, job: CircuitJob) -> tuple[tuple[int, int], ...]:
        """One-qubit and two-qubit gates of each circuit."""
        ...


def machine_load(backend: Billed, written: Callable[[Circuit], Circuit]) -> Load:
    """The load of circuits on `backend`: gates as it bills them, and the bytes of what `written` makes of a circuit."""

    def load(circuit: Circuit) -> JobLoad:
        gates = sum(map(sum, backend.sizes(CircuitJob((circuit,)))))
        sent = written_load(written(circuit))
        # gates that are billed beyond those written (native ones) take room as well
        return JobLoad(gates, sent.body_bytes + _WITH_ANGLE * max(0, gates - sent.gates))

    return load


def common_limits(limits: Sequence[TargetLimits]) -> TargetLimits:
    """The limits that a job must keep to fit each of several targets."""

    def least(name: str) -> int | None:
        known = [value for entry in limits if (value := getattr(entry, name)) is not None]
        return min(known, default=None)

    return TargetLimits(
        max_circuits=least("max_circuits"),
        max_gates=least("max_gates"),
        max_body_bytes=least("max_body_bytes"),
        max_qubits=least("max_qubits"),
        min_shots=max((entry.min_shots for entry in limits), default=1),
        max_shots=least("max_shots"),
    )


def check_fits(circuit: Circuit, load: JobLoad, limits: TargetLimits) -> None:
    """Raise RejectedJobError when a job of `circuit` alone breaks a limit."""
    found = (
        ("qubits", circuit.n_qubits, limits.max_qubits, "use fewer qubits or another target"),
        ("gates", load.gates, limits.max_gates, "make the circuit less deep"),
        ("bytes of body", load.body_bytes + _BODY_FRAME, limits.max_body_bytes, "make the circuit less deep"),
        ("circuit", 1, limits.max_circuits, "the target takes no circuits"),
    )
    for what, size, most, advice in found:
        if most is not None and size > most:
            raise RejectedJobError(f"a circuit has {size} {what}, but the target takes {most} per job; {advice}")


def check_shots_fit(shots: int | None, limits: TargetLimits) -> None:
    """Raise RejectedJobError when the target does not take that many shots."""
    if shots is None:
        return
    if shots < limits.min_shots or (limits.max_shots is not None and shots > limits.max_shots):
        most = "any number" if limits.max_shots is None else str(limits.max_shots)
        raise RejectedJobError(f"{shots} shots were asked, but the target takes {limits.min_shots} to {most}")


def split(loads: Sequence[JobLoad], limits: TargetLimits) -> tuple[tuple[int, ...], ...]:
    """The positions of `loads` in jobs, each job and the jobs among themselves in ascending order.

    Each load must fit alone (`check_fits`). The jobs are as few as can be wherever consecutive filling reaches the
    lower bound (total over limit), which it does for circuits of one size. Otherwise the larger circuits are placed
    first, which is never more jobs than consecutive filling.
    """
    capacity = _capacity(limits)
    items = [_amounts(load) for load in loads]
    jobs = _in_turn(items, capacity)
    if len(jobs) > _lower_bound(items, capacity):
        packed = _largest_first(items, capacity)
        if len(packed) < len(jobs):
            jobs = packed
    return tuple(sorted(tuple(sorted(job)) for job in jobs))


_Amounts = tuple[int, int, int]
_Capacity = tuple[int | None, int | None, int | None]


def _amounts(load: JobLoad) -> _Amounts:
    return 1, load.gates, load.body_bytes


def _capacity(limits: TargetLimits) -> _Capacity:
    body = None if limits.max_body_bytes is None else limits.max_body_bytes - _BODY_FRAME
    return limits.max_circuits, limits.max_gates, body


def _fits(used: Sequence[int], item: _Amounts, capacity: _Capacity) -> bool:
    return all(most is None or have + add <= most for have, add, most in zip(used, item, capacity, strict=True))


def _lower_bound(items: Sequence[_Amounts], capacity: _Capacity) -> int:
    totals = [sum(column) for column in zip(*items, strict=True)] if items else [0, 0, 0]
    needed = [-(-total // most) for total, most in zip(totals, capacity, strict=True) if most]
    return max([min(1, len(items)), *needed])


def _in_turn(items: Sequence[_Amounts], capacity: _Capacity) -> list[list[int]]:
    jobs: list[list[int]] = []
    used = [0, 0, 0]
    for number, item in enumerate(items):
        if not jobs or not _fits(used, item, capacity):
            jobs.append([])
            used = [0, 0, 0]
        jobs[-1].append(number)
        used = [have + add for have, add in zip(used, item, strict=True)]
    return jobs


def _largest_first(items: Sequence[_Amounts], capacity: _Capacity) -> list[list[int]]:
    def share(number: int) -> float:
        return max((a / most for a, most in zip(items[number], capacity, strict=True) if most), default=0.0)

    jobs: list[tuple[list[int], list[int]]] = []
    for number in sorted(range(len(items)), key=lambda number: (-share(number), number)):
        room = next((job for job in jobs if _fits(job[1], items[number], capacity)), None)
        if room is None:
            jobs.append(room := ([], [0, 0, 0]))
        members, used = room
        members.append(number)
        used[:] = [have + add for have, add in zip(used, items[number], strict=True)]
    return [members for members, _ in jobs]
