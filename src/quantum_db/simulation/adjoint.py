"""Expectation values with their adjoint gradient, on the compiled kernel where there is one.

The forward pass keeps one state per row. The backward pass undoes the gates one by one on it, so the memory is two
states per row whatever the depth (Jones and Gacon, arXiv:2009.02823). Without the kernel, or on a CUDA device, the same
values come from the torch simulation and its automatic differentiation.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from quantum_db.circuits.circuit import Circuit, Operation
from quantum_db.circuits.gates import gate
from quantum_db.errors import CircuitError
from quantum_db.simulation.kernel_call import (
    Call,
    Element,
    Fused,
    Step,
    StoredObservable,
    choose,
    libraries,
)
from quantum_db.simulation.memory import check_kernel_memory
from quantum_db.simulation.statevector import (
    COMPLEX_OF,
    as_rows,
    check_initial_states,
    expectation_values,
    simulate,
)
from quantum_db.simulation.stored_indices import StoredIndices
from quantum_db.simulation.threads import thread_count

_ONE, _PAIR, _TWO = 1, 2, 3


def differentiable_expectations(
    circuit: Circuit, weights: Tensor, features: Tensor, initial_states: Tensor | None = None
) -> Tensor:
    """Expectation values of the circuit's observables, real (rows, observables), differentiable once.

    Arguments as for `simulate`. Raises CircuitError when shapes do not fit and ConfigurationError when the states do
    not fit into memory.
    """
    if weights.device.type != "cpu" or not libraries():
        return expectation_values(simulate(circuit, weights, features, initial_states), circuit.observables)
    weight_rows = as_rows("weights", weights, circuit.n_weights)
    feature_rows = as_rows("features", features, circuit.n_features).to(weights.dtype)
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
class KernelProgram:
    """A circuit as the kernel takes it; the arrays live as long as this object."""

    steps: Any
    observables: Any
    elements: Any
    fused: Any
    constants: np.ndarray
    n_steps: int
    n_fused: int


class _Builder:
    """Walks a circuit once and packs it.

    `from_states` says that the run starts from given states instead of a product state; `per_row_weights` that every
    row has its own weights.
    """

    def __init__(self, circuit: Circuit, from_states: bool, per_row_weights: bool) -> None:
        self.circuit, self.per_row_weights = circuit, per_row_weights
        self.indices = StoredIndices(circuit.n_qubits)
        self.pending: list[list[Operation]] = [[] for _ in range(circuit.n_qubits)]
        self.steps: list[Step] = []
        self.elements: list[Element] = []
        self.fused: list[Fused] = []
        self.constants: list[np.ndarray] = []
        self.places: dict[tuple[str, float | None], int] = {}
        self.started = from_states

    def build(self) -> KernelProgram:
        for operation in self.circuit.operations:
            self._add(operation)
        self._flush()
        self._start()
        observables = [StoredObservable(*self.indices.observable(o)) for o in self.circuit.observables]
        return KernelProgram(
            steps=_array(Step, self.steps),
            observables=_array(StoredObservable, observables),
            elements=_array(Element, self.elements),
            fused=_array(Fused, self.fused),
            constants=np.concatenate(self.constants) if self.constants else np.zeros(1, dtype=np.complex128),
            n_steps=len(self.steps),
            n_fused=len(self.fused),
        )

    def _add(self, operation: Operation) -> None:
        if len(operation.wires) == 1:
            self.pending[operation.wires[0]].append(operation)
            return
        self._flush()
        first, second = operation.wires
        if operation.gate == "CNOT":
            self._start()
            self.indices.cnot(first, second)
        elif operation.gate == "SWAP":
            self._start()
            self.indices.swap(first, second)
        else:
            self._start()
            number = self._fuse([operation], dim=4)
            masks = [self.indices.masks(wire) for wire in (first, second)]
            self.steps.append(Step(_TWO, self.fused[number].per_row, *masks[0], number, *masks[1], 0))

    def _start(self) -> None:
        """The product state to start from, if nothing else has been: one fused gate per wire."""
        if not self.started:
            for operations in self.pending:
                self._fuse(operations, dim=2)
            self.pending = [[] for _ in self.pending]
            self.started = True

    def _flush(self) -> None:
        """Turn the waiting one-qubit gates into passes, two wires at a time."""
        if not any(self.pending):
            return
        if not self.started:
            self._start()
            return
        waiting: dict[int, list[tuple[int, int]]] = {0: [], 1: []}
        for wire, operations in enumerate(self.pending):
            if [operation.gate for operation in operations] == ["X"]:
                self.indices.flip(wire)
            elif operations:
                number = self._fuse(operations, dim=2)
                waiting[self.fused[number].per_row].append((wire, number))
        for per_row, items in waiting.items():
            while items:
                (wire, number), *rest = items[:2]
                masks = (*self.indices.masks(wire), number)
                other = (*self.indices.masks(rest[0][0]), rest[0][1]) if rest else (0, 0, 0, 0)
                self.steps.append(Step(_PAIR if rest else _ONE, per_row, *masks, *other))
                items = items[2:]
        self.pending = [[] for _ in self.pending]

    def _fuse(self, operations: list[Operation], dim: int) -> int:
        first = len(self.elements)
        self.elements += [self._element(operation) for operation in operations]
        if not operations:
            self.elements.append(Element(-1, self._constant("I", np.eye(2)), 0.0, 0.0))
        slots = [o.slot for o in operations if o.slot is not None]
        per_row = any(slot.kind == "feature" or self.per_row_weights for slot in slots)
        self.fused.append(Fused(first, len(self.elements) - first, dim, int(per_row)))
        return len(self.fused) - 1

    def _element(self, operation: Operation) -> Element:
        kind, slot = gate(operation.gate), operation.slot
        if slot is None:
            angle = None if operation.angle is None else float(operation.angle)  # type: ignore[arg-type]
            return Element(-1, self._constant(operation.gate, kind.matrix(angle), angle), 0.0, 0.0)
        number = slot.index + (self.circuit.n_weights if slot.kind == "feature" else 0)
        place = self._constant(operation.gate, np.concatenate([part.ravel() for part in kind.terms]))
        return Element(number, place, slot.scale * kind.frequency, slot.offset * kind.frequency)

    def _constant(self, name: str, matrix: np.ndarray, angle: float | None = None) -> int:
        key = (name, angle)
        if key not in self.places:
            self.places[key] = sum(map(len, self.constants))
            self.constants.append(np.asarray(matrix, dtype=np.complex128).ravel())
        return self.places[key]


def _array(kind: Any, items: list[Any]) -> Any:
    return (kind * max(len(items), 1))(*items)


@lru_cache(maxsize=256)
def kernel_program(circuit: Circuit, from_states: bool, per_row_weights: bool) -> KernelProgram:
    """Pack `circuit` for the kernel; equal circuits are packed once."""
    return _Builder(circuit, from_states, per_row_weights).build()


class _Buffers:
    """The tensors of one run, kept alive together with the call that points into them."""

    def __init__(self, circuit: Circuit, weights: Tensor, features: Tensor, states: Tensor | None) -> None:
        self.dtype = weights.dtype
        self.rows, self.n_qubits = len(features), circuit.n_qubits
        self.layout = choose(self.rows, self.dtype, libraries())
        self.threads = thread_count(self.n_qubits, self.rows)
        self.program = kernel_program(circuit, states is not None, len(weights) > 1)
        check_kernel_memory(self.n_qubits, self.rows, self.layout.tiles * self.layout.width, 2 * self.dtype.itemsize)
        self.weights, self.features = weights.double().contiguous(), features.double().contiguous()
        self.states = None if states is None else states.resolve_conj().contiguous()
        self.psi = self._tiles(self.layout.tiles)
        self.values = torch.zeros(self.rows, len(circuit.observables), dtype=torch.float64)
        self.spent = False
        self.call = Call(
            n_qubits=self.n_qubits,
            rows=self.rows,
            weight_rows=len(weights),
            n_weights=circuit.n_weights,
            n_features=circuit.n_features,
            n_steps=self.program.n_steps,
            n_observables=len(circuit.observables),
            n_fused=self.program.n_fused,
            threads=self.threads,
            steps=ctypes.addressof(self.program.steps),
            observables=ctypes.addressof(self.program.observables),
            elements=ctypes.addressof(self.program.elements),
            fused=ctypes.addressof(self.program.fused),
            constants=self.program.constants.ctypes.data,
            weights=self.weights.data_ptr(),
            features=self.features.data_ptr(),
            states=None if self.states is None else self.states.data_ptr(),
            psi=self.psi.data_ptr(),
            values=self.values.data_ptr(),
        )

    def forward(self) -> Tensor:
        self.values.zero_()
        self._run(backward=False)
        self.spent = False
        return self.values.to(self.dtype, copy=True)  # the buffer is filled again by a second backward pass

    def backward(self, cotangent: Tensor, wants_states: bool) -> tuple[Tensor, Tensor, Tensor | None]:
        if self.spent:  # the backward sweep used the states up; a second one needs them again
            self.forward()
        self.spent = True
        held = cotangent.double().contiguous()
        by_weight, by_feature = torch.zeros_like(self.weights), torch.zeros_like(self.features)
        by_state = torch.empty_like(self.states) if wants_states and self.states is not None else None
        room = self._tiles(self.layout.library.lambda_tiles(self.n_qubits, self.layout.tiles, self.threads))
        self.call.lambda_, self.call.cotangent = room.data_ptr(), held.data_ptr()
        self.call.weights_grad, self.call.features_grad = by_weight.data_ptr(), by_feature.data_ptr()
        self.call.states_grad = None if by_state is None else by_state.data_ptr()
        self._run(backward=True)
        return by_weight.to(self.dtype), by_feature.to(self.dtype), by_state

    def _run(self, backward: bool) -> None:
        self.layout.library.run(self.call, self.dtype, backward, self.layout.half)

    def _tiles(self, count: int) -> Tensor:
        return torch.empty(count * self.layout.width * 2 * 2**self.n_qubits, dtype=self.dtype)


class _KernelValues(torch.autograd.Function):
    """The kernel's values and gradients as a torch function."""

    @staticmethod
    def forward(ctx: Any, circuit: Circuit, weights: Tensor, features: Tensor, states: Tensor | None) -> Tensor:
        buffers = _Buffers(circuit, weights, features, states)
        values = buffers.forward()
        ctx.buffers = buffers if any(ctx.needs_input_grad) else None
        return values

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, cotangent: Tensor) -> tuple[None, Tensor | None, Tensor | None, Tensor | None]:
        wants = ctx.needs_input_grad
        grads = ctx.buffers.backward(cotangent, wants[3])
        return None, grads[0] if wants[1] else None, grads[1] if wants[2] else None, grads[2] if wants[3] else None
