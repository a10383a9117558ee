"""A self-contained HTML page: inline style, inline SVG, nothing fetched, no script.

Every function that takes text escapes it and returns `Html`; `Html` put into another function is kept as it is, and
any other string is escaped. A page is readable in light and dark mode, on paper and with a screen reader, and its
content security policy forbids the browser to fetch anything.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Literal

from quantum_db.errors import ConfigurationError
from quantum_db.reporting.inline_svg import Html as Html
from quantum_db.reporting.inline_svg import inline_svg
from quantum_db.reporting.stylesheet import STYLESHEET

Tone = Literal["good", "bad", "neutral"]
Cell = str | int | float | bool | None

_TONES = ("good", "bad", "neutral")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_DIGITS = r"\$?\d[\d.,\u202f\u00a0]*"
_NUMBER = re.compile(rf"[<>≈]?\s*[-−+]?{_DIGITS}(\s?[–:]\s?{_DIGITS})?(\s?(%|ms|s|GiB|MiB|kB|points?))?")


@dataclass(frozen=True)
class Section:
    """One part of a page: a heading (plain text, may be empty) and its content (markup from this module)."""

    heading: str
    html: str


def page(title: str, sections: Sequence[Section]) -> str:
    """Return the whole HTML document with `title` as its only first-level heading."""
    body = "\n".join(_section(number, section) for number, section in enumerate(sections, start=1))
    return (
        "<!DOCTYPE html>\n"
        '<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLESHEET}</style>\n</head>\n"
        f"<body>\n<main>\n<h1>{escape(title)}</h1>\n{body}\n</main>\n</body>\n</html>\n"
    )


def paragraph(text: str) -> Html:
    """Return one paragraph of text."""
    return Html(f"<p>{_text(text)}</p>")


def callout(text: str, tone: Tone = "neutral") -> Html:
    """Return a box for the sentence that matters most on the page; `tone` colours its edge."""
    return Html(f'<p class="callout {_tone(tone)}">{_text(text)}</p>')


def badge(text: str, tone: Tone = "neutral") -> Html:
    """Return a short word in a coloured pill, for example a decision; usable in table and fact cells."""
    return Html(f'<span class="badge {_tone(tone)}">{_text(text)}</span>')


def tiles(values: Mapping[str, Cell]) -> Html:
    """Return the page's key figures as large numbers, each with its label below."""
    items = "".join(f"<div><dt>{_text(label)}</dt><dd>{_text(value)}</dd></div>" for label, value in values.items())
    return Html(f'<dl class="tiles">{items}</dl>')


def facts(values: Mapping[str, Cell]) -> Html:
    """Return a two-column table of names and values."""
    rows = "".join(
        f'<tr><th scope="row">{_text(name)}</th><td>{_text(value)}</td></tr>' for name, value in values.items()
    )
    return Html(f'<div class="scroll"><table class="facts"><tbody>{rows}</tbody></table></div>')


def table(headers: Sequence[str], rows: Sequence[Sequence[Cell]], caption: str = "") -> Html:
    """Return a table; the first cell of a row is its header, later columns of numbers are right-aligned.

    Raises ConfigurationError when a row has another length than `headers`.
    """
    for number, row in enumerate(rows):
        if len(row) != len(headers):
            raise ConfigurationError(
                f"row {number} of a table has {len(row)} cells and the table has {len(headers)} headers; "
                "give one cell per header"
            )
    numeric = [
        column > 0 and bool(rows) and all(_is_number(row[column]) for row in rows) for column in range(len(headers))
    ]
    head = "".join(
        f'<th scope="col"{_alignment(is_number)}>{_text(header)}</th>'
        for header, is_number in zip(headers, numeric, strict=True)
    )
    body = "".join(f"<tr>{_row(row, numeric)}</tr>" for row in rows)
    note = f"<caption>{_text(caption)}</caption>" if caption else ""
    return Html(f'<div class="scroll"><table>{note}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>')


def figure(svg: str, caption: str) -> Html:
    """Return an SVG drawing with its caption, which is also its label for screen readers; it shrinks with the window.

    Raises StageInputError when `svg` is not an SVG document or refers to something outside itself.
    """
    return Html(f"<figure>{inline_svg(svg, label=caption)}<figcaption>{_text(caption)}</figcaption></figure>")


def figures(*items: str) -> Html:
    """Return several figures side by side where the window is wide enough, below each other where it is not."""
    return Html(f'<div class="figures">{"".join(items)}</div>')


def _section(number: int, section: Section) -> str:
    if not section.heading:
        return f"<section>{section.html}</section>"
    name = f"section-{number}"
    return f'<section aria-labelledby="{name}"><h2 id="{name}">{escape(section.heading)}</h2>{section.html}</section>'


def _row(row: Sequence[Cell], numeric: Sequence[bool]) -> str:
    first = f'<th scope="row">{_text(row[0])}</th>' if row else ""
    rest = zip(row[1:], numeric[1:], strict=True)
    return first + "".join(f"<td{_alignment(is_number)}>{_text(cell)}</td>" for cell, is_number in rest)


def _alignment(is_number: bool) -> str:
    return ' class="number"' if is_number else ""


def _tone(tone: str) -> str:
    if tone not in _TONES:
        raise ConfigurationError(f"unknown tone {tone!r}; known: {', '.join(_TONES)}")
    return tone


def _is_number(cell: Cell) -> bool:
    if cell is None or isinstance(cell, Html | bool):
        return cell is None
    return isinstance(cell, int | float) or _NUMBER.fullmatch(cell) is not None or cell in ("–", "")


def _text(cell: Cell) -> str:
    if isinstance(cell, Html):
        return str(cell)
    if cell is None:
        return "–"
    if isinstance(cell, bool):
        return "yes" if cell else "no"
    if isinstance(cell, float):
        return f"{cell:.4g}" if math.isfinite(cell) else "not a number" if math.isnan(cell) else f"{cell}"
    return escape(str(cell))
