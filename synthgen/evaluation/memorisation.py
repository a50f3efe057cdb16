"""Does the generator hand out its training images? An alarm calibrated on real images that are not copies.

For every image: how near its nearest training image is, in parts of the distance to the tenth nearest (`neighbours`).
The threshold is the value that 1 % of held-out real images fall below, so 1 % false alarms are expected, and
`memorised` is the share of alarms above that: (alarms - expected) / (1 - expected), an estimate of the share of copies.

What is the training set, and what is held out? With held-out images (the test split), all given real images are the
training set. Without, and with a generator that is known to have had a part of the real images (`data.limit`), that
part is the training set and the rest is held out. Without either, all real images are the training set and each
held-out image is a real one that is compared with all others but itself. Halves, as for the other figures, would miss
every copy of the other half, while leaving one out costs nothing: an image among N - 1 others is as near as a new one
among N, as long as real images are independent of one another. Where they come in families (frames of a film, digits
of a writer), new images lie farther off than left-out ones and the alarm is stricter than it says, never laxer.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.data.subset import stratified_subset
from synthgen.evaluation.measure import Parts
from synthgen.evaluation.metrics import Figure, share
from synthgen.evaluation.neighbours import Check, PixelIndex
from synthgen.evaluation.planting import KINDS, plant

FALSE_ALARMS = 0.01
"""Share of held-out images below the threshold."""

MOST_HELD_OUT = 10_000
PLANTED = 100
"""Copies of each kind in the self-test."""


@dataclass(frozen=True)
class Alarm:
    """Rings for images whose ratio is `threshold` or less.

    expected: the share of held-out images for which it rings; above `FALSE_ALARMS` only where many of them are copies
    of training images themselves, or where there are fewer than 99. held_out: on how many it was calibrated.
    """

    threshold: float
    expected: float
    held_out: int

    def rings(self, ratios: np.ndarray) -> np.ndarray:
        """bool (N,)."""
        return np.asarray(ratios <= self.threshold)

    def memorised(self, ratios: np.ndarray) -> Figure:
        """The share of copies among images with these ratios, above what held-out images show, with its interval."""
        return excess(self.rings(ratios), self.expected, self.held_out)


def calibrate(held_out: np.ndarray, rate: float = FALSE_ALARMS) -> Alarm:
    """The alarm that rings for at most the share `rate` of images like those with these ratios (M,).

    The threshold is the k-th smallest ratio with k = floor(rate (M + 1)): then a new image falls below it with
    probability k / (M + 1) at most (split conformal prediction; Vovk et al. 2005, section 2.2). Below 99 images k is 0:
    it rings only for images with a smaller ratio than any of them, which 1 / (M + 1) of new ones have, more than `rate`
    of them.
    """
    rank = int(rate * (len(held_out) + 1))
    if rank == 0:
        return Alarm(float(np.nextafter(held_out.min(), np.float32(-1.0))), 1.0 / (len(held_out) + 1), len(held_out))
    threshold = float(np.partition(held_out, rank - 1)[rank - 1])
    return Alarm(threshold, float(np.mean(held_out <= threshold)), len(held_out))


def cross_checked(held_out: np.ndarray, seed: int = 0) -> np.ndarray:
    """Whether the alarm rings for held-out images when it was calibrated on the other half of them, bool (M,)."""
    order = np.random.default_rng(seed).permutation(len(held_out))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    rings = np.zeros(len(held_out), bool)
    rings[first] = calibrate(held_out[second]).rings(held_out[first])
    rings[second] = calibrate(held_out[first]).rings(held_out[second])
    return rings


def excess(rings: np.ndarray, expected: float, held_out: int) -> Figure:
    """(share - expected) / (1 - expected), 0 or more: the share of copies when others ring as often as expected.

    The 95 % interval begins where Newcombe's hybrid score interval of a difference of two proportions does (1998,
    method 10; the expected share was itself counted on `held_out` images), divided by the same number. It ends at the
    Wilson bound of all alarms: images that are not copies may ring more rarely than held-out ones do, for example
    because they are blurred, so every alarm might be a copy.
    """
    found, known = share(rings), _share(expected, held_out)
    assert found.interval is not None and known.interval is not None
    difference, rest = found.value - expected, max(1.0 - expected, 1e-9)
    below = np.hypot(found.value - found.interval[0], known.interval[1] - expected)
    low, value = (float(np.clip(number / rest, 0.0, 1.0)) for number in (difference - below, difference))
    return Figure(value, (low, found.interval[1]), method="newcombe")


def _share(value: float, count: int) -> Figure:
    return share(np.arange(count) < round(value * count))


def self_test(index: PixelIndex, images: np.ndarray, alarm: Alarm, *, seed: int, check: Check) -> dict[str, float]:
    """The share of planted copies for which the alarm rings, by kind. images: those in the index."""
    found = {}
    random = np.random.default_rng(seed)
    for kind in KINDS:
        chosen = random.permutation(len(images))[:PLANTED]
        copies = plant(images[chosen], kind, seed)
        found[kind] = float(np.mean(alarm.rings(index.search(copies, check=check).ratio)))
    return found


@dataclass(frozen=True)
class Training:
    """Which real images the generator is taken to have learned from, and which are held out.

    index: of `real`. held_out: of `held_out_role`, at most `MOST_HELD_OUT`. leave_one_out: the held-out images are
    training images, each compared with the others. known: the generator is known to have learned from these images.
    """

    index: np.ndarray
    held_out: np.ndarray
    from_real: bool
    leave_one_out: bool
    known: bool
    text: str


def choose_training(parts: Parts) -> Training:
    """See the head of this module."""
    real, generator, count = parts.real.data, parts.generator, len(parts.real)
    index, sure, known = np.arange(count), False, "all real images are taken to be the training images"
    if generator is not None:
        part = stratified_subset(real.labels, count, generator.count) if 0 < generator.count < count else index
        fingerprint = real.fingerprint if len(part) == count else real.select(part).fingerprint
        if generator.fingerprint == fingerprint:
            index, sure = part, True
            of = f"{len(part):,} of the {count:,}" if len(part) < count else "exactly these"
            known = f"the generator was trained on {of} real images"
        else:
            known += f", but the generator was trained on {generator.count:,} others, named {generator.name}"
    random = np.random.default_rng(parts.seed)
    if parts.held_out is not None:
        chosen = random.permutation(len(parts.held_out))[:MOST_HELD_OUT]
        data = parts.held_out.data
        text = f"{known}; {len(chosen):,} images of {data.name} ({data.split}) are held out"
        return Training(index, chosen, False, False, sure, text)
    rest = np.setdiff1d(np.arange(count), index)
    if len(rest) >= MOST_HELD_OUT // 10:
        chosen = random.permutation(rest)[:MOST_HELD_OUT]
        return Training(index, chosen, True, False, sure, f"{known}; {len(chosen):,} of the others are held out")
    chosen = random.permutation(len(index))[:MOST_HELD_OUT]
    text = f"{known}; {len(chosen):,} of them stand in for held-out ones, each compared with the others"
    return Training(index, index[chosen], True, True, sure, text)
