"""What the stages plan and train share: the settings of a training, and its plan."""

from __future__ import annotations

from quantum_db.data.encoded import EncodedDataset
from quantum_db.planning.data import PlannedData
from quantum_db.planning.plan import Plan
from quantum_db.planning.run_plan import plan_run
from quantum_db.training.config import QuantumTrainingConfig


def training_config(model_config: str, qpu_target: str, seed: int, budget_usd: str) -> QuantumTrainingConfig:
    """The settings of a training; a budget that is given here is the one of the run."""
    decided = {"budget_usd": budget_usd} if budget_usd else {}
    return QuantumTrainingConfig.from_json(model_config, qpu_target=qpu_target, seed=seed, **decided)


def plan_of(config: QuantumTrainingConfig, encoded: EncodedDataset) -> Plan:
    """The plan for the training rows of `encoded`."""
    data = PlannedData.of_rows(
        encoded.dataset_name, encoded.train_values, encoded.train_labels, len(encoded.class_names)
    )
    return plan_run(config, data)
