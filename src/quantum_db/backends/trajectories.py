"""The trajectory simulator as an executor: target `trajectories`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quantum_db.backends.noise_options import WORKING_SET, NoiseOptions, check_count
from quantum_db.backends.protocols import Batch, CircuitRows, RowResults
from quantum_db.circuits.circuit import Operation
from quantum_db.seeding import numpy_generator
from quantum_db.simulation.measurement import check_shots
from quantum_db.simulation.memory import check_memory
from quantum_db.simulation.readout import Setting, as_distribution, confused, settings, share_estimates
from quantum_db.simulation.trajectories import (
    changed_basis,
    distinct_trajectories,
    draw_count,
    simulate_trajectories,
)

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]

TRAJECTORIES = 1000
"""Trajectories of each circuit where no shots are asked for and none are configured."""

_BLOCK = 1024
"""Trajectories of one row whose random numbers are drawn at once; part of what a seed means, so never changed."""
_DRAWN = 2**22
"""Random numbers held at once, roughly."""


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some distinct states (states, 2^n) of a part's rows `rows` (states,).

    `times` (states,) is how many trajectories have each; `of` (trajectories,) is the state of each of them and `last`
    (trajectories,) its random number for the measurement.
    """

    states: Tensor
    rows: IntArray
    times: IntArray
    of: IntArray
    last: FloatArray


@dataclass(frozen=True)
class TrajectoryExecutor(NoiseOptions):
    """Simulates trajectories of state vectors: larger circuits than density matrices allow, with statistical errors.

    With shots, each shot is a trajectory of its own, measured once. Without, values are means over `trajectories`
    (None: 1000) with their standard errors, and exact where gates have no noise. Readout errors are part of all values.
    """

    trajectories: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        check_count("trajectories", self.trajectories)

    @property
    def name(self) -> str:
        """The target's name."""
        return "trajectories"

    @property
    def differentiable(self) -> bool:
        """Gradients come from shifted circuits, as on a machine."""
        return False

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run all trajectories with the generators of (batch seed, noise seed, part, setting, row).

        Raises ConfigurationError when a single state does not fit into memory.
        """
        if batch.shots is not None:
            check_shots(batch.shots)
        for part in batch.parts:
            self._check_memory(part)
        if batch.shots is not None:
            return tuple(self._shots(number, part, batch.shots, batch.seed) for number, part in enumerate(batch.parts))
        return tuple(self._means(number, part, batch.seed) for number, part in enumerate(batch.parts))

    def _check_memory(self, part: CircuitRows) -> None:
        circuit = part.circuit
        # besides one state: an array for each observable or row of results, and a few of probabilities
        arrays = 4 + (len(circuit.observables) or 2 * part.n_rows)
        check_memory(circuit.n_qubits, 1, self.amplitude_bytes, 0, torch.device(self.device), arrays)

    def _means(self, number: int, part: CircuitRows, seed: int) -> RowResults:
        circuit = part.circuit
        exact = draw_count(circuit, self.noise) == 0
        count = 1 if exact else self.trajectories or TRAJECTORIES
        total = np.zeros((part.n_rows, len(circuit.observables) or 2**circuit.n_qubits))
        squares = np.zeros_like(total)
        bases = settings(circuit.observables, circuit.n_qubits)
        for piece in self._pieces(part, count, seed, self.purpose("trajectories", number)):
            values = self._values(piece.states, bases)
            np.add.at(total, piece.rows, piece.times[:, None] * values)
            np.add.at(squares, piece.rows, piece.times[:, None] * values**2)
        mean = total / count
        if exact:
            return RowResults(mean)
        spread = np.clip(squares / count - mean**2, 0.0, None)
        return RowResults(mean, np.sqrt(spread / max(count - 1, 1)))

    def _values(self, states: Tensor, bases: tuple[Setting, ...]) -> FloatArray:
        """The exact values that each state would give, (states, observables) or (states, 2^n)."""
        if not bases:
            return self._read(states)
        values = np.empty((len(states), sum(len(basis.positions) for basis in bases)))
        for basis in bases:
            values[:, basis.positions] = self._read(states, basis.operations) @ basis.signs.T
        return values

    def _shots(self, number: int, part: CircuitRows, shots: int, seed: int) -> RowResults:
        circuit = part.circuit
        bases = settings(circuit.observables, circuit.n_qubits)
        if not bases:
            counts = np.zeros((part.n_rows, 2**circuit.n_qubits), dtype=np.int64)
            for rows, outcomes in self._outcomes(part, shots, seed, self.purpose("shots", number, 0)):
                np.add.at(counts, (rows, outcomes), 1)
            return RowResults(*share_estimates(counts, shots))
        values = np.zeros((part.n_rows, len(circuit.observables)))
        errors = np.zeros_like(values)
        for place, basis in enumerate(bases):
            total = np.zeros((part.n_rows, len(basis.positions)))
            purpose = self.purpose("shots", number, place)
            for rows, outcomes in self._outcomes(part, shots, seed, purpose, basis.operations):
                np.add.at(total, rows, basis.signs[:, outcomes].T)
            mean = total / shots
            spread = np.clip(basis.coefficients**2 - mean**2, 0.0, None)
            values[:, basis.positions] = mean
            errors[:, basis.positions] = np.sqrt(spread / max(shots - 1, 1))
        return RowResults(values, errors)

    def _outcomes(
        self,
        part: CircuitRows,
        shots: int,
        seed: int,
        purpose: tuple[str | int, ...],
        operations: tuple[Operation, ...] = (),
    ) -> Iterator[tuple[IntArray, IntArray]]:
        """The row and the measured basis state of every shot, in pieces."""
        for piece in self._pieces(part, shots, seed, purpose):
            shares = np.cumsum(self._read(piece.states, operations), axis=1)
            shares[:, -1] = 1.0
            # one sorted list of all rows' steps: row i's lie in (i, i + 1]
            steps = (np.arange(len(shares))[:, None] + shares).reshape(-1)
            found = np.searchsorted(steps, piece.of + piece.last, side="right") - piece.of * shares.shape[1]
            yield piece.rows[piece.of], np.clip(found, 0, shares.shape[1] - 1)

    def _read(self, states: Tensor, operations: tuple[Operation, ...] = ()) -> FloatArray:
        turned = changed_basis(states, operations)
        return as_distribution(confused(turned.real.square() + turned.imag.square(), self.noise.readout))

    def _pieces(self, part: CircuitRows, count: int, seed: int, purpose: tuple[str | int, ...]) -> Iterator[_Piece]:
        """All trajectories of all rows: `count` for each row."""
        draws = draw_count(part.circuit, self.noise)
        step = max(1, _DRAWN // (min(count, _BLOCK) * (draws + 1)))
        for first in range(0, part.n_rows, step):
            rows = np.arange(first, min(first + step, part.n_rows))
            generators = [numpy_generator(seed, *purpose, int(row)) for row in rows]
            for begin in range(0, count, _BLOCK):
                block = min(_BLOCK, count - begin)
                uniforms = np.concatenate([generator.random((block, draws + 1)) for generator in generators])
                yield from self._simulated(part, np.repeat(rows, block), uniforms)

    def _simulated(self, part: CircuitRows, rows: IntArray, uniforms: FloatArray) -> Iterator[_Piece]:
        distinct = distinct_trajectories(part.circuit, self.noise, rows, uniforms[:, :-1])
        order = np.argsort(distinct.of, kind="stable")
        times = np.bincount(distinct.of, minlength=len(distinct.first))
        starts = np.concatenate([[0], np.cumsum(times)])
        state_bytes = self.amplitude_bytes << part.circuit.n_qubits
        step = self.max_concurrent_circuits or max(1, WORKING_SET // (3 * state_bytes))
        for first in range(0, len(distinct.first), step):
            last = min(first + step, len(distinct.first))
            chosen = distinct.first[first:last]
            with torch.no_grad():
                states = simulate_trajectories(
                    part.circuit,
                    self._tensor(part.weights[rows[chosen]]),
                    self._tensor(part.features[rows[chosen]]),
                    self.noise,
                    uniforms[chosen, :-1],
                )
            members = order[starts[first] : starts[last]]
            yield _Piece(states, rows[chosen], times[first:last], distinct.of[members] - first, uniforms[members, -1])

    def _tensor(self, values: FloatArray) -> Tensor:
        return torch.tensor(values, dtype=self.real, device=self.device)
