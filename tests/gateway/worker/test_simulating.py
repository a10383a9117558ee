"""Leased circuits on the embedded simulators, with a real ledger."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Mapping

import pytest

from quantum_db.circuits.ionq import read_input
from quantum_db.gateway.ledger.states import JobState
from quantum_db.gateway.recent_programs import RecentPrograms
from quantum_db.gateway.worker import WorkerOptions
from quantum_db.gateway.worker.coalescing import HistogramCache
from quantum_db.gateway.worker.leases import Leases
from quantum_db.gateway.worker.simulating import Simulating
from tests.gateway.worker.ledgers import BELL, FLIP_FIRST, TENANT, Ledger, rotation, wait_for


class Bench:
    """One simulating thread's work, done by hand."""

    def __init__(self, ledger: Ledger, targets: tuple[str, ...] = ("simulator",), lease_s: float = 30.0) -> None:
        self.options = WorkerOptions(targets, lease_s=lease_s)
        self.leases: Leases = ledger.leases(self.options)
        self.cache = HistogramCache()
        self.stopped = threading.Event()
        self.programs = RecentPrograms()
        self.simulating = Simulating(
            self.options, ledger.jobs, ledger.queue, self.leases, ledger.metrics, self.cache, self.stopped,
            threading.Event(), self.programs,
        )  # fmt: skip


def assert_close(found: Mapping[str, float], expected: Mapping[str, float]) -> None:
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        assert math.isclose(found[key], value, abs_tol=1e-9)


def test_jobs_of_all_sizes_are_run_together_and_keep_their_order(ledger: Ledger) -> None:
    single = ledger.accept([FLIP_FIRST])
    angles = [0.1 * k for k in range(1, 8)]
    multi = ledger.accept([rotation(angle) for angle in angles], tasks=(3, 2, 2))
    bell = ledger.accept([BELL, FLIP_FIRST])
    bench = Bench(ledger)
    assert bench.simulating.run_once()
    assert not bench.simulating.run_once()
    for job_id in (single, multi, bell):
        assert ledger.job(job_id).status is JobState.COMPLETED
    assert ledger.results(single) == [{"1": 1.0}]
    for found, angle in zip(ledger.results(multi), angles, strict=True):
        assert_close(found, {"0": math.cos(angle / 2) ** 2, "2": math.sin(angle / 2) ** 2})
    assert_close(ledger.results(bell)[0], {"0": 0.5, "3": 0.5})
    assert ledger.queue.queue_length() == {}
    assert bench.leases.tokens() == ()
    assert ledger.metric('qstore_gateway_run_seconds_count{target="simulator"}') == 5.0


def test_counts_sum_to_the_shots_and_are_the_same_however_the_job_is_cut(ledger: Ledger) -> None:
    circuits = [BELL, rotation(1.1), BELL, FLIP_FIRST]
    noise = {"model": "aria-1", "seed": 7}
    whole = ledger.accept(circuits, noise=noise, shots=300, drawn_shots=1200)
    cut = ledger.accept(circuits, tasks=(1, 2, 1), noise=noise, shots=300, drawn_shots=1200)
    assert Bench(ledger).simulating.run_once()
    counts = ledger.results(whole)
    assert counts == ledger.results(cut)
    assert [sum(found.values()) for found in counts] == [300] * 4
    assert counts[0] != counts[2]  # the same circuit at another place draws other numbers


def test_a_job_without_a_seed_gives_the_same_counts_when_it_is_run_again(ledger: Ledger) -> None:
    job_id = ledger.accept([BELL], noise={"model": "aria-1"}, shots=200, tasks=(1,))
    bench = Bench(ledger, lease_s=0.05)
    (task,) = ledger.queue.lease("a worker that dies", ("simulator",), 10, 0.05)
    bench.leases.hold(task)
    first = bench.simulating._noisy(bench.simulating._prepared(task, {}))  # type: ignore[arg-type]
    wait_for(lambda: ledger.queue.waiting(("simulator",)))
    assert bench.simulating.run_once()
    assert ledger.results(job_id) == first


def test_a_played_machine_has_its_noise_and_one_without_published_noise_is_refused(ledger: Ledger) -> None:
    played = ledger.accept([BELL], target="qpu.aria-1", shots=4000)
    unknown = ledger.accept([BELL], target="qpu.harmony")
    exact = ledger.accept([BELL], target="qpu.harmony", noise={"model": "ideal"})
    assert Bench(ledger, ("qpu.aria-1", "qpu.harmony")).simulating.run_once()
    counts = ledger.results(played)[0]
    assert sum(counts.values()) == 4000
    assert 0 < counts.get("1", 0) + counts.get("2", 0) < 200  # two-qubit error 1.33 %
    failure = ledger.job(unknown).failure
    assert failure is not None
    assert failure.code == "InvalidInput"
    assert "noise.model" in failure.message
    assert_close(ledger.results(exact)[0], {"0": 0.5, "3": 0.5})


def test_a_job_that_cannot_run_fails_alone(ledger: Ledger) -> None:
    good = [ledger.accept([BELL]) for _ in range(3)]
    bad = ledger.accept([[{"gate": "teleport", "target": 0}]])
    worse = ledger.accept([BELL], noise={"model": "harmony"})
    asked = ledger.accept([BELL], details={"fail_with": "QuantumComputerError"})
    assert Bench(ledger).simulating.run_once()
    assert {ledger.job(job_id).status for job_id in good} == {JobState.COMPLETED}
    failures = [ledger.job(job_id).failure for job_id in (bad, worse, asked)]
    assert [failure.code if failure else None for failure in failures] == [
        "UnsupportedGate", "InvalidInput", "QuantumComputerError",
    ]  # fmt: skip
    assert ledger.metric('qstore_gateway_errors_total{type="UnsupportedGate"}') == 1.0


def test_circuits_of_tenants_who_want_that_are_run_once(ledger: Ledger) -> None:
    bench = Bench(ledger)
    program = read_input("ionq.circuit.v1", {"gateset": "qis", "qubits": 3, "circuit": BELL})
    marker = {"7": 1.0}  # what no Bell circuit gives: it shows where the cache was used
    bench.cache.put((TENANT, program.circuits[0].digest), marker)
    coalesced = ledger.accept([BELL], details={"coalesce": True})
    own = ledger.accept([BELL])
    others = ledger.accept([BELL], details={"coalesce": True}, tenant="chemistry")
    repeated = ledger.accept([FLIP_FIRST, BELL, FLIP_FIRST], details={"coalesce": True})
    assert bench.simulating.run_once()
    assert ledger.results(coalesced) == [marker]
    assert_close(ledger.results(own)[0], {"0": 0.5, "3": 0.5})
    assert_close(dict(ledger.jobs.results("chemistry", others).circuits[0]), {"0": 0.5, "3": 0.5})
    assert ledger.results(repeated) == [{"1": 1.0}, marker, {"1": 1.0}]


def test_sampled_results_are_shared_only_when_that_was_asked_for(ledger: Ledger) -> None:
    noise = {"model": "aria-1"}
    exact_only = {"coalesce": True}
    both = {"coalesce": True, "coalesce_sampled": True}
    ids = [
        ledger.accept([BELL], noise=noise, shots=5000, details=details)
        for details in (exact_only, exact_only, both, both)
    ]
    assert Bench(ledger).simulating.run_once()
    first, second, third, fourth = (ledger.results(job_id)[0] for job_id in ids)
    assert first != second
    assert third == fourth


def test_a_forwarded_job_is_never_simulated(ledger: Ledger) -> None:
    job_id = ledger.forwarded()
    assert Bench(ledger, ("qpu.forte-1",)).simulating.run_once()
    assert ledger.job(job_id).status is JobState.SUBMITTED
    assert ledger.queue.queue_length() == {"qpu.forte-1": 1}


def test_a_canceled_job_stops_its_simulation(ledger: Ledger) -> None:
    job_id = ledger.accept([rotation(0.01 * k) for k in range(400)], noise={"model": "aria-1"}, shots=20_000)
    bench = Bench(ledger)
    thread = threading.Thread(target=bench.simulating.run_once)
    thread.start()
    wait_for(lambda: ledger.job(job_id).status is JobState.STARTED)
    ledger.jobs.cancel(TENANT, job_id)
    bench.leases.beat()
    began = time.monotonic()
    thread.join(10)
    assert not thread.is_alive()
    assert time.monotonic() - began < 3
    assert ledger.job(job_id).status is JobState.CANCELED
    assert ledger.metric("qstore_gateway_leases_lost_total") == 1.0


def test_a_stopped_worker_gives_its_work_back_at_once(ledger: Ledger) -> None:
    job_id = ledger.accept([rotation(0.01 * k) for k in range(400)], noise={"model": "aria-1"}, shots=20_000)
    bench = Bench(ledger)
    thread = threading.Thread(target=bench.simulating.run_once)
    thread.start()
    wait_for(lambda: ledger.job(job_id).status is JobState.STARTED)
    bench.stopped.set()
    thread.join(10)
    assert not thread.is_alive()
    (task,) = ledger.queue.lease("another", ("simulator",), 1000, 30.0)
    assert (task.job_id, task.attempt, task.taken_over) == (job_id, 1, False)


@pytest.mark.parametrize("change", ["delete", "cancel"])
def test_a_job_that_goes_away_before_it_is_read_is_passed_over(ledger: Ledger, change: str) -> None:
    gone, stays = ledger.accept([BELL]), ledger.accept([FLIP_FIRST])
    bench = Bench(ledger)
    tasks = ledger.queue.lease(bench.options.worker_id, ("simulator",), 10, 30.0)
    getattr(ledger.jobs, change)(TENANT, gone)
    for task in tasks:
        bench.leases.hold(task)
    bench.simulating._run(tasks)
    assert ledger.results(stays) == [{"1": 1.0}]


def test_circuits_that_the_process_has_read_are_not_read_from_the_ledger_again(ledger: Ledger) -> None:
    read = read_input("ionq.multi-circuit.v1", {"qubits": 3, "circuits": [{"circuit": BELL}] * 3})
    job_id = ledger.accept([FLIP_FIRST] * 3, tasks=(2, 1))  # other circuits than those kept, to tell them apart
    later = ledger.accept([FLIP_FIRST])
    bench = Bench(ledger)
    bench.programs.keep(job_id, read)
    assert bench.simulating.run_once()
    for found in ledger.results(job_id):
        assert_close(found, {"0": 0.5, "3": 0.5})
    assert ledger.results(later) == [{"1": 1.0}]
    assert bench.programs.get(job_id) is None
