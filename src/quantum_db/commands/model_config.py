"""The option --model-config: JSON on the command line, or @file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from quantum_db.errors import ConfigurationError


def read_model_config(given: str) -> str:
    """Return the JSON text that `given` is, or that the file named by "@file" holds.

    Raises ConfigurationError when the file cannot be read, or when a setting is written twice: JSON would take the
    last one silently. Text that is not JSON is left to `QuantumTrainingConfig.from_json`, which says what is wrong.
    """
    text = _read(Path(given[1:])) if given.startswith("@") else given
    try:
        json.loads(text, object_pairs_hook=_without_repetition)
    except ValueError:
        return text
    return text


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigurationError(
            f"--model-config names the file {path}, which cannot be read ({reason}); check the path"
        ) from error


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in pairs:
        if name in values:
            raise ConfigurationError(
                f"--model-config sets {name!r} twice, to {values[name]!r} and to {value!r}; leave one of them out"
            )
        values[name] = value
    return values
