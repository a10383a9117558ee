"""Circuits as Unicode text."""

from __future__ import annotations

from textwrap import wrap
from typing import TYPE_CHECKING

from quantum_db.circuits.drawing.layout import Cell, Column, Mark, columns, wrapped

if TYPE_CHECKING:
    from quantum_db.circuits.circuit import Circuit

_JOINS = {"─": "┼", " ": "│"}


def draw_text(circuit: Circuit, width: int = 120) -> str:
    """Return the circuit as text of at most `width` characters per line, wrapped into rows where it is longer.

    `┤RX w3├` is a gate turned by weight 3, x2 is feature 2; `●` marks a control, `⊕` its target, `×` the ends of a
    SWAP, and boxes joined by a line are one gate on two qubits. Lines that go on in the next row end with `»`.
    """
    grid = columns(circuit)
    widths = [_column_width(column) for column in grid]
    labels = [f"q{wire}: " for wire in range(circuit.n_qubits)]
    margin = max(map(len, labels))
    rows = wrapped([each + 1 for each in widths], max(width - margin - 3, 1))
    blocks = []
    for number, row in enumerate(rows):
        lines = _block(circuit.n_qubits, [grid[i] for i in row], [widths[i] for i in row])
        blocks.append(_labelled(lines, labels, margin, number < len(rows) - 1))
    if circuit.observables:
        measured = "measured: " + ", ".join(map(str, circuit.observables))
        blocks.append(wrap(measured, max(width, 20), subsequent_indent=" " * 10, break_long_words=False))
    return "\n\n".join("\n".join(block) for block in blocks)


def _column_width(column: Column) -> int:
    return max(len(_label(mark)) for cell in column for mark in cell.marks)


def _label(mark: Mark) -> str:
    if mark.is_symbol:
        return mark.name
    return f"┤{mark.name} {mark.angle}├" if mark.angle else f"┤{mark.name}├"


def _block(n_qubits: int, grid: list[Column], widths: list[int]) -> list[str]:
    """The lines of one row: wires at even places, the space between two wires at odd ones."""
    ends = ["─" if number % 2 == 0 else " " for number in range(2 * n_qubits - 1)]
    lines = ends
    for column, width in zip(grid, widths, strict=True):
        pieces = [end * width for end in ends]
        for cell in column:
            _place(pieces, cell, width)
        lines = [line + piece + end for line, piece, end in zip(lines, pieces, ends, strict=True)]
    return lines


def _place(pieces: list[str], cell: Cell, width: int) -> None:
    centre = (width - 1) // 2
    for number in range(2 * cell.span.start + 1, 2 * (cell.span.stop - 1)):
        line = pieces[number]
        pieces[number] = line[:centre] + _JOINS[line[centre]] + line[centre + 1 :]
    for mark in cell.marks:
        label = _label(mark)
        if not mark.is_symbol and len(cell.marks) > 1:
            # both halves of a gate on two qubits are as wide as their column, so that the line meets them
            label = f"┤{label[1:-1].center(width - 2)}├"
        before = centre if mark.is_symbol else (width - len(label) + 1) // 2
        pieces[2 * mark.wire] = "─" * before + label + "─" * (width - before - len(label))


def _labelled(lines: list[str], labels: list[str], margin: int, goes_on: bool) -> list[str]:
    result = []
    for number, line in enumerate(lines):
        is_wire = number % 2 == 0
        start = labels[number // 2].rjust(margin) if is_wire else " " * margin
        result.append((start + line + ("»" if goes_on and is_wire else "")).rstrip())
    return result
