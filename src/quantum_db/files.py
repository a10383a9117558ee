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


@contextmanager
def new_directory(path: Path | str) -> Iterator[Path]:
    """Fill a directory that appears at `path` only when the block ends without an error.

    Yields a temporary directory beside `path`. An existing directory at `path` is replaced as a whole.
    """
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".partial"))
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
    if target.is_dir():
        old = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".old"))
        os.replace(target, old / target.name)
        os.replace(partial, target)
        shutil.rmtree(old)
    else:
        target.unlink(missing_ok=True)
        os.replace(partial, target)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
