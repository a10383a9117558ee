"""One target per batch, chosen for reasons that are written down."""

from __future__ import annotations

import logging
from decimal import Decimal

import numpy as np
import pytest

from quantum_db.backends.protocols import Batch
from quantum_db.backends.remote import TargetLimits, TargetReport
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.errors import ConfigurationError, LostJobError, TransientBackendError
from quantum_db.execution.balanced import BalancedExecutor, BalanceOptions, Candidate
from quantum_db.execution.batched import BatchedExecutor
from quantum_db.execution.measured import measured_circuits
from tests.execution.machines import FailingMachine, HistogramMachine
from tests.suites.executors import COUNTED, MEASURED, rows_of

BATCH = Batch((rows_of(MEASURED, 4),), 100, 1)


def machine(name):
    found = HistogramMachine()
    found.name = name
    return found


def candidate(executor, price="1", **report):
    stated = {"available": True, "status": "available"} | report
    return Candidate(executor, lambda: TargetReport(executor.name, **stated), lambda batch: Decimal(price))


def test_price_queue_and_errors_are_weighed_in_dollars():
    a, b, c = machine("a"), machine("b"), machine("c")
    balanced = BalancedExecutor(
        [
            candidate(a, "5", queue_s=0.0),
            candidate(b, "1", queue_s=3600 * 3.0),
            candidate(c, "2", queue_s=0.0, one_qubit_fidelity=0.999, two_qubit_fidelity=0.9),
        ],
        BalanceOptions(queue_hour_usd=Decimal(2), error_usd=Decimal(20)),
    )
    balanced.run(BATCH)
    (decision,) = balanced.decisions
    # the circuit in its bases: gates on one qubit 4 and 5, on two qubits 3, error 1 - f1^n1 f2^n2
    measured = measured_circuits(BATCH)
    ones, twos = np.mean([measured.structures[k].count_by_arity() for k in measured.of], axis=0)
    error = 1 - 0.999**ones * 0.9**twos
    assert decision.scores["a"].total_usd == 5
    assert decision.scores["b"].total_usd == 7
    assert float(decision.scores["c"].total_usd) == pytest.approx(2 + 20 * error)
    assert decision.target == "a"
    assert (len(a.jobs), len(b.jobs), len(c.jobs)) == (1, 0, 0)


def test_what_cannot_be_used_is_not_chosen_however_cheap(caplog):
    a, b = machine("a"), machine("b")
    told = []
    balanced = BalancedExecutor(
        [candidate(a, "0", available=False, status="calibrating"), candidate(b, "9")], on_decision=told.append
    )
    with caplog.at_level(logging.INFO, "quantum_db.execution.balanced"):
        balanced.run(BATCH)
    assert balanced.decisions[0].target == "b"
    assert told == list(balanced.decisions)
    assert "a is calibrating" in caplog.text
    assert "4 circuits go to b" in caplog.text


def test_a_target_that_goes_down_is_left_and_tried_again_later():
    now = [0.0]
    a = FailingMachine(machine("a"), at=(0,))
    b = machine("b")
    balanced = BalancedExecutor([candidate(a, "1"), candidate(b, "2")], BalanceOptions(down_s=60), clock=lambda: now[0])
    balanced.run(BATCH)
    balanced.run(BATCH)
    assert [decision.target for decision in balanced.decisions] == [a.name, "b", "b"]
    assert "maintenance" in balanced.decisions[1].scores[a.name].unusable
    now[0] = 61
    balanced.run(BATCH)
    assert balanced.decisions[-1].target == a.name
    assert (a.runs, len(b.jobs)) == (2, 2)


def test_a_target_that_does_not_say_how_it_stands_is_left():
    def silent():
        raise TransientBackendError("no answer in 30 s")

    b = machine("b")
    balanced = BalancedExecutor([Candidate(machine("a"), silent, lambda batch: Decimal(0)), candidate(b)])
    balanced.run(BATCH)
    assert balanced.decisions[0].target == "b"


def test_all_down_is_said_with_each_reason():
    targets = [FailingMachine(machine(name), at=range(9)) for name in "ab"]
    balanced = BalancedExecutor([candidate(target) for target in targets])
    with pytest.raises(
        TransientBackendError, match=r"failing a: went down.*failing b: went down.*nothing was submitted"
    ):
        balanced.run(BATCH)


def test_a_job_that_may_be_running_is_not_sent_elsewhere():
    b = machine("b")
    lost = FailingMachine(machine("a"), at=(0,), error=LostJobError("no answer to the submission"))
    with pytest.raises(LostJobError):
        BalancedExecutor([candidate(lost, "1"), candidate(b, "2")]).run(BATCH)
    assert b.jobs == []


def test_the_jobs_of_one_batch_go_to_one_target_and_are_all_run_again_where_it_goes_down():
    a = FailingMachine(machine("a"), at=(2,))
    b = machine("b")
    batched = BatchedExecutor(
        BalancedExecutor([candidate(a, "1"), candidate(b, "2")]), TargetLimits(max_circuits=2), max_concurrent_jobs=1
    )
    (found,) = batched.run(Batch((rows_of(COUNTED, 8),)))
    assert a.runs == 3
    assert len(a.inner.jobs) == 2
    assert sum(measured_circuits(job).n_circuits for job in b.jobs) == 8  # nothing of a's is used
    wanted = StatevectorExecutor().run(Batch((rows_of(COUNTED, 8),)))[0].values
    np.testing.assert_allclose(found.values, wanted, atol=1e-12)
    assert [decision.target for decision in batched.inner.decisions] == [a.name, "b"]


def test_jobs_are_spread_only_where_that_was_asked_for():
    machines = [machine(name) for name in "ab"]
    candidates = [candidate(m, "1", queue_s=100.0) for m in machines]
    apart = BalancedExecutor(candidates, BalanceOptions(mix_targets=True))
    batched = BatchedExecutor(apart, TargetLimits(max_circuits=1))
    batched.run(Batch((rows_of(COUNTED, 12),)))
    assert len(apart.decisions) == 12
    assert sum(len(m.jobs) for m in machines) == 12


def test_a_busy_target_counts_its_own_batches_as_queue():
    slow, quick = machine("a"), machine("b")
    candidates = [candidate(slow, "1", queue_s=3600.0), candidate(quick, "1", queue_s=3601.0)]
    balanced = BalancedExecutor(candidates)
    chosen = []

    def nested(target):
        chosen.append(target.name)
        if len(chosen) < 2:
            balanced.on_one_target(BATCH, nested)

    balanced.on_one_target(BATCH, nested)
    assert chosen == ["a", "b"]


def test_impossible_options_are_refused():
    with pytest.raises(ConfigurationError, match="different names"):
        BalancedExecutor([])
    with pytest.raises(ConfigurationError, match="different names"):
        BalancedExecutor([candidate(machine("a")), candidate(machine("a"))])
    for options in (
        {"queue_hour_usd": 1.0},
        {"error_usd": Decimal(-1)},
        {"down_s": -1.0},
        {"error_usd": Decimal("NaN")},
    ):
        with pytest.raises(ConfigurationError):
            BalanceOptions(**options)
