"""What every drawing shares: the labels of gates and angles, the columns, and the wrapping into rows."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import pi
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from quantum_db.circuits.circuit import Circuit, Operation, Slot

Kind = Literal["feature", "weight", "fixed"]
"""What turns a gate: a feature of the sample, a trainable weight, or nothing."""

_NAMES = {"Sdg": "S†", "Tdg": "T†", "PhaseShift": "P"}
_CONTROLLED = {"CNOT": "⊕", "CZ": "●", "CRX": "RX", "CRY": "RY", "CRZ": "RZ"}
SYMBOLS = frozenset("●⊕×")
"""Marks that are drawn without a box."""


@dataclass(frozen=True)
class Mark:
    """What stands on one wire in one column: a symbol, or a box with a name and perhaps an angle."""

    wire: int
    name: str
    angle: str = ""

    @property
    def is_symbol(self) -> bool:
        """Whether the mark is drawn without a box."""
        return self.name in SYMBOLS


@dataclass(frozen=True)
class Cell:
    """One gate in a drawing: its marks, from the upper to the lower wire, and what turns it."""

    marks: tuple[Mark, ...]
    kind: Kind

    @property
    def span(self) -> range:
        """The wires that the gate covers, those it only crosses included."""
        return range(self.marks[0].wire, self.marks[-1].wire + 1)


Column = tuple[Cell, ...]


def columns(circuit: Circuit) -> tuple[Column, ...]:
    """Place every gate as far left as its wires, and the wires it crosses, allow."""
    placed: list[list[Cell]] = []
    free = [0] * circuit.n_qubits
    for operation in circuit.canonical_operations:
        cell = _cell(operation)
        column = max(free[wire] for wire in cell.span)
        for wire in cell.span:
            free[wire] = column + 1
        if column == len(placed):
            placed.append([])
        placed[column].append(cell)
    return tuple(tuple(sorted(column, key=lambda cell: cell.span.start)) for column in placed)


def wrapped(widths: Sequence[int], limit: int) -> tuple[range, ...]:
    """Break columns of these widths into the fewest rows of at most `limit`, the rows about equally wide."""
    rows = _broken(widths, limit)
    narrow, wide = 0, limit
    while wide - narrow > 1:
        middle = (narrow + wide) // 2
        if len(_broken(widths, middle)) > len(rows):
            narrow = middle
        else:
            wide = middle
    return _broken(widths, wide)


def kinds(grid: Iterable[Column]) -> tuple[Kind, ...]:
    """The kinds of gates that occur, in the order of the legend."""
    present = {cell.kind for column in grid for cell in column}
    order: tuple[Kind, ...] = ("feature", "weight", "fixed")
    return tuple(kind for kind in order if kind in present)


def angle_text(value: float) -> str:
    """An angle in radians for people: a multiple of π where it is one, otherwise three digits."""
    for denominator in (1, 2, 3, 4, 6, 8, 16):
        numerator = value * denominator / pi
        whole = round(numerator)
        if 0 < abs(whole) <= 2 * denominator and abs(numerator - whole) < 1e-9:
            factor = {1: "", -1: "-"}.get(whole, str(whole))
            return f"{factor}π" + (f"/{denominator}" if denominator > 1 else "")
    return f"{value:.3g}"


def slot_text(slot: Slot) -> str:
    """A slot for people: w3, -x2, π/2·x2, 2·w0+π/4."""
    name = f"{'w' if slot.kind == 'weight' else 'x'}{slot.index}"
    factor = {1.0: "", -1.0: "-"}.get(slot.scale, f"{angle_text(slot.scale)}·")
    if not slot.offset:
        return factor + name
    offset = angle_text(slot.offset)
    return f"{factor}{name}{'' if offset.startswith('-') else '+'}{offset}"


def _cell(operation: Operation) -> Cell:
    slot = operation.slot
    kind: Kind = "fixed" if slot is None else slot.kind
    marks = _marks(operation.gate, operation.wires, _angle(operation))
    return Cell(tuple(sorted(marks, key=lambda mark: mark.wire)), kind)


def _angle(operation: Operation) -> str:
    if operation.angle is None:
        return ""
    return angle_text(operation.angle) if isinstance(operation.angle, float) else slot_text(operation.angle)


def _marks(name: str, wires: tuple[int, ...], angle: str) -> tuple[Mark, ...]:
    if name == "SWAP":
        return tuple(Mark(wire, "×") for wire in wires)
    if name in _CONTROLLED:
        return Mark(wires[0], "●"), Mark(wires[1], _CONTROLLED[name], angle)
    # a rotation of two qubits is one box per qubit, joined by a line; the angle stands once, in the upper box
    return tuple(Mark(wire, _NAMES.get(name, name), angle if wire == min(wires) else "") for wire in wires)


def _broken(widths: Sequence[int], limit: int) -> tuple[range, ...]:
    starts, used = [0], 0
    for number, width in enumerate(widths):
        if used and used + width > limit:
            starts.append(number)
            used = 0
        used += width
    return tuple(range(first, last) for first, last in zip(starts, [*starts[1:], len(widths)], strict=True))
