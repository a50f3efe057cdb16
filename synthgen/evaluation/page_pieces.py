"""What the pages of one evaluation and of several have in common: numbers as text, thumbnails, grids of classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.evaluation.result import Metric
from synthgen.html import Markup, escape
from synthgen.rendering import grid, to_pil

COLUMNS = 10
MOST_ROWS = 20
THUMBNAIL = 48
"""Pixels a side of images in grids and pairs at most: the page stays small."""

STYLE = """
.pair{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(300px,100%),1fr));gap:10px 22px}
.together{white-space:nowrap}
.pair figure{margin:.2rem 0}
.pair h3{margin:.2rem 0 .2rem}
.pair img{width:100%}
.couples{display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:12px;margin:.6rem 0}
.couples figure{margin:0}
.couples img{width:100%}
.couples figcaption{font-size:.8rem;line-height:1.35;margin-top:4px}
.badge{display:inline-block;border-radius:4px;padding:0 6px;font-weight:600;color:var(--panel);background:var(--soft)}
.badge.bad{background:var(--bad)}.badge.warn{background:var(--warn)}.badge.good{background:var(--good)}
"""


def written(one: Metric, value: float) -> str:
    """A value of this metric as text: shares in percent, others with three digits."""
    if one.share:
        share = 100 * value
        return f"{share:.2f} %" if 0 < abs(share) < 1 else f"{share:.1f} %"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def percent(value: float | None) -> str | None:
    """A share with one digit after the point."""
    return None if value is None else f"{100 * value:.1f} %"


def together(text: str | None) -> Markup | None:
    """A text that is not broken into lines."""
    return None if text is None else Markup(f'<span class="together">{escape(text)}</span>')


def columns(*parts: Markup) -> Markup:
    """Pieces side by side, below one another on a phone."""
    return Markup(f'<div class="pair">{"".join(parts)}</div>')


def bullets(texts: Sequence[str]) -> Markup:
    """A list of sentences."""
    return Markup(f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in texts)}</ul>")


def thumbnails(images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, C) of at most 48 pixels a side, averaged."""
    height, width = images.shape[1:3]
    scale = THUMBNAIL / max(height, width)
    if scale >= 1:
        return images
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    small = [np.asarray(to_pil(image).resize(size)) for image in images]
    return np.stack(small).reshape(len(images), size[1], size[0], images.shape[3])


def class_rows(data: ImageData, names: Sequence[str]) -> np.ndarray:
    """The first ten of every class, one row each; the first sixty where there are no classes."""
    if not names or data.labels is None:
        return grid(thumbnails(np.asarray(data.images[: COLUMNS * 6])), COLUMNS)
    rows = []
    for name in names:
        index = np.flatnonzero(data.labels == data.class_names.index(name))[:COLUMNS]
        images = thumbnails(np.asarray(data.images[index])) if len(index) else None
        rows.append((images, COLUMNS - len(index)))
    shape = next(images.shape[1:] for images, _ in rows if images is not None)
    filled = []
    for images, missing in rows:
        blank = np.full((missing, *shape), 32, np.uint8)
        filled.append(blank if images is None else np.concatenate([images, blank]))
    return grid(np.concatenate(filled), COLUMNS)


def common_classes(real: ImageData, fake: ImageData) -> list[str]:
    """The class names of both, at most twenty; none where a set has no labels."""
    if real.labels is None or fake.labels is None:
        return []
    present = set(np.unique(fake.labels).tolist()) if fake.class_names else set()
    known = {name for number, name in enumerate(fake.class_names) if number in present}
    return [name for name in real.class_names if name in known][:MOST_ROWS]


def short_names(names: Sequence[str]) -> list[str]:
    """The shortest parts of paths that tell the names apart, seen from their ends; numbered where they are equal."""
    parts = [[piece for piece in name.replace("\\", "/").split("/") if piece] or [name] for name in names]
    while len(set(names)) > 1 and all(len(piece) > 1 for piece in parts) and len({piece[-1] for piece in parts}) == 1:
        parts = [piece[:-1] for piece in parts]
    for depth in range(1, max(len(piece) for piece in parts) + 1):
        ends = ["/".join(piece[-depth:]) for piece in parts]
        if len(set(ends)) == len(set(names)):
            break
    return [f"{end} ({ends[: place + 1].count(end)})" if ends.count(end) > 1 else end for place, end in enumerate(ends)]
