"""The executor that remembers results: exact ones always, sampled ones only where that was asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows, Executor, RowResults
from quantum_db.errors import ConfigurationError
from quantum_db.execution.batch_digest import digest, value_bytes

FloatArray = npt.NDArray[np.float64]

MEMORY = 256 * 2**20
"""Bytes of results that are kept where nothing else is said."""
_OVERHEAD = 300
"""Bytes of one entry beside its numbers, roughly: key, array headers, links."""


@dataclass(frozen=True)
class CacheCounts:
    """What a cache did so far: rows (circuits with their values) that were answered from it and that were run."""

    hits: int
    misses: int
    entries: int
    bytes: int

    @property
    def hit_ratio(self) -> float:
        """The share of rows that were answered from the cache; 0 before the first."""
        asked = self.hits + self.misses
        return self.hits / asked if asked else 0.0


@dataclass(eq=False)
class _Store:
    """Results by key, the least recently used dropped first; safe between threads."""

    limit: int
    entries: OrderedDict[object, tuple[RowResults, ...]] = field(default_factory=OrderedDict)
    bytes: int = 0
    hits: int = 0
    misses: int = 0
    lock: Lock = field(default_factory=Lock)

    def get(self, key: object, rows: int) -> tuple[RowResults, ...] | None:
        with self.lock:
            found = self.entries.get(key)
            if found is None:
                self.misses += rows
                return None
            self.hits += rows
            self.entries.move_to_end(key)
            return found

    def put(self, key: object, results: tuple[RowResults, ...]) -> None:
        size = _size(results)
        with self.lock:
            if size > self.limit or key in self.entries:
                return
            self.entries[key] = results
            self.bytes += size
            while self.bytes > self.limit:
                _, dropped = self.entries.popitem(last=False)
                self.bytes -= _size(dropped)

    def counts(self) -> CacheCounts:
        with self.lock:
            return CacheCounts(self.hits, self.misses, len(self.entries), self.bytes)


class CachedExecutor:
    """Answers from memory what `inner` has answered before.

    Exact values are kept row by row: the same circuit with the same values is run once. Values that came with standard
    errors are kept only with `sampled=True`, and then as whole batches of equal shots and seed: a sample that is used
    again brings no new information, and a part of an old batch beside a new one would not be independent of it.
    `options` is whatever else results depend on, as in `digest`. At most `max_bytes` are kept.
    """

    def __init__(
        self,
        inner: Executor,
        options: Mapping[str, Any] | None = None,
        *,
        sampled: bool = False,
        max_bytes: int = MEMORY,
    ) -> None:
        if isinstance(max_bytes, bool) or not isinstance(max_bytes, int) or max_bytes < 0:
            raise ConfigurationError(f"a cache's max_bytes must be an integer of at least 0, got {max_bytes!r}")
        self.inner = inner
        self.options: Mapping[str, Any] = dict(options or {})
        self.sampled = sampled
        self._store = _Store(max_bytes)
        self._scope = digest(Batch(()), inner.name, self.options)

    @property
    def name(self) -> str:
        """The inner target's name."""
        return self.inner.name

    @property
    def differentiable(self) -> bool:
        """As the inner executor."""
        return self.inner.differentiable

    @property
    def counts(self) -> CacheCounts:
        """Hits, misses and size so far."""
        return self._store.counts()

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run what is not known yet."""
        return self._exact(batch) if batch.shots is None else self._whole(batch)

    def _whole(self, batch: Batch) -> tuple[RowResults, ...]:
        if not self.sampled:
            return self.inner.run(batch)
        key = digest(batch, self.inner.name, self.options)
        found = self._store.get(key, batch.n_circuits)
        if found is None:
            found = self.inner.run(batch)
            self._store.put(key, tuple(map(_copied, found)))
        return tuple(map(_copied, found))

    def _exact(self, batch: Batch) -> tuple[RowResults, ...]:
        keys = [self._row_keys(part, batch.as_written) for part in batch.parts]
        known: dict[_Key, RowResults] = {}
        rows_of = [
            [row for row, key in enumerate(names) if key not in known and self._is_new(key, known)] for names in keys
        ]
        asked = [number for number, rows in enumerate(rows_of) if rows]
        if asked:
            parts = tuple(_rows(batch.parts[number], rows_of[number]) for number in asked)
            for number, result in zip(asked, self.inner.run(replace(batch, parts=parts)), strict=True):
                self._learn([keys[number][row] for row in rows_of[number]], result, known)
        return tuple(_gathered(part, names, known) for part, names in zip(batch.parts, keys, strict=True))

    def _is_new(self, key: _Key, known: dict[_Key, RowResults]) -> bool:
        found = self._store.get(key, 1)
        known[key] = _NOTHING if found is None else found[0]
        return found is None

    def _learn(self, names: list[_Key], result: RowResults, known: dict[_Key, RowResults]) -> None:
        for row, key in enumerate(names):
            errors = None if result.standard_errors is None else result.standard_errors[row]
            known[key] = _copied(RowResults(result.values[row], errors))
            # a target may have no exact values; what it gives instead is a sample, and is not kept
            if errors is None:
                self._store.put(key, (known[key],))

    def _row_keys(self, part: CircuitRows, as_written: bool) -> list[_Key]:
        scope = f"{self._scope}/{part.circuit.fingerprint}/{as_written}"
        return [
            (scope, value_bytes(weights), value_bytes(features))
            for weights, features in zip(part.weights, part.features, strict=True)
        ]


_Key = tuple[str, bytes, bytes]
_NOTHING = RowResults(np.zeros(0))


def _rows(part: CircuitRows, rows: list[int]) -> CircuitRows:
    return CircuitRows(part.circuit, part.weights[rows], part.features[rows])


def _gathered(part: CircuitRows, names: list[_Key], known: Mapping[_Key, RowResults]) -> RowResults:
    width = len(part.circuit.observables) or 2**part.circuit.n_qubits
    found = [known[key] for key in names]
    values = np.array([result.values for result in found]).reshape(len(names), width)
    if all(result.standard_errors is None for result in found):
        return RowResults(values)
    rows = [np.zeros(width) if result.standard_errors is None else result.standard_errors for result in found]
    return RowResults(values, np.array(rows))


def _copied(result: RowResults) -> RowResults:
    errors = None if result.standard_errors is None else result.standard_errors.copy()
    return RowResults(result.values.copy(), errors)


def _size(results: tuple[RowResults, ...]) -> int:
    arrays = [array for result in results for array in (result.values, result.standard_errors) if array is not None]
    return _OVERHEAD + sum(array.nbytes for array in arrays)
