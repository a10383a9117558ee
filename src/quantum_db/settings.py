"""The only reader of environment variables.

| Variable | Read by | Meaning |
| --- | --- | --- |
| MLFLOW_TRACKING_URI | stages train and deploy | the tracking store when a stage is given none |
| IONQ_API_URL | runs on IonQ's targets | IonQ's API, or a gateway's; IonQ's cloud when unset |
| IONQ_API_KEY | the same, qstore gateway and worker | the key of that service, or of the gateway's upstream service |
| IONQ_API_KEY_FILE | the same | a file that holds that key, for example a mounted secret |
| QSTORE_GATEWAY_API_KEYS | qstore gateway | who may use it: tenant:key,tenant2:key2 |
| QSTORE_GATEWAY_API_KEYS_FILE | the same | the same as a JSON file, with limits |
| QSTORE_UPSTREAM_URL | qstore gateway and worker | the upstream when none is given; unset: nothing is forwarded |
| QSTORE_LOG_LEVEL | every process | DEBUG, INFO, WARNING or ERROR; INFO when unset |

MLflow reads its own login (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN) itself.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from quantum_db.errors import ConfigurationError
from quantum_db.tracking.address import check_tracking_uri, default_tracking_uri

if TYPE_CHECKING:
    from quantum_db.execution.machines import Connection

_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


def tracking_uri() -> str:
    """The tracking store named by MLFLOW_TRACKING_URI, or "" when it is unset."""
    return os.environ.get("MLFLOW_TRACKING_URI", "").strip()


def choose_tracking_uri(asked: str, run_folder: Path) -> str:
    """The store to use: `asked`, else MLFLOW_TRACKING_URI, else a SQLite file in `run_folder`.

    Raises ConfigurationError for an address that carries a login or that is a plain folder.
    """
    named = asked.strip() or tracking_uri()
    return check_tracking_uri(named) if named else default_tracking_uri(run_folder)


def log_level() -> str:
    """The level named by QSTORE_LOG_LEVEL, in capitals; ConfigurationError when there is no such level."""
    level = os.environ.get("QSTORE_LOG_LEVEL", "INFO").strip().upper()
    if level not in _LOG_LEVELS:
        raise ConfigurationError(f"QSTORE_LOG_LEVEL is {level!r}; set one of: {', '.join(_LOG_LEVELS)}")
    return level


def gateway_api_keys() -> str:
    """The tenants and keys in QSTORE_GATEWAY_API_KEYS, or "" when it is unset."""
    return os.environ.get("QSTORE_GATEWAY_API_KEYS", "").strip()


def gateway_api_keys_file() -> Path | None:
    """The file that QSTORE_GATEWAY_API_KEYS_FILE names, or None when it is unset."""
    named = os.environ.get("QSTORE_GATEWAY_API_KEYS_FILE", "").strip()
    return Path(named) if named else None


def upstream_url() -> str:
    """The address named by QSTORE_UPSTREAM_URL, or "" when it is unset."""
    return os.environ.get("QSTORE_UPSTREAM_URL", "").strip()


def upstream_api_key() -> str:
    """The key in IONQ_API_KEY, else in the file that IONQ_API_KEY_FILE names; "" when neither is set.

    Raises ConfigurationError when the file cannot be read or holds no key.
    """
    given = os.environ.get("IONQ_API_KEY", "").strip()
    named = os.environ.get("IONQ_API_KEY_FILE", "").strip()
    if given or not named:
        return given
    try:
        key = Path(named).read_text().strip()
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"IONQ_API_KEY_FILE names {named}, which cannot be read ({error})") from error
    if not key:
        raise ConfigurationError(f"IONQ_API_KEY_FILE names {named}, which is empty; put the key into it")
    return key


def ionq_url() -> str:
    """The address of IonQ's API named by IONQ_API_URL, or "" when it is unset."""
    return os.environ.get("IONQ_API_URL", "").strip()


def ionq_api_key() -> str:
    """The key for IonQ's API, from IONQ_API_KEY or the file that IONQ_API_KEY_FILE names.

    Raises ConfigurationError when there is none.
    """
    key = upstream_api_key()
    if not key:
        raise ConfigurationError(
            "there is no API key for IonQ; set IONQ_API_KEY, or IONQ_API_KEY_FILE to a file that holds it (a mounted "
            "secret)"
        )
    return key


def machine_connection(qpu_target: str) -> Connection | None:
    """How a run on `qpu_target` reaches IonQ's API; None for targets that need nobody.

    Raises ConfigurationError when there is no key. A key in a file is read again when the service refuses it.
    """
    from quantum_db.execution.targets import IonQTargets
    from quantum_db.execution.targets import qpu_target as parsed

    if not isinstance(parsed(qpu_target), IonQTargets):
        return None
    from quantum_db.execution.machines import Connection

    ionq_api_key()
    return Connection(ionq_url(), ionq_api_key)
