"""Distances between the two distributions of features: FID and KID."""

from __future__ import annotations

from synthgen.evaluation import metrics as formulas
from synthgen.evaluation.measure import Found, Measure, Part, Parts
from synthgen.evaluation.metrics import Figure


def _fid(parts: Parts) -> Found:
    found, floor = _one_fid(parts, parts.fake), None
    if parts.other is not None:
        floor = _one_fid(parts, parts.other, interval=False)
    return Found((parts.metric("fid", "FID", found, floor, better="lower", sentence=_fid_sentence(found, floor)),))


def _one_fid(parts: Parts, part: Part, *, interval: bool = True) -> Figure:
    parts.check_stop()
    return formulas.fid(
        parts.reference.features,
        part.features,
        seed=parts.seed,
        interval=interval,
        reference_labels=parts.reference.labels,
        other_labels=part.labels,
    )


def _fid_sentence(found: Figure, floor: Figure | None) -> str:
    if floor is None:
        return f"FID {found.value:.3g}."
    lowest = found.interval[0] if found.interval else found.value
    if lowest <= floor.value:
        return f"FID {found.value:.3g} is not above what other real images show ({floor.value:.3g})."
    times = found.value / floor.value if floor.value > 0 else float("inf")
    return f"FID {found.value:.3g} is {times:,.1f} times the {floor.value:.3g} of other real images at the same n."


def _kid(parts: Parts) -> Found:
    found, floor = _one_kid(parts, parts.fake), None
    if parts.other is not None:
        floor = _one_kid(parts, parts.other)
    return Found((parts.metric("kid", "KID", found, floor, better="lower", sentence=_kid_sentence(found, floor)),))


def _one_kid(parts: Parts, part: Part) -> Figure:
    parts.check_stop()
    return formulas.kid(parts.reference.features, part.features, seed=parts.seed)


def _kid_sentence(found: Figure, floor: Figure | None) -> str:
    real = "" if floor is None else f" (real images: {floor.value:.3g})"
    if floor is not None and found.value - floor.value <= 2 * (found.spread or 0.0):
        return f"KID {found.value:.3g} is within two standard deviations of what real images show{real}."
    return f"KID {found.value:.3g} tells the fake images from the real ones{real}."


FID = Measure("fid", ("fid",), _fid)
KID = Measure("kid", ("kid",), _kid)
