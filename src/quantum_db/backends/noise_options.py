"""The options that all simulators with noise share."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from quantum_db.backends.statevector import PRECISIONS, check_device
from quantum_db.errors import ConfigurationError
from quantum_db.seeding import check_seed
from quantum_db.simulation.noise import NoiseModel, noise_model

WORKING_SET = 2**26
"""Bytes of states that are worked on at once where `max_concurrent_circuits` does not say how many."""


def check_count(name: str, value: int | None) -> None:
    """Raise ConfigurationError unless `value` is a positive integer or None."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
        raise ConfigurationError(f"{name} must be a positive integer or None, got {value!r}")


@dataclass(frozen=True)
class NoiseOptions:
    """How a simulator with noise computes, and what noise it has.

    `noise_model` is a name of the table or a NoiseModel. `noise_seed` gives other random numbers with the same seed of
    the batch. At most `max_concurrent_circuits` states are held at once; None means as many as fit into 64 MiB, and at
    least one. Results do not depend on it.
    """

    precision: str = "complex128"
    max_concurrent_circuits: int | None = None
    device: str = "cpu"
    noise_model: str | NoiseModel = "ideal"
    noise_seed: int | None = None

    def __post_init__(self) -> None:
        if self.precision not in tuple(PRECISIONS):
            raise ConfigurationError(f"unknown precision {self.precision!r}; known: {', '.join(PRECISIONS)}")
        check_count("max_concurrent_circuits", self.max_concurrent_circuits)
        check_device(self.device)
        if not isinstance(self.noise_model, NoiseModel):
            noise_model(self.noise_model)
        if self.noise_seed is not None:
            check_seed(self.noise_seed)

    @property
    def noise(self) -> NoiseModel:
        """The noise model itself."""
        return self.noise_model if isinstance(self.noise_model, NoiseModel) else noise_model(self.noise_model)

    @property
    def real(self) -> torch.dtype:
        """The dtype of slot values."""
        return PRECISIONS[self.precision]

    @property
    def amplitude_bytes(self) -> int:
        """Bytes of one complex number."""
        return 2 * self.real.itemsize

    def purpose(self, *more: str | int) -> tuple[str | int, ...]:
        """The purpose of a stream of random numbers, with the noise seed if one was given."""
        return more if self.noise_seed is None else ("noise", self.noise_seed, *more)
