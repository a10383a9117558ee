"""SVG documents made safe to stand inside an HTML page, several of them beside each other."""

from __future__ import annotations

import hashlib
import re
from xml.etree import ElementTree

from quantum_db.errors import StageInputError

_SVG = "{http://www.w3.org/2000/svg}"
_XLINK_HREF = "{http://www.w3.org/1999/xlink}href"
_DROPPED = frozenset({"metadata", "title", "desc"})
_REFUSED = frozenset({"script", "foreignObject", "iframe", "image"})
_LOCAL_URL = re.compile(r"url\(\s*['\"]?#([^'\")]+)['\"]?\s*\)")
_OUTSIDE = re.compile(r"url\(\s*['\"]?(?!#)|@import|javascript:", re.IGNORECASE)


class Html(str):
    """Text that is already markup and must not be escaped again."""

    __slots__ = ()


def inline_svg(svg: str, label: str) -> Html:
    """Return `svg` as an element for an HTML page, with `label` as its accessible name.

    Its ids and the selectors of its style sheets are made its own (the prefix is a digest of drawing and label, so the
    result is always the same), and its size follows the page. Raises StageInputError when the text is not an
    SVG document, or holds a script, an event handler, a picture or an address outside itself.
    """
    root = _parse(svg)
    prefix = "d" + hashlib.sha256(f"{label}\n{svg}".encode()).hexdigest()[:12]
    _clean(root, prefix)
    _set_size(root)
    root.set("id", prefix)
    root.set("role", "img")
    root.set("aria-label", label)
    root.tail = None
    return Html(ElementTree.tostring(root, encoding="unicode"))


def _parse(svg: str) -> ElementTree.Element:
    if "<!ENTITY" in svg:
        raise StageInputError("a drawing declares XML entities, which are refused in a report; write it without them")
    try:
        root = ElementTree.fromstring(svg)
    except ElementTree.ParseError as error:
        raise StageInputError(f"a drawing for a report is not well-formed SVG ({error}); write it again") from error
    if root.tag not in (f"{_SVG}svg", "svg"):
        raise StageInputError(f"a drawing for a report must be SVG, but its root element is {root.tag!r}")
    return root


def _clean(element: ElementTree.Element, prefix: str) -> None:
    element.tag = element.tag.removeprefix(_SVG)
    if element.tag in _REFUSED:
        raise StageInputError(f"a drawing for a report holds a <{element.tag}> element; only shapes and text are shown")
    element.attrib = {
        name.removeprefix("{http://www.w3.org/1999/xlink}"): _attribute(name, value, prefix)
        for name, value in element.attrib.items()
        if name == _XLINK_HREF or not name.startswith("{")
    }
    if element.tag == "style" and element.text:
        element.text = f"#{prefix} {{ {_local(element.text, prefix)} }}"
    for child in list(element):
        if child.tag.rpartition("}")[2] in _DROPPED:
            element.remove(child)
        else:
            _clean(child, prefix)


def _attribute(name: str, value: str, prefix: str) -> str:
    local = name.rpartition("}")[2]
    if local.lower().startswith("on"):
        raise StageInputError(f"a drawing for a report holds the event handler {local!r}; write it without scripts")
    if local == "id":
        return f"{prefix}-{value}"
    if local == "href":
        if not value.startswith("#"):
            raise StageInputError("a drawing for a report links to something outside itself; write it without links")
        return f"#{prefix}-{value[1:]}"
    return _local(value, prefix)


def _local(text: str, prefix: str) -> str:
    if _OUTSIDE.search(text):
        raise StageInputError("a drawing for a report refers to something outside itself; write it self-contained")
    return _LOCAL_URL.sub(rf"url(#{prefix}-\1)", text)


def _set_size(root: ElementTree.Element) -> None:
    """Let the drawing shrink with the page: natural width as a maximum, height from the view box."""
    width, height = root.attrib.pop("width", ""), root.attrib.pop("height", "")
    number = re.fullmatch(r"([\d.]+)(pt|px)?", width)
    if number:
        pixels = float(number[1]) * (4 / 3 if number[2] == "pt" else 1)
        root.set("style", f"width:{pixels:.0f}px;{root.get('style', '')}")
    tall = re.fullmatch(r"([\d.]+)(pt|px)?", height)
    if number and tall and "viewBox" not in root.attrib:
        root.set("viewBox", f"0 0 {number[1]} {tall[1]}")
