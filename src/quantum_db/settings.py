"""The only reader of environment variables.

| Variable | Read by | Meaning |
| --- | --- | --- |
| MLFLOW_TRACKING_URI | stages train and deploy | the tracking store when a stage is given none |
| QSTORE_LOG_LEVEL | every process | DEBUG, INFO, WARNING or ERROR; INFO when unset |

MLflow reads its own login (MLFLOW_TRACKING_USERNAME, MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN) itself.
"""

from __future__ import annotations

import os
from pathlib import Path

from quantum_db.errors import ConfigurationError
from quantum_db.tracking.address import check_tracking_uri, default_tracking_uri

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
