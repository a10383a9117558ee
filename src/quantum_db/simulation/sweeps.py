"""Which gates the kernel applies to which part of the state at a time, so that the part stays in the cache.

A gate mixes stored amplitudes p and p ^ flip. Gates whose flips span a space of few dimensions therefore act on each
coset of that space by itself: a block. A sweep takes such gates, of one layer or of several in turn, and does them
block by block. Inside a block a gate is again one with a flip and a sign mask, on fewer bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from quantum_db.simulation.stored_indices import parity

LINES_PER_PASS = 2
"""Wires that one pass mixes. Three took 14 % more processor time at 12 qubits, 25 % at 16 and 46 % at 20: probably
because their sums and both states do not fit into 32 registers."""
PIECE_BITS = 3
"""A gathered block consists of pieces of at least 2^3 lines, which memory delivers at full speed."""


@dataclass(frozen=True)
class Gate:
    """A fused one-qubit gate on stored indices."""

    flip: int
    sign: int
    inverted: int
    number: int


@dataclass(frozen=True)
class BlockGate:
    """The gate inside a block: see Wire in kernel/call.hpp."""

    flip: int
    sign: int
    outer: int
    inverted: int
    number: int


@dataclass(frozen=True)
class BlockPass:
    """One way through a block: gates that mix lines, then gates inside lines."""

    lines: tuple[BlockGate, ...]
    lanes: tuple[BlockGate, ...]


@dataclass(frozen=True)
class BlockSweep:
    """Passes over blocks of 2^dim amplitudes: the low bits and the vectors beside them span a block."""

    passes: tuple[BlockPass, ...]
    low: int
    vectors: tuple[int, ...]

    @property
    def dim(self) -> int:
        """The number of bits of an index in a block."""
        return self.low + len(self.vectors)


class Span:
    """A space of bit vectors, as a basis in which the highest bit of each vector stands in no other."""

    def __init__(self, vectors: Iterable[int] = ()) -> None:
        self.basis: dict[int, int] = {}
        for vector in vectors:
            self.add(vector)

    def reduced(self, vector: int) -> int:
        """`vector` less what is in the space: 0 if it is in it."""
        for top, held in self.basis.items():
            if vector >> top & 1:
                vector ^= held
        return vector

    def add(self, vector: int) -> bool:
        """Extend the space by `vector`; False if it was in it."""
        vector = self.reduced(vector)
        if not vector:
            return False
        top = vector.bit_length() - 1
        self.basis = {place: held ^ vector if held >> top & 1 else held for place, held in self.basis.items()}
        self.basis[top] = vector
        return True

    def __len__(self) -> int:
        return len(self.basis)


class _Open:
    """A sweep that still takes gates."""

    def __init__(self, n_qubits: int, lane_bits: int, most: int) -> None:
        self.n_qubits, self.lane_bits, self.most = n_qubits, lane_bits, most
        self.span = Span(1 << bit for bit in range(min(n_qubits, most, lane_bits + PIECE_BITS)))
        self.layers: list[list[Gate]] = []

    def take(self, layer: Sequence[Gate]) -> list[Gate]:
        """Take what fits of `layer`; return the rest."""
        rest, taken = list(layer), []
        while rest:
            # first what is in the space already, then low bits, so that blocks stand in one piece where possible
            best = min(rest, key=lambda gate: (bool(self.span.reduced(gate.flip)), gate.flip.bit_length()))
            if len(self.span) == self.most and self.span.reduced(best.flip):
                break
            self.span.add(best.flip)
            taken.append(best)
            rest.remove(best)
        if taken:
            self.layers.append(taken)
        return rest

    def close(self) -> BlockSweep:
        """The finished sweep."""
        self._fill_up()
        low = next((bit for bit in range(self.n_qubits) if self.span.reduced(1 << bit)), self.n_qubits)
        vectors = tuple(self.span.basis[top] for top in sorted(self.span.basis) if top >= low)
        passes = [one for layer in self.layers for one in self._passes(layer, low, vectors)]
        return BlockSweep(tuple(passes), low, vectors)

    def _fill_up(self) -> None:
        # more of the low bits make longer pieces: all of them make one piece of the block
        for bit in range(self.n_qubits):
            if len(self.span) == self.most:
                return
            self.span.add(1 << bit)

    def _passes(self, layer: list[Gate], low: int, vectors: tuple[int, ...]) -> list[BlockPass]:
        gates = [_inside(gate, low, vectors) for gate in layer]
        lanes = tuple(gate for gate in gates if not gate.flip >> self.lane_bits)
        lines = [gate for gate in gates if gate.flip >> self.lane_bits]
        groups = _groups(lines, self.lane_bits)
        if not groups:
            return [BlockPass((), lanes)]
        return [BlockPass(tuple(group), lanes if not number else ()) for number, group in enumerate(groups)]


def _inside(gate: Gate, low: int, vectors: tuple[int, ...]) -> BlockGate:
    below = (1 << low) - 1
    flip, sign = gate.flip & below, gate.sign & below
    for number, vector in enumerate(vectors):
        flip |= (gate.flip >> (vector.bit_length() - 1) & 1) << (low + number)
        sign |= parity(vector & gate.sign) << (low + number)
    return BlockGate(flip, sign, gate.sign, gate.inverted, gate.number)


def _groups(gates: list[BlockGate], lane_bits: int) -> list[list[BlockGate]]:
    """Groups of nearly equal size whose flips of lines are independent."""
    if not gates:
        return []
    size = -(-len(gates) // -(-len(gates) // LINES_PER_PASS))
    groups: list[tuple[Span, list[BlockGate]]] = []
    for gate in gates:
        for span, group in groups:
            if len(group) < size and span.add(gate.flip >> lane_bits):
                group.append(gate)
                break
        else:
            groups.append((Span([gate.flip >> lane_bits]), [gate]))
    return [group for _, group in groups]


def sweeps_of(
    layers: Iterable[Sequence[Gate]], n_qubits: int, lane_bits: int, block_bits: int
) -> tuple[BlockSweep, ...]:
    """Sweeps that apply `layers` in turn, on blocks of at most 2^block_bits amplitudes."""
    most = min(n_qubits, max(block_bits, lane_bits + PIECE_BITS + 1))
    done: list[BlockSweep] = []
    current = _Open(n_qubits, lane_bits, most)
    for layer in layers:
        rest = current.take(layer)
        while rest:
            done.append(current.close())
            current = _Open(n_qubits, lane_bits, most)
            rest = current.take(rest)
    if current.layers:
        done.append(current.close())
    return tuple(sweep for sweep in done if sweep.passes)
