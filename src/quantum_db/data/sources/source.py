"""What a data source and a remote store have to offer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from quantum_db.data.raw_dataset import RawDataset
from quantum_db.errors import StageInputError


@dataclass(frozen=True)
class Source:
    """One format of data.

    addresses: what to type, for listings; check(address): cheap, raises StageInputError when the name or file does not
    exist; load(address, label_column): reads it, raises StageInputError; is_local: addresses are paths.
    """

    addresses: tuple[str, ...]
    check: Callable[[str], None]
    load: Callable[[str, str], RawDataset]
    is_local: bool = True


@dataclass(frozen=True)
class RemoteStore:
    """A place that holds files of the local formats.

    addresses: what to type; check(address): looks at the form only and returns the file's name, with "/" at its end
    for a folder; fetch(address, folder): downloads into `folder` and returns the local path. Both raise
    StageInputError.
    """

    addresses: tuple[str, ...]
    check: Callable[[str], str]
    fetch: Callable[[str, Path], Path]


def check_file(address: str) -> None:
    """Raise StageInputError unless `address` is an existing file."""
    path = Path(address)
    if not path.exists():
        raise StageInputError(f"{address} does not exist; check the path and the working directory")
    if not path.is_file():
        raise StageInputError(f"{address} is a directory, and a file is needed; give the path of the file itself")
