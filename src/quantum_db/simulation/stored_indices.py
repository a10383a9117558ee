"""The affine map from logical to stored amplitude indices, by which CNOT, SWAP and X cost nothing.

Stored index p = A l + t over bits, for logical index l. A gate that permutes basis states linearly changes A or t and
leaves the amplitudes where they are. A one-qubit gate on wire q then mixes p and p ^ column(q); bit q of the logical
index is the parity of row(q) & (p ^ t), with the rows those of the inverse of A.
"""

from __future__ import annotations

from quantum_db.circuits.observables import PauliString


def parity(bits: int) -> int:
    """1 if an odd number of bits is set."""
    return bits.bit_count() & 1


class StoredIndices:
    """The map for `n_qubits` wires, at first the identity with wire 0 most significant."""

    def __init__(self, n_qubits: int) -> None:
        self.columns = [1 << (n_qubits - 1 - wire) for wire in range(n_qubits)]
        self.rows = list(self.columns)
        self.offset = 0

    def cnot(self, control: int, target: int) -> None:
        """Apply CNOT."""
        self.columns[control] ^= self.columns[target]
        self.rows[target] ^= self.rows[control]

    def swap(self, first: int, second: int) -> None:
        """Apply SWAP."""
        for table in (self.columns, self.rows):
            table[first], table[second] = table[second], table[first]

    def flip(self, wire: int) -> None:
        """Apply X."""
        self.offset ^= self.columns[wire]

    def masks(self, wire: int) -> tuple[int, int, int]:
        """(flip, sign, inverted) of a gate on `wire`: see kernel/call.hpp."""
        return self.columns[wire], self.rows[wire], parity(self.rows[wire] & self.offset)

    def observable(self, observable: PauliString) -> tuple[int, int, int, float]:
        """(flip, sign, phase, c): (P psi)_p = c i^phase (-1)^parity(p & sign) psi_(p ^ flip)."""
        flip = sign = turns = 0
        for wire, letter in observable.factors:
            if letter != "Z":
                flip ^= self.columns[wire]
            if letter != "X":
                sign ^= self.rows[wire]
            turns += 3 * (letter == "Y")  # Y = -i at |0>, +i at |1>
        return flip, sign, (turns + 2 * parity(sign & self.offset)) % 4, observable.coefficient
