"""The part of the page on copies: nearest training images, the alarm and its self-test, samples that repeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.evaluation.page_pieces import columns, percent, thumbnails
from synthgen.evaluation.result import Evaluation
from synthgen.html import (
    Markup,
    Section,
    details,
    escape,
    figure,
    group,
    line_chart,
    paragraph,
    picture,
    section,
    table,
)
from synthgen.rendering import grid

_TONES = {"exact copy": "bad", "copy": "bad", "near": "warn", "ok": "good"}


def copies_section(result: Evaluation, real: ImageData, fake: ImageData) -> Section | None:
    """Pairs, distributions and the self-test; None when nothing of it was measured."""
    memorised, repeated = result.details.get("memorised"), result.details.get("duplicates")
    parts: list[Markup] = []
    if memorised is not None:
        parts += [*_explained(memorised), *_pairs(memorised, real, fake), _distributions(memorised)]
        parts.append(_self_test(memorised))
        if memorised.get("feature_pairs"):
            parts.append(_feature_pairs(memorised["feature_pairs"], real, fake))
    if repeated is not None and repeated.get("pairs"):
        parts.append(_repeats(repeated, fake))
    return section("Copies", *parts) if parts else None


def _explained(found: dict[str, Any]) -> list[Markup]:
    text = (
        "Each synthetic image beside its nearest training image: the one whose pixels correlate most with it, at any "
        "shift of up to two pixels and any brightness and contrast. The ratio is its distance in parts of the "
        f"distance to the tenth nearest; the alarm rings at {found['threshold']:.3f} or less, where "
        f"{percent(found['false_alarm_share'])} of {found['held_out_count']:,} held-out real images make it ring, and "
        f"{percent(found['alarm_share'])} ({found['alarms']:,}) of the synthetic ones."
    )
    return [paragraph(text), paragraph(f"Training set: {found['training_set']}.")]


def _pairs(found: dict[str, Any], real: ImageData, fake: ImageData) -> list[Markup]:
    parts = []
    for title, at_random in (("The closest pairs", False), ("Pairs at random", True)):
        chosen = [pair for pair in found["pairs"] if pair["at_random"] is at_random]
        if chosen:
            couples = [
                _couple(
                    fake.images[pair["sample"]],
                    real.images[pair["real"]],
                    pair["verdict"],
                    f"likeness {pair['likeness']:.3f}, ratio {pair['ratio']:.2f}",
                )
                for pair in chosen
            ]
            parts += [Markup(f"<h3>{title}: synthetic left, real right</h3>"), _couples(couples)]
    meaning = (
        "exact copy: equal in every pixel; copy: equal but for shift, brightness and contrast; near: the alarm rings, "
        "as it does for 1 % of real images that nobody copied; ok: it does not."
    )
    return [*parts, Markup(f'<p class="lead">{escape(meaning)}</p>')]


def _couple(first: np.ndarray, second: np.ndarray, verdict: str | None, text: str) -> Markup:
    both = grid(thumbnails(np.stack([first, second])), 2)
    badge = "" if verdict is None else f'<span class="badge {_TONES[verdict]}">{escape(verdict)}</span> '
    shown = picture(both, text, scale=max(1, 132 // both.shape[1]))
    return Markup(f"<figure>{shown}<figcaption>{badge}{escape(text)}</figcaption></figure>")


def _couples(couples: Sequence[Markup]) -> Markup:
    return Markup(f'<div class="couples">{"".join(couples)}</div>')


def _distributions(found: dict[str, Any]) -> Markup:
    charts = [_distribution(found["histogram"], "distance to nearest / to tenth nearest", "In pixel space.")]
    if found.get("feature_histogram"):
        words = "In feature space."
        charts.append(_distribution(found["feature_histogram"], "distance to the nearest training image", words))
    return group(Markup("<h3>How near the nearest training image is</h3>"), columns(*charts))


def _distribution(bins: dict[str, list[float]], label: str, words: str) -> Markup:
    middles = (np.array(bins["edges"][1:]) + np.array(bins["edges"][:-1])) / 2
    series = {
        name: (middles.tolist(), [100 * share for share in bins[key]])
        for name, key in (("synthetic", "samples"), ("held-out real", "held_out"))
    }
    chart = line_chart(series, x_label=label, y_label="% of images", zero=True)
    return figure(chart, f"{words} Copies would stand at the left end, far from the held-out images.")


def _self_test(found: dict[str, Any]) -> Markup:
    rows = [[kind, percent(recall)] for kind, recall in found["self_test"].items()]
    text = "Self-test: real images were copied on purpose, altered as follows, and put before the same alarm."
    return group(Markup("<h3>Would copies have been found?</h3>"), table(["copies", "found"], rows, caption=text))


def _feature_pairs(pairs: list[dict[str, Any]], real: ImageData, fake: ImageData) -> Markup:
    couples = [
        _couple(fake.images[pair["sample"]], real.images[pair["real"]], None, f"distance {pair['distance']:.3g}")
        for pair in pairs
    ]
    return details("the closest pairs in feature space: synthetic left, real right", _couples(couples))


def _repeats(found: dict[str, Any], fake: ImageData) -> Markup:
    couples = [
        _couple(fake.images[pair["first"]], fake.images[pair["second"]], None, f"likeness {pair['likeness']:.3f}")
        for pair in found["pairs"]
    ]
    repeats = f" {found['exact_repeats']:,} images repeat another one exactly." if found["exact_repeats"] else ""
    return details(f"the most alike among the synthetic images.{repeats}", _couples(couples))
