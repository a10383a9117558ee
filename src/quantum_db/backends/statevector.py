"""The embedded simulator as an executor: target `simulator`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from quantum_db.backends.protocols import Batch, CircuitRows, RowResults
from quantum_db.errors import ConfigurationError
from quantum_db.seeding import numpy_generator
from quantum_db.simulation.adjoint import differentiable_expectations
from quantum_db.simulation.measurement import check_shots, sample_counts, sampled_expectations
from quantum_db.simulation.statevector import probabilities, simulate

PRECISIONS = {"complex64": torch.float32, "complex128": torch.float64}


def check_device(name: str) -> str:
    """Return `name` if it is a device that can simulate here ("cpu", "cuda", "cuda:1"), or raise ConfigurationError."""
    try:
        device = torch.device(str(name))
    except RuntimeError as error:
        raise ConfigurationError(f"unknown device {name!r}; known: cpu, cuda, cuda:<number>") from error
    if device.type not in ("cpu", "cuda"):
        raise ConfigurationError(f"circuits are not simulated on device {name!r}; use cpu, cuda or cuda:<number>")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ConfigurationError(
            f"device {name!r} was asked for, but torch sees {torch.cuda.device_count()} CUDA device(s); use 'cpu'"
        )
    return name


@dataclass(frozen=True)
class StatevectorExecutor:
    """Simulates state vectors on the CPU or a CUDA device.

    At most `max_concurrent_circuits` rows are simulated at once, which bounds the memory; None means all.
    """

    precision: str = "complex128"
    max_concurrent_circuits: int | None = None
    device: str = "cpu"

    def __post_init__(self) -> None:
        if self.precision not in tuple(PRECISIONS):
            raise ConfigurationError(f"unknown precision {self.precision!r}; known: {', '.join(PRECISIONS)}")
        limit = self.max_concurrent_circuits
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise ConfigurationError(f"max_concurrent_circuits must be a positive integer or None, got {limit!r}")
        check_device(self.device)

    @property
    def name(self) -> str:
        """The target's name."""
        return "simulator"

    @property
    def differentiable(self) -> bool:
        """Backpropagation works."""
        return True

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Exact values, or values sampled with the generator of (batch seed, part, first row)."""
        if batch.shots is not None:
            check_shots(batch.shots)
        return tuple(self._run_part(number, part, batch) for number, part in enumerate(batch.parts))

    def _run_part(self, number: int, part: CircuitRows, batch: Batch) -> RowResults:
        if not part.n_rows:
            nothing = np.zeros((0, len(part.circuit.observables) or 2**part.circuit.n_qubits))
            return RowResults(nothing, None if batch.shots is None else nothing)
        step = self.max_concurrent_circuits or max(part.n_rows, 1)
        chunks = [self._run_rows(number, part, first, first + step, batch) for first in range(0, part.n_rows, step)]
        values = np.concatenate([values for values, _ in chunks])
        if batch.shots is None:
            return RowResults(values)
        return RowResults(values, np.concatenate([errors for _, errors in chunks if errors is not None]))

    def _run_rows(
        self, number: int, part: CircuitRows, first: int, last: int, batch: Batch
    ) -> tuple[np.ndarray, np.ndarray | None]:
        real, circuit = PRECISIONS[self.precision], part.circuit

        def tensor(values: np.ndarray) -> torch.Tensor:
            return torch.tensor(values[first:last], dtype=real, device=self.device)

        with torch.no_grad():
            slots = tensor(part.weights), tensor(part.features)
            if batch.shots is None and circuit.observables:
                return differentiable_expectations(circuit, *slots).cpu().to(torch.float64).numpy(), None
            states = simulate(circuit, *slots)
            if batch.shots is None:
                return probabilities(states).cpu().to(torch.float64).numpy(), None
            # one generator per row, so that chunking never changes the samples
            parts = [self._sample(states[i : i + 1], part, batch, number, first + i) for i in range(len(states))]
        return np.concatenate([value for value, _ in parts]), np.concatenate([error for _, error in parts])

    def _sample(
        self, state: torch.Tensor, part: CircuitRows, batch: Batch, number: int, row: int
    ) -> tuple[np.ndarray, np.ndarray]:
        generator = numpy_generator(batch.seed, "shots", number, row)
        shots = check_shots(batch.shots or 0)
        if part.circuit.observables:
            return sampled_expectations(state, part.circuit.observables, shots, generator)
        share = sample_counts(state, shots, generator) / shots
        return share, np.sqrt(share * (1 - share) / shots)
