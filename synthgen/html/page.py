"""The page and its pieces: sections, tables, figures, tiles, notices, commands to copy."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from synthgen.html.style import SCRIPT, STYLE

if TYPE_CHECKING:
    import numpy as np


class Markup(str):
    """Text that is HTML already and is not escaped again."""

    __slots__ = ()


Text = str | int | float | None
"""A cell, title or caption: `Markup` passes through, everything else is escaped; None shows as a dash."""

Tone = Literal["info", "good", "warn", "bad"]

# Refuses every request: a page that tried to fetch something would show it as broken, not send it.
_POLICY = (
    "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'"
)


@dataclass(frozen=True)
class Section:
    """A titled part of a page; `anchor` is its id."""

    title: str
    body: Markup
    anchor: str


def escape(value: Text) -> Markup:
    """HTML of any text or number; floats with four significant digits, integers with thousands separators."""
    if isinstance(value, Markup):
        return value
    if value is None:
        return Markup("–")
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    if isinstance(value, int):
        return Markup(f"{value:,}")
    if isinstance(value, float):
        return Markup(f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}")
    return Markup(html.escape(str(value), quote=True))


def group(*parts: Markup) -> Markup:
    """Pieces one after the other."""
    return Markup("\n".join(parts))


def section(title: str, *parts: Markup) -> Section:
    """A part of the page with a heading; the parts follow one another."""
    anchor = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
    return Section(title, group(*parts), anchor)


def paragraph(text: Text) -> Markup:
    """A paragraph of running text."""
    return Markup(f"<p>{escape(text)}</p>")


def notice(text: Text, tone: Tone = "info") -> Markup:
    """A sentence set apart: `info`, `good`, `warn` or `bad`."""
    return Markup(f'<p class="notice {tone}">{escape(text)}</p>')


def command(text: str) -> Markup:
    """A command line, shown as typed, with a button that copies it."""
    return Markup(
        f'<div class="command"><pre><code>{escape(text)}</code></pre>'
        '<button type="button" class="copy" aria-label="copy the command">copy</button></div>'
    )


def tiles(items: Iterable[tuple[str, Text, Text]]) -> Markup:
    """Headline figures: (name, value, remark) each; an empty remark is left out."""
    cells = []
    for name, value, remark in items:
        small = f'<span class="remark">{escape(remark)}</span>' if remark not in ("", None) else ""
        cells.append(
            f'<div class="tile"><span class="name">{escape(name)}</span>'
            f'<span class="value">{escape(value)}</span>{small}</div>'
        )
    return Markup(f'<div class="tiles">{"".join(cells)}</div>')


def table(columns: Sequence[Text], rows: Iterable[Sequence[Text]], *, caption: Text = None) -> Markup:
    """A table; numbers are set flush right. Wider than the screen, it scrolls inside its own box."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in columns)
    body = []
    for row in rows:
        cells = []
        for value in row:
            number = isinstance(value, int | float) and not isinstance(value, bool)
            cells.append(f'<td class="number">{escape(value)}</td>' if number else f"<td>{escape(value)}</td>")
        body.append(f"<tr>{''.join(cells)}</tr>")
    title = f"<caption>{escape(caption)}</caption>" if caption is not None else ""
    content = f"{title}<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody>"
    return Markup(f'<div class="scroll"><table>{content}</table></div>')


def picture(image: np.ndarray | bytes, alt: str, *, scale: int = 1, media: str = "image/png") -> Markup:
    """An `<img>` of a uint8 array (H, W, C), or of a file's bytes of type `media`, held in the page itself.

    `scale` enlarges an array's pixels without smoothing, for display only: the data stays small.
    """
    from synthgen.rendering import png_bytes

    content = image if isinstance(image, bytes) else png_bytes(image)
    size = "" if isinstance(image, bytes) else f' width="{image.shape[1] * scale}" height="{image.shape[0] * scale}"'
    encoded = base64.b64encode(content).decode()
    return Markup(f'<img src="data:{media};base64,{encoded}" alt="{escape(alt)}"{size}>')


def figure(
    image: np.ndarray | bytes | Markup,
    caption: str,
    *,
    scale: int = 1,
    media: str = "image/png",
    wide: bool = False,
) -> Markup:
    """A picture (array, file bytes, or a piece such as a chart) with a caption below.

    `wide`: the picture keeps its size and scrolls sideways on a narrow screen, instead of shrinking.
    """
    inner = image if isinstance(image, Markup) else picture(image, caption, scale=scale, media=media)
    body = f'<div class="scroll wide">{inner}</div>' if wide else inner
    return Markup(f"<figure>{body}<figcaption>{escape(caption)}</figcaption></figure>")


def details(summary: str, *parts: Markup) -> Markup:
    """Pieces folded away behind a line that opens them."""
    return Markup(f"<details><summary>{escape(summary)}</summary>{group(*parts)}</details>")


def data_island(name: str, value: Any) -> Markup:
    """JSON for the page's script: `JSON.parse(document.getElementById(name).textContent)`. NaN is refused."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    safe = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return Markup(f'<script type="application/json" id="{escape(name)}">{safe}</script>')


def page(
    title: str,
    sections: Sequence[Section],
    *,
    lead: Text = None,
    footer: Text = None,
    script: str = "",
    style: str = "",
) -> str:
    """The whole document.

    Args:
        title: heading and window title.
        sections: the parts, in order; four or more get a row of links at the top.
        lead: a sentence or two under the heading.
        footer: the last line, e.g. version and date.
        script: JavaScript of the page, appended after the sections. Trusted: never built from user text
            (hand user text over through `data_island`).
        style: CSS of the page, appended to the common one. Trusted likewise.
    """
    anchors = _distinct([part.anchor for part in sections])
    links = "".join(f'<a href="#{a}">{escape(s.title)}</a>' for a, s in zip(anchors, sections, strict=True))
    blocks = [
        f'<section id="{a}"><h2>{escape(s.title)}</h2>\n{s.body}</section>'
        for a, s in zip(anchors, sections, strict=True)
    ]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(title)}</title>\n<style>{STYLE}{style}</style></head>\n<body><main>",
            f"<header><h1>{escape(title)}</h1>",
            f'<p class="lead">{escape(lead)}</p>' if lead is not None else "",
            f'<nav aria-label="contents">{links}</nav>' if len(sections) > 3 else "",
            "</header>",
            *blocks,
            f"<footer>{escape(footer)}</footer>" if footer is not None else "",
            f"</main>\n<script>{SCRIPT}{script}</script>\n</body></html>\n",
        ]
    )


def _distinct(names: Sequence[str]) -> list[str]:
    """The names, with -2, -3, ... where one comes again."""
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        result.append(name if seen[name] == 1 else f"{name}-{seen[name]}")
    return result
