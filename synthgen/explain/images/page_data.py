"""What a page says of the data: whom the images resemble, what gives them away, what they change in a classifier."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synthgen.explain.charts import detection_chart
from synthgen.explain.images import augmentation, giveaway, neighbours
from synthgen.explain.images.page_maps import MOST_IMAGES
from synthgen.explain.images.page_steps import small
from synthgen.explain.images.sources import decoded
from synthgen.explain.pictures import signed_colors
from synthgen.html import Markup, details, escape, figure, group, notice, paragraph, picture, table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from synthgen.explain.images.giveaway import Giveaway
    from synthgen.explain.images.run import Explanation

_MOST_BARS = 14
_ENDS = 8

STYLE = """
.near{display:grid;grid-template-columns:repeat(6,minmax(40px,76px));gap:6px;align-items:end;margin:8px 0 14px}
.near img{width:100%;image-rendering:pixelated}.near small{color:var(--soft)}
.whom{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr));gap:0 26px}
.row-of{display:flex;flex-wrap:wrap;gap:4px;margin:4px 0 10px}.row-of img{width:44px;image-rendering:pixelated}
.changes{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,270px),1fr));gap:16px 18px;margin:14px 0}
.changes .trio{display:grid;grid-template-columns:repeat(4,1fr);gap:4px}
.changes img{width:100%;border:1px solid var(--line)}
.changes small{color:var(--soft);display:block}
"""


def neighbours_piece(found: Explanation) -> Markup:
    """The nearest training images of every image, and whether that is too near."""
    one = found.neighbours
    assert one is not None
    remarks = [
        "too near" if flag else "" if np.isnan(share) else f"{100 * share:.1f} % of new images as near"
        for flag, share in zip(one.flagged, one.shares, strict=True)
    ]
    return group(
        paragraph(neighbours.QUESTION),
        notice(one.sentence, "good" if one.sentence.startswith("None") else "warn"),
        _beside(found, remarks, one.index, one.images, [[f"{index:,}" for index in row] for row in one.index]),
        paragraph(f"{one.compared:,} training images were looked at; numbers count them from 0."),
        notice(f"What this does not say: {neighbours.CAVEAT}", "warn"),
    )


def influence_piece(found: Explanation) -> Markup:
    """The training images that every image's gradient is made of."""
    one = found.influence
    assert one is not None
    remarks = [
        "too much of one" if flag else "" if np.isnan(share) else f"{100 * share:.1f} % of new images as much of one"
        for flag, share in zip(one.flagged, one.shares, strict=True)
    ]
    told = [[f"{score:.3f}" for score in row] for row in one.scores]
    same = [] if np.isnan(one.same_class) else [paragraph(f"{100 * one.same_class:.0f} % of them are of the class.")]
    good = one.works and not one.flagged.any() and one.sentence.startswith("None")
    return group(
        paragraph(one.question),
        notice(one.sentence, "good" if good else "warn"),
        _beside(found, remarks, one.index, one.images, told),
        *same,
        notice(f"What this does not say: {one.caveat}", "warn"),
    )


def _beside(
    found: Explanation, remarks: Sequence[str], index: np.ndarray, others: np.ndarray, told: Sequence[Sequence[str]]
) -> Markup:
    """Every explained image with training images beside it, and what is told of each."""
    rows = []
    for row, image in enumerate(decoded(found.context.x0)[:MOST_IMAGES]):
        name = found.context.names[row]
        near = "".join(
            f"<div>{picture(small(other), f'training image {number}')}<small>{escape(text)}</small></div>"
            for number, other, text in zip(index[row], others[row], told[row], strict=True)
        )
        rows.append(
            f"<div><b>{escape(name)}</b> <small>{escape(remarks[row])}</small>"
            f'<div class="near"><div>{picture(small(image), name)}<small>explained</small></div>{near}</div></div>'
        )
    return Markup(f'<div class="whom">{"".join(rows)}</div>')


def detector_piece(found: Explanation) -> Markup:
    """The properties that give synthetic images away, with images of either side."""
    one = found.giveaway
    assert one is not None
    detection = one.detection
    order = np.argsort(-detection.scores, kind="stable")[:_MOST_BARS]
    chart = detection_chart(detection, "property", _MOST_BARS)
    sides = [one.values[~one.synthetic], one.values[one.synthetic]]
    rows = [
        [
            detection.names[place],
            *(f"{side[:, place].mean():.3g}" for side in sides),
            f"{100 * detection.scores[place]:+.2f}",
            f"{100 * detection.chance[place]:+.2f}",
            f"{detection.p[place]:.3f}",
        ]
        for place in order
    ]
    heads = ["property", "real, mean", "synthetic, mean", "towards the truth, pp", "95 % of chance, pp", "p"]
    return group(
        paragraph(giveaway.QUESTION),
        notice(one.sentence, "warn" if one.found else "good"),
        figure(chart, "Percentage points towards the truth; the tick is what chance reaches in 1 of 20 cases."),
        details("in figures", table(heads, rows)),
        *_ends_of(one, int(order[0])),
        *_worst(one),
        paragraph(
            f"Checked: {int(one.synthetic.sum()):,} synthetic images and as many {one.seen}; contributions add up to "
            f"the forest's probability within {detection.verdicts.gap:.1g}; forests trained on permuted labels "
            f"{detection.refits} times."
        ),
        notice(f"What this does not say: {giveaway.CAVEAT}", "warn"),
    )


def _ends_of(one: Giveaway, place: int) -> list[Markup]:
    """Real and synthetic images at the two ends of the strongest property."""
    if not one.found:
        return []
    rows = []
    for told, chosen in zip(("real", "synthetic"), one.ends(place, _ENDS), strict=True):
        shown = "".join(picture(small(one.images[row]), f"{told} image") for row in chosen)
        rows.append(f'<p>{told}, at its end of "{escape(one.detection.names[place])}"</p><div class="row-of">')
        rows.append(f"{shown}</div>")
    return [Markup("".join(rows))]


def _worst(one: Giveaway) -> list[Markup]:
    """The synthetic images that the forest is surest of."""
    cells = []
    for row, chance, why in one.worst(6):
        told = "; ".join(f"{name} = {value:.3g} (+{100 * share:.0f} pp)" for name, value, share in why)
        cells.append([picture(one.images[row], "synthetic image", scale=2), f"{100 * chance:.0f} %", told])
    return [details("the synthetic images that the forest is surest of", table(["", "synthetic", "because"], cells))]


def augmentation_piece(found: Explanation) -> Markup:
    """Test images whose reading changed most, with what either classifier went by."""
    one = found.change
    assert one is not None
    maps = one.maps.mean(axis=1)
    cards = []
    for row, name in enumerate(one.names):
        top = float(np.abs(maps[:, row]).max()) or 1.0
        colored = [signed_colors(part, top) for part in (maps[0, row], maps[1, row], one.difference[row])]
        names = ("real", "both", "change")
        cells = "".join(
            f"<div>{picture(small(image), f'{told}, test image of {name}')}<small>{told}</small></div>"
            for image, told in zip((one.images[row], *colored), ("image", *names), strict=True)
        )
        cards.append(
            f'<div><b>{escape(name)}</b><div class="trio">{cells}</div><small>log-odds of its class '
            f"{one.odds[0, row]:+.1f}, with synthetic images {one.odds[1, row]:+.1f}</small></div>"
        )
    seeds = one.accuracy.shape[1]
    rows = [
        [told, *(f"{100 * value:.1f} %" for value in values)]
        for told, values in zip(("real", "real and synthetic"), one.accuracy, strict=True)
    ]
    return group(
        paragraph(one.question),
        notice(one.sentence, "info"),
        Markup(f'<div class="changes">{"".join(cards)}</div>'),
        paragraph("Orange speaks for the class, blue against it; one scale for the maps of an image."),
        table(["trained on", *(f"right, training {turn + 1}" for turn in range(seeds))], rows),
        paragraph(f"Checked: shares add up to what they share out within {one.gap:.1g}."),
        notice(f"What this does not say: {augmentation.CAVEAT}", "warn"),
    )
