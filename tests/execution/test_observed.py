"""What was run is counted, whatever comes of it."""

from __future__ import annotations

import json
import threading
from decimal import Decimal

import pytest

from quantum_db.backends.protocols import Batch
from quantum_db.backends.remote import TargetLimits
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.errors import TransientBackendError
from quantum_db.execution.batched import BatchedExecutor
from quantum_db.execution.observed import ExecutionMeter, ExecutionReport, ObservedExecutor
from tests.execution.machines import FailingMachine, PricedMachine
from tests.suites.executors import COUNTED, MEASURED, rows_of


def test_rows_jobs_shots_and_dollars_add_up_to_the_cent():
    meter, seen = ExecutionMeter(), []
    machine = PricedMachine(meter, Decimal("25.7899"))
    observed = ObservedExecutor(BatchedExecutor(machine, TargetLimits(max_circuits=3)), meter, seen.append)
    observed.run(Batch((rows_of(COUNTED, 5), rows_of(COUNTED, 5)), 100, 1))
    report = observed.meter.report()
    assert (report.batches, report.rows, report.circuits, report.shots, report.jobs) == (1, 10, 5, 500, 2)
    assert report.cost_usd == Decimal("51.5798")
    assert report.seconds > 0
    assert seen == [report]
    observed.run(Batch((rows_of(MEASURED, 1, 9),), 100, 1))
    later = observed.meter.report().since(report)
    assert (later.batches, later.rows, later.circuits, later.jobs) == (1, 1, 2, 1)
    assert later.cost_usd == Decimal("25.7899")


def test_batches_that_fail_are_counted():
    observed = ObservedExecutor(FailingMachine(StatevectorExecutor(), at=(0,)))
    with pytest.raises(TransientBackendError):
        observed.run(Batch((rows_of(COUNTED, 5),)))
    assert observed.meter.report().batches == 1


def test_a_report_is_json_with_exact_dollars():
    report = ExecutionReport(jobs=1, cost_usd=Decimal("0.10"), job_ids=("a",)) + ExecutionReport(
        jobs=2, cost_usd=Decimal("0.20"), job_ids=("b", "c")
    )
    assert json.loads(json.dumps(report.to_json())) | {"seconds": 0} == {
        "batches": 0, "rows": 0, "seconds": 0, "circuits": 0, "shots": 0, "jobs": 3, "cost_usd": "0.30",
        "queue_s": 0.0, "run_s": 0.0, "job_ids": ["a", "b", "c"],
    }  # fmt: skip
    assert report.since(ExecutionReport(jobs=1, job_ids=("a",))).job_ids == ("b", "c")


def test_threads_lose_no_count():
    meter = ExecutionMeter()

    def work():
        for _ in range(500):
            meter.add(jobs=1, cost_usd=Decimal("0.01"))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert meter.report() == ExecutionReport(jobs=2000, cost_usd=Decimal("20.00"))
