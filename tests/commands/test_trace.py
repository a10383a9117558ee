"""`qstore trace` on a model that no machine has trained, and on chains that were tampered with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from quantum_db import cli
from quantum_db.checkpoints import Checkpoint
from quantum_db.commands.trace import check_journal, trace
from quantum_db.errors import StoreError
from quantum_db.execution.journal import Journal
from quantum_db.stages.preprocess import PreprocessSpec
from quantum_db.stages.preprocess import run as preprocess
from quantum_db.stages.quantum_encode import QuantumEncodeSpec
from quantum_db.stages.quantum_encode import run as encode
from quantum_db.stages.train import TrainSpec
from quantum_db.stages.train import run as train
from quantum_db.tracking.address import default_tracking_uri
from quantum_db.training.custody import chain_digest

SETTINGS = json.dumps({"model": "variational", "encoder": "reuploading", "n_qubits": 3, "epochs": 1})


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("traced")
    preprocess(PreprocessSpec("builtin:iris", folder / "train", folder / "test"))
    encode(QuantumEncodeSpec(folder / "train", folder / "test", folder / "encoded", SETTINGS))
    uri = default_tracking_uri(folder)
    train(TrainSpec(folder / "encoded", folder / "model", SETTINGS, seed=4, tracking_uri=uri))
    return folder / "model"


def test_the_chain_is_printed(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["trace", str(model)]) == 0
    told = capsys.readouterr().out
    assert "jobs     0, 0 USD" in told
    assert "seed     4" in told
    assert cli.main(["trace", "--model", str(model), "--json"]) == 0
    chain = json.loads(capsys.readouterr().out)
    manifest = Checkpoint.read(model).manifest
    assert chain["weights_digest"] == manifest["weights_digest"]
    assert chain["dataset"]["digest"] == manifest["dataset"]["digest"]
    assert chain["machines"]["jobs"] == []
    assert {"seed", "noise_seed"} == set(chain["seeds"])


@pytest.mark.parametrize(
    ("change", "sealed", "message"),
    [
        (lambda chain: chain.update(seeds={"seed": 5}), False, "was changed after it was written"),
        (lambda chain: chain.update(weights_digest="0" * 64), True, "belongs to other weights"),
        (lambda chain: chain["dataset"].update(digest="0" * 64), True, "belongs to other data"),
        (lambda chain: chain["config"].update(learning_rate=9), True, "belongs to other settings"),
        (lambda chain: chain.clear(), False, "was changed after"),
    ],
)
def test_a_chain_that_was_changed_proves_nothing(model, tmp_path, change, sealed, message) -> None:
    found = Checkpoint.read(model)
    manifest = json.loads(json.dumps(dict(found.manifest)))
    change(manifest["custody"])
    if sealed:
        manifest["custody"]["digest"] = chain_digest(manifest["custody"])
    Checkpoint(found.arrays, manifest).write(tmp_path / "model")
    with pytest.raises(StoreError, match=message):
        trace(tmp_path / "model")


def test_a_model_without_a_chain_is_said_to_have_none(model: Path, tmp_path: Path) -> None:
    found = Checkpoint.read(model)
    manifest = {name: value for name, value in found.manifest.items() if name != "custody"}
    Checkpoint(found.arrays, manifest).write(tmp_path / "model")
    with pytest.raises(StoreError, match="has no chain of custody"):
        trace(tmp_path / "model")


def test_white_space_in_the_manifest_counts_as_a_change(model: Path, tmp_path: Path) -> None:
    found = Checkpoint.read(model)
    found.write(tmp_path / "model")
    file = tmp_path / "model" / "manifest.json"
    file.write_text(file.read_text() + "\n")
    with pytest.raises(StoreError, match="was changed after it was written"):
        trace(tmp_path / "model")


def test_the_journal_of_another_run_is_not_taken(model: Path, tmp_path: Path) -> None:
    Journal.open(tmp_path / "other", "other").close()
    with pytest.raises(StoreError, match="is not the journal that the model was made with"):
        check_journal(trace(model), tmp_path)
