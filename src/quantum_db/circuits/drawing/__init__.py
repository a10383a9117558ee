"""Drawings of circuits: as text for terminals and logs, as SVG for pages, as PNG for everything else.

`draw_text` and `draw_svg` need nothing but the standard library; `draw_png` needs matplotlib. Equal circuits give equal
drawings, byte for byte: no dates, no random ids.
"""

from quantum_db.circuits.drawing.rendering import draw_png, draw_svg
from quantum_db.circuits.drawing.text import draw_text

__all__ = ["draw_png", "draw_svg", "draw_text"]
