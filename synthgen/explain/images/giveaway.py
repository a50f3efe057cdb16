"""What gives synthetic images away: a forest that tries to tell them from real ones, beside its own chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.subset import stratified_subset
from synthgen.explain.images.features import image_features
from synthgen.explain.images.sources import encoded
from synthgen.explain.tables.detector import LEAST_ROWS, LEVEL, REFITS, Detection, detect, reasons
from synthgen.explain.tables.features import Contest
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.data.dataset import ImageData
    from synthgen.explain.images.context import Context

COUNT = 500
"""Images of each side."""

LEAST = LEAST_ROWS
FIRST = 2 * 10**6
"""Samples of these numbers and above are drawn to be told apart, and to train on."""

QUESTION = (
    "Can a forest tell synthetic images from real ones, and by which properties? Every image is judged by a forest "
    "that never saw it. A property's figure is by how many percentage points it moves that judgement towards the "
    "truth, mean over all images (TreeSHAP)."
)
CAVEAT = (
    "The forest sees the properties listed, not the pixels: what shows in none of them stays hidden. That no property "
    "was found does not prove that none is wrong: fewer images find less. Properties that tell the same thing share it."
)
SURE = "sureness of a classifier"


@dataclass(frozen=True, eq=False)
class Giveaway:
    """What the forest found among 2 N images, real ones first.

    values: float64 (2 N, F), the properties named in `detection.names`. synthetic: bool (2 N,). images: uint8 (2 N, H,
    W, C). seen: what the real ones are.
    """

    detection: Detection
    values: np.ndarray
    synthetic: np.ndarray
    images: np.ndarray
    seen: str

    @property
    def found(self) -> bool:
        """Whether the forest does better than chance."""
        return bool(self.detection.auc_p <= LEVEL or self.detection.found)

    @property
    def sentence(self) -> str:
        """The finding in words."""
        return self.detection.of_properties("images", "What gives the images away: {listed}")

    def ends(self, place: int, most: int) -> tuple[np.ndarray, np.ndarray]:
        """(places of real images, of synthetic ones) whose property number `place` is most typical of their side."""
        higher = self.values[self.synthetic, place].mean() > self.values[~self.synthetic, place].mean()
        order = np.argsort(-self.values[:, place] if higher else self.values[:, place], kind="stable")
        return order[~self.synthetic[order]][::-1][:most], order[self.synthetic[order]][:most]

    def worst(self, most: int) -> list[tuple[int, float, list[tuple[str, float, float]]]]:
        """The synthetic images that the forest is surest of: (place, probability, reasons), a reason being (property,
        value, contribution)."""
        chances = np.where(self.synthetic, self.detection.verdicts.probability, -1.0)
        order = np.argsort(-chances, kind="stable")[:most]
        number = {name: column for column, name in enumerate(self.detection.names)}
        return [
            (
                int(place),
                float(chances[place]),
                [
                    (name, float(self.values[place, number[name]]), share)
                    for name, share in reasons(self.detection, int(place))
                ],
            )
            for place in order
        ]


def give_away(context: Context, count: int = COUNT, refits: int = REFITS) -> Giveaway:
    """Train forests to tell the model's images from real ones by their properties; see `tables.detector.detect`.

    Held-out images, where there are enough, because the model may have learned its own by heart. Raises UsageError for
    fewer than 50 images, StoppedError.
    """
    real, seen = context.real.holdout, "held-out images"
    if real is None or len(real) < LEAST:
        real, seen = context.real.train, "training images"
    assert real is not None
    count = min(count, len(real))
    chosen = real.select(stratified_subset(real.labels, len(real), count))
    images = np.concatenate([np.asarray(chosen.images), drawn_like(context, chosen)])
    sure = None if context.judge is None else context.judge.log_p(encoded(context.model, images)).max(axis=1)
    more = {"seed": context.seed, "refits": refits, "reporter": context.reporter, "should_stop": context.should_stop}
    return told_apart(images, sure, seen, **more)  # type: ignore[arg-type]


def told_apart(
    images: np.ndarray,
    sure: np.ndarray | None = None,
    seen: str = "real images",
    *,
    seed: int = 0,
    refits: int = REFITS,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Giveaway:
    """The same of uint8 images (2 N, H, W, C), the first half of them real.

    sure: float64 (2 N,), how sure a classifier is of each. Raises UsageError, StoppedError.
    """
    count = len(images) // 2
    names, values = image_features(images)
    if sure is not None:
        names, values = (*names, SURE), np.column_stack([values, sure])
    kept = np.flatnonzero(values.max(axis=0) > values.min(axis=0))
    names, values = tuple(names[one] for one in kept), values[:, kept]
    ranks = np.stack([np.unique(column, return_inverse=True)[1] for column in values.T], axis=1).astype(np.float32)
    synthetic = np.repeat([False, True], count)
    rows = Contest(names, ranks, synthetic, np.tile(np.arange(count), 2))
    found = detect(rows, seed=seed, refits=refits, reporter=reporter, should_stop=should_stop)
    return Giveaway(found, values, synthetic, images, seen)


def drawn_like(context: Context, real: ImageData, times: int = 1) -> np.ndarray:
    """Samples, uint8 (N, H, W, C), `times` as many as there are real images and of the same classes in the same order.

    Else the forest would find that some classes are rarer. Raises StoppedError.
    """
    labels, model, count = None, context.model, len(real)
    if real.labels is not None and set(real.class_names) <= set(model.class_names):
        labels = [real.class_names[label] for label in real.labels]
    found: np.ndarray = model.sample(
        times * count,
        labels=labels,
        start=-(-FIRST // count) * count,  # labels go round from sample 0 on
        seed=context.seed,
        sampler=context.recipe.sampler,
        steps=context.recipe.steps,
        guidance_scale=context.recipe.guidance_scale,
        should_stop=context.should_stop,
        reporter=context.reporter,
    )
    return found
