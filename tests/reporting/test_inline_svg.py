from __future__ import annotations

import re

import pytest

from quantum_db.errors import StageInputError
from quantum_db.reporting.inline_svg import inline_svg

HEAD = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="72pt" height="36pt">'


def svg(content: str) -> str:
    return f'<?xml version="1.0"?>{HEAD}{content}</svg>'


def test_ids_and_their_uses_move_together() -> None:
    content = '<defs><path id="m"/><clipPath id="c"/></defs><use xlink:href="#m"/><g clip-path="url(#c)"/>'
    html = inline_svg(svg(content), "x")
    ids = set(re.findall(r'id="([^"]+)"', html))
    uses = set(re.findall(r'href="#([^"]+)"', html)) | set(re.findall(r"url\(#([^)]+)\)", html))
    assert len(uses) == 2
    assert uses < ids


def test_two_drawings_share_no_id() -> None:
    ids = [set(re.findall(r'id="([^"]+)"', inline_svg(svg(f'<path id="m" d="M0 {n}"/>'), "x"))) for n in (1, 2)]
    assert ids[0].isdisjoint(ids[1])
    assert len(ids[0]) == 2


def test_the_same_drawing_gives_the_same_text() -> None:
    assert inline_svg(svg('<path id="m"/>'), "x") == inline_svg(svg('<path id="m"/>'), "x")


def test_style_sheets_stay_inside_their_drawing() -> None:
    html = inline_svg(svg("<style>*{stroke-linecap:butt}</style>"), "x")
    name = re.search(r'<svg[^>]* id="([^"]+)"', html)
    assert name is not None
    assert f"<style>#{name[1]} {{ *{{stroke-linecap:butt}} }}</style>" in html


def test_size_follows_the_page() -> None:
    html = inline_svg(svg(""), "x")
    assert 'style="width:96px;"' in html
    assert 'viewBox="0 0 72 36"' in html
    assert " width=" not in html


def test_label_is_escaped() -> None:
    assert 'aria-label="a &lt; &quot;b&quot;"' in inline_svg(svg(""), 'a < "b"')


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("<script>1</script>", "<script> element"),
        ("<g><foreignObject/></g>", "<foreignObject> element"),
        ('<image href="#x"/>', "<image> element"),
        ('<g onclick="1"/>', "event handler 'onclick'"),
        ('<a xlink:href="https://example.org"/>', "links to something outside"),
        ('<g style="fill:url(https://example.org)"/>', "outside itself"),
        ("<style>@import 'x.css';</style>", "outside itself"),
    ],
)
def test_what_is_not_a_plain_drawing_is_refused(content: str, message: str) -> None:
    with pytest.raises(StageInputError, match=message):
        inline_svg(svg(content), "x")


def test_what_is_not_svg_is_refused() -> None:
    with pytest.raises(StageInputError, match="not well-formed SVG"):
        inline_svg("no drawing", "x")
    with pytest.raises(StageInputError, match="root element is 'html'"):
        inline_svg("<html/>", "x")
    with pytest.raises(StageInputError, match="XML entities"):
        inline_svg('<!DOCTYPE svg [<!ENTITY a "b">]><svg/>', "x")
