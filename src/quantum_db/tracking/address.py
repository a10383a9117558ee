"""Addresses of tracking stores: which are accepted, which is the default, where their artifacts go."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from quantum_db.errors import ConfigurationError

_SQLITE = "sqlite:///"
_SCHEMES = ("sqlite", "http", "https", "postgresql", "mysql", "mssql", "databricks")


def check_tracking_uri(uri: str) -> str:
    """Return `uri` if it can be used as a tracking store, with a relative SQLite path made absolute.

    Raises ConfigurationError when a user name or password is inside it (addresses are printed and stored, so they
    must not carry secrets), when its scheme is unknown, or when it is a plain folder, which MLflow no longer
    supports. The message never repeats the secret.
    """
    try:
        parts = urlsplit(uri)
        has_login = parts.username is not None or parts.password is not None
    except ValueError as error:
        raise ConfigurationError("the tracking URI cannot be parsed; write for example http://host:5000") from error
    if has_login:
        raise ConfigurationError(
            f"the tracking URI of host {parts.hostname!r} carries a user name or password, and addresses end up in "
            "logs and reports. Leave them out and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD instead; "
            "put a tracking server in front of a database that needs a login."
        )
    if parts.scheme in ("", "file"):
        raise ConfigurationError(
            f"the tracking URI {uri!r} is a folder; MLflow keeps runs in a database or on a server. "
            "Use sqlite:///<absolute path>/mlflow.db or http://host:5000"
        )
    if parts.scheme.partition("+")[0] not in _SCHEMES:
        raise ConfigurationError(
            f"the tracking URI has the unknown scheme {parts.scheme!r}; known: {', '.join(_SCHEMES)}"
        )
    database = sqlite_path(uri)
    return uri if database is None else _SQLITE + str(database)


def default_tracking_uri(folder: Path | str) -> str:
    """The SQLite store that a run keeps in `folder` when no other is named."""
    return _SQLITE + str(Path(folder).resolve() / "mlflow.db")


def sqlite_path(uri: str) -> Path | None:
    """The absolute database file of a SQLite URI, or None for any other URI."""
    if not uri.startswith(_SQLITE):
        return None
    return Path(unquote(uri[len(_SQLITE) :].partition("?")[0])).resolve()


def artifact_location(uri: str) -> str | None:
    """Where a new experiment keeps its artifacts: beside a SQLite database; None lets a server decide."""
    database = sqlite_path(uri)
    return None if database is None else (database.parent / "mlartifacts").as_uri()
