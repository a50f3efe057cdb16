"""Self-contained HTML pages: one file, no network, light and dark, readable on a phone.

Every report of synthgen is made of these pieces:

    from synthgen.html import command, figure, line_chart, page, section, table, tiles

    text = page(
        "Evaluation of synthetic/",
        [
            section("Result", tiles([("FID", "3.2", "floor 1.1"), ("images", "10,000", "")]),
                    table(["metric", "value", "floor"], [["FID", 3.214, 1.08], ["KID", 0.0012, 0.0001]])),
            section("Training", line_chart({"loss": (steps, losses)}, x_label="step", y_label="loss"),
                    figure(grid_uint8, "ten of every class"), command("synthgen evaluate --real mnist ...")),
        ],
        lead="One sentence that says what the page shows.",
    )
    path.write_text(text, encoding="utf-8")

A piece is a `Markup`: text that is already HTML. Every plain `str` or number handed in (titles, cells,
captions, class names of the user) is escaped, so `<script>` in a class name shows as these letters. `group`
puts pieces together. Nothing here knows of any metric, model or file layout.
"""

from __future__ import annotations

from synthgen.html.charts import bar_chart, line_chart
from synthgen.html.page import (
    Markup,
    Section,
    Text,
    command,
    data_island,
    details,
    escape,
    figure,
    group,
    notice,
    page,
    paragraph,
    picture,
    section,
    table,
    tiles,
)

__all__ = [
    "Markup",
    "Section",
    "Text",
    "bar_chart",
    "command",
    "data_island",
    "details",
    "escape",
    "figure",
    "group",
    "line_chart",
    "notice",
    "page",
    "paragraph",
    "picture",
    "section",
    "table",
    "tiles",
]
