"""A circuit as shapes with positions and colours, in pixels; `rendering` turns them into SVG or PNG."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from math import cos, pi, sin
from textwrap import wrap
from typing import TYPE_CHECKING

from quantum_db.circuits.drawing.layout import Cell, Column, Kind, Mark, columns, kinds, wrapped

if TYPE_CHECKING:
    from quantum_db.circuits.circuit import Circuit

Point = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """A line through points."""

    points: tuple[Point, ...]
    colour: str
    thickness: float = 1.2


@dataclass(frozen=True)
class Box:
    """A rectangle with rounded corners; x and y are its upper left corner."""

    x: float
    y: float
    width: float
    height: float
    fill: str
    edge: str


@dataclass(frozen=True)
class Disc:
    """A filled circle around (x, y)."""

    x: float
    y: float
    radius: float
    fill: str
    edge: str


@dataclass(frozen=True)
class Label:
    """One line of text; (x, y) is the middle of its height and its left end, middle or right end."""

    x: float
    y: float
    text: str
    size: float
    colour: str
    bold: bool = False
    anchor: str = "middle"


Shape = Line | Box | Disc | Label


@dataclass(frozen=True)
class Scene:
    """Shapes in drawing order on a white card."""

    width: int
    height: int
    title: str
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class _Paint:
    fill: str
    edge: str
    ink: str
    meaning: str


_INK, _SOFT, _WIRE = "#1b2330", "#5a6575", "#aab3c0"
# three hues that stay apart for colour-blind readers, and in grey by their darkness
_PAINTS: dict[Kind, _Paint] = {
    "feature": _Paint("#fde7cf", "#d9780f", "#7a3d00", "turned by a feature (x)"),
    "weight": _Paint("#dde8fc", "#2f6fde", "#123f8c", "trainable (w)"),
    "fixed": _Paint("#eef0f4", "#6b7686", "#2b3440", "fixed"),
}
_PITCH, _BOX, _GAP, _MARGIN, _METER = 44, 32, 10, 20, 26
_NAME_SIZE, _ANGLE_SIZE, _LABEL_SIZE, _LEGEND_SIZE = 12.5, 10.0, 13.0, 11.5
_DOT, _TARGET, _CROSS = 4.5, 9.5, 6.0
_ROW_GAP = 26


def circuit_scene(circuit: Circuit, width: int) -> Scene:
    """Lay out `circuit` in rows at most `width` pixels wide; one gate that is wider than that gets its own row."""
    grid = columns(circuit)
    widths = [_column_width(column) for column in grid]
    left = _MARGIN + round(_text_width(f"q{circuit.n_qubits - 1}", _LABEL_SIZE)) + 12
    rows = wrapped(widths, max(width - left - _MARGIN - _METER - _GAP, 1))
    top = _MARGIN + _LEGEND_SIZE / 2
    shapes = _legend(kinds(grid), _MARGIN, top)
    top += _LEGEND_SIZE + 14 if shapes else 0
    right = max(
        (shape.x + _text_width(shape.text, shape.size) for shape in shapes if isinstance(shape, Label)), default=0
    )
    for number, row in enumerate(rows):
        drawn = _row(circuit, [(grid[i], widths[i]) for i in row], left, top, number < len(rows) - 1)
        shapes += drawn
        right = max(right, left + sum(widths[i] for i in row) + _METER + _GAP)
        top += (circuit.n_qubits - 1) * _PITCH + _BOX + _ROW_GAP
    total = round(right) + _MARGIN
    below = _measured(circuit, total, top)
    bottom = below[-1].y + _LEGEND_SIZE / 2 if below else top - _ROW_GAP
    return Scene(total, round(bottom + _MARGIN), _title(circuit), (*shapes, *below))


def _title(circuit: Circuit) -> str:
    ones, twos = circuit.count_by_arity()
    return (
        f"Quantum circuit of {circuit.n_qubits} qubit(s), depth {circuit.depth}: {ones} one-qubit and {twos} "
        f"two-qubit gate(s), {circuit.n_weights} weight(s), {circuit.n_features} feature slot(s)"
    )


def _text_width(text: str, size: float, bold: bool = False) -> float:
    # the mean advance of DejaVu Sans, the widest of the fonts asked for
    return len(text) * size * (0.68 if bold else 0.6)


def _mark_width(mark: Mark) -> float:
    if mark.is_symbol:
        return 2 * _TARGET
    inner = max(_text_width(mark.name, _NAME_SIZE, bold=True), _text_width(mark.angle, _ANGLE_SIZE))
    return max(_BOX, inner + 10)


def _column_width(column: Column) -> int:
    return round(max(_mark_width(mark) for cell in column for mark in cell.marks)) + _GAP


def _legend(present: tuple[Kind, ...], x: float, y: float) -> list[Shape]:
    shapes: list[Shape] = []
    for kind in present:
        paint = _PAINTS[kind]
        shapes.append(Box(x, y - 6, 16, 12, paint.fill, paint.edge))
        shapes.append(Label(x + 23, y, paint.meaning, _LEGEND_SIZE, _SOFT, anchor="start"))
        x += 23 + _text_width(paint.meaning, _LEGEND_SIZE) + 18
    return shapes


def _row(circuit: Circuit, cells: list[tuple[Column, int]], left: float, top: float, goes_on: bool) -> list[Shape]:
    """One row of the drawing; a row that goes on in the next one ends in dots, the last one in the meters."""
    heights = [top + _BOX / 2 + wire * _PITCH for wire in range(circuit.n_qubits)]
    end = left + sum(width for _, width in cells) + _GAP
    shapes: list[Shape] = []
    for wire, y in enumerate(heights):
        shapes.append(Label(left - 12, y, f"q{wire}", _LABEL_SIZE, _INK, anchor="end"))
        shapes.append(Line(((left - 4, y), (end, y)), _WIRE))
        shapes += [Disc(end + step, y, 0.9, _WIRE, _WIRE) for step in (4, 8, 12)] if goes_on else []
    x = left + _GAP / 2
    for column, width in cells:
        for cell in column:
            shapes += _gate(cell, x + width / 2, heights)
        x += width
    if not goes_on:
        wires = sorted({wire for observable in circuit.observables for wire in observable.wires})
        shapes += [shape for wire in wires for shape in _meter(end, heights[wire])]
    return shapes


def _gate(cell: Cell, x: float, heights: list[float]) -> list[Shape]:
    paint = _PAINTS[cell.kind]
    shapes: list[Shape] = []
    for upper, lower in pairwise(cell.marks):
        shapes.append(Line(((x, heights[upper.wire]), (x, heights[lower.wire])), paint.edge, 1.6))
    boxes = [mark for mark in cell.marks if not mark.is_symbol]
    width = max(map(_mark_width, boxes), default=0.0)
    for mark in cell.marks:
        shapes += _mark(mark, x, heights[mark.wire], width, paint)
    return shapes


def _mark(mark: Mark, x: float, y: float, width: float, paint: _Paint) -> list[Shape]:
    if mark.name == "●":
        return [Disc(x, y, _DOT, paint.edge, paint.edge)]
    if mark.name == "⊕":
        across = Line(((x - _TARGET, y), (x + _TARGET, y)), paint.edge, 1.6)
        down = Line(((x, y - _TARGET), (x, y + _TARGET)), paint.edge, 1.6)
        return [Disc(x, y, _TARGET, "#ffffff", paint.edge), across, down]
    if mark.name == "×":
        ends = ((x - _CROSS, y - _CROSS), (x + _CROSS, y + _CROSS))
        other = ((x - _CROSS, y + _CROSS), (x + _CROSS, y - _CROSS))
        return [Line(ends, paint.edge, 1.8), Line(other, paint.edge, 1.8)]
    box = Box(x - width / 2, y - _BOX / 2, width, _BOX, paint.fill, paint.edge)
    if not mark.angle:
        return [box, Label(x, y, mark.name, _NAME_SIZE, paint.ink, bold=True)]
    name = Label(x, y - 6.5, mark.name, _NAME_SIZE, paint.ink, bold=True)
    return [box, name, Label(x, y + 7.5, mark.angle, _ANGLE_SIZE, paint.ink)]


def _meter(x: float, y: float) -> list[Shape]:
    middle, base, radius = x + _METER / 2, y + 5.5, 8.5
    arc = tuple((middle - radius * cos(pi * t / 12), base - radius * sin(pi * t / 12)) for t in range(13))
    needle = ((middle, base), (middle + 7.0, base - 11.0))
    box = Box(x, y - _METER / 2, _METER, _METER, "#ffffff", _SOFT)
    return [box, Line(arc, _SOFT, 1.3), Line(needle, _INK, 1.3)]


def _measured(circuit: Circuit, width: int, top: float) -> list[Label]:
    if not circuit.observables:
        return []
    # no-break spaces keep the factors of one string on one line
    names = ", ".join(str(observable).replace(" ", "\u00a0") for observable in circuit.observables)
    room = max(int((width - 2 * _MARGIN) / _text_width("m", _LEGEND_SIZE)), 12)
    lines = wrap(f"measured: {names}", room, break_long_words=False)
    return [
        Label(_MARGIN, top + 18 * number, line, _LEGEND_SIZE, _SOFT, anchor="start")
        for number, line in enumerate(lines)
    ]
