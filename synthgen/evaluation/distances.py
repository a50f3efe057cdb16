"""Distances between the two distributions of features: FID, FID without its bias, KID."""

from __future__ import annotations

from synthgen.evaluation import extrapolation
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
    parts.check_stop()
    found = formulas.kid(parts.reference.features, parts.fake.features, seed=parts.seed)
    floor = None
    if parts.other is not None:
        parts.check_stop()
        floor = formulas.kid(parts.reference.features, parts.other.features, seed=parts.seed, interval=False)
    return Found((parts.metric("kid", "KID", found, floor, better="lower", sentence=_kid_sentence(found, floor)),))


def _kid_sentence(found: Figure, floor: Figure | None) -> str:
    if floor is None:
        return f"KID {found.value:.3g}."
    if found.interval and found.interval[0] <= max(0.0, floor.value):  # it is unbiased: a floor below 0 is chance
        return f"KID {found.value:.3g} is not above what other real images show ({floor.value:.3g})."
    return f"KID {found.value:.3g} tells the fake images from the real ones (real images: {floor.value:.3g})."


def _no_extrapolation(parts: Parts) -> str | None:
    if parts.width > extrapolation.WIDEST:
        return f"features of {parts.width:,} numbers are too wide to extrapolate from (at most {extrapolation.WIDEST})"
    least = extrapolation.LEAST_PER_FEATURE * parts.width
    if min(len(parts.reference), parts.n) < least:
        return f"{least:,} images a side are the least for {parts.width} features, not {parts.n:,}"
    return None


def _fid_infinity(parts: Parts) -> Found:
    parts.check_stop()
    found = extrapolation.fid_infinity(parts.reference.features, parts.fake.features, seed=parts.seed)
    floor = None
    if parts.other is not None:
        parts.check_stop()
        floor = extrapolation.fid_infinity(
            parts.reference.features, parts.other.features, seed=parts.seed, interval=False
        )
    real = "" if floor is None else f" (real images: {floor.value:.3g})"
    sentence = f"For infinitely many images FID would be about {found.value:.3g}{real}."
    metric = parts.metric("fid_infinity", "FID for n to infinity", found, floor, better="lower", sentence=sentence)
    return Found((metric,))


FID = Measure("fid", ("fid",), _fid)
FID_INFINITY = Measure("fid_infinity", ("fid_infinity",), _fid_infinity, _no_extrapolation)
KID = Measure("kid", ("kid",), _kid)
