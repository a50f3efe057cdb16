"""Which images take which part in a comparison: the reference, the fake ones, and real ones for the floor."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.errors import UsageError
from synthgen.evaluation.metrics import LEAST_IMAGES
from synthgen.evaluation.result import SMALL_COUNT
from synthgen.evaluation.splits import halves, stratified_order

REFERENCE_LIMIT = 50_000
"""Images in the reference at most."""


@dataclass(frozen=True)
class Sides:
    """The images of each role. other is None when the two sets are the same images.

    reference_index, fake_index: where they stand in the sets that were given; other_index: in the real images, or in
    the held-out ones where there are some.
    """

    reference: ImageData
    other: ImageData | None
    fake: ImageData
    n: int
    identical: bool
    text: str
    reference_index: np.ndarray
    other_index: np.ndarray
    fake_index: np.ndarray


def choose_sides(real: ImageData, fake: ImageData, held_out: ImageData | None, count: int | None, seed: int) -> Sides:
    if real.images.shape == fake.images.shape and np.array_equal(real.images, fake.images):
        n = min(len(real), count or len(real))
        chosen = stratified_order(real.labels, len(real), seed)[:n]
        same = real.select(chosen)
        none = np.empty(0, np.int64)
        return Sides(same, None, fake.select(chosen), n, True, "the same images", chosen, none, chosen)
    if held_out is None:
        first, second = halves(real.labels, len(real), seed)
        other, text = real, "a random half of the real images; the floor is the other half"
    else:
        first = stratified_order(real.labels, len(real), seed)
        second = stratified_order(held_out.labels, len(held_out), seed)
        other, text = held_out, f"the real images; the floor is {held_out.name} ({held_out.split})"
    n = min(len(fake), len(second), count or len(fake))
    if n < LEAST_IMAGES:
        raise UsageError(
            f"{n} images a side are too few to compare: {len(fake):,} fake, {len(first):,} real as the reference and "
            f"{len(second):,} real for the floor",
            f"{LEAST_IMAGES} a side are the least, {SMALL_COUNT:,} are advisable",
        )
    chosen = stratified_order(fake.labels, len(fake), seed)[:n]
    first, second = first[:REFERENCE_LIMIT], second[:n]
    reference = real.select(first)
    return Sides(reference, other.select(second), fake.select(chosen), n, False, text, first, second, chosen)


def check_sets(real: ImageData, fake: ImageData, held_out: ImageData | None) -> None:
    for other in (fake, held_out):
        if other is not None and other.shape != real.shape:
            raise UsageError(
                f"{other.name} has images of {_size(other)}, {real.name} of {_size(real)}: they cannot be compared",
                "load one at the size and channels of the other",
            )


def _size(data: ImageData) -> str:
    height, width, channels = data.shape
    return f"{height} x {width} pixels and {channels} channel{'s' if channels > 1 else ''}"
