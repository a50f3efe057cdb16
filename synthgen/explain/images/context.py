"""What the methods share: the model and the images, the real ones, the judge, and the pixels drawn anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch

from synthgen.data.subset import stratified_subset
from synthgen.downstream.classifier import load_classifier
from synthgen.errors import UsageError
from synthgen.evaluation.domain import BUNDLED, WEIGHTS, domain_extractor
from synthgen.evaluation.extractors import Extractor
from synthgen.explain.attribution import Check, Target
from synthgen.explain.audit import shuffled
from synthgen.explain.images import sources
from synthgen.explain.images.deletion import Deleter
from synthgen.explain.images.evidence import NO_CLASS, nearest_rivals
from synthgen.explain.images.judge import Judge, build_judge, margins
from synthgen.explain.images.probe import Probe, View, quantiles
from synthgen.generation.engine import Recipe
from synthgen.models.classifier import ConvClassifier
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.generation.model import Model, Trajectory

MOST_TESTED = 10_000
"""Images on which a judge's accuracy is measured."""

_LEVELS = 8
_DRAW = 1 << 19
"""Noise that the audit looks at, apart from that of the maps it checks."""


@dataclass(eq=False)
class Context:
    """Everything that a method may ask for.

    x0: encoded images, float32 (N, C, H, W). labels: int64 (N,), or None without classes. keys: int64 (N,), which noise
    each image gets. names: of the images. recipe: how images are drawn. trajectory: how they were, None for given ones.
    wanted_rival: a class number, len(classes): no class; None: the nearest. data: where the training images are; None:
    where the model's config says.
    """

    model: Model
    x0: np.ndarray
    labels: np.ndarray | None
    keys: np.ndarray
    names: tuple[str, ...]
    recipe: Recipe
    seed: int = 0
    trajectory: Trajectory | None = None
    wanted_rival: int | None = None
    data: str | None = None
    reporter: Reporter = field(default_factory=NullReporter)
    should_stop: ShouldStop = never_stop

    @cached_property
    def probe(self) -> Probe:
        return Probe(self.model.denoiser, seed=self.seed, should_stop=self.should_stop)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.model.class_names

    @cached_property
    def rivals(self) -> np.ndarray:
        """int64 (N,): what each image's class is held against; len(classes): no class."""
        assert self.labels is not None
        if self.wanted_rival is None:
            return nearest_rivals(self.probe, self.x0, self.keys, self.labels, len(self.classes))
        rivals = np.full_like(self.labels, self.wanted_rival)
        return np.where(rivals == self.labels, len(self.classes), rivals)

    def called(self, side: np.ndarray) -> tuple[str, ...]:
        """The names of classes by number."""
        return tuple((*self.classes, NO_CLASS)[label] for label in side)

    @cached_property
    def real(self) -> sources.Real:
        return sources.real_images(self.model, self.data, self.reporter, self.should_stop)

    @cached_property
    def extractor(self) -> Extractor | None:
        """Features of the data's own kind; None where there are neither bundled ones nor images to learn them from."""
        if self.real.train is None:
            return None
        return domain_extractor(
            self.real.train, device=str(self.model.device), should_stop=self.should_stop, reporter=self.reporter
        )

    @cached_property
    def judge(self) -> Judge | None:
        """The classifier that comes with the package for this data, else one trained on the real images."""
        if len(self.classes) < 2:
            return None
        bundled = BUNDLED.get(self.model.config.data.source)
        codec = self.model.codec
        if bundled and (codec.height, codec.width, codec.channels) == (28, 28, 1):
            network, header = load_classifier(WEIGHTS / f"{bundled}.safetensors")
            names, card = tuple(header["class_names"]), header["card"]
            measured = (
                None if card["test_accuracy"] is None else (float(card["test_accuracy"]), int(card["test_count"]))
            )
            return build_judge(network.to(self.model.device), names, self.classes, measured, None, "test images")
        try:
            extractor = self.extractor
        except UsageError as error:  # images too small for a classifier
            self.reporter.warn(f"no judge: {error.message}")
            return None
        if extractor is None or not extractor.class_names:
            return None
        network = extractor.module.model
        assert isinstance(network, ConvClassifier)
        data, seen = (
            (self.real.holdout, "held-out images")
            if self.real.holdout
            else (self.real.train, "images that it learned from")
        )
        if data is not None and len(data) > MOST_TESTED:
            data = data.select(np.sort(stratified_subset(data.labels, len(data), MOST_TESTED)))
        return build_judge(network, extractor.class_names, self.classes, None, data, seen)

    @cached_property
    def target(self) -> Target:
        """What maps are held to: the judge's probability of the class; without a judge the model's own evidence."""
        judge, labels = self.judge, self.labels
        assert labels is not None
        if judge is not None:
            return Target(
                "of the judge's probability of the class",
                lambda images, rows: np.exp(judge.log_p(images))[np.arange(len(rows)), labels[rows]],
            )
        return Target("of evidence", self.evidence_of)

    def evidence_of(
        self, images: np.ndarray, rows: np.ndarray, levels: int = _LEVELS, probe: Probe | None = None
    ) -> np.ndarray:
        """Evidence of images for the class against the rival, float64 (M,), with noise that no map has seen.

        probe: of another model than this one.
        """
        assert self.labels is not None
        probe = probe or self.probe
        found = np.zeros(len(images))
        for place, quantile in enumerate(quantiles(levels)):
            sides = [self.labels[rows], self.rivals[rows]]
            own, other = probe.guesses(images, self.keys[rows], float(quantile), _DRAW + place, sides)
            found += (other.square() - own.square()).double().sum(dim=(1, 2, 3)).numpy() / levels
        return found

    def margins(self, images: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """The judge's log odds of the class of the images in `rows`, float64 (M,)."""
        assert self.judge is not None and self.labels is not None
        return margins(self.judge.log_p(images), self.labels[rows])

    def shuffled(self, number: int) -> Probe:
        """The same questions to the model with shuffled weights."""
        return self.probe.with_denoiser(shuffled(self.model.denoiser, number))

    @cached_property
    def deleter(self) -> Deleter:
        return Deleter(self.probe, self.x0, self.keys, self.target, self.seed)

    @cached_property
    def learned(self) -> Check:
        """By how much better the model predicts the noise than if every pixel were an independent normal number.

        The best denoiser of those, with the images' own mean m and deviation s, is m + s^2 / (s^2 + r^2) (x / alpha -
        m) with r = sigma / alpha. A model with random weights is worse than that.
        """
        mean, variance = float(self.x0.mean()), float(self.x0.var()) + 1e-6
        ours = plain = 0.0

        def plain_errors(view: View) -> torch.Tensor:
            ratio = view.sigma / view.alpha
            guess = mean + variance / (variance + ratio**2) * (view.x / view.alpha - mean)
            return view.epsilon_error(guess).square()

        for place, quantile in enumerate(quantiles(_LEVELS)):
            told: Sequence[np.ndarray] = [np.zeros(len(self.x0), np.int64) if self.labels is None else self.labels]
            asked = (self.x0, self.keys, float(quantile), _DRAW + place)
            ours += float(self.probe.guesses(*asked, told)[0].square().mean())
            plain += float(torch.cat(self.probe.viewed(*asked, plain_errors)).mean())
        gain = 1.0 - ours / plain
        word = "the model knows such images" if gain > 0 else "the model knows nothing of such images"
        told_gain = f"its error of the noise is {100 * abs(gain):.0f} % {'below' if gain > 0 else 'above'} that of"
        return Check("learned", gain, f"{word}: {told_gain} independent pixels")
