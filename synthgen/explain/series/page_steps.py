"""Pieces of the page that go by steps of the sampler or of time: the trajectory, and the maps of attention."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from synthgen.explain.pictures import columns_of, sigma_text
from synthgen.explain.series.attention import SIGMAS
from synthgen.explain.series.drawing import limits, mini
from synthgen.explain.series.sources import units
from synthgen.explain.series.summary import commitment_sentence
from synthgen.explain.series.trajectory import CAVEAT
from synthgen.html import Markup, details, escape, figure, group, line_chart, notice, paragraph, picture

if TYPE_CHECKING:
    from synthgen.explain.series.run import SeriesExplanation

_STEPS = 8
_WINDOWS = 4
_CHANNELS = 2
_MOST_MAPS = 8
_MOST_ROWS = 30

SCRIPT = """
(function(){var box=document.getElementById("attention-maps");if(!box)return;
var chosen=document.querySelectorAll(".look select");
function show(){var key=Array.prototype.map.call(chosen,function(one){return one.value}).join("-");
box.querySelectorAll("img").forEach(function(one){one.hidden=one.parentNode.dataset.key!==key})}
chosen.forEach(function(one){one.addEventListener("change",show)});show()})();
"""


def attention_piece(found: SeriesExplanation) -> Markup:
    """The maps of a window, noise level and block, chosen by lists; and how concentrated each head is."""
    one = found.attention
    assert one is not None
    count, _, blocks = one.maps.shape[:3]
    windows = list(found.names[: min(count, _MOST_MAPS)])
    pictures: list[str] = []
    for row in range(len(windows)):
        tokens = -(-int(found.context.scene.lengths[row]) // one.patch)
        for level in range(len(SIGMAS)):
            for block in range(blocks):
                weights = one.maps[row, level, block, :tokens, :tokens]
                shade = np.sqrt(weights / max(float(weights.max()), 1e-12))
                pixels = np.rint(255 * (1 - shade)).astype(np.uint8)[..., None]
                told = f"attention of {windows[row]}, noise level {SIGMAS[level]:g}, block {block + 1}"
                image = picture(pixels, told)
                hidden = "" if not pictures else "hidden "
                pictures.append(
                    f'<span data-key="{row}-{level}-{block}">{image.replace("<img ", f"<img {hidden}", 1)}</span>'
                )
    choices = (
        ("window", windows),
        ("noise level", [f"{sigma:g}" for sigma in SIGMAS]),
        ("block", [str(block + 1) for block in range(blocks)]),
    )
    lists = "".join(
        f"<label>{name} <select>"
        + "".join(f'<option value="{number}">{escape(text)}</option>' for number, text in enumerate(texts))
        + "</select></label>"
        for name, texts in choices
    )
    entropy = ", ".join(
        f"{np.mean(one.entropy[:, block]):.2f} in block {block + 1}" for block in range(one.entropy.shape[1])
    )
    tokens_are = "a step" if one.patch == 1 else f"{one.patch} steps"
    return group(
        Markup(f'<div class="look">{lists}</div><div class="square" id="attention-maps">{"".join(pictures)}</div>'),
        paragraph(
            f"Row: the step that looks, from above; column: the step looked at, from the left ({tokens_are} each); "
            f"dark: much. Mean over heads. How evenly the heads look, 1 everywhere alike, 0 at one step: {entropy}."
        ),
    )


def trajectory_piece(found: SeriesExplanation) -> Markup:
    """Guesses side by side, when each part is decided, and when the class is."""
    one, context, made = found.settling, found.context, found.context.trajectory
    assert one is not None and made is not None
    half = int(np.sort(one.whole)[(len(one.whole) - 1) // 2])
    parts = [
        paragraph(
            "The guess of the clean window at some steps, solid, over the window that came out, dashed. Half of the "
            f"way from the first guess to the result is done, for the median window, at evaluation {half + 1} of "
            f"{len(made.x0)}, where the noise level is {sigma_text(made.sigmas[half])}."
        ),
        _guesses(found),
        details("when each part is decided", _settling(found)),
    ]
    if found.commitment is not None:
        steps = context.recipe.steps
        kept = (found.commitment.margins > 0).mean(axis=1)
        series = {"windows that keep their class": (list(map(float, range(steps + 1))), (100 * kept).tolist())}
        chart = line_chart(series, x_label="the rival is told from this step on", y_label="%", zero=True)
        parts += [paragraph(commitment_sentence(found)), figure(chart, "In percent, as the judge reads the results.")]
    return group(*parts, notice(f"What this does not say: {CAVEAT}", "warn"))


def _guesses(found: SeriesExplanation) -> Markup:
    context, made = found.context, found.context.trajectory
    assert made is not None
    rows = columns_of(len(made.x0), _STEPS)
    count = min(len(found.names), _WINDOWS)
    lengths = context.scene.lengths[:count]
    guesses = np.stack([units(context.model, made.x0[row][:count], lengths) for row in rows])
    from synthgen.explain.series.page import shown_channels

    names = [context.layout.names[part] for part in shown_channels(found)[:_CHANNELS]]
    places = [context.model.schema.channels.index(name) for name in names]
    heads = "".join(f"<small>noise {sigma_text(made.sigmas[row])}</small>" for row in rows)
    cells = [f"<small></small>{heads}"]
    for window in range(count):
        for name, place in zip(names, places, strict=True):
            length = int(lengths[window])
            final = context.scene.values[window, :length, place]
            low, high = limits([final, guesses[..., place][np.isfinite(guesses[..., place])]])
            cells.append(f"<small>{escape(_cut(name))}<br>{escape(_cut(found.names[window]))}</small>")
            for step, row in enumerate(rows):
                label = f"{name} of {found.names[window]}, guess at noise level {sigma_text(made.sigmas[row])}"
                cells.append(mini(guesses[step, window, :length, place], final, low, high, label))
    columns = f"grid-template-columns:minmax(80px,max-content) repeat({len(rows)},minmax(70px,1fr))"
    return Markup(f'<div class="minis" style="{columns}">{"".join(cells)}</div>')


def _settling(found: SeriesExplanation) -> Markup:
    """A table of channels and spans: the median evaluation at which the part is half decided."""
    one, segments, made = found.settling, found.context.segments, found.context.trajectory
    assert one is not None and made is not None
    groups, total = len(segments.groups), len(made.x0)
    middle = np.full(one.pieces.shape[1], np.nan)
    for piece in range(len(middle)):
        there = one.pieces[:, piece][one.pieces[:, piece] >= 0]
        if len(there):
            middle[piece] = np.median(there) + 1
    table = middle.reshape(segments.spans, groups).T
    edges = segments.edges
    heads = "".join(f"<th>{first + 1} to {last}</th>" for first, last in pairwise(edges))
    rows = []
    for name, values in zip(segments.names[:_MOST_ROWS], table, strict=False):
        cells = "".join(_heat(value, total) for value in values)
        rows.append(f"<tr><th>{escape(name)}</th>{cells}</tr>")
    caption = f"Evaluation, of {total}, from which on the guess stays within half of its first distance; median."
    return Markup(
        f'<div class="scroll"><table><caption>{caption}</caption><thead><tr><th>steps</th>{heads}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _heat(value: float, total: int) -> str:
    if not np.isfinite(value):
        return '<td class="heat">–</td>'
    share = 55 * value / total
    return f'<td class="heat" style="background:color-mix(in srgb,var(--c0) {share:.0f}%,transparent)">{value:.0f}</td>'


def _cut(name: str) -> str:
    return name if len(name) <= 22 else name[:21] + "…"
