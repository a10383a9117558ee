"""A machine that counts what it is given: jobs, circuits, shots and gates, as a provider would bill them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from decimal import Decimal

import numpy as np

from quantum_db.backends.ionq.serialization import qis_circuit
from quantum_db.backends.protocols import Batch, RowResults
from quantum_db.backends.remote import TargetLimits
from quantum_db.execution.batched import BatchedExecutor
from quantum_db.execution.measured import measured_circuits
from quantum_db.execution.observed import ExecutionMeter, ObservedExecutor
from quantum_db.pricing import CircuitSize, load_price_table
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.trainer import QuantumTrainer
from tests.execution.machines import HistogramMachine


@dataclass
class CountingMachine:
    """Runs circuits and counts bits, and adds up what they would have cost on `target`."""

    meter: ExecutionMeter
    target: str = "qpu.forte-1"
    one_qubit_gates: int = 0
    two_qubit_gates: int = 0
    usd_high: Decimal = Decimal(0)
    _machine: HistogramMachine = field(default_factory=HistogramMachine)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    name = "counting machine"
    differentiable = False

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        circuits = measured_circuits(batch).circuits
        sizes = [CircuitSize(*qis_circuit(circuit).count_by_arity()) for circuit in circuits]
        with self._lock:
            if sizes:
                quote = load_price_table().quote(self.target, sizes, batch.shots or 1)
                self.meter.add(jobs=1, circuits=len(sizes), shots=len(sizes) * (batch.shots or 0), cost_usd=quote.low)
                self.usd_high += quote.high
                self.one_qubit_gates += sum(size.gates_1q for size in sizes)
            self.two_qubit_gates += sum(size.gates_2q for size in sizes)
        return self._machine.run(batch)


@dataclass(frozen=True)
class Counted:
    """What a run took."""

    circuits: int
    jobs: int
    shots: int
    one_qubit_gates: int
    two_qubit_gates: int
    usd_low: Decimal
    usd_high: Decimal


def counted_training(
    config: QuantumTrainingConfig, values: np.ndarray, labels: np.ndarray, limits: TargetLimits
) -> Counted:
    """Train, and count what reaches the machine through the executors above it."""
    meter = ExecutionMeter()
    machine = CountingMachine(meter)
    executor = ObservedExecutor(BatchedExecutor(machine, limits), meter)
    trainer = QuantumTrainer(config, executor=executor, progress=False, checkpoints=False)
    model = trainer.build_model(values.shape[1], int(labels.max()) + 1)
    trainer.fit(model, values, labels)
    report = meter.report()
    return Counted(
        report.circuits,
        report.jobs,
        report.shots,
        machine.one_qubit_gates,
        machine.two_qubit_gates,
        report.cost_usd,
        machine.usd_high,
    )
