"""Puts the executor of a run together from its configuration."""

from __future__ import annotations

from dataclasses import dataclass

from quantum_db.backends import BACKENDS
from quantum_db.backends.protocols import Executor
from quantum_db.errors import ConfigurationError


@dataclass(frozen=True)
class ExecutionConfig:
    """Where circuits run.

    `precision` and `device` are those of the embedded simulator; `max_concurrent_circuits` bounds how many circuits
    it holds in memory at once (None: all of a batch).
    """

    qpu_target: str = "simulator"
    max_concurrent_circuits: int | None = None
    precision: str = "complex64"
    device: str = "cpu"

    def __post_init__(self) -> None:
        BACKENDS.require(self.qpu_target)
        limit = self.max_concurrent_circuits
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise ConfigurationError(f"max_concurrent_circuits must be a positive integer or None, got {limit!r}")


def assemble(config: ExecutionConfig) -> Executor:
    """Make the executor that `config` describes; raise ConfigurationError if a name in it is unknown."""
    executor: Executor = BACKENDS.load(config.qpu_target)(
        precision=config.precision,
        max_concurrent_circuits=config.max_concurrent_circuits,
        device=config.device,
    )
    return executor
