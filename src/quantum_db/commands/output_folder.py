"""The folder of a pipeline run: can it be written, what is in it, and where the results of an earlier run go.

Nothing that is not recognisably a result of Q-Store is moved, replaced or removed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from quantum_db.checkpoints.checkpoint import ARRAYS, MANIFEST
from quantum_db.errors import ConfigurationError

PREVIOUS = "previous"
"""Folder inside the output folder that holds the results of earlier runs, each in a folder named after its time."""

_LOG_LINE = re.compile(r"[\d:.]+ - [A-Z]+ - ")
_PAID = re.compile(r"journal\.(jsonl|lock)|budget\.sqlite(-wal|-shm|-journal)?")
_OF_A_RUN = re.compile(r"\.?(epoch-\d{5}-batch-\d{6}-[0-9a-f]{12}|tracking\.json)(\..*\.(partial|old))?")


def check_output(output: Path) -> None:
    """Raise ConfigurationError when `output` cannot be written, or when something foreign stands where a result goes.

    Nothing is written. A folder that does not exist yet is fine when its nearest existing parent can be written to.
    """
    existing = next(folder for folder in (output, *output.parents) if folder.exists() or folder.is_symlink())
    if not existing.is_dir():
        raise ConfigurationError(f"--output {output} cannot be written: {existing} is not a folder; name another one")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ConfigurationError(f"--output {output} cannot be written: {existing} is read-only; name another folder")
    for name, is_ours in {**_RESULTS, **_KEPT}.items():
        path = output / name
        linked = path.is_symlink() and name in _RESULTS  # would be replaced by a file or folder
        if linked or (path.exists() and not is_ours(path)):
            raise ConfigurationError(
                f"{path} is not a result of Q-Store and stands where one would go; move it away, or name another "
                "folder with --output"
            )


def prepare_output(output: Path) -> Path | None:
    """Make `output` and move the results of an earlier run in it to a folder of their own below `output`/previous.

    Returns that folder, or None when there were no earlier results. Raises ConfigurationError when the folder cannot
    be written, and what `check_output` raises.
    """
    check_output(output)
    try:
        output.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=output, prefix=".writable."):
            pass
    except OSError as error:
        raise ConfigurationError(
            f"--output {output} cannot be written ({error.strerror}); name another folder"
        ) from error
    results = [output / name for name in _RESULTS if (output / name).exists()]
    if not results:
        return None
    folder = _new_folder(output / PREVIOUS)
    for result in results:
        result.rename(folder / result.name)
    return folder


def remove_checkpoints(folder: Path) -> None:
    """Remove the checkpoints in `folder` and what is empty then, unless something else is in it.

    Journals and budgets of runs on machines stay: they hold what was paid for, and a replay needs them.
    """
    if not folder.is_dir() or not _is_checkpoints(folder):
        return
    for run in folder.iterdir():
        for entry in run.iterdir():
            if _PAID.fullmatch(entry.name):
                continue
            if entry.is_dir():
                shutil.rmtree(entry)
            else:
                entry.unlink()
        if not any(run.iterdir()):
            run.rmdir()
    if not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()


def _new_folder(parent: Path) -> Path:
    """A new folder in `parent` named after the time; with a number behind it where two meet."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H-%M-%SZ")
    names = [stamp, *(f"{stamp}-{number}" for number in range(2, 1000))]
    folder = next(parent / name for name in names if not (parent / name).exists())
    folder.mkdir(parents=True)
    return folder


def _is_model(path: Path) -> bool:
    return path.is_dir() and _holds_only(path, {ARRAYS, MANIFEST}) and (path / MANIFEST).is_file()


def _is_report(path: Path) -> bool:
    names = {"index", "preprocess", "quantum-encode", "plan", "train", "evaluate", "deploy"}
    return path.is_dir() and _holds_only(path, {f"{name}.html" for name in names}) and (path / "index.html").is_file()


def _holds_only(folder: Path, names: set[str]) -> bool:
    return all(entry.name in names | {".DS_Store"} and entry.is_file() for entry in folder.iterdir())


def _is_object_with(*keys: str) -> Callable[[Path], bool]:
    """Whether a file is a JSON object with all of `keys`."""

    def check(path: Path) -> bool:
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return False
        return isinstance(content, dict) and set(keys) <= set(content)

    return check


def _is_log(path: Path) -> bool:
    """Whether a file is empty or begins like the log of the local runner."""
    if not path.is_file():
        return False
    with path.open(encoding="utf-8", errors="replace") as stream:
        begin = stream.read(200)
    return not begin or _LOG_LINE.match(begin) is not None


def _is_checkpoints(path: Path) -> bool:
    """Whether a folder holds nothing but runs, and these nothing but checkpoints, tracking run, journal and budget."""
    return path.is_dir() and all(
        run.is_dir() and all(_OF_A_RUN.fullmatch(e.name) or _PAID.fullmatch(e.name) for e in run.iterdir())
        for run in path.iterdir()
    )


_RESULTS: dict[str, Callable[[Path], bool]] = {
    "model": _is_model,
    "report": _is_report,
    "evaluation.json": _is_object_with("schema_version", "accuracy", "model_digest"),
    "deployment.json": _is_object_with("schema_version", "deployed", "reason"),
    "run.json": _is_object_with("status", "tasks", "failed_task"),
    "pipeline.log": _is_log,
}
_KEPT: dict[str, Callable[[Path], bool]] = {
    "artifacts": Path.is_dir,
    "checkpoints": _is_checkpoints,
    PREVIOUS: Path.is_dir,
}
