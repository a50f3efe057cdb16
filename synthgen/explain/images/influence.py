"""Which training images the image's own gradient is made of: sketched gradients in the manner of D-TRAK. Experimental.

Zheng et al. 2024 (arXiv:2311.00500): the gradient of the squared length of the network's output, not of its loss,
averaged over noise levels, projected to few numbers, and a kernel over those of the training images (Park et al. 2023,
arXiv:2303.14186, equation 13). One model stands in for the ensemble that these papers average over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from synthgen.data.subset import stratified_subset
from synthgen.evaluation.cache import evaluation_cache, pixel_digest
from synthgen.explain.images.neighbours import resembled
from synthgen.explain.images.probe import Probe, View, quantiles
from synthgen.explain.images.sources import decoded, encoded
from synthgen.explain.tables.neighbours import as_near
from synthgen.generation.parallel import in_order

if TYPE_CHECKING:
    from synthgen.data.dataset import ImageData
    from synthgen.explain.images.context import Context

SUBSET = 1000
"""Training images that are compared, spread over the classes; beside them the nearest neighbour of every image."""

LEVELS, DRAWS = 4, 2
"""Noise levels and noises of each that a gradient is averaged over; the noises are the same for all images."""

SKETCH = 4096
"""Numbers that a gradient is projected to."""

RIDGE = 0.01
"""Of the mean squared length of the sketches."""

SHOWN = 5
COPIES = 20
"""Training images that are altered and looked for, as a check."""

LEVEL = 0.05
"""Chance to flag any of the images where all are as new as held-out ones."""

LEAST_FOUND = 0.5
"""Of altered copies, that must lead to their originals before an image is flagged."""

MOSTLY = 0.5
"""Score of the training image that a flagged image is made of, at least."""

MOST_HOLDOUT = 400
_DRAW = 1 << 21
_VERSION = 1

QUESTION = (
    "Of which training images is the image's own pull on the weights made? The gradient of every image (of the squared "
    "output of the network, D-TRAK) is projected to {sketch} numbers; a score is the weight of a training image in the "
    "ridge regression that puts the image's gradient together, in parts of its weight in its own: 1 would be a copy."
)
CAVEAT = (
    "Experimental. One model stands in for many trainings, and only {count:,} of {whole:,} training images were looked "
    "at; what leaving one of them out would change was not tested. A flag says that one training image makes up more "
    "of this image than of any new one; no flag is no proof of privacy."
)


@dataclass(frozen=True, eq=False)
class Influence:
    """Of N images.

    index: int64 (N, k), the training images with the largest scores. scores: float64 (N, k), falling. shares: float64
    (N,), the share of held-out images whose largest score is as large; NaN without any. flagged: bool (N,), mostly made
    of one training image, and more than chance explains. images: uint8 (N, k, H, W, C). held_out: how many. compared,
    whole: training images looked at, and all there are. found, copies: of altered copies of training images, how many
    had the original on top. same_class: share of the top images that are of the explained image's class; NaN without
    classes.
    """

    index: np.ndarray
    scores: np.ndarray
    shares: np.ndarray
    flagged: np.ndarray
    images: np.ndarray
    held_out: int
    compared: int
    whole: int
    found: int
    copies: int
    same_class: float

    @property
    def sentence(self) -> str:
        """The finding in words."""
        count = len(self.flagged)
        if not self.works:
            told = "scores do not even lead from altered copies to their originals here: nothing can be said of copies"
        elif self.held_out < count / LEVEL - 1:
            told = f"{self.held_out} held-out images are too few to say what score is too large for {count}"
        elif self.flagged.any():
            told = f"{int(self.flagged.sum())} of {count} images owe more to one training image than chance explains"
        else:
            told = f"none of {count} images owes more to one training image than {self.held_out:,} new ones do"
        check = (
            f"checked: of {self.copies} training images that were moved a little and dimmed, {self.found} had their "
            "original on top"
        )
        return f"{told[0].upper()}{told[1:]} ({check})."

    @property
    def works(self) -> bool:
        """Whether altered copies lead to their originals, mostly."""
        return self.found >= LEAST_FOUND * self.copies

    @property
    def question(self) -> str:
        return QUESTION.format(sketch=SKETCH)

    @property
    def caveat(self) -> str:
        return CAVEAT.format(count=self.compared, whole=self.whole)


def find(context: Context) -> Influence:
    """Score training images for every explained one. Raises StoppedError."""
    train, held = context.real.train, context.real.holdout
    assert train is not None
    random, mine = np.random.default_rng([context.seed, 61]), decoded(context.x0)
    new, of_new = np.empty((0, *mine.shape[1:]), np.uint8), None
    if held is not None:
        count = min(MOST_HOLDOUT, int(np.ceil(len(mine) / LEVEL)))
        picked = np.sort(random.permutation(len(held))[:count])
        new, of_new = np.ascontiguousarray(held.images[picked]), _labels(context, held, picked)
    # The nearest neighbours of new images are looked at as well: else they would stand out less for that alone.
    near = resembled(context, np.concatenate([mine, new]), 1)[0].ravel()
    chosen = np.unique(np.concatenate([_subset(train), near]))
    planted = np.sort(random.permutation(len(chosen))[:COPIES])
    parts = [
        (mine, context.labels),
        (altered(train.images[chosen[planted]]), _labels(context, train, chosen[planted])),
        (train.images[chosen], _labels(context, train, chosen)),
        (new, of_new),
    ]
    asked, copies, base, fresh = _sketched(context, parts)
    weigh = kernel(base)
    scores, found, chance = weigh(asked), weigh(copies), weigh(fresh)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :SHOWN]
    top = np.take_along_axis(scores, order, axis=1)
    shares = as_near(-top[:, 0], -chance.max(axis=1)) if len(fresh) else np.full(len(top), np.nan)
    planted_found = int((found.argmax(axis=1) == planted).sum())
    works = planted_found >= LEAST_FOUND * len(planted)
    flagged = works & (np.nan_to_num(shares, nan=1.0) <= LEVEL / len(top)) & (top[:, 0] >= MOSTLY)
    index = chosen[order]
    labels = _labels(context, train, index.ravel())
    same = np.nan
    if labels is not None and context.labels is not None:
        same = float((labels.reshape(index.shape) == context.labels[:, None]).mean())
    return Influence(
        index,
        top,
        shares,
        flagged,
        np.ascontiguousarray(train.images[index]),
        len(fresh),
        len(chosen),
        len(train),
        planted_found,
        len(planted),
        same,
    )


def kernel(base: np.ndarray, ridge: float = RIDGE) -> Callable[[np.ndarray], np.ndarray]:
    """What weighs gradients, float (M, K) -> (M, N): the coefficients of ridge regression on those of N images (N, K).

    phi' (Phi' Phi + lambda)^-1 Phi' of TRAK, in its dual form (Phi Phi' + lambda)^-1 Phi phi, where all gradients are
    taken from the mean of those of the N images; lambda is `ridge` times the mean squared length of a row of Phi. In
    parts of the coefficient that an image has in its own gradient: 1 for a copy.
    """
    mean = base.mean(axis=0, dtype=np.float64)
    rows = base - mean
    plain = rows @ rows.T
    inverse = np.linalg.inv(plain + ridge * np.trace(plain) / len(plain) * np.eye(len(plain)))
    own = np.maximum((plain * inverse).sum(axis=1), 1e-12)

    def weigh(asked: np.ndarray) -> np.ndarray:
        found: np.ndarray = (asked - mean) @ rows.T @ inverse / own
        return found

    return weigh


def altered(images: np.ndarray) -> np.ndarray:
    """uint8 (N, H, W, C), moved to the right by 1 / 28 of the width and brought nearer to their darkest value by a
    tenth."""
    width = images.shape[2]
    moved = images[:, :, np.maximum(np.arange(width) - width // 28, 0)].astype(np.float64)
    low = moved.min(axis=(1, 2), keepdims=True)
    return np.asarray(np.rint(low + 0.9 * (moved - low)).astype(np.uint8))


def sketches(probe: Probe, x0: np.ndarray, labels: np.ndarray | None) -> Iterator[np.ndarray]:
    """float32 (SKETCH,) of each encoded image (N, C, H, W): its gradient with respect to all weights, projected.

    The projection gives every weight a random sign and adds those that lie `SKETCH` apart: inner products are kept in
    the mean, because the signs are independent (count sketch, Charikar et al. 2002, with places that are not drawn).
    Noise and projection follow the probe's seed alone, so that like images have like sketches.
    """
    denoiser = probe.denoiser
    weights = [one for one in denoiser.network.parameters() if one.is_floating_point()]
    generator = torch.Generator().manual_seed(probe.seed)
    total = sum(one.numel() for one in weights)
    filled = -(-total // SKETCH) * SKETCH
    signs = torch.randint(2, (filled,), generator=generator).to(probe.device).mul_(2).sub_(1).float()
    held = [one.requires_grad for one in weights]
    views = _views(probe, x0.shape[1:])

    def one(index: int) -> np.ndarray:
        probe.check()
        with torch.enable_grad():
            told = None
            if labels is not None:
                told = torch.full((len(views.x),), int(labels[index]), device=probe.device)
            clean = probe.tensor(x0[index : index + 1])
            x = views.alpha.view(-1, 1, 1, 1) * clean + views.sigma.view(-1, 1, 1, 1) * views.x
            scale = denoiser.conversion(views.alpha.view(-1, 1, 1, 1), views.sigma.view(-1, 1, 1, 1)).scale
            told = told if denoiser.null_label is not None else None
            loss = denoiser.raw(scale * x, views.time, told).square().mean()
            slopes = torch.autograd.grad(loss, weights)
        rest = slopes[0].new_zeros(filled - total)
        flat = torch.cat([*(slope.flatten() for slope in slopes), rest]).float() * signs
        return np.asarray(flat.view(-1, SKETCH).sum(dim=0).cpu().numpy())

    for weight in weights:
        weight.requires_grad_(True)
    try:
        yield from in_order(one, len(x0), probe.device)
    finally:
        for weight, before in zip(weights, held, strict=True):
            weight.requires_grad_(before)


def _views(probe: Probe, shape: tuple[int, ...]) -> View:
    """The noise that every image is looked at under: x is the noise itself, (LEVELS x DRAWS, C, H, W)."""
    from synthgen.generation.noise import noise

    levels = torch.from_numpy(np.repeat(quantiles(LEVELS), DRAWS)).float().to(probe.device)
    alpha, sigma, time = probe.denoiser.schedule.draw(levels)
    fresh = probe.tensor(noise(probe.seed, np.arange(len(levels)), shape, _DRAW))
    return View(fresh, fresh, alpha, sigma, time, slice(0, len(levels)))


def _subset(train: ImageData) -> np.ndarray:
    return np.sort(stratified_subset(train.labels, len(train), min(SUBSET, len(train))))


def _labels(context: Context, data: ImageData, rows: np.ndarray) -> np.ndarray | None:
    """The images' classes as the model counts them; its null label for classes that it does not have."""
    if context.labels is None or data.labels is None:
        return None
    place = {name: number for number, name in enumerate(context.classes)}
    known = np.array([place.get(name, len(context.classes)) for name in data.class_names], np.int64)
    return np.asarray(known[data.labels[rows]])


def _sketched(context: Context, parts: list[tuple[np.ndarray, np.ndarray | None]]) -> list[np.ndarray]:
    """The sketches of several sets of images, float32 (n, SKETCH) each; kept in the cache."""
    images = np.concatenate([np.asarray(part) for part, _ in parts])
    told = [np.full(len(part), len(context.classes)) if labels is None else labels for part, labels in parts]
    labels = np.concatenate(told) if context.labels is not None else None
    probe, model = context.probe, context.model

    def compute() -> dict[str, np.ndarray]:
        rows = np.empty((len(images), SKETCH), np.float32)
        with context.reporter.progress("gradients of training images", len(images), "images") as progress:
            for number, sketch in enumerate(sketches(probe, encoded(model, images), labels)):
                rows[number] = sketch
                progress.update(number + 1)
        return {"sketches": rows}

    key = {
        "what": "sketched gradients",
        "version": _VERSION,
        "checkpoint": model.sha256,
        "images": pixel_digest(images),
        "labels": None if labels is None else labels.tolist(),
        "seed": probe.seed,
        "settings": [LEVELS, DRAWS, SKETCH],
        "device": str(model.device),
        "torch": torch.__version__,
    }
    rows = evaluation_cache(reporter=context.reporter).get(key, compute)["sketches"]
    return np.split(rows, np.cumsum([len(part) for part, _ in parts])[:-1])
