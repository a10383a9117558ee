"""`qstore datasets` and `qstore version`."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from importlib.metadata import version as version_of

from quantum_db.stages.arguments import ArgumentParser


def datasets(arguments: Sequence[str]) -> int:
    """Print the addresses that a pipeline or the stage preprocess can read data from."""
    ArgumentParser(prog="qstore datasets", description="List where data can come from.").parse_args(arguments)
    from quantum_db.data.sources import list_sources

    for address in list_sources():
        print(address)
    return 0


def version(arguments: Sequence[str]) -> int:
    """Print the version of Q-Store and of Python."""
    ArgumentParser(prog="qstore version", description="Print the version.").parse_args(arguments)
    print(f"qstore {version_of('quantum-db')} (Python {platform.python_version()})")
    return 0
