"""The API key of a gateway that was given none: made once, kept in a file that only its owner can read."""

from __future__ import annotations

import secrets
import stat
from pathlib import Path

from quantum_db.errors import ConfigurationError

GENERATED_TENANT = "local"
_SQLITE = "sqlite:///"


def generated_key(database: str) -> tuple[str, Path]:
    """The key and its file: beside a SQLite ledger, else in the working directory. An earlier key is used again.

    Raises ConfigurationError when the file can be read by others or cannot be written.
    """
    path = _place(database)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=False)
        path.write_text(secrets.token_hex(24) + "\n")
    except FileExistsError:
        _check_private(path)
    except OSError as error:
        raise ConfigurationError(
            f"no API key is set, and none can be written to {path} ({error.strerror}); set QSTORE_GATEWAY_API_KEYS"
        ) from error
    return path.read_text().strip(), path


def _place(database: str) -> Path:
    if database.startswith(_SQLITE):
        return Path(database.removeprefix(_SQLITE)).with_suffix(".key")
    return Path("gateway.key")


def _check_private(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        raise ConfigurationError(f"{path} holds an API key and can be read by others; run: chmod 600 {path}")
    if not path.read_text().strip():
        raise ConfigurationError(f"{path} is empty; delete it, and a new API key will be made")
