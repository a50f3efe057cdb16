"""The classifiers of series: random convolution kernels with a linear one behind them, and a convolutional network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from synthgen.downstream.series.inputs import Inputs, Preparation
from synthgen.downstream.series.rocket import KERNELS, Rocket
from synthgen.downstream.series.transforms import SeriesTransforms
from synthgen.errors import StoppedError, UsageError, nearest
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.data.series.windows import WindowSet

ClassifierName = Literal["rocket", "cnn"]
CLASSIFIERS: dict[ClassifierName, str] = {
    "rocket": "ROCKET",
    "cnn": "the convolutional network",
}
"""Names and how texts call them."""

PENALTIES = np.logspace(0, 4, 9)
"""Ridge penalties, of which leave-one-out over the training windows chooses."""

_COPIES, _MOST_COPIED = 9, 2000
"""Changed copies of each window that ROCKET is shown in classical augmentation, and how many windows that may make."""

_PREDICT = 1024


@dataclass(frozen=True)
class SeriesRecipe:
    """How classifiers are trained. kernels: of ROCKET; the others: of the network, always this many steps."""

    kernels: int = KERNELS
    steps: int = 200
    batch_size: int = 64
    learning_rate: float = 3e-3
    weight_decay: float = 0.05

    def to_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Trained:
    """A trained classifier. scores: from windows to float64 (N, K), the largest is the class that is read.

    probabilities: whether the scores' softmax is meant as such.
    """

    scores: Callable[[WindowSet], np.ndarray]
    probabilities: bool


def parse_classifiers(text: str | None) -> tuple[ClassifierName, ...]:
    """`rocket`, `cnn`, or both with a comma; None means both. Raises UsageError."""
    names = tuple(dict.fromkeys(part.strip() for part in text.split(","))) if text else tuple(CLASSIFIERS)
    unknown = [name for name in names if name not in CLASSIFIERS]
    if unknown:
        raise UsageError(
            f"--classifier: '{unknown[0]}' is none of those for series{nearest(unknown[0], list(CLASSIFIERS))}",
            f"choose from {', '.join(CLASSIFIERS)}",
        )
    return names  # type: ignore[return-value]


def train_series_classifier(
    name: ClassifierName,
    windows: WindowSet,
    num_classes: int,
    *,
    recipe: SeriesRecipe | None = None,
    transforms: SeriesTransforms | None = None,
    seed: int = 0,
    label: str = "training a classifier",
    should_stop: ShouldStop = never_stop,
    reporter: Reporter | None = None,
) -> Trained:
    """Train on labelled windows, labels below `num_classes`. transforms: classical augmentation.

    Everything that is known of channels (mean, deviation, categories) comes from these windows. Everything random
    follows `seed`. Raises StoppedError.
    """
    recipe = recipe or SeriesRecipe()
    prepared = Preparation(windows)
    train = prepared.inputs(windows)
    present = np.unique(train.labels)
    if should_stop():
        raise StoppedError(f"stopped before {label}")
    if len(present) == 1:  # nothing to tell apart: a generator may have made one class only
        constant = np.eye(num_classes)[present]
        return Trained(lambda asked: np.repeat(constant, len(asked.values), axis=0), False)
    if name == "rocket":
        scores = _rocket(train, num_classes, recipe, transforms, seed)
    else:
        scores = _network(train, num_classes, recipe, transforms, seed, label, should_stop, reporter or NullReporter())
    return Trained(lambda asked: scores(prepared.inputs(asked)), name == "cnn")


def fit_series_classifier(
    windows: WindowSet, *, name: ClassifierName = "rocket", seed: int = 0
) -> Callable[[WindowSet], np.ndarray]:
    """Train on labelled windows; the result reads windows of the same channels: int64 (N,), places in `class_names`.

    Raises UsageError when the windows have no labels.
    """
    if windows.labels is None:
        raise UsageError(f"{windows.name} has no labels: there is nothing for a classifier to learn")
    trained = train_series_classifier(name, windows, max(len(windows.class_names), 1), seed=seed)
    return lambda asked: np.asarray(trained.scores(asked).argmax(axis=1), np.int64)


Scores = Callable[[Inputs], np.ndarray]


def _rocket(
    train: Inputs, num_classes: int, recipe: SeriesRecipe, transforms: SeriesTransforms | None, seed: int
) -> Scores:
    from sklearn.linear_model import RidgeClassifierCV
    from sklearn.preprocessing import StandardScaler

    kernels = Rocket(train, kernels=recipe.kernels, seed=seed)
    if transforms is not None:
        copies = min(_COPIES, max(1, _MOST_COPIED // len(train) - 1))
        many = train.select(np.tile(np.arange(len(train)), copies))
        train = _joined(train, transforms.apply(many, np.random.default_rng([seed, 1])))
    features = kernels.transform(train)
    scaler = StandardScaler().fit(features)
    model = RidgeClassifierCV(alphas=PENALTIES).fit(scaler.transform(features), train.labels)

    def scores(asked: Inputs) -> np.ndarray:
        decided = np.asarray(model.decision_function(scaler.transform(kernels.transform(asked))), np.float64)
        found = np.full((len(asked), num_classes), -np.inf)
        found[:, model.classes_] = np.stack([-decided, decided], axis=1) if decided.ndim == 1 else decided
        return found

    return scores


def _joined(first: Inputs, second: Inputs) -> Inputs:
    parts = (first, second)
    x, lengths, labels = (np.concatenate([getattr(one, name) for one in parts]) for name in ("x", "lengths", "labels"))
    return Inputs(x, lengths, labels, first.smooth)


def _network(
    train: Inputs,
    num_classes: int,
    recipe: SeriesRecipe,
    transforms: SeriesTransforms | None,
    seed: int,
    label: str,
    should_stop: ShouldStop,
    reporter: Reporter,
) -> Scores:
    """AdamW with the learning rate of `downstream.classifier`; the last weights, chosen by nothing."""
    import torch
    from torch.nn import functional as F

    from synthgen.downstream.classifier import ramp
    from synthgen.models.series_classifier import SeriesClassifier

    order, changes = np.random.default_rng(seed), np.random.default_rng([seed, 1])
    queue = np.empty(0, np.int64)
    with torch.random.fork_rng(devices=[]), reporter.progress(label, recipe.steps, "steps") as progress:
        torch.manual_seed(seed)
        model = SeriesClassifier(train.x.shape[2], num_classes)
        optimizer = torch.optim.AdamW(model.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay)
        for step in range(recipe.steps):
            if should_stop():
                raise StoppedError(f"stopped while {label}, after {step:,} of {recipe.steps:,} steps")
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * ramp((step + 1) / recipe.steps)
            while len(queue) < recipe.batch_size:
                queue = np.concatenate([queue, order.permutation(len(train))])
            batch, queue = train.select(queue[: recipe.batch_size]), queue[recipe.batch_size :]
            if transforms is not None:
                batch = transforms.apply(batch, changes)
            logits = model(torch.from_numpy(batch.x), torch.from_numpy(batch.valid))
            loss = F.cross_entropy(logits, torch.from_numpy(batch.labels))
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(loss)
            optimizer.step()
            if step % 10 == 9 or step + 1 == recipe.steps:
                progress.update(step + 1, loss=f"{loss.item():.3f}")
    model.eval().requires_grad_(False)

    def scores(asked: Inputs) -> np.ndarray:
        found = []
        for start in range(0, len(asked), _PREDICT):
            part = asked.select(np.arange(start, min(start + _PREDICT, len(asked))))
            with torch.inference_mode():
                found.append(model(torch.from_numpy(part.x), torch.from_numpy(part.valid)).numpy())
        return np.concatenate(found).astype(np.float64) if found else np.empty((0, num_classes))

    return scores
