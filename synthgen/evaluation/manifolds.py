"""Whether each image lies where images of the other set lie: precision and recall, density and coverage."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from synthgen.evaluation import metrics as formulas
from synthgen.evaluation.cache import Arrays
from synthgen.evaluation.measure import Found, Measure, Part, Parts
from synthgen.evaluation.metrics import Figure
from synthgen.evaluation.neighbourhoods import Overlap, Tick, overlap, radii
from synthgen.evaluation.result import Metric

NARROW = 3
"""The k of precision and recall (Kynkäänniemi et al. 2019)."""

WIDE = 5
"""The k of density and coverage (Naeem et al. 2020)."""

_VERSION = 2


def _overlap(parts: Parts, part: Part) -> Overlap:
    """How `part` and the reference lie in each other; the work of both measures, done once."""
    reference = parts.reference
    real_radii, radii_of = _radii(parts, reference), _radii(parts, part)[0]

    def compute() -> Arrays:
        with _progress(parts, "comparing neighbourhoods", len(part)) as tick:
            found = overlap(
                reference.features, part.features, real_radii, radii_of, tick=tick, should_stop=parts.should_stop
            )
        return vars(found)

    return Overlap(**parts.keep({"what": "overlap", **_key(parts), "of": [reference.digest, part.digest]}, compute))


def _radii(parts: Parts, part: Part) -> np.ndarray:
    def compute() -> Arrays:
        with _progress(parts, "finding neighbours", len(part)) as tick:
            found = radii(part.features, (NARROW, WIDE), tick=tick, should_stop=parts.should_stop)
        return {"radii": found}

    return parts.keep({"what": "radii", **_key(parts), "of": part.digest}, compute)["radii"]


def _key(parts: Parts) -> dict[str, object]:
    return {"by": parts.extractor.digest, "k": [NARROW, WIDE], "version": _VERSION}


@contextmanager
def _progress(parts: Parts, label: str, count: int) -> Iterator[Tick]:
    done = 0
    with parts.reporter.progress(label, count, "images") as progress:

        def tick(rows: int) -> None:
            nonlocal done
            done += rows
            progress.update(done)

        yield tick


def _prc(parts: Parts) -> Found:
    fake, other = _both(parts)
    precision = _share(parts, "precision", "of the fake images lie where real ones lie", fake, other, "inside")
    recall = _share(parts, "recall", "of the real images lie where fake ones lie", fake, other, "reached")
    return Found((precision, recall))


def _density_coverage(parts: Parts) -> Found:
    fake, other = _both(parts)
    found, floor = _density(fake), None if other is None else _density(other)
    real = "" if floor is None else f" (real images: {floor.value:.2f})"
    sentence = f"A fake image lies in {found.value:.2f} times as many real neighbourhoods as a real one should{real}."
    density = parts.metric("density", "density", found, floor, better="higher", sentence=sentence)
    text = "of the real images have a fake one in their neighbourhood"
    return Found((density, _share(parts, "coverage", text, fake, other, "covered")))


def _both(parts: Parts) -> tuple[Overlap, Overlap | None]:
    return _overlap(parts, parts.fake), None if parts.other is None else _overlap(parts, parts.other)


def _density(found: Overlap) -> Figure:
    """Naeem et al. 2020, equation 5, uncertain by the choice of the images on both sides."""
    scale = len(found.drawn) / (WIDE * len(found.crowd))
    return formulas.crossed_mean(found.crowd / WIDE, found.drawn * scale)


def _share(parts: Parts, name: str, text: str, fake: Overlap, other: Overlap | None, hits: str) -> Metric:
    """The share of True in the entry `hits` of an overlap, as a figure."""
    sizes = {"fake": len(fake.inside), "real": len(fake.reached)}
    found = formulas.share(getattr(fake, hits), against=sizes["real" if hits == "inside" else "fake"])
    floor = None if other is None else formulas.share(getattr(other, hits))
    real = "" if floor is None else f" (real images: {_percent(floor)})"
    sentence = f"{_percent(found)} {text}{real}."
    return parts.metric(name, name, found, floor, better="higher", share=True, sentence=sentence)


def _percent(found: Figure) -> str:
    return f"{100 * found.value:.1f} %"


PRC = Measure("prc", ("precision", "recall"), _prc)
DENSITY_COVERAGE = Measure("dc", ("density", "coverage"), _density_coverage)
