"""Replay of a run: the executor over its journal, with the load and limits by which the run was packed into jobs."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Literal

from quantum_db.backends.ionq.native import native_gates
from quantum_db.backends.ionq.options import SIMULATOR
from quantum_db.backends.ionq.serialization import qis_circuit
from quantum_db.backends.ionq.targets import limits_of
from quantum_db.backends.remote import CircuitJob, TargetLimits
from quantum_db.circuits.circuit import Circuit
from quantum_db.errors import ConfigurationError
from quantum_db.execution.budgeted import Sizes
from quantum_db.execution.journal import Journal
from quantum_db.execution.replay import ReplayExecutor
from quantum_db.execution.splitting import machine_load

if TYPE_CHECKING:
    from quantum_db.execution.assemble import ExecutionConfig
    from quantum_db.execution.splitting import Load

Price = Callable[[CircuitJob, str, Sizes], Decimal | None]


class RecordedLoad:
    """The billed gates of circuits, as the recorded run measured them; `native` as in IonQOptions."""

    def __init__(self, native: Literal["zz", "ms"] | None) -> None:
        self.native = native

    def sizes(self, job: CircuitJob) -> Sizes:
        """One-qubit and two-qubit gates of each circuit."""
        return tuple(self._size(circuit) for circuit in job.circuits)

    def _size(self, circuit: Circuit) -> tuple[int, int]:
        if self.native is None:
            return qis_circuit(circuit).count_by_arity()
        gates = native_gates(circuit, self.native).gates
        twos = sum(len(gate.get("targets", ())) == 2 for gate in gates)
        return len(gates) - twos, twos


def recorded_executor(
    journal: Journal, config: ExecutionConfig, price: Price
) -> tuple[ReplayExecutor, Load, TargetLimits]:
    """What answers from `journal`, and how batches must be packed so that the jobs are those of the run.

    Raises ConfigurationError when no job of the journal was run with the options that `config` has.
    """
    done = [entry for entry in journal.entries if entry.state == "result"]
    options = [(entry, config.machine.ionq_options(entry.intent.target, config.noise_model)) for entry in done]
    if done and not any(dict(entry.options) == dict(wanted.for_results()) for entry, wanted in options):
        asked = dict(options[0][1].for_results())
        raise ConfigurationError(
            f"the run {journal.run!r} was recorded with {dict(done[0].options)}, and this configuration has {asked}; "
            f"replay with the configuration of the run"
        )
    wire_name = done[0].intent.target if done else SIMULATOR
    sizes = RecordedLoad(config.machine.ionq_options(wire_name, config.noise_model).native)
    executor = ReplayExecutor(journal, lambda job: price(job, wire_name, sizes.sizes(job)))
    return executor, machine_load(sizes, qis_circuit), limits_of({})
