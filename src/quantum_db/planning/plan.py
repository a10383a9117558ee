"""`plan_training`: from a configuration and a data set to a `Plan`; nothing is submitted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from quantum_db.backends.remote import EXACT_SHOTS
from quantum_db.backends.statevector import StatevectorExecutor
from quantum_db.errors import QStoreError
from quantum_db.models.saved_model import build_model
from quantum_db.planning.advice import Advice, within
from quantum_db.planning.choices import SIMULATED, Choice, StepCounts, alternatives, configured
from quantum_db.planning.costs import Till, Totals, plain
from quantum_db.planning.counting import CircuitCounter
from quantum_db.planning.data import PlannedData
from quantum_db.planning.outlook import Outlook, outlook
from quantum_db.planning.strategies import Strategy, strategies
from quantum_db.planning.targets import PlannedTarget, planned_target
from quantum_db.planning.walk import PHASES, RowTable, Run, Work
from quantum_db.planning.warnings import assumptions, warnings
from quantum_db.pricing import PriceTable, load_price_table
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.model_spec import CircuitPlan, model_spec, plan_circuit

SCHEMA_VERSION = 1
QUEUE_S = 300.0
"""Seconds that a job is taken to wait in a machine's queue, where nobody says otherwise."""
SUBMIT_S = 5.0
"""Seconds that a submission takes, as seen at IonQ (4 to 6 s)."""


@dataclass(frozen=True, kw_only=True)
class PlanQuestion:
    """What is asked beside configuration and data.

    `qpu_target` "" is that of the configuration. `shots` are taken where a machine needs some and the configuration
    has none. `debiasing`: IonQ's own error mitigation. `queue_s`: seconds in the queue of each request.
    """

    qpu_target: str = ""
    shots: int | None = None
    debiasing: bool = False
    queue_s: float = QUEUE_S
    budget_usd: Decimal | None = None


@dataclass(frozen=True, eq=False)
class PlannedChoice:
    """One way to train: what a step on a full batch and the whole run take; `reason` says why it cannot be done."""

    choice: Choice
    step: Totals = field(default_factory=Totals)
    total: Totals = field(default_factory=Totals)
    by_epoch: tuple[Totals, ...] = ()
    wall_seconds: float | None = None
    at_most: bool = False
    reason: str = ""

    @property
    def name(self) -> str:
        """The choice's name."""
        return self.choice.name

    @property
    def possible(self) -> bool:
        """Whether it can be run at all."""
        return not self.reason

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        head = {"name": self.name, "optimizer": self.choice.config.optimizer, "gradient_method": self.choice.method}
        if not self.possible:
            return {**head, "possible": False, "reason": self.reason}
        return {
            **head,
            "possible": True,
            "at_most": self.at_most,
            "circuits_per_step": self.step.circuits,
            "jobs_per_step": self.step.jobs,
            **_renamed(self.total),
            "wall_seconds": plain(self.wall_seconds),
        }


@dataclass(frozen=True, eq=False)
class Plan:
    """What a run will take. `to_dict` is the JSON of `qstore plan`; docs/plan.md says what each key means."""

    config: QuantumTrainingConfig
    data: PlannedData
    target: PlannedTarget
    question: PlanQuestion
    circuit: CircuitPlan
    chosen: PlannedChoice
    alternatives: tuple[PlannedChoice, ...]
    phases: dict[str, Totals]
    strategies: tuple[Strategy, ...]
    outlook: Outlook
    dead: tuple[int, ...]
    warnings: tuple[str, ...]
    assumptions: tuple[str, ...]
    prices: PriceTable

    @property
    def fits_budget(self) -> bool | None:
        """Whether the high reading is within the budget; None without one."""
        budget = self.question.budget_usd
        return None if budget is None else self.chosen.total.usd_high <= budget

    @property
    def advice(self) -> Advice | None:
        """What would fit the budget; None without one."""
        budget = self.question.budget_usd
        return None if budget is None else within(budget, self.chosen, self.alternatives)

    def to_dict(self) -> dict[str, Any]:
        """The plan as JSON."""
        one, two = self.circuit.circuit.count_by_arity()
        price = None if self.target.embedded else self.prices.prices[self.target.price_name]
        advice = self.advice
        return {
            "schema_version": SCHEMA_VERSION,
            "target": self.target.name,
            "dataset": {
                "name": self.data.name,
                "rows": self.data.n_rows,
                "features": self.data.n_features,
                "classes": self.data.n_classes,
                "rows_known": self.data.values is not None,
            },
            "optimizer": self.config.optimizer,
            "gradient_method": self.chosen.choice.method,
            "epochs": self.config.epochs,
            "batch_size": self.config.batch_size,
            "shots_per_circuit": self.config.shots_per_circuit,
            "circuit": {
                "qubits": self.circuit.circuit.n_qubits,
                "one_qubit_gates": one,
                "two_qubit_gates": two,
                "weights": self.circuit.circuit.n_weights,
                "fingerprint": self.circuit.circuit.fingerprint,
            },
            "circuits_per_step": self.chosen.step.circuits,
            "jobs_per_step": self.chosen.step.jobs,
            **_renamed(self.chosen.total),
            "wall_seconds": plain(self.chosen.wall_seconds),
            "at_most": self.chosen.at_most,
            "dead_parameters": len(self.dead),
            "dead_parameter_numbers": list(self.dead),
            "phases": {name: total.to_dict() for name, total in self.phases.items()},
            "alternatives": [choice.to_dict() for choice in self.alternatives],
            "strategies": [strategy.to_dict() for strategy in self.strategies],
            "trainability": self.outlook.to_dict(),
            "warnings": list(self.warnings),
            "assumptions": list(self.assumptions),
            "prices": {
                "table": self.prices.version,
                "source": None if price is None else price.source,
                "date": None if price is None else price.date,
            },
            "budget_usd": plain(self.question.budget_usd),
            "fits_budget": self.fits_budget,
            "fitting": None if advice is None else advice.to_dict(),
        }


def count_training(
    config: QuantumTrainingConfig,
    data: PlannedData,
    question: PlanQuestion | None = None,
    prices: PriceTable | None = None,
) -> PlannedChoice:
    """Only the numbers of the configured choice: what a budget is held against, in a fraction of a plan's time.

    Raises as `plan_training`.
    """
    wanted, _, planner = _prepared(config, data, question or PlanQuestion(), prices or load_price_table())
    return planner.planned(configured(wanted))[2]


def plan_training(
    config: QuantumTrainingConfig,
    data: PlannedData,
    question: PlanQuestion | None = None,
    prices: PriceTable | None = None,
) -> Plan:
    """What training `config` on `data` will take.

    Raises what the run itself would raise before its first job: ConfigurationError, CircuitError, or RejectedJobError
    for circuits that the target does not take.
    """
    asked, table = question or PlanQuestion(), prices or load_price_table()
    wanted, changes, planner = _prepared(config, data, asked, table)
    target, circuit = planner.target, planner.circuit
    run, works, chosen = planner.planned(configured(wanted))
    rest = tuple(planner.attempted(choice) for choice in alternatives(wanted))
    shots = wanted.shots_per_circuit
    view = outlook(chosen.choice, circuit.circuit, shots, data.n_features, data.n_classes)
    dead = tuple(index for index in range(circuit.circuit.n_weights) if index not in set(run.counter.live))
    return Plan(
        config=wanted,
        data=data,
        target=target,
        question=asked,
        circuit=circuit,
        chosen=chosen,
        alternatives=rest,
        phases=_phases(works, planner.till),
        strategies=strategies(works, chosen.total, planner.till, run.counter),
        outlook=view,
        dead=dead,
        warnings=(*changes, *warnings(wanted, target, chosen.total, view, dead, planner.debiased(chosen.choice))),
        assumptions=assumptions(target, data, asked, SUBMIT_S, chosen.at_most, wanted),
        prices=table,
    )


def _prepared(
    config: QuantumTrainingConfig, data: PlannedData, asked: PlanQuestion, table: PriceTable
) -> tuple[QuantumTrainingConfig, tuple[str, ...], _Planner]:
    target = planned_target(asked.qpu_target or config.qpu_target, table.targets)
    wanted, changes = _runnable(config, target, asked)
    circuit = plan_circuit(wanted, data.n_features, data.n_classes)
    return wanted, changes, _Planner(data, target, Till(target, table, asked.debiasing), circuit, asked.queue_s)


def _runnable(
    config: QuantumTrainingConfig, target: PlannedTarget, asked: PlanQuestion
) -> tuple[QuantumTrainingConfig, tuple[str, ...]]:
    """The configuration as it can be run on `target`, and what was changed for that."""
    changes: dict[str, Any] = {}
    told = []
    if target.needs_shots and config.gradient_method in SIMULATED:
        changes |= {"gradient_method": "parameter_shift", "gradient_options": {}}
        told.append(
            f"gradient_method is {config.gradient_method!r}, which only a simulator can do; planned with "
            f"'parameter_shift'"
        )
    if asked.shots is not None:
        changes |= {"shots_per_circuit": asked.shots, "shots_schedule": "constant", "shots_final": None}
        if config.gradient_method in SIMULATED:
            changes |= {"gradient_method": "parameter_shift", "gradient_options": {}}
    elif target.needs_shots and config.shots_per_circuit is None:
        changes["shots_per_circuit"] = EXACT_SHOTS
        told.append(f"shots_per_circuit is not set, and {target.name} draws shots; planned with {EXACT_SHOTS}")
    return (config.replace(**changes) if changes else config), tuple(told)


@dataclass(frozen=True, eq=False)
class _Planner:
    data: PlannedData
    target: PlannedTarget
    till: Till
    circuit: CircuitPlan
    queue_s: float

    def attempted(self, choice: Choice) -> PlannedChoice:
        """The plan of an alternative, or why there is none."""
        try:
            return self.planned(choice)[2]
        except QStoreError as error:
            return PlannedChoice(choice, reason=str(error))

    def planned(self, choice: Choice) -> tuple[Run, list[Work], PlannedChoice]:
        """Walk through the run of `choice` and add up what it asks for."""
        config = choice.config
        front = self.circuit.trained_front
        counter = CircuitCounter(self.circuit.circuit, choice, self.target, front)
        run = Run(config, self.data, RowTable(self.data, self.circuit.encoder, front, config.dtype), counter)
        steps = self._steps(choice, counter)
        works = list(run.works(steps))
        by_epoch = [Totals() for _ in range(1 + max((work.epoch for work in works), default=-1))]
        total = Totals()
        for work in works:
            priced = self.till.price(work.request, work.shots).times(work.times)
            total += priced
            # what comes before the first epoch belongs to it
            by_epoch[max(work.epoch, 0)] += priced
        step = sum(
            (self.till.price(request, config.shots_per_circuit).times(times)
             for _, request, times in run.full_step(self._steps(choice, counter))),
            Totals(),
        )  # fmt: skip
        wall = None if self.target.embedded else total.rounds * (self.queue_s + SUBMIT_S) + total.qpu_seconds
        at_most = steps.at_most or config.early_stopping_patience is not None or not _exactly(self.data, self.circuit)
        return run, works, PlannedChoice(choice, step, total, tuple(by_epoch), wall, at_most)

    def debiased(self, choice: Choice) -> Totals | None:
        """What `choice` would take with IonQ's debiasing; None where the table does not know that minimum."""
        if not self.target.name.startswith("qpu."):
            return None
        till = Till(self.target, self.till.prices, debiasing=True)
        try:
            return _Planner(self.data, self.target, till, self.circuit, self.queue_s).planned(choice)[2].total
        except QStoreError:
            return None

    def _steps(self, choice: Choice, counter: CircuitCounter) -> StepCounts:
        spec = model_spec(choice.config, self.data.n_features, self.data.n_classes)
        model = build_model(spec, StatevectorExecutor())
        dead = self.circuit.circuit.n_weights - len(counter.live)
        live = sum(parameter.numel() for parameter in model.parameters()) - dead
        exact = self.target.name == "simulator" and choice.config.shots_per_circuit is None
        return StepCounts(choice, model.parameters(), live, exact)


def _exactly(data: PlannedData, circuit: CircuitPlan) -> bool:
    """Whether the circuits are known to the last one: behind trained layers, or where the rows are known."""
    return circuit.trained_front or data.values is not None


def _phases(works: Sequence[Work], till: Till) -> dict[str, Totals]:
    found = dict.fromkeys(PHASES, Totals())
    for work in works:
        found[work.phase] += till.price(work.request, work.shots).times(work.times)
    return {name: total for name, total in found.items() if total.circuits}


def _renamed(total: Totals) -> dict[str, Any]:
    values = total.to_dict()
    return {"circuits_total": values.pop("circuits"), **values}
