"""The executor that runs circuits at several noise levels and returns values without noise, as far as that goes.

Whether it helps depends on circuit, machine and shots: `mitigation_forecast` says so before anything is paid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import numpy as np
import numpy.typing as npt

from quantum_db.backends.protocols import Batch, CircuitRows, Executor, RowResults
from quantum_db.circuits.circuit import Circuit
from quantum_db.errors import BackendError, ConfigurationError
from quantum_db.execution.measured import Basis, bases, parity
from quantum_db.execution.mitigation.extrapolation import Fit, checked_factors, extrapolate
from quantum_db.execution.mitigation.folding import Folding, check_folding, fold
from quantum_db.execution.mitigation.readout import (
    ReadoutCalibration,
    corrected_distributions,
    on_simplex,
    state_variances,
    value_variances,
)
from quantum_db.simulation.measurement import check_shots

FloatArray = npt.NDArray[np.float64]

WIDEST = 10
"""The most qubits of one observable, or of a circuit read whole, whose readout is corrected."""


@dataclass(frozen=True)
class MitigationOptions:
    """Which errors are mitigated, and how.

    `factors` are the noise levels of zero-noise extrapolation, for example (1, 3, 5); the batch's shots are divided
    among them, so that mitigated and plain values take the same shots. Empty means none. `folding`, `gate_weights`,
    `fit` and `degree` are those of `fold` and `extrapolate`. `readout` corrects readout errors, None does not.
    """

    factors: tuple[float, ...] = ()
    folding: Folding = "global"
    fit: Fit = "linear"
    degree: int = 2
    gate_weights: tuple[float, float] = (1.0, 1.0)
    readout: ReadoutCalibration | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", tuple(self.factors))
        for factor in self.factors or (1.0,):
            check_folding(factor, self.folding, self.gate_weights)
        if self.factors:
            checked_factors(self.factors, self.fit, self.degree)

    def shots_per_factor(self, shots: int | None) -> int | None:
        """The shots at each noise level out of `shots`; ConfigurationError when that leaves none."""
        if shots is None or not self.factors:
            return shots
        check_shots(shots)
        if shots < len(self.factors):
            raise ConfigurationError(
                f"{shots} shots cannot be divided among {len(self.factors)} noise factors; use more shots"
            )
        return shots // len(self.factors)


@dataclass(frozen=True)
class MitigatedExecutor:
    """Mitigates errors in the results of `inner`.

    Changes of basis are folded with the circuit. Readout correction needs no further shots: it reads the marginal of
    each observable's qubits. Extrapolated values may lie outside of an observable's range; they are not cut off, which
    would bias means. Standard errors are propagated from those of the single samples. Folded batches are marked
    `as_written`, so that the machine's compiler does not undo the folding.
    """

    inner: Executor
    options: MitigationOptions

    @property
    def name(self) -> str:
        """The inner target's name."""
        return self.inner.name

    @property
    def differentiable(self) -> bool:
        """No: backpropagation would not see the noise that is mitigated."""
        return False

    def expand(self, batch: Batch) -> Batch:
        """The batch that `inner` runs for `batch`: every circuit in every basis at every noise factor."""
        pieces = [piece for part in batch.parts for piece in self._pieces(part)]
        shots = self.options.shots_per_factor(batch.shots)
        as_written = batch.as_written or bool(self.options.factors)
        parts = tuple(rows for piece in pieces for rows in piece.levels)
        return replace(batch, parts=parts, shots=shots, as_written=as_written)

    def run(self, batch: Batch) -> tuple[RowResults, ...]:
        """Run `batch` at all noise factors in one batch of `inner`, and return the mitigated values."""
        levels = iter(self.levels(batch))
        return tuple(self._part(part, [next(levels) for _ in bases(part.circuit)], batch) for part in batch.parts)

    def levels(self, batch: Batch) -> tuple[NoiseLevels, ...]:
        """Run `batch`; what was read in each basis of each part at each noise factor, before extrapolation."""
        expanded = self.expand(batch)
        found = self.inner.run(expanded)
        if len(found) != len(expanded.parts):
            raise BackendError(
                f"{len(expanded.parts)} parts were run, but {len(found)} came back; none of them is used"
            )
        results = iter(found)
        levels = []
        for part in batch.parts:
            for piece in self._pieces(part):
                read = [self._read(piece, next(results), expanded.shots) for _ in piece.levels]
                errors = [error for _, error in read if error is not None]
                stacked = np.stack(errors) if len(errors) == len(read) else None
                levels.append(NoiseLevels(piece.factors, np.stack([value for value, _ in read]), stacked, piece.basis))
        return tuple(levels)

    def at_zero_noise(self, levels: NoiseLevels, n_qubits: int) -> tuple[FloatArray, FloatArray | None]:
        """The values without noise and their errors, from those at each noise factor."""
        if len(levels.factors) == 1:
            return levels.values[0], None if levels.standard_errors is None else levels.standard_errors[0]
        options, whole = self.options, not levels.basis.positions
        # where all is noise: every basis state is as likely as any other, and every parity is 0
        found = extrapolate(
            levels.factors, levels.values, levels.standard_errors, options.fit,
            degree=options.degree, asymptote=2.0**-n_qubits if whole else 0.0,
        )  # fmt: skip
        if not whole:
            return found.values, found.standard_errors
        flat = found.values.reshape(-1, found.values.shape[-1])
        return on_simplex(flat).reshape(found.values.shape), found.standard_errors

    def _part(self, part: CircuitRows, levels: list[NoiseLevels], batch: Batch) -> RowResults:
        width = len(part.circuit.observables) or 2**part.circuit.n_qubits
        values, errors = np.zeros((part.n_rows, width)), np.zeros((part.n_rows, width))
        sampled = batch.shots is not None
        for level in levels:
            value, error = self.at_zero_noise(level, part.circuit.n_qubits)
            columns = list(level.basis.positions) or slice(None)
            values[:, columns] = value
            if error is not None:
                sampled = True
                errors[:, columns] = error
        return RowResults(values, errors if sampled else None)

    def _pieces(self, part: CircuitRows) -> tuple[_Piece, ...]:
        return tuple(_piece(part, basis, self.options) for basis in bases(part.circuit))

    def _read(self, piece: _Piece, result: RowResults, shots: int | None) -> tuple[FloatArray, FloatArray | None]:
        """Values and errors of the piece's observables, or of its basis states, with readout corrected."""
        if self.options.readout is None:
            values, errors = result.values, result.standard_errors
            if not piece.basis.positions:
                return values, errors
            scale = piece.basis.coefficients
            chosen = [piece.masks.index(int(mask)) for mask in piece.basis.masks]
            return values[:, chosen] * scale, None if errors is None else errors[:, chosen] * np.abs(scale)
        if not piece.basis.positions:
            return _corrected_states(result, self.options.readout, piece.n_qubits, shots)
        pairs = [_corrected_parity(piece, int(mask), result, self.options.readout, shots) for mask in piece.basis.masks]
        values = np.stack([value for value, _ in pairs], axis=1) * piece.basis.coefficients
        if result.standard_errors is None:
            return values, None
        return values, np.stack([error for _, error in pairs], axis=1) * np.abs(piece.basis.coefficients)


@dataclass(frozen=True, eq=False)
class NoiseLevels:
    """Values (factors, rows, observables of the basis or basis states) of one part, and their errors if sampled."""

    factors: tuple[float, ...]
    values: FloatArray
    standard_errors: FloatArray | None
    basis: Basis


@dataclass(frozen=True, eq=False)
class _Piece:
    """A part in one basis: its rows at each noise factor, and the masks whose parities are asked (none: all states)."""

    basis: Basis
    n_qubits: int
    masks: tuple[int, ...]
    factors: tuple[float, ...]
    levels: tuple[CircuitRows, ...]


def _piece(part: CircuitRows, basis: Basis, options: MitigationOptions) -> _Piece:
    circuit = part.circuit
    n_qubits = circuit.n_qubits
    masks = _masks(basis, n_qubits, options.readout)
    observables = tuple(parity(mask, n_qubits) for mask in masks)
    plain = Circuit(n_qubits, (*circuit.operations, *basis.operations), observables)
    # what has no gates has no noise to scale
    wanted = options.factors if plain.operations else ()
    folded = [fold(plain, factor, options.folding, options.gate_weights) for factor in wanted or (1.0,)]
    factors = tuple(found.factor for found in folded)
    if wanted:
        checked_factors(factors, options.fit, options.degree)
    levels = tuple(CircuitRows(found.circuit, part.weights, part.features) for found in folded)
    return _Piece(basis, n_qubits, masks, factors, levels)


def _masks(basis: Basis, n_qubits: int, readout: ReadoutCalibration | None) -> tuple[int, ...]:
    """The parities to ask for: the observables' own; for readout correction those of all subsets of their qubits."""
    own = {int(mask) for mask in basis.masks}
    if readout is None:
        return tuple(sorted(own))
    widest = max((mask.bit_count() for mask in own), default=n_qubits)
    if widest > WIDEST:
        raise ConfigurationError(
            f"readout correction of {widest} qubits read together takes 2^{widest} values; up to {WIDEST} are "
            f"corrected. Use observables on fewer qubits, or leave readout correction out"
        )
    return tuple(sorted({subset for mask in own for subset in _subsets(mask)}))


def _subsets(mask: int) -> list[int]:
    """All numbers whose bits are among those of `mask`; entry k holds the k-th subset of its bits, low bits first."""
    subsets = [0]
    for bit in range(mask.bit_length()):
        if mask >> bit & 1:
            subsets += [subset | 1 << bit for subset in subsets]
    return subsets


def _marginal(piece: _Piece, mask: int, values: FloatArray) -> FloatArray:
    """The shares (rows, 2^k) of the states of the qubits in `mask`, from the parities of all their subsets."""
    columns = [piece.masks.index(subset) for subset in _subsets(mask)]
    table = values[:, columns].copy()
    size = len(columns)
    step = 1
    while step < size:  # Walsh-Hadamard: shares are the signed sums of parities, over 2^k
        pairs = table.reshape(len(table), size // (2 * step), 2, step)
        table = np.stack([pairs[:, :, 0] + pairs[:, :, 1], pairs[:, :, 0] - pairs[:, :, 1]], axis=2)
        table = table.reshape(len(values), size)
        step *= 2
    return np.clip(table / size, 0.0, None)


def _corrected_parity(
    piece: _Piece, mask: int, result: RowResults, readout: ReadoutCalibration, shots: int | None
) -> tuple[FloatArray, FloatArray]:
    wires = [wire for wire in range(piece.n_qubits) if mask >> (piece.n_qubits - 1 - wire) & 1]
    confusions = readout.confusions(wires)
    read = _marginal(piece, mask, result.values)
    signs = [np.array([1.0, -1.0])] * len(wires)
    weights = np.ones(1)
    for pair in signs:
        weights = np.kron(weights, pair)
    value = corrected_distributions(read, confusions) @ weights
    if shots is not None:
        return value, np.sqrt(value_variances(read, confusions, signs) / max(shots - 1, 1))
    if result.standard_errors is None:
        return value, np.zeros_like(value)
    # means without shots: the error of the parity grows as the parity itself does
    gain = prod(1 / float(matrix[0, 0] - matrix[0, 1]) for matrix in confusions)
    return value, result.standard_errors[:, piece.masks.index(mask)] * gain


def _corrected_states(
    result: RowResults, readout: ReadoutCalibration, n_qubits: int, shots: int | None
) -> tuple[FloatArray, FloatArray | None]:
    confusions = readout.confusions(range(n_qubits))
    values = corrected_distributions(result.values, confusions)
    if shots is not None:
        return values, np.sqrt(state_variances(result.values, confusions) / shots)
    if result.standard_errors is None:
        return values, None
    gain = prod(1 / float(matrix[0, 0] - matrix[0, 1]) for matrix in confusions)
    return values, result.standard_errors * gain
