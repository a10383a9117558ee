"""What a run of the compiled kernel computes and moves, counted from its plan.

Counted in lines (as many numbers as a vector register holds; see simulation/kernel/lines.hpp), as the kernel computes
whole ones: lanes without a row of the batch count too. A `Count` says

- operations: additions, subtractions and multiplications of real numbers;
- slots: what they take of the processor's multiply-add units. A multiplication whose product is added to something
  takes one slot with that addition; any other multiplication or addition takes a slot to itself.

Per line of a state, slots (operations):

- forward, a pass over w wires: 2 diagonal matrices of 4 (6) each, and 2 (4) per wire for its turn: 8 + 2 w (12 + 4 w);
- backward, the same on each of 2 states, and the gradient's sums: 3 (4) for the diagonal, which all wires of the pass
  share, and per wire 5 (8) if it mixes lines, 6 (8) if it mixes amplitudes within a line;
- product state: 4 (6) forward, 12 (16) backward, and what its two halves take;
- expectation values: 2 (3) for the probability, h (h) for the Walsh-Hadamard transform in groups of 2^h lines, and for
  strings that are not of Z alone 3 (5) each; strings of Z take 1 (2) per group;
- the state to carry backward: 2 (2) for the product, h (h) for the transform, 3 (5) per string that is not of Z alone.

Left out is what is done once per pass, wire or gate and not per line: tables of cosines and sines, sums of many terms
that go into double precision, the chain rule. Shuffles inside a register are left out, too.

Memory: a sweep over the state reads and writes it, however many passes it makes over each block, since a block stays
in the cache. A state that does not fit there comes from memory once per sweep.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from quantum_db.simulation.adjoint import Plan
from quantum_db.simulation.kernel_call import Pass

GROUP = 4
"""The transform takes 2^GROUP lines at a time: Observables::GROUP in simulation/kernel/observables.hpp."""


@dataclass(frozen=True)
class Count:
    """Slots of the multiply-add units, and operations."""

    slots: int = 0
    operations: int = 0

    def __add__(self, other: Count) -> Count:
        return Count(self.slots + other.slots, self.operations + other.operations)

    def __mul__(self, times: int) -> Count:
        return Count(self.slots * times, self.operations * times)


PRODUCT = Count(4, 6)
"""Of two complex numbers."""
SUM = Count(2, 2)
"""Of two complex numbers."""
DIAGONALS = PRODUCT * 2
TURN = Count(2, 4)
DIAGONAL_SUM, LINE_SUM, LANE_SUM = Count(3, 4), Count(5, 8), PRODUCT + SUM
PROBABILITY, WEIGHTED, ADDED = Count(2, 3), Count(2, 2), Count(1, 2)
OTHER_STRING = Count(3, 5)


def passes_of(plan: Plan) -> Iterator[Pass]:
    """All passes of all sweeps, in order."""
    for sweep in plan.program.sweeps[: plan.program.n_sweeps]:
        yield from plan.program.passes[sweep.first : sweep.first + sweep.count]


def forward_count(plan: Plan) -> Count:
    """Of one run that gives expectation values, from a product state, per number in a line."""
    lines = _lines(plan)
    done = PRODUCT * lines + _halves(plan)
    for one in passes_of(plan):
        done += (DIAGONALS + TURN * (one.lines + one.lanes)) * lines
    done += (PROBABILITY + _transform(plan)) * lines + _strings(plan)
    return done * plan.layout.tiles


def backward_count(plan: Plan) -> Count:
    """Of one run that gives the gradient in weights and features, from a product state, per number in a line."""
    lines = _lines(plan)
    done = (WEIGHTED + _transform(plan)) * lines + _strings(plan)
    for one in passes_of(plan):
        undone = (DIAGONALS + TURN * (one.lines + one.lanes)) * 2
        done += (undone + DIAGONAL_SUM + LINE_SUM * one.lines + LANE_SUM * one.lanes) * lines
    done += (PRODUCT + SUM) * 2 * lines + _halves(plan) + _halves_backward(plan)
    return done * plan.layout.tiles


def states_moved(plan: Plan) -> int:
    """How often a step reads or writes a state of the whole batch.

    Forward the product state is written, each sweep reads and writes, the expectation values read. Backward the second
    state is made of the first one, each sweep reads and writes both, the gradient of the product state reads one.
    """
    return (1 + 2 * plan.program.n_sweeps + 1) + (2 + 4 * plan.program.n_sweeps + 1)


def _lines(plan: Plan) -> int:
    return 1 << int(plan.call.n_qubits - plan.layout.lane_bits)


def _group_bits(plan: Plan) -> int:
    return min(GROUP, int(plan.call.n_qubits - plan.layout.lane_bits))


def _transform(plan: Plan) -> Count:
    return Count(1, 1) * _group_bits(plan)


def _strings(plan: Plan) -> Count:
    """Of all observables in one tile: forward and backward take as much."""
    observables = plan.program.observables[: plan.call.n_observables]
    others = sum(bool(observable.flip) for observable in observables)
    of_z = int(plan.call.n_observables) - others
    return ADDED * of_z * (_lines(plan) >> _group_bits(plan)) + OTHER_STRING * others * _lines(plan)


def _wires_of_halves(plan: Plan) -> tuple[int, int]:
    lower = max(plan.layout.lane_bits, (plan.call.n_qubits + 1) // 2)
    return plan.call.n_qubits - lower, lower


def _halves(plan: Plan) -> Count:
    """The products of the upper and of the lower wires, one amplitude per line."""
    return sum((PRODUCT * 2 * ((1 << wires) - 1) for wires in _wires_of_halves(plan)), Count())


def _halves_backward(plan: Plan) -> Count:
    upper, lower = _wires_of_halves(plan)
    parts = min(plan.call.threads, 1 << upper) if plan.call.inside else 1
    gathered = SUM * plan.layout.lane_bits * (1 << upper)
    added_up = SUM * (parts - 1) * (1 << (lower - plan.layout.lane_bits))
    return gathered + added_up + _folded(upper) + _folded(lower)


def _folded(wires: int) -> Count:
    """The gradient of `wires` factors from that of their product."""
    if wires == 0:
        return Count()
    products = PRODUCT * (2 * ((1 << (wires - 1)) - 1))
    contracted = (PRODUCT * 4 + SUM * 3) * ((1 << wires) - 1)
    return products + contracted + PRODUCT * 4 * wires
