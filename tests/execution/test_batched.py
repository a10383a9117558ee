"""Batches become few jobs that run at the same time, and come back in order or not at all."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest

from quantum_db.backends.noisy import NoisySimulator
from quantum_db.backends.protocols import Batch, CircuitRows, RowResults
from quantum_db.backends.remote import TargetLimits
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.circuits import Circuit, feature, op
from quantum_db.errors import BackendError, BudgetExceededError, LostJobError, RejectedJobError
from quantum_db.execution.batched import BatchedExecutor
from quantum_db.execution.measured import measured_circuits
from quantum_db.execution.splitting import JobLoad
from quantum_db.gradients.method import Wanted
from quantum_db.gradients.parameter_shift import ParameterShift
from tests.execution.machines import FailingMachine, HistogramMachine
from tests.suites.executors import COUNTED, MEASURED, rows_of

PARTS = (rows_of(MEASURED, 5), rows_of(COUNTED, 3), rows_of(MEASURED.measuring(("Y0", "Z1 Z2")), 5))


def test_one_gradient_is_one_job_where_the_limits_allow():
    machine = HistogramMachine()
    rows = rows_of(MEASURED, 8)
    wanted = Wanted(True, True, 200, 5)
    method = ParameterShift()
    found = method.jacobian(BatchedExecutor(machine, TargetLimits(max_circuits=5000)), rows, wanted)
    assert len(machine.jobs) == 1
    assert found.weights.shape == (8, 3, 2)


@pytest.mark.parametrize("most", [1, 2, 3, 7, 100])
def test_however_it_is_split_results_are_the_same_and_jobs_the_fewest(most):
    machine = HistogramMachine()
    batch = Batch(PARTS)
    results = BatchedExecutor(machine, TargetLimits(max_circuits=most)).run(batch)
    for found, wanted in zip(results, StatevectorExecutor().run(batch), strict=True):
        np.testing.assert_allclose(found.values, wanted.values, atol=1e-12)
    circuits = measured_circuits(batch).n_circuits
    assert len(machine.jobs) == -(-circuits // most)
    assert sum(measured_circuits(job).n_circuits for job in machine.jobs) == circuits


def test_duplicates_anywhere_in_the_batch_are_run_once():
    machine = HistogramMachine()
    batch = Batch(PARTS + PARTS, 100, 3)
    results = BatchedExecutor(machine).run(batch)
    assert sum(measured_circuits(job).n_circuits for job in machine.jobs) == measured_circuits(Batch(PARTS)).n_circuits
    for first, second in zip(results[:3], results[3:], strict=True):
        np.testing.assert_array_equal(first.values, second.values)


def test_jobs_keep_shots_and_mark_and_have_seeds_of_their_own():
    executor = BatchedExecutor(HistogramMachine(), TargetLimits(max_circuits=4))
    batch = Batch(PARTS, 100, 3, as_written=True)
    jobs = executor.jobs(batch)
    assert len(jobs) > 2
    assert all(job.shots == 100 and job.as_written for job in jobs)
    seeds = [job.seed for job in jobs]
    assert seeds[0] == 3
    assert len(set(seeds)) == len(seeds)
    assert [job.seed for job in executor.jobs(batch)] == seeds
    assert [job.seed for job in executor.jobs(replace(batch, seed=4))][1:] != seeds[1:]


def test_noise_of_the_machine_is_that_of_the_circuits_as_asked():
    """Sub-batches hold the same gates in another form: a machine with noise gives the same values for them."""
    circuit = MEASURED.measuring(("Z0", "Z1 Z2"))
    batch = Batch((rows_of(circuit, 4), rows_of(COUNTED, 2)))
    noisy = NoisySimulator(noise_model="aria-2")
    for found, wanted in zip(BatchedExecutor(noisy).run(batch), noisy.run(batch), strict=True):
        np.testing.assert_allclose(found.values, wanted.values, atol=1e-12)


class Meeting:
    """Every job waits until all are under way: it only ends if they are submitted before any is waited for."""

    name = "meeting"
    differentiable = False

    def __init__(self, jobs):
        self.barrier = threading.Barrier(jobs, timeout=20)
        self.most = self.now = 0
        self.lock = threading.Lock()

    def run(self, batch):
        self.barrier.wait()
        return StatevectorExecutor().run(batch)


def test_all_jobs_are_submitted_before_any_is_waited_for():
    executor = BatchedExecutor(Meeting(6), TargetLimits(max_circuits=1))
    rows = rows_of(COUNTED, 6)
    (found,) = executor.run(Batch((rows,)))
    np.testing.assert_allclose(found.values, StatevectorExecutor().run(Batch((rows,)))[0].values, atol=1e-12)


class Counting(Meeting):
    def run(self, batch):
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        threading.Event().wait(0.02)
        with self.lock:
            self.now -= 1
        return StatevectorExecutor().run(batch)


def test_no_more_jobs_than_allowed_are_under_way():
    machine = Counting(1)
    BatchedExecutor(machine, TargetLimits(max_circuits=1), max_concurrent_jobs=2).run(Batch((rows_of(COUNTED, 9),)))
    assert machine.most == 2


def test_the_first_failure_is_raised_with_the_others_as_notes_and_later_jobs_are_not_started():
    machine = FailingMachine(HistogramMachine(), at=(0,), error=BudgetExceededError("0.10 USD are left"))
    with pytest.raises(BudgetExceededError, match="are left"):
        BatchedExecutor(machine, TargetLimits(max_circuits=1), max_concurrent_jobs=1).run(Batch((rows_of(COUNTED, 5),)))
    assert machine.runs < 5
    all_fail = FailingMachine(HistogramMachine(), at=range(9), error=LostJobError("no answer"))
    with pytest.raises(LostJobError, match="no answer"):
        BatchedExecutor(all_fail, TargetLimits(max_circuits=1)).run(Batch((rows_of(COUNTED, 3),)))


class Losing:
    name = "losing"
    differentiable = False

    def __init__(self, change):
        self.change = change

    def run(self, batch):
        return self.change(HistogramMachine().run(batch))


@pytest.mark.parametrize(
    "change",
    [
        lambda results: results[:-1],
        lambda results: (*results[:-1], RowResults(results[-1].values[:-1])),
        lambda results: (*results[:-1], RowResults(results[-1].values[:, :-1])),
    ],
    ids=["part", "row", "column"],
)
def test_incomplete_results_are_refused(change):
    with pytest.raises(BackendError, match="none of them is used"):
        BatchedExecutor(Losing(change)).run(Batch((rows_of(MEASURED, 2), rows_of(COUNTED, 2))))


def test_what_breaks_a_limit_is_refused_before_anything_is_run():
    machine = HistogramMachine()
    for limits, shots in (
        (TargetLimits(max_qubits=2), 10),
        (TargetLimits(max_gates=3), 10),
        (TargetLimits(min_shots=100), 10),
        (TargetLimits(max_shots=5), 10),
    ):
        with pytest.raises(RejectedJobError):
            BatchedExecutor(machine, limits).run(Batch(PARTS, shots))
    assert machine.jobs == []


def test_what_a_circuit_adds_to_a_job_is_measured_once_for_all_angles():
    asked = []

    def load(circuit):
        asked.append(circuit)
        return JobLoad(3 * len(circuit.operations), 10)

    circuit = Circuit(2, (op("RY", 0, angle=feature(0)), op("CNOT", 0, 1)), ("Z1",))
    rows = CircuitRows.of(circuit, (), np.linspace(0.1, 1, 20)[:, None])
    executor = BatchedExecutor(HistogramMachine(), TargetLimits(max_gates=30), load=load)
    assert len(executor.jobs(Batch((rows,)))) == 4
    assert len(asked) == 1
    assert not asked[0].n_features
