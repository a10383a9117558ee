"""The executor of a run on machines, made before the run has a name, and what the run has used of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from quantum_db.backends.protocols import Batch, Executor, RowResults
from quantum_db.errors import BackendError
from quantum_db.execution import ExecutionConfig, assemble
from quantum_db.execution.job_records import JobRecord
from quantum_db.execution.machines import Connection, MachineRun, RunFolder
from quantum_db.execution.observed import ExecutionReport
from quantum_db.execution.targets import EmbeddedTarget
from quantum_db.training.state import EpochSums

_COUNTED = ("circuits", "shots", "jobs", "queue_s", "run_s")


class RunExecutor:
    """Runs circuits on machines between `open` and `close`.

    A model is built with it before the name of its run is known, and with it the folder of its journal.
    """

    differentiable = False

    def __init__(self, config: ExecutionConfig, connection: Connection | None) -> None:
        self.config, self.connection = config, connection
        self.machine: MachineRun | None = None

    @property
    def name(self) -> str:
        """The target, as in the configuration."""
        return self.config.qpu_target

    def open(self, folder: RunFolder | None) -> MachineRun:
        """Begin or go on with the run in `folder`; raises what `assemble` raises."""
        machine = assemble(self.config, self.connection, folder)
        if not isinstance(machine, MachineRun):
            raise BackendError(f"qpu target {self.name!r} is no machine, and needs no run")
        self.machine = machine
        return machine

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run `batch`; BackendError outside of a run."""
        if self.machine is None:
            raise BackendError(
                f"circuits run on {self.name!r} within a training only, which has a journal and a budget for them; "
                f"call QuantumTrainer.fit, or use a model on the simulator for predictions"
            )
        return self.machine.run(batch)

    def close(self) -> None:
        """End the run; its folder may then be used by another process."""
        if self.machine is not None:
            self.machine.close()
            self.machine = None


def training_executor(config: ExecutionConfig, connection: Connection | None) -> Executor:
    """The executor for training: of this process, or of machines within a run."""
    return assemble(config) if isinstance(config.target, EmbeddedTarget) else RunExecutor(config, connection)


@dataclass(frozen=True)
class MachineUse:
    """What a run has used of machines: sums, dollars by its ledger, jobs, and the seal of its journal.

    `report` counts what was asked since the run began, `cost_usd` and `jobs` all that its folder knows of. A replay
    has used nothing.
    """

    target: str
    report: ExecutionReport
    cost_usd: Decimal
    jobs: tuple[JobRecord, ...]
    journal: Path | None
    journal_head: str

    @classmethod
    def of(cls, machine: MachineRun) -> MachineUse:
        """What `machine` has used so far."""
        journal = machine.journal
        return cls(
            target=machine.name,
            report=machine.report(),
            cost_usd=machine.spent(),
            jobs=machine.jobs(),
            journal=None if journal is None else journal.path,
            journal_head="" if journal is None else journal.head,
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values for JSON; dollars as text."""
        return {
            "target": self.target,
            "cost_usd": str(self.cost_usd),
            "circuits": sum(job.circuits for job in self.jobs),
            "shots": sum(job.circuits * (job.shots or 0) for job in self.jobs),
            "queue_s": self.report.queue_s,
            "run_s": self.report.run_s,
            "journal": None if self.journal is None else str(self.journal),
            "journal_head": self.journal_head,
            "jobs": [job.to_json() for job in self.jobs],
        }


class UseByEpoch:
    """Books what a run uses of machines into the sums of its epochs; does nothing for runs of this process."""

    def __init__(self, machine: MachineRun | None, resumed: bool) -> None:
        # a checkpoint has the sums up to its position; what is asked before that again is not counted twice
        self._machine = machine
        self._booked = ExecutionReport() if machine is None or not resumed else machine.report()

    def book(self, sums: EpochSums) -> None:
        """Add what was used since the last call."""
        if self._machine is None:
            return
        report = self._machine.report()
        new = report.since(self._booked)
        self._booked = replace(report)
        sums.cost_usd = str(Decimal(sums.cost_usd) + new.cost_usd)
        for name in _COUNTED:
            setattr(sums, name, getattr(sums, name) + getattr(new, name))

    def record(self, sums: EpochSums) -> dict[str, float]:
        """The figures of an epoch; none for runs of this process."""
        if self._machine is None:
            return {}
        return {"cost_usd": float(sums.cost_usd)} | {name: float(getattr(sums, name)) for name in _COUNTED}
