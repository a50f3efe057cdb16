"""The page of an explanation of images: findings first, then the images with their maps, then each method in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synthgen import __version__
from synthgen.explain.images import journey, page_data, page_looks, page_maps, page_steps
from synthgen.explain.images.page_looks import looks_piece
from synthgen.explain.images.page_maps import TITLES, audit_table, cards, one_map
from synthgen.explain.images.probe import RATIOS
from synthgen.explain.images.summary import commitment_sentence
from synthgen.html import (
    Markup,
    command,
    details,
    figure,
    line_chart,
    notice,
    page,
    paragraph,
    section,
    table,
    tiles,
)

if TYPE_CHECKING:
    from synthgen.explain.images.run import Explanation

_MOST_PATHS = 6
_DATA = (
    ("Whom they resemble", "neighbours", page_data.neighbours_piece),
    ("Of whom they are made (experimental)", "influence", page_data.influence_piece),
    ("What gives synthetic images away", "giveaway", page_data.detector_piece),
    ("What they change in a classifier", "change", page_data.augmentation_piece),
)
"""Title, part of the explanation, what draws it."""


def write_page(found: Explanation) -> str:
    """The whole document, self-contained."""
    context, request = found.context, found.request
    parts = []
    if short := _short(found):
        parts.append(section("In short", *short))
    if found.attributions:
        parts.append(section("The images and their maps", cards(found)))
        parts.append(section("The audit", audit_table(found)))
    if found.steps is not None:
        assert context.trajectory is not None
        title = "How the images came to be" if len(context.names) > 1 else "How the image came to be"
        steps = page_steps.trajectory_piece(context.trajectory, found.steps, context.names)
        parts.append(section(title, steps, *_journey(found)))
    for name, one in found.attributions.items():
        extra = [looks_piece(found)] if name == "attention" else []
        parts.append(section(TITLES[name], *extra, *one_map(found, one)))
    parts += [section(title, piece(found)) for title, there, piece in _DATA if getattr(found, there) is not None]
    if request.invocation:
        parts.append(section("Do it again", command(request.invocation)))
    footer = f"synthgen {__version__} · checkpoint sha256 {context.model.sha256[:16]} · this page needs no network"
    return page(
        "Why these images",
        parts,
        lead=_lead(found),
        footer=footer,
        script=page_steps.SCRIPT + page_maps.SCRIPT + page_looks.SCRIPT,
        style=page_steps.STYLE + page_maps.STYLE + page_looks.STYLE + page_data.STYLE,
    )


def _lead(found: Explanation) -> str:
    context = found.context
    count = len(context.names)
    if context.trajectory is None:
        return f"{count} given image{'s' if count > 1 else ''}, asked of {context.model.path}, seed {context.seed}."
    calls = len(context.trajectory.sigmas)
    return (
        f"{count} sample{'s' if count > 1 else ''} of {context.model.path}, drawn with {context.recipe.sampler} in "
        f"{calls} network evaluation{'s' if calls > 1 else ''}, seed {context.seed}. Sample k here is the k-th that "
        "the sample command makes with the same seed, classes and sampler."
    )


def _short(found: Explanation) -> list[Markup]:
    """The figures and verdicts that a reader wants first."""
    cards: list[tuple[str, str | float, str]] = []
    lines = []
    for name, one in found.attributions.items():
        lines.append(notice(f"{name}: {one.verdict}", "good" if one.verdict.startswith("Believe") else "warn"))
    if (judge := found.context.__dict__.get("judge")) is not None:
        cards.append(("the judge is right", f"{100 * judge.accuracy:.1f} %", f"of {judge.count:,} {judge.seen}"))
    if found.journey is not None and found.journey.commitment is not None and found.journey.commitment.quartiles:
        middle = found.journey.commitment.quartiles[1]
        cards.append(("the class is decided at", f"step {middle:.0f}", f"of {found.context.recipe.steps}, median"))
    if (near := found.neighbours) is not None:
        cards.append(("too near to training images", f"{int(near.flagged.sum())}", f"of {len(near.flagged)}"))
        good = near.sentence.startswith("None")
        lines.append(notice(near.sentence, "good" if good else "warn"))
    if (give := found.giveaway) is not None:
        cards.append(("a forest tells them from real ones", f"{give.detection.auc:.2f}", "AUC; 0.5 is guessing"))
        lines.append(notice(give.sentence, "warn" if give.found else "good"))
    if (change := found.change) is not None:
        gain = 100 * float(np.diff(change.accuracy.mean(axis=1))[0])
        cards.append(("a classifier gains", f"{gain:+.1f} %", f"of {change.tested:,} test images, by synthetic ones"))
    return [*([tiles(cards)] if cards else []), *lines, *(notice(text, "info") for text in found.notes)]


def _journey(found: Explanation) -> list[Markup]:
    """Label switches, guidance energy, survival and the paths of the middle block."""
    one, context = found.journey, found.context
    assert one is not None and context.trajectory is not None
    parts = []
    if one.commitment is not None:
        kept, steps = 100.0 * (one.commitment.margins > 0).mean(axis=1), context.recipe.steps
        curve = {"samples that keep their class": (list(map(float, range(steps + 1))), kept.tolist())}
        chart = line_chart(curve, x_label="another class is told from this step on", y_label="%", zero=True)
        parts += [
            Markup("<h3>When the class is decided</h3>"),
            paragraph(commitment_sentence(found)),
            figure(
                chart, f"{len(one.labels)} samples, as the judge reads the results; the other class is the nearest."
            ),
            details("by class", _by_class(found)),
            notice(f"What this does not say: {journey.CAVEAT}", "warn"),
        ]
    if one.energy is not None:
        places = [float(step + 1) for step in range(len(one.energy))]
        low, middle, high = np.quantile(one.energy, [0.25, 0.5, 0.75], axis=1).tolist()
        energy = {"median": (places, middle), "lower quartile": (places, low), "upper quartile": (places, high)}
        chart = line_chart(energy, x_label="step", y_label="rms of the difference", zero=True)
        told = "How far the predicted noise with the class is from that without: what guidance would amplify."
        parts += [Markup("<h3>How much the class matters at each step</h3>"), figure(chart, told)]
    if one.survival is not None:
        curve = {"images that keep their class": (list(RATIOS), (100.0 * one.survival.mean(axis=1)).tolist())}
        chart = line_chart(curve, x_label="noise level (sigma)", y_label="%", log_x=True, zero=True)
        told = "Images that were noised to a level and denoised by the model, told no class; as the judge reads them."
        parts += [Markup("<h3>What survives noise</h3>"), figure(chart, told)]
    paths = {
        f"{number}: {name}": (one.paths[:, number, 0].tolist(), one.paths[:, number, 1].tolist())
        for number, name in enumerate(context.names[:_MOST_PATHS])
    }
    chart = line_chart(paths, x_label="first component", y_label="second component")
    told = (
        "The middle block's maps, mean over places, step by step, in the two components with "
        f"{100 * sum(one.explained):.0f} % of the variance. All begin at the same place, in pure noise, and part where "
        "images become different."
    )
    return [*parts, details("paths of the middle block", figure(chart, told))]


def _by_class(found: Explanation) -> Markup:
    one = found.journey
    assert one is not None and one.commitment is not None
    rows = []
    for label in np.unique(one.labels):
        of = one.commitment.quartiles_of(one.labels == label)
        values = [None] * 3 if of is None else [f"{value:.0f}" for value in of]
        rows.append([found.context.classes[label], int((one.labels == label).sum()), *values])
    return table(["class", "samples", "lower quartile", "median", "upper quartile"], rows)
