"""What synthetic images change in a classifier that learns from them: its answers, and what it goes by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.subset import stratified_subset
from synthgen.downstream.classifier import ClassifierRecipe, logits_of, train_classifier
from synthgen.explain import shapley
from synthgen.explain.images.giveaway import drawn_like
from synthgen.explain.images.judge import margins
from synthgen.explain.images.sharing import SIDE, spread, squares
from synthgen.explain.images.sources import decoded, encoded

if TYPE_CHECKING:
    from synthgen.explain.images.context import Context

REAL, TIMES = 500, 4
"""Real images that the classifiers learn from, and how many synthetic ones beside each."""

RECIPE = ClassifierRecipe(steps=150, batch_size=64)
"""The same number of steps for both."""

SEEDS = 2
"""Trainings of either kind: what two trainings on the same images differ by is the measure of a change."""

SHOWN = 4
"""Test images that are helped most, and as many that are harmed most."""

LEAST_TESTED, MOST_TESTED = 50, 2000
PAIRS = 1
SURE = 2.0
_DRAW = 1 << 11

Opinions = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""(encoded images (M, C, H, W), which test image each came of, int64 (M,)) -> float64 (M, classifiers)."""

QUESTION = (
    "What do synthetic images change in a classifier that learns from them? One is trained on {real:,} real images, "
    "the other on the same and {fake:,} synthetic ones, with as many steps, {seeds} times each; both are asked about "
    "held-out images. For those whose class gained or lost most log-odds, SHAP shares the opinion of either among "
    "{squares} squares; hidden squares are drawn anew by the model."
)
CAVEAT = (
    "The generator has seen more real images than these classifiers, so this is not the question whether augmentation "
    "helps on equal terms: `synthgen augment-classifier` answers that one. The images shown are the extremes, not "
    "typical ones."
)


@dataclass(frozen=True, eq=False)
class Change:
    """What augmentation changed.

    accuracy: float64 (2, SEEDS), of classifiers trained on real images and on both, on `tested` held-out images.
    helped, harmed: how many of those only the one kind reads right, mean over trainings. images: uint8 (M, H, W, C),
    those that gained most log-odds first; names: their classes. odds: float64 (2, M), of their class. maps: float64
    (2, SEEDS, M, H, W), shares of these, by kind and training. gap: of additivity. moved, chance: the mean difference
    of maps between the kinds, and between two trainings of one kind, in parts of the maps' mean size.
    """

    real: int
    fake: int
    accuracy: np.ndarray
    tested: int
    helped: float
    harmed: float
    images: np.ndarray
    names: tuple[str, ...]
    odds: np.ndarray
    maps: np.ndarray
    gap: float
    moved: float
    chance: float

    @property
    def question(self) -> str:
        return QUESTION.format(real=self.real, fake=self.fake, seeds=SEEDS, squares=SIDE * SIDE)

    @property
    def difference(self) -> np.ndarray:
        """float64 (M, H, W): by how much a square speaks more for the class after augmentation."""
        return np.asarray(self.maps[1].mean(axis=0) - self.maps[0].mean(axis=0))

    @property
    def sentence(self) -> str:
        """The finding in words."""
        before, after = 100 * self.accuracy.mean(axis=1)
        apart = 100 * np.abs(np.diff(self.accuracy, axis=1)).max()
        error = 100 * np.sqrt(max(self.helped + self.harmed, 1.0)) / self.tested
        changed = abs(after - before) > SURE * max(error, apart / 2)
        word = ("more" if after > before else "fewer") if changed else "no surely different number of"
        told = (
            f"with synthetic images beside the real ones the classifier reads {word} held-out images right: "
            f"{after:.1f} % after {before:.1f} % of {self.tested:,}"
        )
        goes = "more than" if self.moved > 1.5 * self.chance else "hardly more than"
        return (
            f"{told[0].upper()}{told[1:]} ({self.helped:.0f} are read right only with them, {self.harmed:.0f} only "
            f"without); what it goes by changed {goes} between two trainings on the same images ({self.moved:.2f} "
            f"against {self.chance:.2f} of a map's size)."
        )


def augmented(context: Context, recipe: ClassifierRecipe = RECIPE) -> Change:
    """Train both kinds with `recipe` and compare them. Raises UsageError for too few images, StoppedError."""
    train, held = context.real.train, context.real.holdout
    assert train is not None and train.labels is not None and held is not None
    real = train.select(stratified_subset(train.labels, len(train), min(REAL, len(train))))
    test = held.align(train.class_names)
    test = test.select(stratified_subset(test.labels, len(test), min(MOST_TESTED, len(test))))
    assert real.labels is not None and test.labels is not None
    fake = drawn_like(context, real, TIMES)
    sets = [
        (np.asarray(real.images), real.labels, "real images"),
        (np.concatenate([real.images, fake]), np.tile(real.labels, TIMES + 1), "real and synthetic images"),
    ]
    networks = [
        train_classifier(
            images,
            labels,
            len(train.class_names),
            recipe=recipe,
            seed=context.seed + turn,
            device=str(context.model.device),
            label=f"training a classifier on {told}, {turn + 1} of {SEEDS}",
            should_stop=context.should_stop,
            reporter=context.reporter,
        )
        for images, labels, told in sets
        for turn in range(SEEDS)
    ]
    asked = np.asarray(test.images)
    answers = np.stack([_log_p(logits_of(one, asked, should_stop=context.should_stop)) for one in networks])
    right = (answers.argmax(axis=2) == test.labels).reshape(2, SEEDS, -1)
    odds = np.stack([margins(one, test.labels) for one in answers]).reshape(2, SEEDS, -1).mean(axis=1)
    order = np.argsort(odds[0] - odds[1], kind="stable")
    shown = np.unique(np.concatenate([order[:SHOWN], order[-SHOWN:]]))
    shown = shown[np.argsort((odds[0] - odds[1])[shown], kind="stable")]
    labels = test.labels[shown]

    def opinions(images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        said = [margins(_log_p(logits_of(one, decoded(images))), labels[rows]) for one in networks]
        return np.stack(said, axis=1)

    shares, place = _shared(context, encoded(context.model, np.ascontiguousarray(asked[shown])), opinions)
    maps = spread(shares.values, place).reshape(2, SEEDS, len(shown), *place.shape)
    moved, chance = _distances(shares.values.reshape(2, SEEDS, len(shown), -1))
    return Change(
        len(real),
        len(fake),
        right.mean(axis=2),
        len(test),
        float((right[1] & ~right[0]).sum(axis=1).mean()),
        float((right[0] & ~right[1]).sum(axis=1).mean()),
        asked[shown],
        tuple(train.class_names[label] for label in labels),
        odds[:, shown],
        maps,
        shares.gap,
        moved,
        chance,
    )


def _log_p(logits: np.ndarray) -> np.ndarray:
    """float64 (M, K)."""
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    return np.asarray(wide - np.log(np.exp(wide).sum(axis=1, keepdims=True)))


def _shared(context: Context, x0: np.ndarray, opinions: Opinions) -> tuple[shapley.Shares, np.ndarray]:
    """Shares of every classifier's opinion among squares, and the square of each pixel."""
    place, keys = squares(*x0.shape[2:]), np.arange(len(x0))

    def worth(hidden: np.ndarray, rows: np.ndarray, number: int) -> np.ndarray:
        draws = np.full(len(rows), _DRAW + number)
        return opinions(context.probe.regenerated(x0[rows], keys[rows], hidden[:, place], draws), rows)

    full, pieces = opinions(x0, keys).T, int(place.max()) + 1
    found = shapley.share_out(worth, full, pieces, pairs=PAIRS, seed=context.seed, reporter=context.reporter)
    return found, place


def _distances(shares: np.ndarray) -> tuple[float, float]:
    """Mean root mean square difference of shares (2, SEEDS, M, P) between trainings of different kinds, and of the same
    kind, in parts of their own size."""
    size = float(np.sqrt(np.square(shares).mean())) or 1.0

    def apart(first: np.ndarray, second: np.ndarray) -> float:
        return float(np.sqrt(np.square(first - second).mean()))

    turns = range(SEEDS)
    between = [apart(shares[0, a], shares[1, b]) for a in turns for b in turns]
    within = [apart(shares[kind, a], shares[kind, b]) for kind in range(2) for a in turns for b in turns if a < b]
    return float(np.mean(between)) / size, float(np.mean(within)) / size
