"""The whole pipeline on IonQ's simulator with the noise of a machine, behind a real gateway.

What comes out is as good as on the exact simulator, costs what the ledger says, can be traced and replayed, and the
key is nowhere.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mlflow import MlflowClient
from sklearn.datasets import load_digits

from quantum_db.commands.trace import trace
from quantum_db.data.encoded import EncodedDataset
from quantum_db.errors import StoreError
from quantum_db.execution.budget.local_ledger import LocalBudget
from quantum_db.execution.journal import Journal
from quantum_db.models import load_model
from quantum_db.training.config import QuantumTrainingConfig
from quantum_db.training.trainer import QuantumTrainer
from tests.suites.gateway_process import prices, running_gateway

ROOT = Path(__file__).resolve().parents[2]
KEY = "recognisable-key-4f1c9d7e2b"
CONFIG: dict[str, Any] = {
    "model": "variational", "encoder": "reuploading", "n_qubits": 2, "circuit_depth": 1, "batch_size": 9, "epochs": 3,
    "learning_rate": 0.3, "gradient_method": "parameter_shift", "shots_per_circuit": 100,
}  # fmt: skip
TARGET = ("--qpu-target", "ionq.simulator")
DATA = ("--dataset", "digits.csv", "--n-components", "2", "--test-fraction", "0.9", "--threshold", "1")

pytestmark = pytest.mark.slow


def qstore(*given: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    outside = {name: value for name, value in os.environ.items() if not name.startswith(("IONQ_", "MLFLOW_"))}
    command = [sys.executable, "-m", "quantum_db.cli", *given]
    return subprocess.run(
        command, capture_output=True, text=True, cwd=folder, check=False, env={**outside, **environment}
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the handwritten digits 0 and 1 as a table."""
    place = tmp_path_factory.mktemp("runs")
    pixels, digits = load_digits(return_X_y=True)
    lines = [",".join([*(f"p{number}" for number in range(pixels.shape[1])), "label"])]
    names = {0: "zero", 1: "one"}
    lines += [",".join([*map(str, pixels[row]), names[digits[row]]]) for row in np.flatnonzero(digits < 2)]
    (place / "digits.csv").write_text("\n".join(lines) + "\n")
    return place


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Any:
    place = tmp_path_factory.mktemp("gateway")
    with running_gateway(place, KEY, prices(simulator="0.01")) as url:
        yield url, place


@pytest.fixture(scope="module")
def settings(gateway: Any) -> dict[str, Any]:
    return {**CONFIG, "noise_model": "forte-1", "price_table": str(gateway[1] / "prices.json")}


@pytest.fixture(scope="module")
def trained(gateway: Any, settings: dict[str, Any], folder: Path) -> subprocess.CompletedProcess[str]:
    key = folder / "key"
    key.write_text(KEY + "\n")
    given = ("pipeline", "run", *DATA, *TARGET, "--model-config", json.dumps(settings), "--output", "out", "--json")
    done = qstore(*given, "--budget-usd", "10000", folder=folder, IONQ_API_URL=gateway[0], IONQ_API_KEY_FILE=str(key))
    key.unlink()
    assert done.returncode == 0, done.stderr[-3000:]
    return done


def run_folder(folder: Path) -> Path:
    (place,) = (folder / "out" / "checkpoints").iterdir()
    return place


def artifact(folder: Path, *names: str) -> Path:
    (run,) = (folder / "out" / "artifacts").iterdir()
    return run.joinpath(*names)


def test_it_is_as_accurate_as_the_exact_simulator(trained: Any, folder: Path) -> None:
    encoded = EncodedDataset.load(artifact(folder, "quantum-encode", "encoded_data"))
    exact = {**CONFIG, "gradient_method": "adjoint", "shots_per_circuit": None}
    trainer = QuantumTrainer(QuantumTrainingConfig.from_dict(exact), progress=False, checkpoints=False)
    model = trainer.build_model(encoded.n_inputs, encoded.n_classes)
    trainer.fit(model, encoded.train_values, encoded.train_labels)
    with torch.no_grad():
        answers = model(torch.as_tensor(encoded.test_values, dtype=torch.float32)).argmax(dim=1).numpy()
    wanted = float(np.mean(answers == encoded.test_labels))
    found = json.loads(trained.stdout.splitlines()[-1])["accuracy"]
    assert wanted > 0.85
    assert abs(found - wanted) <= 0.05


def test_history_tracking_and_model_have_the_costs_of_the_ledger(trained: Any, folder: Path) -> None:
    spent = LocalBudget(run_folder(folder) / "budget.sqlite").balance().spent
    assert spent > 0
    model = load_model(folder / "out" / "model")
    machines = model.manifest["custody"]["machines"]
    assert Decimal(machines["cost_usd"]) == spent == sum(Decimal(job["cost_usd"]) for job in machines["jobs"])
    assert sum(model.manifest["history"]["cost_usd"]) == pytest.approx(float(spent), abs=1e-9)
    jobs = [entry.ticket.job_id for entry in Journal.read(run_folder(folder)).entries]
    assert [job["job_id"] for job in machines["jobs"]] == jobs
    run = MlflowClient(f"sqlite:///{folder / 'out' / 'mlflow.db'}").get_run(model.manifest["mlflow_run_id"])
    assert run.data.metrics["total_cost_usd"] == float(spent)
    assert run.data.tags["qstore.job_ids.1"].split() == jobs


def test_the_plan_was_written_first_and_is_what_was_run(trained: Any, folder: Path) -> None:
    plan = json.loads(artifact(folder, "plan", "plan", "plan.json").read_text())
    entries = Journal.read(run_folder(folder)).entries
    assert plan["circuits_total"] == sum(len(entry.fingerprints) for entry in entries)
    assert plan["jobs"] == len(entries)
    assert plan["fits_budget"] is True
    assert (folder / "out" / "report" / "plan.html").is_file()


def test_the_key_is_nowhere(trained: Any, folder: Path, gateway: Any) -> None:
    assert KEY not in trained.stdout + trained.stderr
    places = (folder, gateway[1], ROOT / "pipelines" / "compiled")
    files = [file for place in places for file in place.rglob("*") if file.is_file()]
    names = {file.name for file in files}
    assert {"journal.jsonl", "mlflow.db", "pipeline.log", "training.yaml", "manifest.json", "gateway.log"} <= names
    assert [str(file) for file in files if KEY.encode() in file.read_bytes()] == []


def test_the_model_can_be_traced_and_a_flipped_byte_is_found(trained: Any, folder: Path) -> None:
    told = qstore("trace", "out/model", "--run", "out", folder=folder)
    assert told.returncode == 0, told.stderr
    assert "unchanged, as the journal says" in told.stdout
    chain = json.loads(qstore("trace", "out/model", "--json", folder=folder).stdout)
    assert chain["dataset"]["name"].endswith("digits.csv")
    assert all(job["job_id"] in told.stdout for job in chain["machines"]["jobs"])
    generator = np.random.default_rng(0)
    for name in ("manifest.json", "arrays.safetensors"):
        for _ in range(20):
            copy = folder / "copy"
            shutil.copytree(folder / "out" / "model", copy, dirs_exist_ok=True)
            content = bytearray((copy / name).read_bytes())
            content[generator.integers(len(content))] ^= 1 << int(generator.integers(8))
            (copy / name).write_bytes(content)
            with pytest.raises(StoreError):
                trace(copy)
    shutil.rmtree(folder / "copy")


def test_a_replay_has_the_same_weights_without_network_or_key(trained: Any, folder: Path, settings: Any) -> None:
    given = ("pipeline", "run", *DATA, "--qpu-target", "replay:out", "--model-config", json.dumps(settings))
    done = qstore(*given, "--output", "replayed", "--json", folder=folder, IONQ_API_URL="http://127.0.0.1:9")
    assert done.returncode == 0, done.stderr[-3000:]
    first, second = (load_model(folder / name / "model") for name in ("out", "replayed"))
    assert second.manifest["weights_digest"] == first.manifest["weights_digest"]
    assert second.manifest["history"]["loss"] == first.manifest["history"]["loss"]


def test_a_plan_over_the_budget_stops_before_anything_is_submitted(
    gateway: Any, folder: Path, settings: dict[str, Any]
) -> None:
    given = ("pipeline", "run", *DATA, *TARGET, "--model-config", json.dumps(settings), "--seed", "5")
    done = qstore(
        *given, "--budget-usd", "0.02", "--output", "over", folder=folder, IONQ_API_URL=gateway[0], IONQ_API_KEY=KEY
    )
    assert done.returncode == 3, done.stderr[-3000:]
    assert "train: The plan may cost" in done.stderr
    assert "Nothing was submitted" in done.stderr
    assert not list((folder / "over").rglob("journal.jsonl"))
    assert list((folder / "over").rglob("plan.json")), "the plan is there to be read"


def test_a_run_without_a_key_says_where_to_put_it(folder: Path) -> None:
    given = ("pipeline", "run", *DATA, *TARGET, "--model-config", json.dumps(CONFIG))
    done = qstore(*given, "--output", "keyless", folder=folder)
    assert done.returncode == 2
    assert "set IONQ_API_KEY, or IONQ_API_KEY_FILE" in done.stderr
    assert not (folder / "keyless").exists()
