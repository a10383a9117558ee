"""The whole stack of executors for a run on machines, and what it keeps in the run's folder: journal and budget.

observed(mitigated(cached(batched(balanced(metered(budgeted(journaled(remote))))))))
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quantum_db.backends.ionq.client import Pace
from quantum_db.backends.protocols import Batch, Executor, RowResults
from quantum_db.backends.remote import CircuitJob, RemoteBackend
from quantum_db.errors import StoreError
from quantum_db.execution.balanced import BalancedExecutor, Candidate
from quantum_db.execution.batched import BatchedExecutor
from quantum_db.execution.budget import BudgetLedger
from quantum_db.execution.budget.local_ledger import LocalBudget
from quantum_db.execution.budget.session_ledger import SessionBudget
from quantum_db.execution.budgeted import BudgetedExecutor, HighestPrice, Sizes
from quantum_db.execution.cached import CachedExecutor
from quantum_db.execution.job_records import JobRecord, job_records
from quantum_db.execution.journal import Journal
from quantum_db.execution.journal.journal import FILE as JOURNAL_FILE
from quantum_db.execution.journaled import JournaledExecutor, Persistence
from quantum_db.execution.metered import MeteredExecutor
from quantum_db.execution.mitigated import MitigatedExecutor
from quantum_db.execution.observed import ExecutionMeter, ExecutionReport, ObservedExecutor
from quantum_db.execution.recorded import recorded_executor
from quantum_db.execution.splitting import common_limits, machine_load
from quantum_db.execution.targets import IonQTargets, ReplayTarget
from quantum_db.execution.waiting import Patience
from quantum_db.pricing import CircuitSize, PriceTable, load_price_table, mitigation_applies

if TYPE_CHECKING:
    from quantum_db.execution.assemble import ExecutionConfig

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Connection:
    """How IonQ's API, or a gateway, is reached: address ("" for IonQ's cloud) and key, or what reads the key.

    The key is in no representation. The rest is how patient a run is.
    """

    url: str = ""
    key: str | Callable[[], str] = field(default="", repr=False)
    pace: Pace = field(default_factory=Pace)
    patience: Patience = field(default_factory=Patience)
    persistence: Persistence = field(default_factory=Persistence)


@dataclass(frozen=True)
class RunFolder:
    """Where a run keeps its journal and its budget, and the run's name, which both carry."""

    path: Path
    run_id: str


class MachineRun:
    """The executor of one run on machines, or of one replayed from its journal. Close it when the run ends."""

    def __init__(
        self,
        executor: ObservedExecutor,
        name: str,
        journal: Journal | None = None,
        ledger: BudgetLedger | None = None,
        closing: ExitStack | None = None,
    ) -> None:
        self.executor, self.name = executor, name
        self.journal, self.ledger = journal, ledger
        self._closing = closing or ExitStack()

    @property
    def differentiable(self) -> bool:
        """Gradients come from shifted circuits."""
        return False

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run every circuit of `batch`."""
        return self.executor.run(batch)

    def report(self) -> ExecutionReport:
        """What the run has used so far, counting each job once, also one that an earlier process of it submitted."""
        return self.executor.meter.report()

    def spent(self) -> Decimal:
        """US dollars of the run so far, as its ledger has them; 0 for a replay."""
        return Decimal(0) if self.ledger is None else self.ledger.balance().spent

    def jobs(self) -> tuple[JobRecord, ...]:
        """All jobs of the run, with cost and calibration; none for a replay."""
        return () if self.journal is None or self.ledger is None else job_records(self.journal, self.ledger)

    def close(self) -> None:
        """Let another process go on with the run."""
        self._closing.close()


def machine_run(config: ExecutionConfig, target: IonQTargets, connection: Connection, folder: RunFolder) -> MachineRun:
    """The stack for machines of IonQ's API. The service is asked whether it has the targets; nothing is submitted.

    Raises ConfigurationError for a refused key, an unknown or retired target, or one without a price; StoreError when
    journal or budget belong to another run or are in use.
    """
    from quantum_db.backends.ionq import IonQBackend, IonQClient
    from quantum_db.backends.ionq.client import IONQ_URL
    from quantum_db.backends.ionq.serialization import qis_circuit

    options = config.machine
    prices = load_price_table(options.price_table or None)
    client = IonQClient(connection.url or IONQ_URL, connection.key, connection.pace)
    backends = [
        IonQBackend.connect(client, name, options.ionq_options(name, config.noise_model)) for name in target.wire_names
    ]
    charges = [highest_price(prices, backend.target, options.debiasing) for backend in backends]
    with ExitStack() as opened:
        journal = opened.enter_context(Journal.open(folder.path, folder.run_id))
        ledger: BudgetLedger = (
            SessionBudget(client, options.session_id)
            if options.session_id
            else LocalBudget.open(folder.path, folder.run_id, options.budget_usd)
        )
        meter = ExecutionMeter()
        metered = []
        for backend, charge in zip(backends, charges, strict=True):
            journaled = JournaledExecutor(backend, journal, connection.patience, connection.persistence)
            metered.append(MeteredExecutor(BudgetedExecutor(journaled, ledger, charge), journaled, meter))
        limits = common_limits([backend.limits for backend in backends])
        load = machine_load(backends[0], qis_circuit)
        splitter = BatchedExecutor(metered[0], limits, load=load)
        inner: Executor = metered[0]
        if len(metered) > 1:
            pairs = zip(metered, backends, strict=True)
            candidates = [_candidate(one, backend, splitter) for one, backend in pairs]
            inner = BalancedExecutor(candidates, options.balance_options())
        packed = BatchedExecutor(inner, limits, load=load)
        recorded = {backend.target: dict(backend.options) for backend in backends}
        outer = _outer(config, packed, recorded, meter)
        closing = opened.pop_all()
    return MachineRun(outer, target.name, journal, ledger, closing)


def replayed_run(config: ExecutionConfig, target: ReplayTarget) -> MachineRun:
    """The stack that answers from the journal of an earlier run; it needs no service, no key and no money.

    Raises StoreError when there is no journal, ConfigurationError when it was recorded with other options.
    """
    journal = Journal.read(journal_folder(target.folder))
    prices = load_price_table(config.machine.price_table or None)

    def price(job: CircuitJob, wire_name: str, sizes: Sizes) -> Decimal | None:
        known = wire_name in prices.targets
        return highest_price(prices, wire_name, config.machine.debiasing)(sizes, job.stated_shots) if known else None

    recorded, load, limits = recorded_executor(journal, config, price)
    packed = BatchedExecutor(recorded, limits, load=load)
    return MachineRun(_outer(config, packed, {}, ExecutionMeter()), target.name)


def journal_folder(named: Path) -> Path:
    """The folder with the journal: `named`, or the only run below the output folder of a pipeline.

    Raises StoreError when there is none or more than one.
    """
    if named.is_file() or (named / JOURNAL_FILE).is_file():
        return named
    found = sorted(path.parent for path in named.glob(f"**/{JOURNAL_FILE}")) if named.is_dir() else []
    if len(found) == 1:
        return found[0]
    if found:
        raise StoreError(f"{named} holds several runs; name one of them: {', '.join(map(str, found))}")
    raise StoreError(f"there is no journal in {named}; name the folder of a run on a machine, or its {JOURNAL_FILE}")


def highest_price(prices: PriceTable, wire_name: str, debiasing: bool) -> HighestPrice:
    """What a job may cost at most; ConfigurationError at once where the table cannot say."""
    settings = {"error_mitigation": {"debiasing": debiasing}}

    def price(sizes: Sizes, shots: int) -> Decimal:
        circuits = [CircuitSize(*size) for size in sizes]
        mitigated = mitigation_applies(wire_name, shots, settings)
        return prices.quote(wire_name, circuits, shots, mitigated).high

    price(((1, 0),), 1)
    return price


def _outer(
    config: ExecutionConfig, packed: Executor, options: dict[str, Any], meter: ExecutionMeter
) -> ObservedExecutor:
    inner: Executor = CachedExecutor(packed, {"targets": options})
    mitigation = config.machine.mitigation_options()
    if mitigation is not None:
        inner = MitigatedExecutor(inner, mitigation)
    return ObservedExecutor(inner, meter)


def _candidate(metered: MeteredExecutor, backend: RemoteBackend, splitter: BatchedExecutor) -> Candidate:
    def quote(batch: Batch) -> Decimal:
        return sum((metered.price(job) for job in splitter.jobs(batch)), Decimal(0))

    def begun(batch: Batch) -> int:
        return sum(metered.has_begun(job) for job in splitter.jobs(batch))

    return Candidate(metered, backend.report, quote, begun)
