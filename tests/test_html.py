"""Pages stand alone, escape what users wrote, and draw what they were given."""

from __future__ import annotations

import base64
import io
import json
import math
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from synthgen.html import (
    Markup,
    bar_chart,
    command,
    data_island,
    escape,
    figure,
    line_chart,
    page,
    paragraph,
    section,
    table,
    tiles,
)
from synthgen.html.charts import _Axis

VOID = {"meta", "img", "br", "hr", "input", "link"}
EVIL = '<script>alert("x")</script>'


class Reader(HTMLParser):
    """Collects tags, attributes and text, and checks that elements nest."""

    def __init__(self) -> None:
        super().__init__()
        self.stack: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack and self.stack.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        self.text.append((self.stack[-1] if self.stack else "", data))


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.stack == []
    return reader


def everything() -> str:
    image = np.arange(12 * 5 * 3, dtype=np.uint8).reshape(12, 5, 3)
    return page(
        EVIL,
        [
            section(EVIL, table([EVIL, "n"], [[EVIL, 1], [None, 2.5]], caption=EVIL), paragraph(EVIL)),
            section(
                "Charts",
                line_chart({EVIL: ([0, 1], [1, 2]), "b": ([0, 1], [2, 1])}, x_label=EVIL, y_label="y"),
            ),
            section("Charts", bar_chart([EVIL], [1.0]), figure(image, EVIL, scale=2), command(f"echo '{EVIL}'")),
            section("More", tiles([(EVIL, EVIL, EVIL)]), data_island("d", {EVIL: [1, 2]})),
        ],
        lead=EVIL,
        footer=EVIL,
    )


def test_page_nests_and_fetches_nothing():
    reader = read(everything())
    for tag, attrs in reader.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            value = attrs.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert "link" not in {tag for tag, _ in reader.tags}
    style = "".join(text for tag, text in reader.text if tag == "style")
    assert "url(" not in style and "@import" not in style
    policy = next(a["content"] for t, a in reader.tags if t == "meta" and "http-equiv" in a)
    assert policy is not None and "default-src 'none'" in policy


def test_user_text_never_becomes_an_element():
    text = everything()
    assert EVIL not in text
    reader = read(text)
    assert [attrs.get("type") for tag, attrs in reader.tags if tag == "script"] == ["application/json", None]
    assert sum(part == EVIL for _, part in reader.text) >= 10  # it is still readable as text


def test_sections_have_distinct_anchors_that_the_links_reach():
    reader = read(everything())
    ids = [attrs["id"] for tag, attrs in reader.tags if tag == "section"]
    links = [attrs["href"] for tag, attrs in reader.tags if tag == "a"]
    assert len(set(ids)) == 4 and links == [f"#{name}" for name in ids]


def test_data_island_survives_the_round_trip():
    value = {"</script><b>": [1, 2.5, None, "ü&"]}
    island = data_island("d", value)
    assert "</script><b>" not in island
    body = re.fullmatch(r"<script[^>]*>(.*)</script>", island)
    assert body is not None and json.loads(body[1]) == value
    with pytest.raises(ValueError):
        data_island("d", math.nan)


def test_figure_holds_the_exact_pixels_and_displays_them_enlarged():
    image = np.random.default_rng(0).integers(0, 256, (7, 9, 1), dtype=np.uint8)
    (attrs,) = [attrs for tag, attrs in read(figure(image, "c", scale=3)).tags if tag == "img"]
    assert (attrs["width"], attrs["height"]) == ("27", "21")
    content = base64.b64decode(str(attrs["src"]).removeprefix("data:image/png;base64,"))
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(content))), image[..., 0])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "–"),
        (True, "yes"),
        (12345, "12,345"),
        (3.14159, "3.142"),
        (0.00012, "0.00012"),
        (1234567.8, "1,234,568"),
        ("a<b", "a&lt;b"),
        (Markup("<b>x</b>"), "<b>x</b>"),
    ],
)
def test_cells_are_written_for_readers(value, shown):
    assert escape(value) == shown


def polyline(chart: str) -> np.ndarray:
    svg = ET.fromstring(chart[chart.index("<svg") :])
    line = next(e for e in svg.iter() if e.tag.endswith("polyline"))
    return np.array([[float(v) for v in pair.split(",")] for pair in line.attrib["points"].split()])


def test_line_chart_is_linear_in_its_data():
    x, y = np.array([0.0, 1.0, 4.0]), np.array([3.0, 5.0, 4.0])
    drawn = polyline(line_chart({"a": (list(x), list(y))}, x_label="x", y_label="y"))
    assert np.allclose(np.diff(drawn[:, 0]) / np.diff(x), np.ptp(drawn[:, 0]) / 4, atol=0.05)
    slopes = np.diff(drawn[:, 1]) / np.diff(y)
    assert slopes[0] < 0 and np.allclose(slopes, slopes[0], atol=0.05)  # SVG's y axis points down


def test_logarithmic_chart_spaces_decades_evenly_and_drops_what_has_no_logarithm():
    drawn = polyline(line_chart({"a": ([1, 2, 3, 4], [1, 10, 0, 100])}, x_label="x", y_label="y", log_y=True))
    assert len(drawn) == 3
    assert np.allclose(np.diff(drawn[:, 1]), drawn[1, 1] - drawn[0, 1], atol=0.05)


def test_chart_without_a_finite_value_says_so():
    assert "nothing to draw" in line_chart({"a": ([1], [math.nan])}, x_label="x", y_label="y")


def test_bars_are_proportional_and_missing_values_have_none():
    svg = ET.fromstring(bar_chart(["a", "b", "c"], [10.0, 5.0, math.nan], reference=("floor", 2.0)))
    bars = [float(e.attrib["width"]) for e in svg.iter() if e.tag.endswith("rect")]
    assert len(bars) == 2 and bars[0] == pytest.approx(2 * bars[1], abs=0.05)
    assert "not available" in "".join(svg.itertext())


@pytest.mark.parametrize(("low", "high"), [(0, 1), (3, 2000), (-0.3, 0.2), (1e-9, 2e-9), (99.2, 99.9)])
def test_ticks_are_round_and_inside(low, high):
    ticks = _Axis(low, high, 0, 100).ticks()
    assert 2 <= len(ticks) <= 11
    assert all(low - 1e-12 <= tick <= high + 1e-12 for tick in ticks)


@pytest.mark.parametrize(("low", "high"), [(0.05, 2), (1e-6, 1e6), (3, 4), (1, 1000)])
def test_log_ticks_are_inside(low, high):
    ticks = _Axis(low, high, 0, 100, True).ticks()
    assert 2 <= len(ticks) <= 13
    assert all(low * 0.999 <= tick <= high * 1.001 for tick in ticks)


def test_marks_stand_beside_their_bars_and_widen_the_axis() -> None:
    svg = ET.fromstring(bar_chart(["a", "b"], [10.0, 5.0], marks=[20.0, math.nan]))
    ticks = [one.get("d", "") for one in svg.iter() if one.get("class") == "mark"]
    assert len(ticks) == 1
    first = next(one for one in svg.iter() if one.tag.endswith("rect"))
    left, width = float(first.get("x", 0)), float(first.get("width", 0))
    assert float(ticks[0][1:].split()[0]) == pytest.approx(left + 2 * width, abs=0.1)


def test_a_number_is_not_written_across_the_reference_line() -> None:
    svg = ET.fromstring(bar_chart(["a"], [9.31], reference=("floor", 9.5)))
    line = next(float(one.get("x1", 0)) for one in svg.iter() if one.get("class") == "reference")
    written = next(one for one in svg.iter() if one.text == "9.31")
    assert float(written.get("x", 0)) > line


def test_a_long_path_in_the_lead_is_broken_and_does_not_widen_the_page() -> None:
    text = page("Title", [], lead="samples of /a/very/long/path/without/spaces/" + "x" * 200)
    rule = re.search(r"\.lead\{([^}]*)\}", text)
    assert rule is not None and "overflow-wrap:anywhere" in rule[1]
