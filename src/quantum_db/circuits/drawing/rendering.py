"""The shapes of a drawing as an SVG document and as PNG bytes."""

from __future__ import annotations

import io
from html import escape
from typing import TYPE_CHECKING, Any

from quantum_db.circuits.drawing.scene import Box, Disc, Line, Shape, circuit_scene
from quantum_db.registry import require_package

if TYPE_CHECKING:
    from quantum_db.circuits.circuit import Circuit

_FONTS = "'DejaVu Sans', Verdana, Arial, Helvetica, sans-serif"
_RADIUS = 4.0
_BASELINE = 0.36  # how far the base line lies under the middle of a line of text, in its size
_POINTS = 0.75  # points per pixel
_ALIGN = {"start": "left", "middle": "center", "end": "right"}


def draw_svg(circuit: Circuit, width: int = 960) -> str:
    """Return the circuit as an SVG document on a white card, in rows of at most `width` pixels.

    Gates turned by features, trainable gates and fixed gates have colours of their own, named in a legend. Text stays
    text, so it can be searched and read aloud.
    """
    scene = circuit_scene(circuit, width)
    size = f'width="{scene.width}" height="{scene.height}" viewBox="0 0 {scene.width} {scene.height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" font-family="{_FONTS}">',
        f"<title>{escape(scene.title)}</title>",
        f'<rect width="{scene.width}" height="{scene.height}" rx="8" fill="#ffffff"/>',
        *map(_element, scene.shapes),
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def draw_png(circuit: Circuit, width: int = 960, scale: float = 2.0) -> bytes:
    """Return the same drawing as `draw_svg` as PNG bytes, with `scale` dots per pixel.

    Raises MissingDependencyError without matplotlib (extra "reports").
    """
    figures = require_package("matplotlib.figure", "reports", "drawing a circuit as PNG")
    scene = circuit_scene(circuit, width)
    figure = figures.Figure(figsize=(scene.width / 96, scene.height / 96), facecolor="white")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, scene.width), ylim=(scene.height, 0))
    axes.set_axis_off()
    for order, shape in enumerate(scene.shapes):
        _add(axes, shape, order)
    stream = io.BytesIO()
    figure.savefig(stream, format="png", dpi=96 * scale, metadata={"Software": None})
    return stream.getvalue()


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _element(shape: Shape) -> str:
    if isinstance(shape, Line):
        points = " ".join(f"{_number(x)},{_number(y)}" for x, y in shape.points)
        stroke = f'stroke="{shape.colour}" stroke-width="{_number(shape.thickness)}" stroke-linecap="round"'
        return f'<polyline points="{points}" fill="none" {stroke}/>'
    if isinstance(shape, Box):
        place = f'x="{_number(shape.x)}" y="{_number(shape.y)}"'
        size = f'width="{_number(shape.width)}" height="{_number(shape.height)}" rx="{_number(_RADIUS)}"'
        return f'<rect {place} {size} fill="{shape.fill}" stroke="{shape.edge}" stroke-width="1.3"/>'
    if isinstance(shape, Disc):
        place = f'cx="{_number(shape.x)}" cy="{_number(shape.y)}" r="{_number(shape.radius)}"'
        return f'<circle {place} fill="{shape.fill}" stroke="{shape.edge}" stroke-width="1.6"/>'
    weight = ' font-weight="bold"' if shape.bold else ""
    place = f'x="{_number(shape.x)}" y="{_number(shape.y + _BASELINE * shape.size)}"'
    style = f'font-size="{_number(shape.size)}" fill="{shape.colour}" text-anchor="{shape.anchor}"{weight}'
    return f"<text {place} {style}>{escape(shape.text)}</text>"


def _add(axes: Any, shape: Shape, order: int) -> None:
    patches = require_package("matplotlib.patches", "reports", "drawing a circuit as PNG")
    if isinstance(shape, Line):
        x, y = zip(*shape.points, strict=True)
        axes.plot(x, y, color=shape.colour, linewidth=shape.thickness * _POINTS, zorder=order, solid_capstyle="round")
    elif isinstance(shape, Box):
        style = patches.BoxStyle("Round", pad=0, rounding_size=_RADIUS)
        place = ((shape.x, shape.y), shape.width, shape.height)
        paint = {"facecolor": shape.fill, "edgecolor": shape.edge, "linewidth": 1.3 * _POINTS}
        axes.add_patch(patches.FancyBboxPatch(*place, boxstyle=style, zorder=order, **paint))
    elif isinstance(shape, Disc):
        paint = {"facecolor": shape.fill, "edgecolor": shape.edge, "linewidth": 1.6 * _POINTS}
        axes.add_patch(patches.Circle((shape.x, shape.y), shape.radius, zorder=order, **paint))
    else:
        axes.text(
            shape.x,
            shape.y + _BASELINE * shape.size,
            shape.text,
            fontsize=shape.size * _POINTS,
            fontfamily="DejaVu Sans",
            fontweight="bold" if shape.bold else "normal",
            color=shape.colour,
            ha=_ALIGN[shape.anchor],
            va="baseline",
            zorder=order,
            parse_math=False,
        )
