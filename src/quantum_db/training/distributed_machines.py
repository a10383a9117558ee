"""Several machines for distributed training, each with a journal and a budget of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from decimal import Decimal

from quantum_db.backends.protocols import Batch
from quantum_db.errors import ConfigurationError
from quantum_db.execution.assemble import ExecutionConfig, assemble
from quantum_db.execution.balanced import BalanceOptions, Candidate
from quantum_db.execution.batched import BatchedExecutor
from quantum_db.execution.journaled import JournaledExecutor
from quantum_db.execution.machines import Connection, MachineRun, RunFolder, highest_price
from quantum_db.execution.measured import measured_circuits
from quantum_db.execution.splitting import machine_load
from quantum_db.execution.targets import IonQTargets
from quantum_db.pricing import load_price_table
from quantum_db.training.distributed import QuantumLoadBalancer

_CENT = Decimal("0.01")


@contextmanager
def machine_balancer(
    config: ExecutionConfig, connection: Connection, folder: RunFolder
) -> Iterator[QuantumLoadBalancer]:
    """Balance between the targets of `config`, such as "qpu.forte-1,qpu.forte-enterprise-1", in `folder`.

    Each target has a folder of its own there, with a journal and an equal part of the budget; a `session_id` is shared
    by all instead. A training that is begun again in the same folder asks each target what it asked before, and pays
    for nothing twice. Options are those of `config.machine.balance`. Raises ConfigurationError for a single target and
    for mitigation, and what `assemble` raises.
    """
    target, machine = config.target, config.machine
    if not isinstance(target, IonQTargets) or len(target.wire_names) < 2:
        raise ConfigurationError(
            f"distributed training on machines needs several targets, separated by commas, got {config.qpu_target!r}"
        )
    if machine.mitigation:
        raise ConfigurationError("mitigation turns a batch into others, by which its target cannot be found again; "
                                 "leave it out of distributed training")  # fmt: skip
    names, budget = target.wire_names, machine.budget_usd
    part = None if budget is None else (budget / len(names)).quantize(_CENT, "ROUND_DOWN")
    with ExitStack() as opened:
        candidates = []
        for name in names:
            own = replace(config, qpu_target=name, machine=replace(machine, balance={}, budget_usd=part))
            run = assemble(own, connection, RunFolder(folder.path / name, f"{folder.run_id}-{name}"))
            if not isinstance(run, MachineRun):
                raise ConfigurationError(f"{name!r} is no machine")
            opened.enter_context(closing(run))
            candidates.append(_candidate(run, own, connection, name))
        yield QuantumLoadBalancer(candidates, machine.balance_options() or BalanceOptions())


def _candidate(run: MachineRun, config: ExecutionConfig, connection: Connection, name: str) -> Candidate:
    from quantum_db.backends.ionq import IonQBackend, IonQClient
    from quantum_db.backends.ionq.client import IONQ_URL
    from quantum_db.backends.ionq.serialization import qis_circuit

    machine, journal = config.machine, run.journal
    if journal is None:
        raise ConfigurationError(f"{name!r} has no journal")
    client = IonQClient(connection.url or IONQ_URL, connection.key, connection.pace)
    backend = IonQBackend.connect(client, name, machine.ionq_options(name, config.noise_model))
    charge = highest_price(load_price_table(machine.price_table or None), backend.target, machine.debiasing)
    # looks into the journal that `run` writes; submits nothing
    journaled = JournaledExecutor(backend, journal, connection.patience, connection.persistence)
    splitter = BatchedExecutor(run, backend.limits, load=machine_load(backend, qis_circuit))

    def quote(batch: Batch) -> Decimal:
        return sum((_price(job) for job in splitter.jobs(batch)), Decimal(0))

    def _price(job: Batch) -> Decimal:
        measured = measured_circuits(job)
        sizes = tuple(measured.structures[number].count_by_arity() for number in measured.of)
        return charge(sizes, job.shots or 1) if sizes else Decimal(0)

    def begun(batch: Batch) -> int:
        return sum(_has_begun(job) for job in splitter.jobs(batch))

    def _has_begun(job: Batch) -> bool:
        due = journaled.due(job)
        entry = None if due is None else journal.entry(due.intent_id)
        return entry is not None and (entry.is_open or entry.state == "result")

    return Candidate(run, backend.report, quote, begun)
