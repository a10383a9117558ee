"""Expectation values with their adjoint gradient, on the compiled kernel where there is one.

The forward pass keeps one state per row. The backward pass undoes the gates one by one on it, so the memory is two
states per row at most, whatever the depth (Jones and Gacon, arXiv:2009.02823). Without the kernel, or on a CUDA device,
the same values come from the torch simulation and its automatic differentiation.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from quantum_db.circuits.circuit import Circuit
from quantum_db.errors import CircuitError
from quantum_db.simulation.kernel_call import Call, KernelLibrary, Layout, Status, choose, libraries
from quantum_db.simulation.kernel_program import KernelProgram, kernel_program
from quantum_db.simulation.memory import check_kernel_memory
from quantum_db.simulation.statevector import (
    COMPLEX_OF,
    check_initial_states,
    expectation_values,
    not_finite,
    shaped_rows,
    simulate,
)
from quantum_db.simulation.threads import shares_blocks, thread_count

BLOCK_BYTES = 2**19
"""What the blocks of both states of a sweep take: half of a core's second-level cache, or less."""


def differentiable_expectations(
    circuit: Circuit, weights: Tensor, features: Tensor, initial_states: Tensor | None = None
) -> Tensor:
    """Expectation values of the circuit's observables, real (rows, observables), differentiable once.

    Arguments as for `simulate`. Raises CircuitError when shapes do not fit and ConfigurationError when the states do
    not fit into memory.
    """
    if weights.device.type != "cpu" or not libraries():
        return expectation_values(simulate(circuit, weights, features, initial_states), circuit.observables)
    weight_rows = shaped_rows("weights", weights, circuit.n_weights)
    feature_rows = shaped_rows("features", features, circuit.n_features).to(weights.dtype)
    lengths = {len(weight_rows), len(feature_rows), 1 if initial_states is None else len(initial_states)}
    rows = 0 if 0 in lengths else max(lengths)
    if not lengths <= {1, rows}:
        raise CircuitError(
            f"{len(weight_rows)} rows of weights do not match {len(feature_rows)} rows of features or initial states"
        )
    if rows == 0:
        return weight_rows.new_zeros(0, len(circuit.observables))
    states = initial_states
    if states is not None:
        check_initial_states(states, rows, 2**circuit.n_qubits)
        states = states.to(COMPLEX_OF[weights.dtype]).expand(rows, -1)
    feature_rows = feature_rows.expand(rows, -1)
    values: Tensor = _KernelValues.apply(circuit, weight_rows, feature_rows, states)  # type: ignore[no-untyped-call]
    return values


@dataclass(frozen=True, eq=False)
class Plan:
    """How runs of one shape go: what is the same for all of them. `call` lacks only the tensors of a run."""

    layout: Layout
    program: KernelProgram
    call: Call
    tile_numbers: int
    lambda_tiles: int


@lru_cache(maxsize=256)
def plan_for(
    circuit: Circuit, known: tuple[KernelLibrary, ...], rows: int, weight_rows: int, from_states: bool,
    dtype: torch.dtype, threads: int,
) -> Plan:  # fmt: skip
    """How `rows` rows of `circuit` run on the first of the builds `known`; equal runs are planned once.

    Raises ConfigurationError when the states do not fit into memory.
    """
    n_qubits = circuit.n_qubits
    layout = choose(rows, dtype, known, n_qubits)
    tile_numbers = layout.width * 2 * 2**n_qubits
    check_kernel_memory(n_qubits, rows, layout.tiles * layout.width, 2 * dtype.itemsize)
    line_bytes = 2 * layout.library.width(dtype) * dtype.itemsize
    inside = shares_blocks(n_qubits, layout.tiles, threads)
    block_bits = layout.lane_bits + (BLOCK_BYTES // (2 * line_bytes)).bit_length() - 1
    if inside:  # at least two blocks for every thread
        block_bits = min(block_bits, n_qubits - (2 * threads - 1).bit_length())
    program = kernel_program(circuit, from_states, weight_rows > 1, layout.lane_bits, block_bits)
    call = Call(
        n_qubits=n_qubits,
        rows=rows,
        weight_rows=weight_rows,
        n_weights=circuit.n_weights,
        n_features=circuit.n_features,
        n_sweeps=program.n_sweeps,
        n_observables=len(circuit.observables),
        n_fused=program.n_fused,
        n_elements=program.n_elements,
        threads=threads,
        lane_bits=layout.lane_bits,
        inside=int(inside),
        sweeps=ctypes.addressof(program.sweeps),
        passes=ctypes.addressof(program.passes),
        wires=ctypes.addressof(program.wires),
        bases=ctypes.addressof(program.bases),
        observables=ctypes.addressof(program.observables),
        elements=ctypes.addressof(program.elements),
        fused=ctypes.addressof(program.fused),
    )
    return Plan(layout, program, call, tile_numbers, 1 if inside or threads == 1 else layout.tiles)


class _Run:
    """The tensors of one run, kept alive together with the call that points into them."""

    def __init__(self, circuit: Circuit, weights: Tensor, features: Tensor, states: Tensor | None) -> None:
        self.dtype, rows = weights.dtype, len(features)
        self.plan = plan_for(
            circuit,
            libraries(),
            rows,
            len(weights),
            states is not None,
            self.dtype,
            thread_count(circuit.n_qubits, rows),
        )
        self.weights, self.features = weights.contiguous(), features.contiguous()
        self.states = None if states is None else states.resolve_conj().contiguous()
        self.psi = self._tiles(self.plan.layout.tiles)
        self.shape = (rows, len(circuit.observables))
        self.spent = False
        self.call = call = Call.from_buffer_copy(self.plan.call)
        call.weights, call.features = self.weights.data_ptr(), self.features.data_ptr()
        call.psi = self.psi.data_ptr()
        if self.states is not None:
            call.states = self.states.data_ptr()

    def forward(self) -> Tensor:
        values = torch.empty(self.shape, dtype=self.dtype)
        self.call.values = values.data_ptr()
        self._run(backward=False)
        self.spent = False
        return values

    def backward(self, cotangent: Tensor, wants_states: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        if self.spent:  # the backward sweep used the states up; a second one needs them again
            self.forward()
        self.spent = True
        held = cotangent.to(self.dtype).contiguous()
        by_weight, by_feature = torch.empty_like(self.weights), torch.empty_like(self.features)
        by_state = torch.empty_like(self.states) if wants_states and self.states is not None else None
        room, call = self._tiles(self.plan.lambda_tiles), self.call
        call.lambda_, call.cotangent = room.data_ptr(), held.data_ptr()
        call.weights_grad, call.features_grad = by_weight.data_ptr(), by_feature.data_ptr()
        call.states_grad = None if by_state is None else by_state.data_ptr()
        self._run(backward=True)
        return by_weight, by_feature, by_state

    def _run(self, backward: bool) -> None:
        status = self.plan.layout.library.run(self.call, self.dtype, backward)
        if status != Status.DONE:
            raise not_finite("weights" if status == Status.WEIGHTS_NOT_FINITE else "features")

    def _tiles(self, count: int) -> Tensor:
        return torch.empty(count * self.plan.tile_numbers, dtype=self.dtype)


class _KernelValues(torch.autograd.Function):
    """The kernel's values and gradients as a torch function."""

    @staticmethod
    def forward(ctx: Any, circuit: Circuit, weights: Tensor, features: Tensor, states: Tensor | None) -> Tensor:
        run = _Run(circuit, weights, features, states)
        values = run.forward()
        ctx.run = run if any(ctx.needs_input_grad) else None
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor | None]:
        wants = ctx.needs_input_grad
        grads = ctx.run.backward(cotangent, wants[3])
        return None, grads[0] if wants[1] else None, grads[1] if wants[2] else None, grads[2] if wants[3] else None
