"""Files that are either whole or absent: written beside their place, synced, then renamed over it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from quantum_db.errors import StoreError


def write_bytes(path: Path | str, content: bytes) -> Path:
    """Write `content` to `path` atomically and durably; return the path."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".partial")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        os.chmod(name, 0o644)
        os.replace(name, target)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    _sync_directory(target.parent)
    return target


def write_text(path: Path | str, content: str) -> Path:
    """Write `content` as UTF-8 to `path` atomically; return the path."""
    return write_bytes(path, content.encode())


def write_json(path: Path | str, content: Any) -> Path:
    """Write `content` as indented JSON with sorted keys to `path` atomically; NaN and infinity are refused."""
    return write_text(path, json.dumps(content, indent=2, sort_keys=True, allow_nan=False) + "\n")


def read_json(path: Path | str) -> Any:
    """Read a JSON file; raise StoreError when it is missing or not JSON."""
    try:
        return json.loads(Path(path).read_text())
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist; check the path, or run the stage that writes it") from error
    except (OSError, ValueError) as error:
        raise StoreError(f"{path} cannot be read as JSON ({error}); write it again or restore it") from error


def check_output_directory(path: Path | str, marker: str) -> Path:
    """Return the absolute path if an artifact may be written there; raise StoreError otherwise.

    `marker` is a file that such an artifact always holds. A directory that holds something else is never replaced, nor
    is a file, the working directory, or anything where this user may not write.
    """
    target = Path(path).resolve()
    if target == Path.cwd() or target in Path.cwd().parents:
        raise StoreError(f"{path} is the working directory or above it, and would be replaced; name another directory")
    if target.exists() and not target.is_dir():
        raise StoreError(f"{path} is a file, and a directory is to be written there; name another place")
    if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
        raise StoreError(
            f"{path} holds files that are not Q-Store's (there is no {marker}), and the directory would be replaced; "
            f"name another directory, or empty this one"
        )
    above = next(folder for folder in target.parents if folder.exists())
    if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
        raise StoreError(f"{path} cannot be written: {above} is no directory that this user may write to")
    return target


@contextmanager
def new_directory(path: Path | str, marker: str) -> Iterator[Path]:
    """Fill a directory that appears at `path` only when the block ends without an error.

    Yields a temporary directory beside `path`. An existing directory of the same kind, which holds the file `marker`,
    is replaced as a whole; anything else there is refused with StoreError (see `check_output_directory`).
    """
    target = check_output_directory(path, marker)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".partial"))
    except OSError as error:
        raise StoreError(f"{path} cannot be written ({error.strerror}); name another directory") from error
    try:
        yield partial
        for file in partial.rglob("*"):
            if file.is_file():
                with file.open("rb") as stream:
                    os.fsync(stream.fileno())
        os.chmod(partial, 0o755)
        _replace_directory(partial, target)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    _sync_directory(target.parent)


def sha256_of(path: Path | str) -> str:
    """Return the hexadecimal SHA-256 of a file's bytes."""
    with Path(path).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _replace_directory(partial: Path, target: Path) -> None:
    if not target.is_dir():
        os.replace(partial, target)
        return
    old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".old"))
    os.replace(target, old / target.name)
    try:
        os.replace(partial, target)
    except OSError:
        os.replace(old / target.name, target)
        raise
    finally:
        shutil.rmtree(old)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
