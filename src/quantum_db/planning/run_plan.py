"""The plan of a run as its configuration stands: targets, debiasing, prices and budget all from there."""

from __future__ import annotations

from dataclasses import replace

from quantum_db.errors import BudgetExceededError
from quantum_db.execution.machine_options import budget
from quantum_db.execution.targets import IONQ_SIMULATOR, IonQTargets
from quantum_db.planning.data import PlannedData
from quantum_db.planning.plan import QUEUE_S, Plan, PlanQuestion, plan_training
from quantum_db.pricing import load_price_table
from quantum_db.training.config import QuantumTrainingConfig


def plan_run(config: QuantumTrainingConfig, data: PlannedData) -> Plan:
    """What training `config` on `data` will take; of several targets, on the one that is dearest for it."""
    target = config.execution.target
    names = target.wire_names if isinstance(target, IonQTargets) else (config.qpu_target,)
    if config.qpu_target == IONQ_SIMULATOR:
        names = (IONQ_SIMULATOR,)
    prices = load_price_table(config.price_table or None)
    asked = PlanQuestion(
        debiasing=config.debiasing,
        queue_s=0.0 if config.qpu_target == IONQ_SIMULATOR else QUEUE_S,
        budget_usd=budget(config.budget_usd),
    )
    plans = [plan_training(config, data, replace(asked, qpu_target=name), prices) for name in names]
    return max(plans, key=lambda plan: plan.chosen.total.usd_high)


def check_budget(plan: Plan) -> None:
    """Raise BudgetExceededError, with what would fit, when the plan may cost more than its budget."""
    advice = plan.advice
    if advice is not None and not advice.fits:
        raise BudgetExceededError(f"{advice.sentence} Nothing was submitted")
