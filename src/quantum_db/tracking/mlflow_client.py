"""The one place that imports MLflow and opens its client.

Usage telemetry and progress bars of MLflow are switched off, and its HTTP retries are kept short: its own defaults
wait up to four minutes for a server that is down. These are MLflow's process-wide settings; a retry setting that
the user made in the environment (MLFLOW_HTTP_REQUEST_MAX_RETRIES, MLFLOW_HTTP_REQUEST_TIMEOUT) is left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from quantum_db.errors import QStoreError
from quantum_db.registry import require_package
from quantum_db.tracking.address import artifact_location, sqlite_path
from quantum_db.tracking.tracker import TrackingError

HTTP_RETRIES = 1
HTTP_TIMEOUT_S = 15
_PERMANENT_CODES = frozenset({"INVALID_PARAMETER_VALUE", "RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS"})


def load_mlflow() -> Any:
    """Import MLflow with telemetry off and short retries; raise MissingDependencyError if it is not installed."""
    mlflow = require_package("mlflow", "mlflow", "Experiment tracking")
    variables = require_package("mlflow.environment_variables", "mlflow", "Experiment tracking")
    telemetry = require_package("mlflow.telemetry", "mlflow", "Experiment tracking")
    variables.MLFLOW_DISABLE_TELEMETRY.set("true")
    telemetry.set_telemetry_client()  # drops the client that the import made; it has sent nothing by then
    if not variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.is_set():
        variables.MLFLOW_HTTP_REQUEST_MAX_RETRIES.set(HTTP_RETRIES)
    if not variables.MLFLOW_HTTP_REQUEST_TIMEOUT.is_set():
        variables.MLFLOW_HTTP_REQUEST_TIMEOUT.set(HTTP_TIMEOUT_S)
    variables.MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set("false")
    logging.getLogger("mlflow").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    return mlflow


def open_client(uri: str) -> Any:
    """Return an `MlflowClient` for tracking and registry at `uri` (a checked address)."""
    mlflow = load_mlflow()
    database = sqlite_path(uri)
    with reaching(uri, "be opened"):
        if database is not None:
            database.parent.mkdir(parents=True, exist_ok=True)
        return mlflow.MlflowClient(tracking_uri=uri, registry_uri=uri)


def experiment_id(client: Any, uri: str, name: str) -> str:
    """Return the id of the experiment `name`, made if it does not exist; artifacts go beside a SQLite database."""
    with reaching(uri, f"open the experiment {name!r}"):
        found = client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        try:
            return str(client.create_experiment(name, artifact_location=artifact_location(uri)))
        except load_mlflow().MlflowException:
            found = client.get_experiment_by_name(name)  # another process was faster
            if found is None:
                raise
            return str(found.experiment_id)


@contextmanager
def reaching(uri: str, what: str) -> Iterator[None]:
    """Turn whatever goes wrong inside the block into TrackingError: "the tracking store ... could not <what>".

    MLflow and the clients below it (HTTP, SQL, object stores) have no common error, hence the wide catch; nothing
    is swallowed.
    """
    try:
        yield
    except QStoreError:
        raise
    except Exception as error:
        code = getattr(error, "error_code", "")
        permanent = code in _PERMANENT_CODES or isinstance(error, FileNotFoundError)
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise TrackingError(
            f"the tracking store {uri} could not {what}: {reason}. "
            "Check that the address is right and that the store is up and has space left.",
            permanent=permanent,
        ) from error
