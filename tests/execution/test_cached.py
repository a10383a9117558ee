"""What is known is not run again; what was sampled is, unless asked otherwise."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from quantum_db.backends.protocols import Batch, CircuitRows
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.backends.trajectories import TrajectoryExecutor
from quantum_db.errors import ConfigurationError, TransientBackendError
from quantum_db.execution.cached import CachedExecutor
from tests.execution.machines import FailingMachine, HistogramMachine
from tests.suites.executors import COUNTED, MEASURED, rows_of

BATCH = Batch((rows_of(MEASURED, 4), rows_of(COUNTED, 2)))


def test_exact_rows_are_run_once_whatever_the_seed_and_the_batch():
    machine = HistogramMachine()
    cached = CachedExecutor(machine)
    first = cached.run(BATCH)
    again = cached.run(replace(BATCH, seed=9))
    rows = BATCH.parts[0]
    (mixed,) = cached.run(Batch((CircuitRows(MEASURED, rows.weights[[2, 0]], rows.features[[2, 0]]),)))
    assert len(machine.jobs) == 1
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.values, other.values)
    np.testing.assert_array_equal(mixed.values, first[0].values[[2, 0]])
    assert (cached.counts.misses, cached.counts.hits) == (6, 8)
    assert cached.counts.hit_ratio == pytest.approx(8 / 14)


def test_only_what_is_missing_is_run():
    machine = HistogramMachine()
    cached = CachedExecutor(machine)
    rows = rows_of(MEASURED, 5)
    cached.run(Batch((CircuitRows(MEASURED, rows.weights[:3], rows.features[:3]),)))
    (found,) = cached.run(Batch((rows,)))
    assert [part.n_rows for part in machine.jobs[1].parts] == [2]
    np.testing.assert_allclose(found.values, StatevectorExecutor().run(Batch((rows,)))[0].values, atol=1e-12)


def test_equal_rows_of_one_batch_are_run_once():
    machine = HistogramMachine()
    rows = rows_of(MEASURED, 2)
    results = CachedExecutor(machine).run(Batch((rows, rows)))
    assert sum(part.n_rows for part in machine.jobs[0].parts) == 2
    np.testing.assert_array_equal(results[0].values, results[1].values)


def test_samples_are_drawn_anew_by_default():
    machine = HistogramMachine()
    cached = CachedExecutor(machine)
    for _ in range(2):
        cached.run(replace(BATCH, shots=10))
    assert len(machine.jobs) == 2
    assert cached.counts.entries == 0


def test_samples_are_kept_as_whole_batches_where_asked():
    machine = HistogramMachine()
    cached = CachedExecutor(machine, sampled=True)
    sampled = replace(BATCH, shots=10)
    first, again = cached.run(sampled), cached.run(sampled)
    assert len(machine.jobs) == 1
    np.testing.assert_array_equal(first[0].values, again[0].values)
    np.testing.assert_array_equal(first[0].standard_errors, again[0].standard_errors)
    cached.run(replace(sampled, seed=1))
    cached.run(replace(sampled, shots=11))
    cached.run(Batch(sampled.parts[:1], 10))
    assert len(machine.jobs) == 4


def test_statistical_values_without_shots_are_not_kept():
    cached = CachedExecutor(TrajectoryExecutor(noise_model="aria-2", trajectories=20))
    first, other = (cached.run(replace(BATCH, seed=seed))[0] for seed in (1, 2))
    assert not np.array_equal(first.values, other.values)
    assert first.standard_errors is not None
    assert cached.counts.entries == 0


def test_gates_as_written_and_other_options_are_other_results():
    machine = HistogramMachine()
    cached = CachedExecutor(machine)
    cached.run(BATCH)
    cached.run(replace(BATCH, as_written=True))
    assert len(machine.jobs) == 2


def test_memory_is_bounded_and_the_oldest_goes_first():
    machine = HistogramMachine()
    cached = CachedExecutor(machine, max_bytes=10 * (300 + 3 * 8))
    rows = rows_of(MEASURED, 30)
    cached.run(Batch((rows,)))
    counts = cached.counts
    assert counts.entries == 10
    assert counts.bytes <= 10 * 324
    cached.run(Batch((CircuitRows(MEASURED, rows.weights[20:], rows.features[20:]),)))
    assert len(machine.jobs) == 1
    cached.run(Batch((CircuitRows(MEASURED, rows.weights[:1], rows.features[:1]),)))
    assert len(machine.jobs) == 2


def test_nothing_is_kept_of_a_batch_that_failed_and_results_are_the_callers_own():
    machine = FailingMachine(HistogramMachine(), at=(0,))
    cached = CachedExecutor(machine)
    with pytest.raises(TransientBackendError):
        cached.run(BATCH)
    assert cached.counts.entries == 0
    first = cached.run(BATCH)
    kept = first[0].values.copy()
    first[0].values[:] = 0
    np.testing.assert_array_equal(cached.run(BATCH)[0].values, kept)


def test_several_threads_share_one_cache():
    cached = CachedExecutor(StatevectorExecutor(), max_bytes=5000)
    batches = [Batch((rows_of(MEASURED, 6, seed % 5),)) for seed in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(cached.run, batches))
    for batch, (result,) in zip(batches, found, strict=True):
        np.testing.assert_allclose(result.values, StatevectorExecutor().run(batch)[0].values, atol=1e-12)
    assert cached.counts.bytes <= 5000


@pytest.mark.parametrize("size", [-1, 1.5, True])
def test_impossible_sizes_are_refused(size):
    with pytest.raises(ConfigurationError, match="max_bytes"):
        CachedExecutor(StatevectorExecutor(), max_bytes=size)
