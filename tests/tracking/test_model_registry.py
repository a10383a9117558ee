import json
import os
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import mlflow
import numpy as np
import pytest

from quantum_db.errors import ConfigurationError
from quantum_db.models import SavedModel, load_model
from quantum_db.tracking.address import default_tracking_uri
from quantum_db.tracking.mlflow_tracker import MlflowTracker
from quantum_db.tracking.model_registry import ModelRegistry, check_model_name
from quantum_db.tracking.tracker import TrackingError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def registry(folder: Path) -> ModelRegistry:
    return ModelRegistry(default_tracking_uri(folder))


@pytest.fixture(scope="module")
def model(iris_model: Path) -> SavedModel:
    return load_model(iris_model)


@pytest.fixture
def global_store(registry: ModelRegistry) -> Iterator[None]:
    """Makes the registry the process's store, as a user of MLflow does, and forgets it again."""
    mlflow.set_tracking_uri(registry.tracking_uri)
    yield
    mlflow.set_tracking_uri(None)
    os.environ.pop("MLFLOW_TRACKING_URI", None)


def register(registry: ModelRegistry, model: SavedModel, name: str, run_id: str = "") -> str:
    return registry.register(
        model.path,
        name,
        digest=model.digest,
        n_features=4,
        class_names=model.class_names,
        example=model.golden["inputs"][:2],
        metrics={"accuracy": 0.94},
        tags={"dataset": "builtin:iris"},
        run_id=run_id,
    )


def test_a_registered_version_predicts_through_mlflow_alone(
    registry: ModelRegistry, model: SavedModel, folder: Path
) -> None:
    version = register(registry, model, "iris")
    registry.set_alias("iris", "champion", version)
    script = (
        "import json, sys, mlflow, numpy as np\n"
        "loaded = mlflow.pyfunc.load_model('models:/iris@champion')\n"
        "frame = loaded.predict(np.asarray(json.loads(sys.argv[1])))\n"
        "print(frame.to_json(orient='split', double_precision=15))"
    )
    rows = model.golden["inputs"]
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(folder), "MLFLOW_TRACKING_URI": registry.tracking_uri}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::FutureWarning", "-c", script, str(rows)],
        env=clean, capture_output=True, text=True, cwd=folder,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    frame = json.loads(done.stdout.splitlines()[-1])
    assert frame["columns"] == ["label", "probability_setosa", "probability_versicolor", "probability_virginica"]
    np.testing.assert_allclose([row[1:] for row in frame["data"]], model.golden["probabilities"], atol=1e-12)
    assert frame["data"][0][0] == "setosa"
    assert "type hint" not in done.stderr


@pytest.mark.usefixtures("global_store")
def test_the_stored_model_has_a_signature_no_pickle_and_no_path_of_this_machine(
    registry: ModelRegistry, model: SavedModel, folder: Path, iris_model: Path
) -> None:
    version = register(registry, model, "checked")
    info = mlflow.models.get_model_info(ModelRegistry.uri("checked", version))
    assert info.signature.inputs.inputs[0].shape == (-1, 4)
    assert info.signature.outputs.input_names()[0] == "label"
    source = mlflow.MlflowClient().get_model_version("checked", version).source
    stored = Path(urlsplit(source).path).parent
    assert folder in stored.parents
    files = [path for path in stored.rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix in (".pkl", ".pickle", ".pt", ".joblib")]
    for path in files:
        content = path.read_bytes()
        for secret in (str(Path.cwd()), str(iris_model.parent), "/tmp/"):
            assert secret.encode() not in content, path
    requirements = next(path for path in files if path.name == "requirements.txt").read_text()
    assert "quantum-db[torch]==" in requirements


@pytest.mark.usefixtures("global_store")
def test_wrong_input_is_refused_by_the_loaded_model(registry: ModelRegistry, model: SavedModel) -> None:
    version = register(registry, model, "strict")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        loaded = mlflow.pyfunc.load_model(ModelRegistry.uri("strict", version))
    with pytest.raises(mlflow.MlflowException, match="shape"):
        loaded.predict(np.zeros((2, 5)))


def test_versions_know_their_digest_metrics_tags_and_run(registry: ModelRegistry, model: SavedModel) -> None:
    run_id = MlflowTracker(registry.tracking_uri).start("run", {}, {})
    first = register(registry, model, "known", run_id=run_id)
    second = register(registry, model, "known", run_id="f" * 32)
    assert (first, second) == ("1", "2")
    registry.set_alias("known", "challenger", first)
    registry.set_tag("known", first, "smoke_test", "passed")
    info = registry.info("known", first)
    assert info.digest == model.digest
    assert info.run_id == run_id
    assert info.aliases == ("challenger",)
    assert dict(info.tags) == {
        "dataset": "builtin:iris", "digest": model.digest, "metric.accuracy": "0.94", "smoke_test": "passed",
    }  # fmt: skip
    assert registry.info("known", second).run_id == ""
    assert registry.find("known", model.digest) == "2"
    assert registry.find("known", "0" * 64) is None
    assert registry.find("nobody", model.digest) is None


def test_aliases_move(registry: ModelRegistry, model: SavedModel) -> None:
    first, second = register(registry, model, "moving"), register(registry, model, "moving")
    assert registry.alias("moving", "champion") is None
    registry.set_alias("moving", "champion", first)
    registry.set_alias("moving", "champion", second)
    assert registry.alias("moving", "champion") == second
    registry.remove_alias("moving", "champion")
    assert registry.alias("moving", "champion") is None


def test_a_version_can_be_copied_back_and_is_the_same_model(
    registry: ModelRegistry, model: SavedModel, tmp_path: Path
) -> None:
    version = register(registry, model, "copied")
    assert load_model(registry.download("copied", version, tmp_path)).digest == model.digest


def test_unknown_versions_and_names(registry: ModelRegistry) -> None:
    with pytest.raises(TrackingError) as raised:
        registry.info("nobody", "1")
    assert raised.value.permanent
    assert registry.alias("nobody", "champion") is None


@pytest.mark.parametrize("name", ["", "a/b", "a b", "it's", "-a", "a" * 101, "a:b", "x\n"])
def test_names_that_no_registry_holds_are_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match="cannot be used"):
        check_model_name(name)


@pytest.mark.slow
def test_a_tracking_server_holds_versions_too(model: SavedModel, tmp_path: Path) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "mlflow", "server", "--port", str(port), "--workers", "1"]
    command += ["--backend-store-uri", f"sqlite:///{tmp_path}/mlflow.db"]
    command += ["--artifacts-destination", str(tmp_path / "artifacts")]
    environment = {**os.environ, "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "MLFLOW_DISABLE_TELEMETRY": "true"}
    with (tmp_path / "server.log").open("w") as log:
        server = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        registry = ModelRegistry(f"http://127.0.0.1:{port}")
        deadline = time.monotonic() + 120
        while True:
            try:
                assert registry.find("remote", model.digest) is None
                break
            except TrackingError:
                assert time.monotonic() < deadline
                time.sleep(0.2)
        version = register(registry, model, "remote")
        registry.set_alias("remote", "champion", version)
        assert registry.alias("remote", "champion") == "1"
        assert registry.find("remote", model.digest) == "1"
        assert load_model(registry.download("remote", version, tmp_path / "copy")).digest == model.digest
    finally:
        os.killpg(server.pid, 15)
        server.wait(timeout=30)
