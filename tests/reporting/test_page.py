from __future__ import annotations

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quantum_db.errors import ConfigurationError
from quantum_db.reporting.page import Section, badge, callout, facts, figure, page, paragraph, table, tiles

SVG = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10"><path d="M0 0L9 9"/></svg>'
VOID = {"meta", "br", "img"}


class Outline(HTMLParser):
    """Collects the text and the elements of a page and checks that every element is closed in its place."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def outline(html: str) -> Outline:
    parser = Outline()
    parser.feed(html)
    parser.close()
    assert parser.open == []
    return parser


def whole_page() -> str:
    return page(
        "Evaluation",
        [
            Section("Result", str(callout("well", "good") + tiles({"accuracy": "97 %"}) + paragraph("text"))),
            Section("Numbers", table(["Model", "Accuracy"], [["ours", 0.97], ["theirs", None]], caption="All")),
            Section("", facts({"seed": 3, "converged": True}) + figure(SVG, "A line")),
        ],
    )


def test_page_is_well_formed_and_in_a_language() -> None:
    parsed = outline(whole_page())
    assert ("html", {"lang": "en"}) in parsed.elements
    names = [name for name, _ in parsed.elements]
    assert names.count("h1") == 1
    assert names.count("h2") == 2
    assert names.count("main") == 1


def test_page_refers_to_nothing_outside_itself() -> None:
    html = whole_page()
    for _, attributes in outline(html).elements:
        assert not {"src", "href", "srcset", "action"} & attributes.keys()
    assert "http:" not in html
    assert "https:" not in html
    assert "<script" not in html
    assert "default-src 'none'" in html


def test_every_header_cell_has_a_scope_and_every_drawing_a_label() -> None:
    elements = outline(whole_page()).elements
    assert all(attributes.get("scope") in ("row", "col") for name, attributes in elements if name == "th")
    drawings = [attributes for name, attributes in elements if name == "svg"]
    assert [(drawing["role"], drawing["aria-label"]) for drawing in drawings] == [("img", "A line")]


@given(text=st.text(min_size=1))
def test_text_comes_back_as_it_was_given(text: str) -> None:
    marker = f"<b>&amp;{text}"
    for html in (
        paragraph(marker),
        badge(marker),
        table([marker], [[marker]]),
        facts({marker: marker}),
        callout(marker),
    ):
        assert "<b>" not in html
        assert marker.replace("\r\n", "\n").replace("\r", "\n") in outline(html).text.replace("\r\n", "\n").replace(
            "\r", "\n"
        )


def test_title_and_heading_are_escaped() -> None:
    html = page("a < b", [Section("<script>", "<p>kept</p>")])
    assert "<h1>a &lt; b</h1>" in html
    assert "&lt;script&gt;" in html
    assert "<p>kept</p>" in html


def test_badge_keeps_its_markup_inside_a_table() -> None:
    html = table(["Decision"], [[badge("deployed", "good")]])
    assert '<span class="badge good">deployed</span>' in html


def test_numbers_are_right_aligned_and_text_is_not() -> None:
    html = table(["name", "share"], [["a", "97.5 %"], ["b", None]])
    assert '<th scope="col">name</th><th scope="col" class="number">share</th>' in html
    assert '<td class="number">–</td>' in html


def test_cells_are_written_for_people() -> None:
    assert "<td>yes</td><td>–</td><td>1.235</td><td>not a number</td>" in table(
        ["", "", "", "", ""], [["x", True, None, 1.23456, float("nan")]]
    ).replace(' class="number"', "")


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="row 1 of a table has 1 cells and the table has 2 headers"):
        table(["a", "b"], [["1", "2"], ["3"]])


def test_an_unknown_tone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="unknown tone 'great'; known: good, bad, neutral"):
        badge("x", "great")  # type: ignore[arg-type]
