"""The batched state-vector simulator, differentiable by torch in weights, features and initial states.

States have shape (rows, 2^n) with qubit 0 as the most significant bit of the amplitude's index.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from quantum_db.circuits.circuit import Circuit
from quantum_db.circuits.observables import PauliString
from quantum_db.errors import CircuitError
from quantum_db.simulation.memory import check_memory
from quantum_db.simulation.program import Bank, Layer, Permutation, Program, TwoQubit, compile_program, index_arrays

REAL_OF = {torch.complex64: torch.float32, torch.complex128: torch.float64}
COMPLEX_OF = {real: complex_ for complex_, real in REAL_OF.items()}


@dataclass(frozen=True)
class _Constants:
    """A bank's arrays as tensors of one dtype and device."""

    constant: Tensor
    cosine: Tensor
    sine: Tensor
    slot: Tensor
    scale: Tensor
    offset: Tensor


@lru_cache(maxsize=256)
def _constants(circuit: Circuit, arity: int, dtype: torch.dtype, device: torch.device) -> _Constants:
    program = compile_program(circuit)
    bank: Bank = program.single if arity == 1 else program.double
    real = REAL_OF[dtype]

    def matrices(items: list[np.ndarray]) -> Tensor:
        return torch.as_tensor(np.stack(items), dtype=dtype, device=device)

    # Kept for later calls, so never inference tensors, which a later backward pass could not use.
    # Slot -1 (no slot) points at the last column, a constant zero appended to the values.
    with torch.inference_mode(False):
        return _Constants(
            matrices(bank.constant),
            matrices(bank.cosine),
            matrices(bank.sine),
            torch.as_tensor(bank.slot, device=device),
            torch.as_tensor(bank.scale, dtype=real, device=device),
            torch.as_tensor(bank.offset, dtype=real, device=device),
        )


def _matrices(constants: _Constants, values: Tensor) -> Tensor:
    """All matrices of a bank, shape (value rows, bank rows, d, d)."""
    angles = values[:, constants.slot] * constants.scale + constants.offset
    cosine = torch.cos(angles)[:, :, None, None] * constants.cosine
    sine = torch.sin(angles)[:, :, None, None] * constants.sine
    return constants.constant + cosine + sine


class _Run:
    """One simulation: the matrices for the given values, then the steps on the state."""

    def __init__(self, circuit: Circuit, weights: Tensor, features: Tensor) -> None:
        self.program: Program = compile_program(circuit)
        self.circuit = circuit
        self.dtype = COMPLEX_OF[weights.dtype]
        self.rows = max(len(weights), len(features))
        zero = weights.new_zeros(1)
        # weights shared by all rows stay one row, so that their matrices are made once
        shared = torch.cat([weights, zero.expand(len(weights), self.program.n_features + 1)], dim=1)
        self.static = len(weights) == 1
        self.shared_values = shared
        self.row_values = torch.cat(
            [weights.expand(self.rows, -1), features.expand(self.rows, -1), zero.expand(self.rows, 1)], dim=1
        )
        self.device = weights.device
        self._banks: dict[tuple[int, bool], Tensor] = {}

    def bank(self, arity: int, has_features: bool) -> Tensor:
        """The matrices (1 or rows, bank rows, d, d) for steps with or without features."""
        key = (arity, has_features)
        if key not in self._banks:
            constants = _constants(self.circuit, arity, self.dtype, self.device)
            self._banks[key] = _matrices(constants, self.row_values if has_features else self.shared_values)
        return self._banks[key]

    def wire_matrices(self, layer: Layer) -> Tensor:
        """The product of the gates on each wire, shape (1 or rows, n, 2, 2)."""
        bank = self.bank(1, layer.has_features)
        depth = max(map(len, layer.gates))
        padded = torch.tensor([[*gates, *[0] * (depth - len(gates))] for gates in layer.gates], device=self.device)
        product = bank[:, padded[:, 0]]
        for position in range(1, depth):
            product = bank[:, padded[:, position]] @ product
        return product

    def start(self, initial: Tensor | None) -> tuple[Tensor, int]:
        """The state before the first remaining step and the number of steps already applied."""
        steps = self.program.steps
        if initial is not None:
            return initial.to(self.dtype).expand(self.rows, -1), 0
        if steps and isinstance(steps[0], Layer):
            # on |0...0> a layer of one-qubit gates gives a product of their first columns
            columns = self.wire_matrices(steps[0])[:, :, :, 0]
            state = columns[:, 0]
            for wire in range(1, self.program.n_qubits):
                state = (state[:, :, None] * columns[:, wire, None, :]).flatten(1)
            return state.expand(self.rows, -1), 1
        state = torch.zeros(self.rows, 2**self.program.n_qubits, dtype=self.dtype, device=self.device)
        state[:, 0] = 1
        return state, 0

    def apply(self, state: Tensor, step: Layer | Permutation | TwoQubit) -> Tensor:
        if isinstance(step, Permutation):
            return state[:, torch.as_tensor(step.source, device=self.device)]
        if isinstance(step, TwoQubit):
            return self._apply_two_qubit(state, step)
        return self._apply_layer(state, step)

    def _apply_layer(self, state: Tensor, layer: Layer) -> Tensor:
        matrices = self.wire_matrices(layer)
        n_qubits = self.program.n_qubits
        for wires in self.program.groups:
            if not any(layer.gates[wire] for wire in wires):
                continue
            matrix = matrices[:, wires[0]]
            for wire in wires[1:]:
                matrix = torch.einsum("rij,rkl->rikjl", matrix, matrices[:, wire]).reshape(
                    len(matrix), 2 * matrix.shape[1], -1
                )
            right = 2 ** (n_qubits - 1 - wires[-1])
            state = _multiply(matrix, state, 2 ** len(wires), right)
        return state

    def _apply_two_qubit(self, state: Tensor, step: TwoQubit) -> Tensor:
        matrix = self.bank(2, step.has_features)[:, step.row]
        n_qubits = self.program.n_qubits
        axes = tuple(wire + 1 for wire in step.wires)
        moved = state.reshape(-1, *(2,) * n_qubits).movedim(axes, (-2, -1))
        shape = moved.shape
        product = moved.reshape(len(state), -1, 4) @ matrix.transpose(1, 2)
        return product.reshape(shape).movedim((-2, -1), axes).reshape(len(state), -1)


def _multiply(matrix: Tensor, state: Tensor, size: int, right: int) -> Tensor:
    """Multiply `matrix` (1 or rows, size, size) onto the middle axis of the state seen as (rows, left, size, right)."""
    rows = len(state)
    if right == 1:
        if len(matrix) == 1:
            return (state.reshape(-1, size) @ matrix[0].T).reshape(rows, -1)
        return (state.reshape(rows, -1, size) @ matrix.transpose(1, 2)).reshape(rows, -1)
    middle = state.reshape(rows, -1, size, right)
    return (matrix[:, None] @ middle).reshape(rows, -1)


def shaped_rows(name: str, values: Tensor, width: int) -> Tensor:
    """The values as (rows, width); raise CircuitError when they have another width."""
    rows = values[None] if values.ndim == 1 else values
    if rows.ndim != 2 or rows.shape[1] != width:
        raise CircuitError(f"the circuit takes {width} {name}, got values of shape {tuple(values.shape)}")
    return rows


def as_rows(name: str, values: Tensor, width: int) -> Tensor:
    """The values as (rows, width); raise CircuitError when they have another width or are not finite."""
    rows = shaped_rows(name, values, width)
    if not bool(torch.isfinite(rows).all()):
        raise not_finite(name)
    return rows


def not_finite(name: str) -> CircuitError:
    """The error for NaN or infinite values."""
    return CircuitError(f"{name} hold NaN or infinite values; every slot needs a finite number")


def check_initial_states(states: Tensor, rows: int, amplitudes: int) -> None:
    """Raise CircuitError unless the states are (rows, amplitudes) or (1, amplitudes)."""
    if states.ndim != 2 or states.shape[1] != amplitudes or len(states) not in (1, rows):
        raise CircuitError(
            f"initial states must have shape (rows, {amplitudes}) with 1 or {rows} row(s), got {tuple(states.shape)}"
        )


def simulate(
    circuit: Circuit, weights: Tensor, features: Tensor | None = None, initial_states: Tensor | None = None
) -> Tensor:
    """Return the final states, complex (rows, 2^n).

    `weights` is (n_weights,) for all rows or (rows, n_weights); `features` is (rows, n_features); `initial_states`,
    complex (rows, 2^n), replace |0...0>. The dtype of the weights (float32 or float64) sets that of the states.
    Raises CircuitError when shapes do not fit and ConfigurationError when the states do not fit into memory.
    """
    if weights.dtype not in COMPLEX_OF:
        raise CircuitError(f"weights must be float32 or float64, got {weights.dtype}")
    weights = as_rows("weights", weights, circuit.n_weights)
    if features is None:
        features = weights.new_zeros(1 if initial_states is None else max(len(initial_states), 1), 0)
    features = as_rows("features", features, circuit.n_features).to(weights.dtype)
    if len(weights) != len(features) and 1 not in (len(weights), len(features)):
        raise CircuitError(f"{len(weights)} rows of weights do not match {len(features)} rows of features")
    rows, dtype = max(len(weights), len(features)), COMPLEX_OF[weights.dtype]
    if initial_states is not None:
        check_initial_states(initial_states, rows, 2**circuit.n_qubits)
    # before the circuit is prepared, which takes memory of the order of a state itself
    check_memory(circuit.n_qubits, rows, dtype.itemsize, 0, weights.device, index_arrays(circuit))
    run = _Run(circuit, weights, features)
    grad = torch.is_grad_enabled() and (weights.requires_grad or features.requires_grad)
    if grad:
        check_memory(circuit.n_qubits, rows, dtype.itemsize, len(run.program.steps), weights.device)
    state, done = run.start(initial_states)
    for step in run.program.steps[done:]:
        state = run.apply(state, step)
    return state


def expectation_values(states: Tensor, observables: tuple[PauliString, ...]) -> Tensor:
    """Expectation values of Pauli strings, real (rows, observables), of `states`, complex (rows, 2^n)."""
    n_qubits = states.shape[1].bit_length() - 1
    probabilities_ = probabilities(states)
    columns: list[Tensor] = []
    for observable in observables:
        flip, phase = _action(observable, n_qubits, states.dtype, states.device)
        if observable.is_diagonal:
            column = probabilities_ @ phase.real
        else:
            column = (states.conj() * (states[:, flip] * phase)).sum(dim=1).real
        columns.append(column * observable.coefficient)
    return torch.stack(columns, dim=1)


@lru_cache(maxsize=1024)
def _action(observable: PauliString, n_qubits: int, dtype: torch.dtype, device: torch.device) -> tuple[Tensor, Tensor]:
    """(P psi)_i = phase_i psi_(flip_i), for the string without its coefficient."""
    index = np.arange(2**n_qubits)
    flip = index.copy()
    phase = np.ones(2**n_qubits, dtype=np.complex128)
    for wire, letter in observable.factors:
        bit = (index >> (n_qubits - 1 - wire)) & 1
        if letter != "Z":
            flip ^= 1 << (n_qubits - 1 - wire)
        if letter != "X":
            sign = 1.0 - 2.0 * bit
            phase *= sign if letter == "Z" else -1j * sign
    return torch.as_tensor(flip, device=device), torch.as_tensor(phase, dtype=dtype, device=device)


def probabilities(states: Tensor) -> Tensor:
    """Probabilities of the basis states, real (rows, 2^n)."""
    return states.real.square() + states.imag.square()
