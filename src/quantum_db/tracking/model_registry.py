"""Versions of trained models in an MLflow registry, and the aliases that say what each is for."""

from __future__ import annotations

import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version as distribution_version
from pathlib import Path
from typing import Any, Literal

import numpy as np

from quantum_db.errors import ConfigurationError
from quantum_db.registry import require_package
from quantum_db.tracking.address import check_tracking_uri
from quantum_db.tracking.mlflow_client import experiment_id, load_mlflow, open_client, reaching
from quantum_db.tracking.tracker import TrackingError

Alias = Literal["challenger", "champion", "previous"]

_CODE = Path(__file__).parent.parent / "serving" / "pyfunc_model.py"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DIGEST_TAG = "digest"
_ARTIFACT = "model"


def check_model_name(name: str) -> str:
    """Return `name` if a registry can hold it; raise ConfigurationError otherwise."""
    if not _NAME.fullmatch(name):
        raise ConfigurationError(
            f"the registered name {name!r} cannot be used; take letters, digits, dots, dashes and underscores, "
            "at most 100, starting with a letter or digit"
        )
    return name


@dataclass(frozen=True)
class VersionInfo:
    """One registered version: its number, the digest of its model, the run it came from, its tags and aliases."""

    name: str
    version: str
    digest: str
    run_id: str
    tags: Mapping[str, str]
    aliases: tuple[str, ...]


class ModelRegistry:
    """Registers model directories as versions at `tracking_uri` and moves aliases between them.

    Every method raises TrackingError when the store fails. Artifacts are kept under the experiment `experiment`.
    """

    def __init__(self, tracking_uri: str, experiment: str = "q-store") -> None:
        self.tracking_uri = check_tracking_uri(tracking_uri)
        self._experiment = experiment
        self._client = open_client(self.tracking_uri)

    def register(
        self,
        model_dir: Path,
        name: str,
        *,
        digest: str,
        n_features: int,
        class_names: Sequence[str],
        example: Sequence[Sequence[float]],
        metrics: Mapping[str, float],
        tags: Mapping[str, str],
        run_id: str = "",
    ) -> str:
        """Store `model_dir` as an MLflow model and register it as a new version of `name`; return the version.

        The stored model is code plus the model directory (no pickle), with a signature of raw rows (rows, features)
        and a requirement of this release. `digest` marks the version, so that `find` knows it again; `metrics` become
        tags "metric.<name>"; a `run_id` that this store knows is linked. When anything fails, no version remains.
        """
        check_model_name(name)
        source_run = run_id if run_id and self._knows_run(run_id) else None
        marks = {**tags, **{f"metric.{key}": repr(float(value)) for key, value in metrics.items()}, _DIGEST_TAG: digest}
        experiment = experiment_id(self._client, self.tracking_uri, self._experiment)
        with tempfile.TemporaryDirectory() as scratch, reaching(self.tracking_uri, f"register the model {name!r}"):
            copied, folder = Path(scratch) / _ARTIFACT, Path(scratch) / "pyfunc"
            shutil.copytree(model_dir, copied)  # MLflow keeps the folder's name
            _write_pyfunc(folder, copied, n_features, class_names, example)
            logged = self._client.create_logged_model(experiment, name=name.replace(".", "-"), source_run_id=source_run)
            self._client.log_model_artifacts(logged.model_id, str(folder))
            self._client.finalize_logged_model(logged.model_id, "READY")
            self._ensure_name(name)
            created = self._client.create_model_version(
                name,
                source=logged.artifact_location,
                run_id=source_run,
                tags=marks,
                # without a server in between, MLflow would look this id up in the process's global store
                model_id=logged.model_id if self.tracking_uri.startswith("http") else None,
            )
        return str(created.version)

    def find(self, name: str, digest: str) -> str | None:
        """The newest version of `name` whose model has this digest, or None."""
        check_model_name(name)
        with reaching(self.tracking_uri, f"search the versions of {name!r}"):
            found = self._client.search_model_versions(f"name = '{name}' AND tags.{_DIGEST_TAG} = '{digest}'")
        ready = [int(entry.version) for entry in found if entry.status == "READY"]
        return str(max(ready)) if ready else None

    def info(self, name: str, version: str) -> VersionInfo:
        """What the registry knows about a version; TrackingError (permanent) when there is none."""
        with reaching(self.tracking_uri, f"find version {version} of {name!r}"):
            found = self._client.get_model_version(name, version)
        tags = {str(key): str(value) for key, value in found.tags.items()}
        aliases = tuple(sorted(str(alias) for alias in found.aliases))
        return VersionInfo(name, str(found.version), tags.get(_DIGEST_TAG, ""), found.run_id or "", tags, aliases)

    def alias(self, name: str, alias: Alias) -> str | None:
        """The version that has the alias, or None."""
        try:
            with reaching(self.tracking_uri, f"find the {alias} of {name!r}"):
                return str(self._client.get_model_version_by_alias(name, alias).version)
        except TrackingError as error:
            if error.permanent:
                return None
            raise

    def set_alias(self, name: str, alias: Alias, version: str) -> None:
        """Give the alias to a version; it is taken from the version that had it."""
        with reaching(self.tracking_uri, f"make version {version} of {name!r} the {alias}"):
            self._client.set_registered_model_alias(name, alias, version)

    def remove_alias(self, name: str, alias: Alias) -> None:
        """Take the alias away from whichever version has it."""
        with reaching(self.tracking_uri, f"remove the alias {alias} of {name!r}"):
            self._client.delete_registered_model_alias(name, alias)

    def set_tag(self, name: str, version: str, key: str, value: str) -> None:
        """Set a tag of a version."""
        with reaching(self.tracking_uri, f"tag version {version} of {name!r}"):
            self._client.set_model_version_tag(name, version, key, value)

    def download(self, name: str, version: str, folder: Path) -> Path:
        """Copy the model directory of a version from the store into `folder`; return where it lies."""
        mlflow = load_mlflow()
        with reaching(self.tracking_uri, f"give version {version} of {name!r}"):
            source = self._client.get_model_version_download_uri(name, version)
            copied = mlflow.artifacts.download_artifacts(
                artifact_uri=f"{source}/artifacts/{_ARTIFACT}", dst_path=str(folder), tracking_uri=self.tracking_uri
            )
        return Path(copied)

    @staticmethod
    def uri(name: str, version_or_alias: str) -> str:
        """The MLflow address of a version ("3") or of an alias ("champion")."""
        return (
            f"models:/{name}/{version_or_alias}" if version_or_alias.isdigit() else f"models:/{name}@{version_or_alias}"
        )

    def _knows_run(self, run_id: str) -> bool:
        try:
            with reaching(self.tracking_uri, f"find the run {run_id}"):
                self._client.get_run(run_id)
        except TrackingError as error:
            if error.permanent:
                return False
            raise
        return True

    def _ensure_name(self, name: str) -> None:
        if not self._client.search_registered_models(f"name = '{name}'"):
            self._client.create_registered_model(name)


def _write_pyfunc(
    folder: Path,
    model_dir: Path,
    n_features: int,
    class_names: Sequence[str],
    example: Sequence[Sequence[float]],
) -> None:
    """Write the MLflow form of a model directory to `folder`."""
    mlflow = load_mlflow()
    models = require_package("mlflow.models", "mlflow", "The model registry")
    pyfunc = require_package("mlflow.pyfunc", "mlflow", "The model registry")
    pyfunc.save_model(
        path=str(folder),
        python_model=str(_CODE),
        artifacts={_ARTIFACT: str(model_dir)},
        signature=_signature(models, mlflow, n_features, class_names),
        input_example=np.asarray(example, dtype=np.float64),
        pip_requirements=[f"quantum-db[torch]=={distribution_version('quantum-db')}"],
    )
    # MLflow imports the code where it put it, and Python keeps a compiled copy there
    for compiled in list(folder.rglob("__pycache__")):
        shutil.rmtree(compiled)
    # MLflow notes where things lay on this machine; it only ever uses their names
    stored: Any = models.Model.load(str(folder))
    flavor = stored.flavors["python_function"]
    flavor["model_code_path"] = _CODE.name
    flavor["artifacts"][_ARTIFACT]["uri"] = flavor["artifacts"][_ARTIFACT]["path"]
    stored.save(str(folder / "MLmodel"))


def _signature(models: Any, mlflow: Any, n_features: int, class_names: Sequence[str]) -> Any:
    types = mlflow.types
    inputs = types.Schema([types.TensorSpec(np.dtype(np.float64), (-1, n_features))])
    labels = [types.ColSpec(types.DataType.string, "label")]
    columns = [types.ColSpec(types.DataType.double, f"probability_{name}") for name in class_names]
    return models.ModelSignature(inputs=inputs, outputs=types.Schema([*labels, *columns]))
