"""The density-matrix simulator as an executor: target `noisy_simulator`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quantum_db.backends.noise_options import WORKING_SET, NoiseOptions
from quantum_db.backends.protocols import Batch, CircuitRows, RowResults
from quantum_db.circuits.circuit import Circuit, Operation
from quantum_db.seeding import numpy_generator
from quantum_db.simulation.density_matrix import (
    check_density_memory,
    density_bytes,
    density_probabilities,
    rotated,
    simulate_density,
)
from quantum_db.simulation.measurement import check_shots
from quantum_db.simulation.readout import (
    as_distribution,
    confused,
    parity_estimates,
    settings,
    share_estimates,
)

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True)
class NoisySimulator(NoiseOptions):
    """Simulates density matrices: the exact values of a noisy machine, or samples of them; small circuits only.

    Readout errors are part of all values. Changing the basis of measurement adds no gate noise.
    """

    @property
    def name(self) -> str:
        """The target's name."""
        return "noisy_simulator"

    @property
    def differentiable(self) -> bool:
        """Gradients come from shifted circuits, as on a machine."""
        return False

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Exact values, or values sampled with the generator of (batch seed, noise seed, part, row).

        Raises ConfigurationError when a circuit's density matrix does not fit into memory.
        """
        if batch.shots is not None:
            check_shots(batch.shots)
        return tuple(self._run_part(number, part, batch) for number, part in enumerate(batch.parts))

    def _run_part(self, number: int, part: CircuitRows, batch: Batch) -> RowResults:
        circuit = part.circuit
        check_density_memory(circuit.n_qubits, 1, self.amplitude_bytes, torch.device(self.device))
        values = np.zeros((part.n_rows, len(circuit.observables) or 2**circuit.n_qubits))
        errors = None if batch.shots is None else np.zeros_like(values)
        step = self.max_concurrent_circuits or self._rows_at_once(circuit)
        for first in range(0, part.n_rows, step):
            rows = slice(first, min(first + step, part.n_rows))
            rho = self._states(part, rows)
            if batch.shots is None:
                values[rows] = self._exact(rho, circuit)
            elif errors is not None:
                generators = [
                    numpy_generator(batch.seed, *self.purpose("shots", number, row))
                    for row in range(*rows.indices(part.n_rows))
                ]
                values[rows], errors[rows] = self._sampled(rho, circuit, batch.shots, generators)
        return RowResults(values, errors)

    def _rows_at_once(self, circuit: Circuit) -> int:
        return max(1, WORKING_SET // density_bytes(circuit.n_qubits, 1, self.amplitude_bytes))

    def _states(self, part: CircuitRows, rows: slice) -> Tensor:
        def tensor(values: FloatArray) -> Tensor:
            return torch.tensor(values[rows], dtype=self.real, device=self.device)

        with torch.no_grad():
            return simulate_density(part.circuit, tensor(part.weights), tensor(part.features), self.noise)

    def _read(self, rho: Tensor, operations: tuple[Operation, ...] = ()) -> FloatArray:
        with torch.no_grad():
            turned = rotated(rho, operations) if operations else rho
            return as_distribution(confused(density_probabilities(turned), self.noise.readout))

    def _exact(self, rho: Tensor, circuit: Circuit) -> FloatArray:
        if not circuit.observables:
            return self._read(rho)
        values = np.empty((len(rho), len(circuit.observables)))
        for setting in settings(circuit.observables, circuit.n_qubits):
            values[:, setting.positions] = self._read(rho, setting.operations) @ setting.signs.T
        return values

    def _sampled(
        self, rho: Tensor, circuit: Circuit, shots: int, generators: list[np.random.Generator]
    ) -> tuple[FloatArray, FloatArray]:
        def counts(operations: tuple[Operation, ...] = ()) -> npt.NDArray[np.int64]:
            shares = self._read(rho, operations)
            drawn = [generator.multinomial(shots, row) for generator, row in zip(generators, shares, strict=True)]
            return np.stack(drawn)

        if not circuit.observables:
            return share_estimates(counts(), shots)
        values = np.empty((len(rho), len(circuit.observables)))
        errors = np.empty_like(values)
        for setting in settings(circuit.observables, circuit.n_qubits):
            found = parity_estimates(setting, counts(setting.operations), shots)
            values[:, setting.positions], errors[:, setting.positions] = found
        return values, errors
