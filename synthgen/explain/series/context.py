"""What the methods share: the model and its windows, the real ones, the judge, and the cells drawn anew."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from synthgen.data.series.windows import WindowSet
from synthgen.explain.series import sources
from synthgen.explain.series.cells import Layout, Scene
from synthgen.explain.series.deletion import Deleter
from synthgen.explain.series.evidence import nearest_rivals
from synthgen.explain.series.judge import MOST_WINDOWS, Judge, margin, train_judge
from synthgen.explain.series.probe import Probe, levels, nats
from synthgen.explain.series.segments import Segments, cut
from synthgen.explain.series.trajectory import Recipe, Trajectory
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.generation.series.model import SeriesModel

LEAST_REAL = 20
"""Real windows that a judge needs."""

REFERENCES = 64
"""Real windows that say what is usual."""

_OTHERS = 10**6
"""Samples of these numbers and above are looked at where there are no real windows."""

_LEVELS, _DRAWS = 12, 2
_DRAW = 1 << 19
"""Noise that the audit's target looks at, apart from that of the maps it checks."""


@dataclass(eq=False)
class Context:
    """Everything that a method may ask for. recipe: how windows are drawn. wanted_rival: a class number, -1: told no
    class; None: the nearest. count: drawn windows, and as many real ones, for the detector."""

    model: SeriesModel
    layout: Layout
    scene: Scene
    real: sources.Real
    recipe: Recipe
    seed: int = 0
    wanted_rival: int | None = None
    count: int = 300
    trajectory: Trajectory | None = None
    reporter: Reporter = field(default_factory=NullReporter)
    should_stop: ShouldStop = never_stop

    @cached_property
    def probe(self) -> Probe:
        return Probe(
            self.model.denoiser,
            self.layout,
            seed=self.seed,
            device=self.model.device,
            should_stop=self.should_stop,
        )

    @cached_property
    def segments(self) -> Segments:
        return cut(self.scene.x0.shape[1], self.layout.names[: self.layout.channels])

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(self.model.codec.classes) if self.layout.label is not None else ()

    @cached_property
    def rivals(self) -> np.ndarray:
        """int64 (N,): what each window's class is held against; -1: no class."""
        if self.wanted_rival is None:
            return nearest_rivals(self.probe, self.scene, len(self.classes))
        rivals = np.full(len(self.scene), self.wanted_rival)
        assert self.scene.labels is not None
        return np.asarray(np.where(rivals == self.scene.labels, -1, rivals))

    @cached_property
    def train(self) -> WindowSet | None:
        """All windows learned from, as far as memory has room for them."""
        return None if self.real.train is None else sources.windows(self.model, self.real.train)

    @cached_property
    def separate(self) -> WindowSet | None:
        """Windows learned from that share no step."""
        return None if self.real.train is None else sources.separate(self.model, self.real.train)

    @cached_property
    def crowd(self) -> WindowSet:
        """Drawn windows for the detector."""
        return sources.drawn(
            self.model, self.layout, self.count, self.seed, self.recipe, self.reporter, self.should_stop
        )

    @cached_property
    def judge(self) -> Judge | None:
        """Of classes, trained on real windows; without classes: of real and synthetic ones. None without real ones."""
        real = self.separate
        if real is None or len(real) < LEAST_REAL:
            return None
        random = np.random.default_rng([self.seed, 48])
        real = real.select(np.sort(random.permutation(len(real))[:MOST_WINDOWS]))
        if self.classes:
            if real.labels is None or len(np.unique(real.labels)) < 2:
                return None
            return train_judge(real, self.classes, sources.blocks(real), seed=self.seed)
        count = min(len(real), len(self.crowd))
        real, fake = (one.select(np.sort(random.permutation(len(one))[:count])) for one in (real, self.crowd))
        both = sources.as_windows(
            self.model,
            np.concatenate([real.values, fake.values]),
            np.concatenate([real.lengths, fake.lengths]),
            np.repeat([0, 1], count).astype(np.int64),
        )
        groups = np.concatenate([sources.blocks(real), 15 + sources.blocks(fake)])
        return train_judge(both, ("real", "synthetic"), groups, seed=self.seed)

    def windows(self, scene: Scene) -> WindowSet:
        """Windows in the data's units, for a judge."""
        values = sources.units(self.model, scene.x0, scene.lengths)
        return sources.as_windows(self.model, values, scene.lengths, scene.labels)

    def opinions(self, scene: Scene, rows: np.ndarray) -> np.ndarray:
        """The judge's margins of windows that came of those in `rows`, and of shuffled judges: float64 (M, T). In
        favour of the class against the rival; without classes, of `synthetic`."""
        assert self.judge is not None
        log_p = self.judge.log_p(self.windows(scene))
        if not self.classes:
            return np.asarray((log_p[..., 1] - log_p[..., 0]).T)
        assert self.scene.labels is not None
        return np.asarray(margin(log_p, self.scene.labels[rows], self.rivals[rows]).T)

    @cached_property
    def ordinary(self) -> tuple[Scene, str]:
        """Windows that show what is usual, and what they are: held-out ones, else those learned from, else samples."""
        for data, name in ((self.real.holdout, "held-out windows"), (self.real.train, "training windows")):
            if data is not None and data.steps:
                return sources.encoded(self.model, self.layout, data, REFERENCES, spread=True), name
        frame = sources.framed(self.model, self.layout, _OTHERS + np.arange(REFERENCES), self.seed, ())
        return sources.sampled(self.model, frame, self.seed, self.recipe), "other samples"

    @property
    def unit(self) -> str:
        """What the audit's target is measured in."""
        if self.classes and self.judge is not None:
            return "of the judge's log-odds of the class"
        return "nats of evidence" if self.classes else "nats of surprise"

    def target(self, scene: Scene, rows: np.ndarray) -> np.ndarray:
        """What the maps are held to: the judge's margin of the class; without a judge the model's evidence, without
        classes its surprise, both with noise that no map has seen."""
        if self.classes and self.judge is not None:
            return np.asarray(self.opinions(scene, rows)[:, 0])
        if not self.classes:
            return self._total(scene)
        assert self.scene.labels is not None
        own, other = (scene.named(self.layout, side[rows]) for side in (self.scene.labels, self.rivals))
        return np.asarray(self._total(other) - self._total(own))

    def _total(self, scene: Scene) -> np.ndarray:
        found = np.zeros(len(scene))
        for place, sigma in enumerate(levels(_LEVELS)):
            for draw in range(_DRAWS):
                errors = self.probe.errors(scene, float(sigma), _DRAW + place * _DRAWS + draw)
                found += errors.sum(axis=(1, 2)) * (nats(_LEVELS) / _DRAWS)
        return found

    @cached_property
    def deleter(self) -> Deleter:
        return Deleter(self.probe, self.scene, self.target, self.segments, self.seed)

    @cached_property
    def judge_deleter(self) -> Deleter:
        """The same for what the judge is asked: the margin of `synthetic` where there are no classes."""
        if self.classes:
            return self.deleter
        return Deleter(
            self.probe, self.scene, lambda scene, rows: self.opinions(scene, rows)[:, 0], self.segments, self.seed
        )
