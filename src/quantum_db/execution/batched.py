"""The executor that packs a batch into the fewest jobs, runs them at the same time, and puts the results in order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import groupby
from threading import Event
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows, Executor, RowResults
from quantum_db.backends.remote import TargetLimits
from quantum_db.errors import BackendError
from quantum_db.execution.measured import MeasuredBatch, Sampled, filled, measured_circuits, parity
from quantum_db.execution.readings import Reading
from quantum_db.execution.splitting import JobLoad, Load, check_fits, check_shots_fit, split, written_load
from quantum_db.seeding import numpy_generator

FloatArray = npt.NDArray[np.float64]
T = TypeVar("T")


@runtime_checkable
class OneTarget(Protocol):
    """An executor of several targets, which can be asked to do one whole thing on only one of them."""

    def on_one_target(self, batch: Batch, work: Callable[[Executor], T]) -> T:
        """Choose a target for `batch` and do `work` on it; again from the start on another if that one goes down."""
        ...


@dataclass(frozen=True)
class BatchedExecutor:
    """Sends every batch to `inner` in as few parts as `limits` allow.

    Circuits that are equal after filling in their values are run once, so their results are the same sample. At most
    `max_concurrent_jobs` jobs are under way at the same time; None submits all before waiting for any. `load` measures
    what a circuit adds to a job. The split, and with it all results, depend on the batch only.
    """

    inner: Executor
    limits: TargetLimits = field(default_factory=TargetLimits)
    max_concurrent_jobs: int | None = None
    load: Load = written_load

    @property
    def name(self) -> str:
        """The inner target's name."""
        return self.inner.name

    @property
    def differentiable(self) -> bool:
        """As the inner executor."""
        return self.inner.differentiable

    def jobs(self, batch: Batch) -> tuple[Batch, ...]:
        """The jobs that `batch` becomes, in order; nothing is run.

        Raises RejectedJobError when a circuit or the shots break a limit of the target.
        """
        return tuple(job.batch for job in self._jobs(measured_circuits(batch), batch))

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run all jobs of `batch`, complete or not at all.

        If jobs fail, those under way are waited for, so that none is lost that was paid for, those not yet started are
        dropped, and the error of the first that failed is raised.
        """
        if isinstance(self.inner, OneTarget):
            return self.inner.on_one_target(batch, lambda target: self._run(target, batch))
        return self._run(self.inner, batch)

    def _run(self, target: Executor, batch: Batch) -> tuple[RowResults, ...]:
        measured = measured_circuits(batch)
        jobs = self._jobs(measured, batch)
        results = _at_once([job.batch for job in jobs], target, self.max_concurrent_jobs)
        readings: dict[int, Reading | Sampled] = {}
        sampled = batch.shots is not None
        for job, parts in zip(jobs, results, strict=True):
            sampled |= any(part.standard_errors is not None for part in parts)
            readings.update(job.readings(parts, batch.shots))
        return measured.collect(readings.__getitem__, sampled)

    def _jobs(self, measured: MeasuredBatch, batch: Batch) -> list[_Job]:
        check_shots_fit(batch.shots, self.limits)
        loads = [self._checked_load(measured, number) for number in range(len(measured.structures))]
        groups = split([loads[number] for number in measured.of], self.limits)
        jobs = [_job(measured, group, batch) for group in groups]
        return [replace(job, batch=replace(job.batch, seed=_seed(batch.seed, k))) for k, job in enumerate(jobs)]

    def _checked_load(self, measured: MeasuredBatch, number: int) -> JobLoad:
        place = measured.of.index(number)
        structure = measured.structures[number]
        load = self.load(filled(structure, measured.angles[place]))
        check_fits(structure, load, self.limits)
        return load


@dataclass(frozen=True, eq=False)
class _Job:
    """One job: its batch, and for each of its parts the circuits of its rows and the masks of its observables."""

    batch: Batch
    circuits: tuple[tuple[int, ...], ...]
    masks: tuple[tuple[int, ...] | None, ...]

    def readings(self, parts: Sequence[RowResults], shots: int | None) -> dict[int, Reading | Sampled]:
        """What came back for each circuit."""
        if len(parts) != len(self.circuits):
            raise BackendError(f"{len(self.circuits)} parts were run, but {len(parts)} came back; none of them is used")
        found: dict[int, Reading | Sampled] = {}
        for members, masks, part, asked in zip(self.circuits, self.masks, parts, self.batch.parts, strict=True):
            width = 2**asked.circuit.n_qubits if masks is None else len(masks)
            if part.values.shape != (len(members), width):
                raise BackendError(
                    f"{len(members)} rows of {width} values were asked, but values of shape {part.values.shape} came "
                    f"back; none of them is used"
                )
            errors = np.zeros_like(part.values) if part.standard_errors is None else part.standard_errors
            for row, circuit in enumerate(members):
                if masks is None:
                    found[circuit] = _dense(part.values[row], errors[row], asked.circuit.n_qubits, shots, circuit)
                else:
                    pairs = zip(part.values[row].tolist(), errors[row].tolist(), strict=True)
                    found[circuit] = Sampled(dict(zip(masks, pairs, strict=True)))
        return found


def _dense(values: FloatArray, errors: FloatArray, n_qubits: int, shots: int | None, number: int) -> Reading:
    histogram = {int(state): float(values[state]) for state in np.flatnonzero(values)}
    reading = Reading.of(histogram, n_qubits, shots, f"circuit {number}")
    if shots is not None or not errors.any():
        return reading
    return replace(reading, errors=errors[reading.states.astype(np.int64)])


def _job(measured: MeasuredBatch, group: Sequence[int], batch: Batch) -> _Job:
    """Circuits of one structure that are read alike become the rows of one part."""

    def kind(number: int) -> tuple[int, bool]:
        return measured.of[number], measured.wanted[number] is None

    parts, circuits, wanted = [], [], []
    for (structure, dense), found in groupby(sorted(group, key=lambda number: (kind(number), number)), key=kind):
        members = tuple(found)
        gates = measured.structures[structure]
        masks = None if dense else tuple(sorted({mask for number in members for mask in measured.wanted[number] or ()}))
        circuit = gates if masks is None else gates.measuring(parity(mask, gates.n_qubits) for mask in masks)
        features = np.array([measured.angles[number] for number in members]).reshape(len(members), -1)
        parts.append(CircuitRows(circuit, np.zeros((len(members), 0)), features))
        circuits.append(members)
        wanted.append(masks)
    return _Job(replace(batch, parts=tuple(parts)), tuple(circuits), tuple(wanted))


def _seed(seed: int, job: int) -> int:
    """Another seed for each job, so that no two jobs draw the same numbers; the first keeps that of the batch."""
    return seed if job == 0 else int(numpy_generator(seed, "job", job).integers(2**32))


def _at_once(batches: Sequence[Batch], target: Executor, most: int | None) -> list[tuple[RowResults, ...]]:
    """The results of all batches, in order, run in threads of their own; none is started after one has failed."""
    if len(batches) < 2:
        return [target.run(batch) for batch in batches]
    failed = Event()

    def run(batch: Batch) -> tuple[RowResults, ...]:
        if failed.is_set():
            return ()
        try:
            return target.run(batch)
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(max_workers=min(most or len(batches), len(batches))) as pool:
        futures = [pool.submit(run, batch) for batch in batches]
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        for other in errors[1:]:
            errors[0].add_note(f"another job of the same batch failed as well: {type(other).__name__}: {other}")
        raise errors[0]
    return [future.result() for future in futures]
