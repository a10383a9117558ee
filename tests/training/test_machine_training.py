"""Training on a target behind IonQ's API: journal, budget, costs by epoch, replay; against a real gateway."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest
import torch

from quantum_db.errors import BackendError, BudgetExceededError, ConfigurationError, StoreError
from quantum_db.execution.budget.local_ledger import LocalBudget
from quantum_db.execution.journal import Journal
from quantum_db.execution.journal.journal import JournalMissError
from quantum_db.execution.machines import Connection, journal_folder
from quantum_db.tracking.tracker import NullTracker
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.trainer import QuantumTrainer
from tests.suites.gateway_process import prices, running_gateway
from tests.training.iris_run import iris_samples, outcome

VALUES, LABELS = iris_samples(8)
KEY = "key-of-the-tests"
SETTINGS = {
    "model": "variational", "encoder": "reuploading", "n_qubits": 3, "circuit_depth": 1, "batch_size": 10, "epochs": 2,
    "learning_rate": 0.1, "seed": 1, "gradient_method": "parameter_shift", "shots_per_circuit": 50,
    "qpu_target": "ionq.simulator", "validation_fraction": 0.2,
}  # fmt: skip
CHEAP, MACHINES = "0.001", {"qpu.forte-1": "0.002", "qpu.forte-enterprise-1": "0.003"}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def gateway(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gateway")
    table = prices(simulator=CHEAP, **MACHINES)
    with running_gateway(folder, KEY, table, ["--simulate-qpus"]) as url:
        yield url, folder / "prices.json"


class Records(NullTracker):
    """Keeps metrics, tags and texts."""

    def __init__(self):
        self.metrics, self.tags, self.files = [], {}, {}

    def log_metrics(self, metrics, step, timestamp_ms=None):
        self.metrics.append((step, dict(metrics)))

    def set_tags(self, tags):
        self.tags |= tags

    def log_dict(self, content, name):
        self.files[name] = content


def fit(gateway, folder, tracker=None, resume=True, connection=None, **changes):
    url, table = gateway
    settings = {**SETTINGS, "price_table": str(table), "checkpoint_directory": str(folder), **changes}
    trainer = QuantumTrainer(
        QuantumTrainingConfig.from_dict(settings), progress=False, tracker=tracker,
        connection=connection or Connection(url, KEY),
    )  # fmt: skip
    model = trainer.build_model(VALUES.shape[1], 3)
    return model, trainer.fit(model, VALUES, LABELS, resume=resume)


@pytest.fixture(scope="module")
def run(gateway, tmp_path_factory):
    """One whole run: folder, model, result, what was tracked."""
    folder, tracker = tmp_path_factory.mktemp("run"), Records()
    return folder, *fit(gateway, folder, tracker), tracker


def test_costs_by_epoch_are_those_of_the_ledger_to_the_cent(run):
    folder, _, result, _ = run
    use = result.machine_use
    (place,) = folder.iterdir()
    assert use.journal == place / "journal.jsonl"
    spent = LocalBudget(place / "budget.sqlite").balance().spent
    assert spent == use.cost_usd > 0
    assert sum(Decimal(str(round(record["cost_usd"], 10))) for record in result.history) == spent
    assert sum(job.cost_usd for job in use.jobs) == spent
    journal = Journal.read(place)
    for name, total in {
        "circuits": sum(len(entry.fingerprints) for entry in journal.entries),
        "shots": 50 * sum(len(entry.fingerprints) for entry in journal.entries),
        "jobs": len(journal.entries),
    }.items():
        assert sum(record[name] for record in result.history) == total == getattr(use.report, name)
    # a forward pass and a gradient for each of two batches, and one validation, per epoch
    assert len(use.jobs) == 2 * (2 * 2 + 1)
    assert use.journal_head == journal.head


def test_costs_and_jobs_are_tracked(run):
    _, _, result, tracker = run
    use = result.machine_use
    by_epoch = [values for _, values in tracker.metrics if "train_loss" in values]
    assert [values["cost_usd"] for values in by_epoch] == [record["cost_usd"] for record in result.history]
    (total,) = [values for step, values in tracker.metrics if "total_cost_usd" in values and step == 2]
    assert (total["total_cost_usd"], total["total_jobs"]) == (float(use.cost_usd), len(use.jobs))
    assert tracker.tags["qstore.cost_usd"] == str(use.cost_usd)
    assert tracker.tags["qstore.job_ids.1"].split() == [job.job_id for job in use.jobs]
    assert [job["job_id"] for job in tracker.files["jobs.json"]["jobs"]] == [job.job_id for job in use.jobs]


def test_a_replay_is_the_same_training_without_any_service(gateway, run, tmp_path):
    folder, model, result, _ = run
    nowhere = Connection("http://127.0.0.1:9", "no key")
    for named in (result.machine_use.journal.parent, folder):  # the run itself, or the folder that holds it
        again, replayed = fit(gateway, tmp_path / "replay", connection=nowhere, qpu_target=f"replay:{named}")
        assert outcome(again, replayed) == outcome(model, result)
        assert (replayed.machine_use.cost_usd, replayed.machine_use.jobs) == (0, ())
        assert [record["cost_usd"] for record in replayed.history] == [0, 0]


def test_a_replay_of_something_else_is_a_miss_with_its_price(gateway, run, tmp_path):
    target = {"qpu_target": f"replay:{run[0]}"}
    with pytest.raises(JournalMissError, match=r"lacks .* circuits .*Running them would cost up to \d+\.\d+ USD"):
        fit(gateway, tmp_path, **target, seed=2)
    with pytest.raises(ConfigurationError, match="replay with the configuration of the run"):
        fit(gateway, tmp_path, **target, noise_model="forte-1")
    with pytest.raises(StoreError, match="there is no journal in"):
        fit(gateway, tmp_path, qpu_target=f"replay:{tmp_path}")


def test_several_runs_in_a_folder_are_named(tmp_path):
    for name in ("a", "b"):
        Journal.open(tmp_path / name, name).close()
    with pytest.raises(StoreError, match="holds several runs; name one of them"):
        journal_folder(tmp_path)
    assert journal_folder(tmp_path / "a") == tmp_path / "a"


def test_the_same_training_again_is_answered_from_its_journal(gateway, run, tmp_path):
    folder, model, result, _ = run
    for resume in (True, False):
        again, second = fit(gateway, folder, resume=resume)
        assert second.machine_use.jobs == result.machine_use.jobs, "nothing was submitted"
        assert outcome(again, second) == outcome(model, result)


def test_the_budget_stops_a_run_which_goes_on_when_it_is_raised(gateway, run, tmp_path):
    _, model, result, _ = run
    limit = result.machine_use.cost_usd * Decimal("0.7")
    with pytest.raises(BudgetExceededError, match="Raise the budget and start again"):
        fit(gateway, tmp_path, budget_usd=str(limit))
    (place,) = tmp_path.iterdir()
    stopped = LocalBudget(place / "budget.sqlite").balance()
    assert 0 < stopped.spent <= limit
    assert stopped.reserved == 0
    assert list(place.glob("epoch-*")), "the last finished batch is a checkpoint"
    with pytest.raises(BudgetExceededError):
        fit(gateway, tmp_path, budget_usd=str(limit))
    again, second = fit(gateway, tmp_path, budget_usd="100")
    assert outcome(again, second) == outcome(model, result)
    assert second.machine_use.cost_usd == result.machine_use.cost_usd, "nothing was paid again"
    assert sum(record["cost_usd"] for record in second.history) == pytest.approx(float(second.machine_use.cost_usd))
    assert len(second.machine_use.jobs) == len(result.machine_use.jobs)


def test_a_budget_of_zero_submits_nothing(gateway, tmp_path):
    with pytest.raises(BudgetExceededError, match=r"of the budget of 0 USD 0 are left"):
        fit(gateway, tmp_path, budget_usd="0")
    (place,) = tmp_path.iterdir()
    assert Journal.read(place).entries == ()


def test_several_machines_are_balanced_and_a_resumed_run_goes_on_where_a_batch_was_begun(gateway, tmp_path):
    url, table = gateway
    several = {"qpu_target": "qpu.forte-1,qpu.forte-enterprise-1", "epochs": 1, "validation_fraction": 0.0}
    _, first = fit(gateway, tmp_path / "run", **several)
    assert {job.target for job in first.machine_use.jobs} == {"qpu.forte-1"}, "the cheaper one"
    other = tmp_path / "other.json"
    other.write_text(Path(table).read_text().replace('"0.002"', '"9"'))
    _, second = fit((url, other), tmp_path / "run", **several, resume=False)
    assert second.machine_use.jobs == first.machine_use.jobs, "begun on the first machine, whatever it costs now"


def test_an_unknown_target_is_refused_with_the_known_ones(gateway, tmp_path):
    with pytest.raises(ConfigurationError, match=r"has no target 'qpu.tempo-9'.*it has: .*qpu.forte-1"):
        fit(gateway, tmp_path, qpu_target="qpu.tempo-9", shots_per_circuit=10)
    assert not list(tmp_path.rglob("journal.jsonl"))


def test_a_wrong_key_submits_nothing(gateway, tmp_path):
    with pytest.raises(ConfigurationError, match="key") as caught:
        fit(gateway, tmp_path, connection=Connection(gateway[0], "wrong-key-of-mine"))
    assert "wrong-key-of-mine" not in str(caught.value)
    (place,) = tmp_path.iterdir()
    assert [entry.state for entry in Journal.read(place).entries] == ["dropped"]


def test_a_run_without_a_connection_or_a_folder_is_refused(gateway, tmp_path):
    config = QuantumTrainingConfig.from_dict({**SETTINGS, "checkpoint_directory": str(tmp_path)})
    for options, missing in (
        ({}, "a connection"),
        ({"connection": Connection(gateway[0], KEY), "checkpoints": False}, "a folder"),
    ):
        trainer = QuantumTrainer(config, progress=False, **options)
        with pytest.raises(ConfigurationError, match=f"needs {missing}"):
            trainer.fit(trainer.build_model(VALUES.shape[1], 3), VALUES, LABELS)


def test_a_target_without_a_price_is_refused(gateway, tmp_path):
    url, _ = gateway
    table = tmp_path / "prices.json"
    table.write_text(json.dumps(prices(simulator="1")))
    with pytest.raises(ConfigurationError, match=r"'qpu.forte-1' has no price in table test"):
        fit((url, table), tmp_path / "run", qpu_target="qpu.forte-1")


def test_circuits_run_within_a_training_only():
    trainer = QuantumTrainer(QuantumTrainingConfig.from_dict(SETTINGS), progress=False)
    model = trainer.build_model(VALUES.shape[1], 3)
    with pytest.raises(BackendError, match="within a training only"):
        model(torch.as_tensor(VALUES[:1], dtype=torch.float32))
