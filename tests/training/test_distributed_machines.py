"""Distributed training on two machines behind a gateway: nothing is paid for again when it is begun again."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest
import torch

from quantum_db.errors import BudgetExceededError, ConfigurationError
from quantum_db.execution.assemble import ExecutionConfig
from quantum_db.execution.journal import Journal
from quantum_db.execution.machine_options import MachineOptions
from quantum_db.execution.machines import Connection, RunFolder
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.distributed import DistributedQuantumTrainer
from quantum_db.training.distributed_machines import machine_balancer
from quantum_db.training.trainer import QuantumTrainer
from tests.suites.gateway_process import prices, running_gateway

KEY = "key-of-the-tests"
BOTH = ("qpu.forte-1", "qpu.forte-enterprise-1")
CONFIG = QuantumTrainingConfig(
    model="variational", encoder="angle", n_qubits=2, circuit_depth=1, batch_size=5, epochs=1, seed=2,
    gradient_method="parameter_shift", shots_per_circuit=50, noise_model="forte-1", qpu_target="noisy_simulator",
)  # fmt: skip
VALUES = np.linspace(-1, 1, 12).reshape(6, 2)
LABELS = np.array([0, 1] * 3)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    cheaper = json.dumps(prices(**dict(zip(BOTH, ("0.5", "0.1"), strict=True))))
    (folder / "other.json").write_text(cheaper)
    with running_gateway(folder, KEY, prices(**dict(zip(BOTH, ("0.5", "5"), strict=True))), ["--simulate-qpus"]) as url:
        yield url, folder / "prices.json", folder / "other.json"


def execution(gateway, table=1, **machine):
    balance = {"mix_targets": True, "error_usd": "0"}
    options = MachineOptions(price_table=str(gateway[table]), balance=balance, **machine)
    return ExecutionConfig(qpu_target=",".join(BOTH), machine=options)


def train(gateway, folder, **machine):
    model = QuantumTrainer(CONFIG, checkpoints=False, progress=False).build_model(2, 2)
    connection = Connection(url=gateway[0], key=KEY)
    with machine_balancer(execution(gateway, **machine), connection, RunFolder(folder, "run")) as balancer:
        found = DistributedQuantumTrainer(CONFIG, balancer).train_distributed(model, VALUES, LABELS)
        spent = [candidate.executor.spent() for candidate in balancer._balanced.candidates]
    return model.quantum.weights.detach().clone(), found, spent


@pytest.mark.slow
def test_a_training_that_is_begun_again_pays_for_nothing_twice(gateway, tmp_path):
    first = train(gateway, tmp_path)
    # by now the other machine is cheaper; what was begun stays where it is
    again = train(gateway, tmp_path, table=2)
    assert torch.equal(first[0], again[0])
    assert first[2] == again[2]
    # two batches, of five rows and of one: three shards, each with a job for its values and one for its shifts
    jobs = [len(Journal.read(tmp_path / name).entries) for name in BOTH]
    assert jobs == [6, 0]
    assert first[2][0] >= 6 * Decimal("0.5")
    assert first[2][1] == 0
    assert [[shard.rows for shard in step] for step in first[1].steps] == [[3, 2], [1]]
    assert again[1].steps == first[1].steps
    assert {shard.target for step in first[1].steps for shard in step} == {BOTH[0]}


@pytest.mark.slow
def test_each_machine_has_its_part_of_the_budget(gateway, tmp_path):
    with pytest.raises(BudgetExceededError):
        train(gateway, tmp_path, budget_usd=Decimal("0.9"))
    assert not any(entry.ticket for name in BOTH for entry in Journal.read(tmp_path / name).entries)


@pytest.mark.parametrize("changes", [{"qpu_target": "qpu.forte-1"}, {"qpu_target": "simulator"}])
def test_a_single_target_is_refused(changes, tmp_path):
    config = replace(ExecutionConfig(), **changes)
    with (
        pytest.raises(ConfigurationError, match="several targets"),
        machine_balancer(config, Connection(), RunFolder(tmp_path, "run")),
    ):
        pass
