"""Where data comes from: bundled sets, tables, arrays, MNIST's format, images, object storage.

To add a format: one file with a `Source`, one row in SOURCES, one test. An address is a name ("builtin:digits"), a
path that ends in a known way ("flowers.csv"), a directory (MNIST's files, or images by class), any path with the
format in front ("csv:flowers.txt"), or one of the former in a remote store ("s3://bucket/flowers.csv").
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from quantum_db.data.raw_dataset import RawDataset
from quantum_db.data.sources.recognition import kind_of_name, kind_of_path
from quantum_db.data.sources.source import RemoteStore, Source
from quantum_db.errors import StageInputError
from quantum_db.registry import Table

SOURCES = Table(
    "data source",
    {
        "builtin": "quantum_db.data.sources.builtin:SOURCE",
        "csv": "quantum_db.data.sources.tables:CSV",
        "parquet": "quantum_db.data.sources.tables:PARQUET",
        "npz": "quantum_db.data.sources.npz:SOURCE",
        "idx": "quantum_db.data.sources.idx:SOURCE",
        "images": "quantum_db.data.sources.images:SOURCE",
    },
)
REMOTE_STORES = Table("remote data store", {"s3": "quantum_db.data.sources.s3:STORE"})


@dataclass(frozen=True)
class SourceAddress:
    """A data source that was found: `kind` is a name in SOURCES or REMOTE_STORES, `address` what it is given.

    `dataset` names the same source from any working directory: local paths are absolute in it.
    """

    kind: str
    address: str
    dataset: str


def list_sources() -> tuple[str, ...]:
    """Return the addresses that can be given: names as they are, paths as patterns."""
    members: list[Source | RemoteStore] = [SOURCES.load(name) for name in SOURCES.names()]
    members += [REMOTE_STORES.load(name) for name in REMOTE_STORES.names()]
    return tuple(address for member in members for address in member.addresses)


def resolve_source(dataset: str) -> SourceAddress:
    """Check that `dataset` names a source that exists, without reading it and without the network.

    Raises StageInputError for an unknown source (listing what exists) and for a missing file. Whether an object in a
    remote store exists is only seen by `load_source`.
    """
    scheme, separator, rest = dataset.partition(":")
    if separator and scheme in REMOTE_STORES.names():
        store: RemoteStore = REMOTE_STORES.load(scheme)
        if not (name := store.check(dataset)).endswith("/"):
            _known(kind_of_name(name), dataset)
        return SourceAddress(scheme, dataset, dataset)
    if separator and rest and scheme in SOURCES.names():
        return _checked(scheme, rest)
    path = Path(dataset)
    if dataset and path.exists():
        return _checked(_known(kind_of_path(path), dataset), dataset)
    kind = kind_of_name(dataset)
    if kind is None or "://" in dataset:
        raise _unknown(dataset)
    return _checked(kind, dataset)


def load_source(dataset: str, label_column: str = "label") -> RawDataset:
    """Read the source `dataset`.

    label_column: the column with the classes, for tables (CSV, Parquet); other sources know their labels. Raises
    StageInputError when the source is unknown, missing, unreadable, empty, or not a table of numbers with labels.
    """
    found = resolve_source(dataset)
    try:
        if found.kind not in REMOTE_STORES.names():
            source: Source = SOURCES.load(found.kind)
            return source.load(found.address, label_column)
        with _fetched(found) as path:
            source = SOURCES.load(_known(kind_of_path(path), dataset))
            return replace(source.load(str(path), label_column), name=dataset)
    except (OSError, EOFError) as error:
        raise StageInputError(f"{dataset} cannot be read ({error}); check the file and its permissions") from error


@contextmanager
def _fetched(found: SourceAddress) -> Iterator[Path]:
    store: RemoteStore = REMOTE_STORES.load(found.kind)
    with tempfile.TemporaryDirectory(prefix="qstore-data-") as folder:
        yield store.fetch(found.address, Path(folder))


def _checked(kind: str, address: str) -> SourceAddress:
    source: Source = SOURCES.load(kind)
    source.check(address)
    place = str(Path(address).resolve()) if source.is_local else address
    return SourceAddress(kind, address, f"{kind}:{place}")


def _known(kind: str | None, dataset: str) -> str:
    if kind is None:
        raise _unknown(dataset)
    return kind


def _unknown(dataset: str) -> StageInputError:
    scheme, separator, _ = dataset.partition("://")
    shown = f"{scheme}://..." if separator else dataset  # what follows may hold a password
    also = f" Did you mean 'builtin:{dataset}'?" if f"builtin:{dataset}" in list_sources() else ""
    return StageInputError(
        f"unknown data source {shown!r}: it is no known name, and no file or directory of a known format.{also} "
        f"Known: {', '.join(list_sources())}"
    )
