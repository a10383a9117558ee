import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_iris

from quantum_db.checkpoints import Checkpoint
from quantum_db.data.preprocessing import fit_preprocessing
from quantum_db.errors import QStoreError, StageInputError, StoreError
from quantum_db.models import load_model
from quantum_db.models.saved_model import build_model, class_probabilities, parameter_count, write_model

RAW = np.asarray(load_iris().data)
NAMES = ("sepal length", "sepal width", "petal length", "petal width")
KINDS = ["hybrid", "quantum", "variational"]


def written(folder: Path, kind: str, dtype: str = "float32", **arguments: object) -> tuple[torch.nn.Module, str]:
    options = {"input_dim": 4, "n_qubits": 4, "output_dim": 3, "circuit_depth": 2, "seed": 3, "dtype": dtype}
    if kind == "hybrid":
        options |= {"hidden_in": 8, "hidden_out": 6}
    spec = {"kind": kind, "arguments": options | arguments}
    model = build_model(spec)
    with torch.no_grad():
        for number, parameter in enumerate(model.parameters()):
            parameter.add_(0.1 * (number + 1))
    details = {"class_names": ["a", "b", "c"], "history": {"loss": [1.0, 0.5]}, "run_id": "r"}
    return model, write_model(folder, model, spec, fit_preprocessing(RAW, NAMES), RAW[::9], details)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_round_trip_is_bit_exact(tmp_path, kind, dtype):
    model, digest = written(tmp_path / "model", kind, dtype)
    saved = load_model(tmp_path / "model")
    assert saved.digest == digest
    for (name, tensor), found in zip(model.state_dict().items(), saved.model.state_dict().values(), strict=True):
        assert torch.equal(tensor, found), name
        assert tensor.dtype == found.dtype
    values = saved.preprocessing.transform(RAW)
    np.testing.assert_array_equal(saved.predict_proba(values), class_probabilities(model, values))
    np.testing.assert_array_equal(saved.predict_proba_raw(RAW), saved.predict_proba(values))
    assert saved.class_names == ("a", "b", "c")
    assert saved.parameter_count == parameter_count(model)
    assert saved.manifest["history"] == {"loss": [1.0, 0.5]}
    assert saved.path == tmp_path / "model"


@pytest.mark.parametrize("kind", KINDS)
def test_golden_predictions_are_reproduced(tmp_path, kind):
    written(tmp_path / "model", kind)
    saved = load_model(tmp_path / "model")
    assert len(saved.golden["inputs"]) == 8
    np.testing.assert_array_equal(saved.golden["inputs"], RAW[::9][:8])
    found = saved.predict_proba_raw(saved.golden["inputs"])
    np.testing.assert_allclose(found, saved.golden["probabilities"], atol=1e-7)
    assert np.ptp(saved.golden["probabilities"], axis=0).max() > 1e-3


def test_a_model_trained_with_shots_is_served_with_exact_values(tmp_path):
    written(tmp_path / "model", "variational", gradient_method="parameter_shift", shots=10)
    saved = load_model(tmp_path / "model")
    found = saved.predict_proba_raw(saved.golden["inputs"])
    np.testing.assert_allclose(found, saved.golden["probabilities"], atol=1e-7)
    np.testing.assert_array_equal(saved.predict_proba_raw(RAW), saved.predict_proba_raw(RAW))


@pytest.mark.parametrize(
    ("method", "options"), [("finite_diff", {"step": 0.2}), ("spsa", {"draws": 2, "seed": 3}), ("spsa", {})]
)
def test_the_options_of_the_gradient_method_are_kept(tmp_path, method, options):
    model, _ = written(tmp_path / "model", "quantum", gradient_method=method, gradient_options=options)
    saved = load_model(tmp_path / "model")
    arguments = saved.manifest["model"]["arguments"]
    assert (arguments["gradient_method"], arguments["gradient_options"]) == (method, options)
    again = build_model(saved.manifest["model"])
    assert again.quantum.method == model.quantum.method
    found = saved.predict_proba_raw(saved.golden["inputs"])
    np.testing.assert_allclose(found, saved.golden["probabilities"], atol=1e-7)


def test_a_model_of_before_these_options_loads(tmp_path):
    written(tmp_path / "model", "variational", gradient_method="spsa")
    saved = load_model(tmp_path / "model")
    assert "gradient_options" not in saved.manifest["model"]["arguments"]
    assert saved.predict_proba_raw(RAW).shape == (150, 3)


def test_a_model_loads_in_a_fresh_process(tmp_path):
    written(tmp_path / "model", "hybrid")
    code = (
        "import json, sys; from quantum_db import load_model; saved = load_model(sys.argv[1]);"
        "print(json.dumps(saved.predict_proba_raw(saved.golden['inputs']).tolist()))"
    )
    done = subprocess.run([sys.executable, "-c", code, tmp_path / "model"], capture_output=True, text=True, check=True)
    saved = load_model(tmp_path / "model")
    np.testing.assert_allclose(json.loads(done.stdout), saved.golden["probabilities"], atol=1e-7)


def test_the_weights_digest_is_that_of_the_weights_alone(tmp_path):
    written(tmp_path / "a", "variational")
    written(tmp_path / "b", "variational")
    digests = [load_model(tmp_path / name).manifest["weights_digest"] for name in "ab"]
    assert digests[0] == digests[1]
    written(tmp_path / "c", "variational", seed=4)
    assert load_model(tmp_path / "c").manifest["weights_digest"] != digests[0]


def test_bad_raw_features_are_refused(tmp_path):
    written(tmp_path / "model", "quantum")
    saved = load_model(tmp_path / "model")
    with pytest.raises(StageInputError, match="4"):
        saved.predict_proba_raw(RAW[:, :3])
    with pytest.raises(StageInputError, match="petal length"):
        saved.predict_proba_raw([[1.0, 2.0, float("nan"), 4.0]])


def flip(path: Path, position: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(position * len(content))] ^= 0xFF
    path.write_bytes(bytes(content))


@pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json"])
@pytest.mark.parametrize("position", [0.0, 0.1, 0.33, 0.5, 0.77, 0.999])
def test_a_changed_byte_is_noticed(tmp_path, name, position):
    written(tmp_path / "model", "variational")
    flip(tmp_path / "model" / name, position)
    with pytest.raises(StoreError, match=r"damaged|cannot be read"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("name", ["arrays.safetensors", "manifest.json"])
@pytest.mark.parametrize("keep", [None, 0.0, 0.5, 0.99])
def test_a_missing_or_cut_file_is_noticed(tmp_path, name, keep):
    written(tmp_path / "model", "variational")
    file = tmp_path / "model" / name
    content = file.read_bytes()
    file.unlink()
    if keep is not None:
        file.write_bytes(content[: int(keep * len(content))])
    with pytest.raises(StoreError):
        load_model(tmp_path / "model")


def test_weights_of_another_model_are_noticed(tmp_path):
    written(tmp_path / "a", "variational")
    written(tmp_path / "b", "variational", seed=9)
    shutil.copy(tmp_path / "b" / "arrays.safetensors", tmp_path / "a" / "arrays.safetensors")
    with pytest.raises(StoreError, match="its digest is"):
        load_model(tmp_path / "a")


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(StoreError, match="there is no model at"):
        load_model(tmp_path / "nowhere")
    Checkpoint({"w": np.zeros(2)}, {"progress": {}}).write(tmp_path / "checkpoint")
    with pytest.raises(StoreError, match="is a checkpoint but not a model"):
        load_model(tmp_path / "checkpoint")


def test_a_model_of_another_release_is_refused(tmp_path):
    written(tmp_path / "model", "variational")
    known = Checkpoint.read(tmp_path / "model")
    for change in ({"circuit_depth": 3}, {"colour": "blue"}):
        manifest = json.loads(json.dumps(known.manifest))
        manifest["model"]["arguments"] |= change
        Checkpoint(known.arrays, manifest).write(tmp_path / "other")
        with pytest.raises(QStoreError, match="does not fit this release"):
            load_model(tmp_path / "other")
