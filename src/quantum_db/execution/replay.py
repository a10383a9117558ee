"""The executor that answers from a journal alone: the same results, no network, no cost."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from quantum_db.backends.protocols import Batch, RowResults
from quantum_db.backends.remote import CircuitJob, Collected, Histogram
from quantum_db.execution.drawing_shots import shot_histograms
from quantum_db.execution.journal import JobEntry, Journal, JournalMissError
from quantum_db.execution.journal.journal import circuit_keys, entry_keys
from quantum_db.execution.measured import measured_circuits
from quantum_db.execution.targets import REPLAY

_KEPT = 16

MissingPrice = Callable[[CircuitJob], Decimal | None]
"""The price of running the circuits that a journal lacks; None where it cannot be told."""


@dataclass(frozen=True)
class _Place:
    entry: JobEntry
    number: int


class ReplayExecutor:
    """Answers batches from the results in a journal, circuit by circuit, however they were put into jobs.

    A circuit's result is found by its gates and angles, shots, seed, and by target and options of the recorded run;
    where several targets were used, the one that was used first answers.
    """

    def __init__(self, journal: Journal, price: MissingPrice | None = None) -> None:
        self._journal, self._price = journal, price
        self._places: dict[str, _Place] = {}
        self._settings: dict[str, tuple[str, Mapping[str, Any]]] = {}
        self._results: dict[str, Collected] = {}
        for entry in journal.entries:
            if entry.state == "result":
                self._index(entry)

    @classmethod
    def of_run(cls, folder: Path | str, price: MissingPrice | None = None) -> ReplayExecutor:
        """The replay of the run in `folder`; StoreError when there is no journal or it was tampered with."""
        return cls(Journal.read(folder), price)

    @property
    def name(self) -> str:
        """The target's name."""
        return f"{REPLAY}{self._journal.run}"

    @property
    def differentiable(self) -> bool:
        """Gradients come from shifted circuits, as in the run."""
        return False

    @property
    def n_circuits(self) -> int:
        """How many circuits the journal has results of."""
        return len(self._places)

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """The recorded results; JournalMissError when one is missing, with how many and their price."""
        measured = measured_circuits(batch)
        if not measured.circuits:
            return measured.combine((), batch.shots)
        job = CircuitJob(measured.circuits, batch.shots, batch.seed, batch.as_written)
        for target, options in self._settings.values():
            names = circuit_keys(job, target, options)
            if all(name in self._places for name in names):
                found = tuple(self._histogram(self._places[name]) for name in names)
                return measured.combine(self._drawn(found, job, self._places[names[0]]), batch.shots)
        raise self._miss(job)

    def _index(self, entry: JobEntry) -> None:
        target = entry.intent.target
        self._settings.setdefault(json.dumps([target, entry.options], sort_keys=True), (target, entry.options))
        for number, name in enumerate(entry_keys(entry)):
            self._places.setdefault(name, _Place(entry, number))

    def _histogram(self, place: _Place) -> Histogram:
        return self._collected(place.entry).histograms[place.number]

    def _collected(self, entry: JobEntry) -> Collected:
        name = entry.intent.intent_id
        if name not in self._results:
            if len(self._results) >= _KEPT:
                del self._results[next(iter(self._results))]
            self._results[name] = self._journal.result(entry)
        return self._results[name]

    def _drawn(self, found: tuple[Histogram, ...], job: CircuitJob, place: _Place) -> tuple[Histogram, ...]:
        exact = self._collected(place.entry).exact
        return shot_histograms(Collected(found, exact, None), job)

    def _miss(self, job: CircuitJob) -> JournalMissError:
        missing = self._missing(job)
        price = None if self._price is None else self._price(missing)
        cost = "Their price is not known" if price is None else f"Running them would cost up to {price} USD"
        return JournalMissError(
            f"the journal of run {self._journal.run!r} lacks {len(missing.circuits)} of the {len(job.circuits)} "
            f"circuits of this batch (shots {job.shots}, seed {job.seed}): the run did not get this far, or its model, "
            f"data, shots or seed were others. {cost}; resume the run itself on its target to fill them in"
        )

    def _missing(self, job: CircuitJob) -> CircuitJob:
        best = job.circuits
        for target, options in self._settings.values():
            names = circuit_keys(job, target, options)
            pairs = zip(job.circuits, names, strict=True)
            lacking = tuple(circuit for circuit, name in pairs if name not in self._places)
            best = min(best, lacking, key=len)
        return CircuitJob(best, job.shots, job.seed, job.as_written)
