"""Every wrapper is an executor: the published contract, around simulators."""

from __future__ import annotations

from decimal import Decimal

import pytest

from quantum_db.backends.noisy import NoisySimulator
from quantum_db.backends.remote import TargetLimits, TargetReport
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.backends.trajectories import TrajectoryExecutor
from quantum_db.execution.balanced import BalancedExecutor, Candidate
from quantum_db.execution.batched import BatchedExecutor
from quantum_db.execution.cached import CachedExecutor
from quantum_db.execution.mitigated import MitigatedExecutor, MitigationOptions
from quantum_db.execution.mitigation.readout import ReadoutCalibration
from quantum_db.execution.observed import ExecutionMeter, ObservedExecutor
from quantum_db.simulation.noise import Readout
from quantum_db.testing import BillingContract, ExecutorContract
from tests.execution.machines import HistogramMachine, PricedMachine


def on(executor, price="0"):
    report = TargetReport(executor.name, available=True, status="available")
    return Candidate(executor, lambda: report, lambda batch: Decimal(price))


class TestBatched(ExecutorContract):
    duplicates_once = True

    @pytest.fixture
    def executor(self):
        return BatchedExecutor(StatevectorExecutor(), TargetLimits(max_circuits=3))


class TestBatchedInOneJob(ExecutorContract):
    duplicates_once = True

    @pytest.fixture
    def executor(self):
        return BatchedExecutor(StatevectorExecutor())


class TestBatchedOnAMachineThatCounts(ExecutorContract):
    """Without shots the machine gives exact histograms, as IonQ's ideal simulator does."""

    duplicates_once = True

    @pytest.fixture
    def executor(self):
        return BatchedExecutor(HistogramMachine(), TargetLimits(max_circuits=7, max_gates=80), max_concurrent_jobs=2)


class TestMeasuredCircuits(ExecutorContract):
    duplicates_once = True

    @pytest.fixture
    def executor(self):
        return HistogramMachine()


class TestCached(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return CachedExecutor(StatevectorExecutor())


class TestCachedWithSamples(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return CachedExecutor(StatevectorExecutor(), sampled=True, max_bytes=20000)


class TestObserved(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return ObservedExecutor(StatevectorExecutor(), on_progress=lambda report: None)


class TestBalanced(ExecutorContract):
    @pytest.fixture
    def executor(self):
        return BalancedExecutor([on(StatevectorExecutor()), on(NoisySimulator(), "3")])


class TestMitigatedWithoutNoise(ExecutorContract):
    """Folding changes nothing where there is no noise, and extrapolation neither."""

    tolerance = 1e-9
    counts = False

    @pytest.fixture
    def executor(self):
        return MitigatedExecutor(StatevectorExecutor(), MitigationOptions((1, 2, 3), folding="gates"))


class TestMitigatedReadout(ExecutorContract):
    tolerance = 1e-9
    counts = False

    @pytest.fixture
    def executor(self):
        calibration = ReadoutCalibration((Readout(0.02, 0.06), Readout(0.01, 0.03), Readout(0.05, 0.02)))
        return MitigatedExecutor(StatevectorReadout(), MitigationOptions(readout=calibration))


def StatevectorReadout():
    """All three qubits misread, each equally often in both directions of its own; gates without noise."""
    return _ReadoutMachine((Readout(0.02, 0.06), Readout(0.01, 0.03), Readout(0.05, 0.02)))


class _ReadoutMachine(HistogramMachine):
    def __init__(self, qubits):
        super().__init__(readout=qubits, duplicates_once=False)


class TestTheWholeStack(ExecutorContract):
    """Everything at once, in the order of a run."""

    duplicates_once = True

    @pytest.fixture
    def executor(self):
        balanced = BalancedExecutor([on(HistogramMachine()), on(StatevectorExecutor(), "2")])
        batched = BatchedExecutor(balanced, TargetLimits(max_circuits=4))
        mitigated = MitigatedExecutor(CachedExecutor(batched), MitigationOptions())
        return ObservedExecutor(mitigated)


class TestAMachineWithoutExactValues(ExecutorContract):
    """What the contract asks of hardware."""

    has_exact_values = False
    duplicates_once = True

    @pytest.fixture
    def executor(self):
        return BatchedExecutor(HistogramMachine(), TargetLimits(max_circuits=50))


class TestBilling(ExecutorContract, BillingContract):
    duplicates_once = True

    @pytest.fixture
    def executor(self):
        meter = ExecutionMeter()
        machine = PricedMachine(meter, Decimal("0.01"))
        return ObservedExecutor(BatchedExecutor(machine, TargetLimits(max_circuits=4)), meter)

    def planned_usd(self, executor, batch):
        batched = executor.inner
        return sum((batched.inner.price(job) for job in batched.jobs(batch)), Decimal(0))

    def billed_usd(self, executor):
        return executor.meter.report().cost_usd


def test_statistical_values_without_shots_keep_their_errors():
    machine = TrajectoryExecutor(noise_model="aria-2", trajectories=50)
    from quantum_db.backends.protocols import Batch
    from tests.suites.executors import COUNTED, MEASURED, rows_of

    batch = Batch((rows_of(MEASURED, 3), rows_of(COUNTED, 2)), None, 5)
    for wrapped in (BatchedExecutor(machine), CachedExecutor(machine)):
        for result in wrapped.run(batch):
            assert result.standard_errors is not None
            assert result.standard_errors.max() > 0
