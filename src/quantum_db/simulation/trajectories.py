"""Batched quantum trajectories (Monte Carlo wave functions), for noise on circuits too large for a density matrix.

In each trajectory every channel takes one of its Kraus operators, with the probability that the state gives it; the
mean over trajectories is the density matrix. Dalibard, Castin and Moelmer, Phys. Rev. Lett. 68, 580 (1992).
The error rates of mixtures of unitaries do not depend on the state: there the operators are chosen beforehand, and
trajectories of a row that choose the same ones are simulated once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from quantum_db.circuits.circuit import Circuit, Operation
from quantum_db.errors import CircuitError
from quantum_db.simulation.gatewise import COMPLEX_OF, apply_matrix, checked_slots, constant, gate_matrix, pair_matrix
from quantum_db.simulation.memory import check_memory
from quantum_db.simulation.noise import Channel, NoiseModel

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]


def draw_count(circuit: Circuit, noise: NoiseModel) -> int:
    """How many random numbers one trajectory takes: one for each channel after each gate."""
    return sum(len(noise.channels_after(operation)) for operation in circuit.operations)


@dataclass(frozen=True, eq=False)
class Distinct:
    """The trajectories that have to be simulated: `first` (distinct,) are positions among all, `of` maps all to them.

    Among N trajectories, trajectory i has the state of the distinct one number `of[i]`.
    """

    first: IntArray
    of: IntArray


def distinct_trajectories(circuit: Circuit, noise: NoiseModel, rows: IntArray, uniforms: FloatArray) -> Distinct:
    """Find the trajectories with the same row and the same choices; `rows` is (N,), `uniforms` (N, draws)."""
    channels = [c for operation in circuit.operations for c, _ in noise.channels_after(operation)]
    if any(channel.mixture is None for channel in channels):
        everything = np.arange(len(rows))
        return Distinct(everything, everything)
    keys = np.empty((len(rows), len(channels) + 1), dtype=np.int64)
    keys[:, 0] = rows
    for position, channel in enumerate(channels):
        keys[:, position + 1] = _chosen(channel, uniforms[:, position])
    _, first, of = np.unique(keys, axis=0, return_index=True, return_inverse=True)
    return Distinct(first.astype(np.int64), of.reshape(-1).astype(np.int64))


def simulate_trajectories(
    circuit: Circuit, weights: Tensor, features: Tensor | None, noise: NoiseModel, uniforms: FloatArray
) -> Tensor:
    """Return one final state for each trajectory, complex (trajectories, 2^n), each of norm 1.

    `uniforms` (trajectories, draws) are numbers in [0, 1), `draw_count` many for each; `weights` is (n_weights,) or
    (trajectories, n_weights), `features` (1 or trajectories, n_features). Raises CircuitError when shapes do not fit,
    ConfigurationError when the states do not fit into memory.
    """
    weights, features, rows = checked_slots(circuit, weights, features)
    count, wanted = uniforms.shape if uniforms.ndim == 2 else (-1, -1), draw_count(circuit, noise)
    if count[1] != wanted or rows not in (1, count[0]):
        raise CircuitError(
            f"{rows} trajectories with {wanted} draws each need uniforms of that shape, got {uniforms.shape}"
        )
    dtype = COMPLEX_OF[weights.dtype]
    check_memory(circuit.n_qubits, count[0], dtype.itemsize, 0, weights.device)
    run = _Run(circuit.n_qubits, torch.zeros(count[0], 2**circuit.n_qubits, dtype=dtype, device=weights.device))
    draw = 0
    for operation in circuit.operations:
        run.put(gate_matrix(operation, weights, features), operation.wires)
        for channel, wires in noise.channels_after(operation):
            run.channel(channel, wires, uniforms[:, draw])
            draw += 1
    return run.finished()


def changed_basis(states: Tensor, operations: tuple[Operation, ...]) -> Tensor:
    """`states` (rows, 2^n) after noiseless `operations` without open slots."""
    nothing = torch.zeros(1, 0, dtype=states.real.dtype, device=states.device)
    n_qubits = states.shape[1].bit_length() - 1
    for operation in operations:
        states = apply_matrix(gate_matrix(operation, nothing, nothing), states, operation.wires, n_qubits)
    return states


@dataclass
class _Run:
    """The states, and one-qubit matrices (1 or rows, 2, 2) kept back until their wire is needed."""

    n_qubits: int
    states: Tensor
    waiting: dict[int, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.states[:, 0] = 1

    def put(self, matrix: Tensor, wires: Sequence[int]) -> None:
        if len(wires) == 1:
            self.waiting[wires[0]] = matrix @ self.waiting[wires[0]] if wires[0] in self.waiting else matrix
            return
        before = [self.waiting.pop(wire, None) for wire in wires]
        if any(earlier is not None for earlier in before):
            nothing = constant(np.eye(2), self.states.real)
            first, second = (nothing if earlier is None else earlier for earlier in before)
            matrix = matrix @ pair_matrix(first, second)
        self.states = apply_matrix(matrix, self.states, tuple(wires), self.n_qubits)

    def channel(self, channel: Channel, wires: tuple[int, ...], uniforms: FloatArray) -> None:
        if channel.mixture is not None:
            choices = _chosen(channel, uniforms)
            if choices.any():
                self._put_chosen(np.stack(channel.mixture[1]), choices, wires)
            return
        self._flush(wires)
        operators = constant(np.stack(channel.kraus), self.states.real)[0]
        shares = self._shares(operators, wires)
        steps = shares.cumsum(dim=1) / shares.sum(dim=1, keepdim=True)
        drawn = torch.as_tensor(uniforms, dtype=steps.dtype, device=steps.device)[:, None]
        drawn = drawn.clamp_max(1 - torch.finfo(steps.dtype).eps)  # rounding to 1 would take an operator of share 0
        chosen = (drawn >= steps[:, :-1]).sum(dim=1)
        norm = shares.gather(1, chosen[:, None]).sqrt()[:, :, None]
        self.put(operators[chosen] / norm, wires)
        self._flush(wires)  # unlike a unitary it changes what is seen on other wires

    def finished(self) -> Tensor:
        self._flush(sorted(self.waiting))
        return self.states

    def _flush(self, wires: Sequence[int]) -> None:
        for wire in wires:
            if wire in self.waiting:
                self.states = apply_matrix(self.waiting.pop(wire), self.states, (wire,), self.n_qubits)

    def _put_chosen(self, unitaries: npt.NDArray[np.complex128], choices: IntArray, wires: tuple[int, ...]) -> None:
        table = constant(unitaries, self.states.real)[0]
        matrices = table[torch.as_tensor(choices, device=table.device)]
        if len(wires) == 1:
            self.put(matrices, wires)
            return
        # most trajectories have no error here: only the others pass over their states
        hit = torch.as_tensor(np.flatnonzero(choices), device=table.device)
        self._flush(wires)
        self.states[hit] = apply_matrix(matrices[hit], self.states[hit], wires, self.n_qubits)

    def _shares(self, operators: Tensor, wires: tuple[int, ...]) -> Tensor:
        """The probability of each operator, (rows, operators): tr(K^dagger K rho) with rho reduced to `wires`."""
        places = tuple(wire + 1 for wire in wires)
        ends = tuple(range(self.n_qubits + 1 - len(wires), self.n_qubits + 1))
        moved = self.states.reshape(-1, *(2,) * self.n_qubits).movedim(places, ends)
        local = moved.reshape(len(self.states), -1, 2 ** len(wires))
        rho = local.transpose(1, 2) @ local.conj()
        effects = operators.conj().transpose(1, 2) @ operators
        return torch.einsum("kab,rba->rk", effects, rho).real.clamp_min(0)


def _chosen(channel: Channel, uniforms: FloatArray) -> IntArray:
    """Which operator of a mixture each number in [0, 1) takes."""
    shares = channel.mixture[0] if channel.mixture is not None else np.ones(1)
    return np.searchsorted(np.cumsum(shares)[:-1], uniforms, side="right").astype(np.int64)
