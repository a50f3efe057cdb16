"""The sweep behind a sampler card: many settings on a few samples, the promising ones on many, with error bars.

Successive halving in spirit: a first look at a quarter of the samples gives up every setting that a cheaper one beats
clearly, or that is hopeless; what is left is measured in full, looked through once more, and repeated with other seeds.
All settings start from the same noise, so that their differences are larger than chance earlier than their values are.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from synthgen import __version__
from synthgen.config.schema import SamplingConfig
from synthgen.diffusion.fitting import FITTED
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.evaluation.extractors import Features
from synthgen.evaluation.sampler_card import FACTORS, Card, Setting, describe, fields_of
from synthgen.evaluation.sampler_card_judge import Judge
from synthgen.evaluation.sampler_card_settings import (
    COUNT,
    FEW,
    FIRST_LEAST,
    FIRST_SHARE,
    FITTED_TO,
    REPEATS,
    expected_calls,
)
from synthgen.generation.building import recipe_with
from synthgen.generation.engine import Recipe
from synthgen.generation.fitting import level_fitter
from synthgen.generation.model import Model
from synthgen.generation.numerics import numerics
from synthgen.reporting import NullReporter, Progress, Reporter
from synthgen.stopping import ShouldStop, never_stop

_CLEARLY, _HOPELESS = 1.1, 1.5 * FACTORS["fast"]
"""A setting is given up when a cheaper one is this much better, or the lowest FID of all this much lower."""


class OutOfTimeError(SynthgenError):
    """The deadline passed before there was anything to compare."""


@dataclass
class Trial:
    """One setting and what was drawn with it so far, by seed."""

    sampling: SamplingConfig
    recipe: Recipe
    calls: int
    drawn: dict[int, Features] = field(default_factory=dict)
    hits: list[np.ndarray] = field(default_factory=list)
    seconds: float = 0.0
    images: int = 0

    @property
    def name(self) -> str:
        return describe(self.sampling)

    def held(self, seed: int) -> int:
        return len(self.drawn[seed]) if seed in self.drawn else 0


def survivors(calls: Sequence[int], fids: Sequence[float]) -> list[int]:
    """The places of the settings that are worth more samples; the one with the lowest FID is always among them."""
    lowest = min(fids)
    kept = []
    for place, (cost, value) in enumerate(zip(calls, fids, strict=True)):
        beaten = any(other <= cost and _CLEARLY * rival < value for other, rival in zip(calls, fids, strict=True))
        if not beaten and value <= _HOPELESS * lowest:
            kept.append(place)
    return kept


class Sweep:
    """Measures the settings of one model. `run` returns the card.

    deadline: monotonic time after which nothing more is drawn; None: take the time it takes.
    """

    def __init__(
        self,
        model: Model,
        judge: Judge,
        settings: Sequence[SamplingConfig],
        *,
        count: int = COUNT,
        repeats: int = REPEATS,
        seed: int = 0,
        deadline: float | None = None,
        reporter: Reporter | None = None,
        should_stop: ShouldStop = never_stop,
    ) -> None:
        if count < 2 or repeats < 1 or not settings:
            raise UsageError(f"a card needs 2 samples, 1 seed and 1 setting or more, not {count}, {repeats}")
        self.model, self.judge, self.count, self.repeats, self.seed = model, judge, count, repeats, seed
        self.deadline, self.reporter, self.should_stop = deadline, reporter or NullReporter(), should_stop
        self.trials = [self._trial(one) for one in settings]

    def _trial(self, sampling: SamplingConfig) -> Trial:
        """Engines have weights of their own: they are built when something is drawn, and the model keeps only a few."""
        recipe = recipe_with(self.model.config, fields_of(sampling))
        return Trial(sampling, recipe, self.model.engine(recipe).network_calls)

    def run(self) -> Card:
        """Measure everything, with fewer seeds where time runs out. Raises StoppedError, OutOfTimeError."""
        began = time.monotonic()
        first = min(self.count, max(FIRST_LEAST, self.count // FIRST_SHARE))
        self._draw(self.trials, self.seed, first, f"a first look at {len(self.trials)} settings")
        left = self._look(self.trials)
        self._draw(left, self.seed, self.count, f"{len(left)} settings in full")
        left = self._look(left)
        for seed in range(self.seed + 1, self.seed + self.repeats):
            if not self._repeat(left, seed):
                break
        return self._card(left, time.monotonic() - began)

    def _repeat(self, trials: Sequence[Trial], seed: int) -> bool:
        """Whether there was time for all samples of another seed; else nothing of it stays."""
        try:
            self._draw(trials, seed, self.count, f"{len(trials)} settings, seed {seed}")
        except OutOfTimeError:
            for trial in trials:
                trial.drawn.pop(seed, None)
            return False
        return True

    def _look(self, trials: Sequence[Trial]) -> list[Trial]:
        """Those that are worth more samples, by what was drawn with the first seed."""
        fids = [self.judge.fid(trial.drawn[self.seed].features) for trial in trials]
        return [trials[place] for place in survivors([trial.calls for trial in trials], fids)]

    def _draw(self, trials: Sequence[Trial], seed: int, count: int, label: str) -> None:
        """Bring every trial to `count` samples of a seed."""
        total = sum(trial.calls * (count - trial.held(seed)) for trial in trials)
        done = 0
        with self.reporter.progress(label, total, "network calls") as progress:
            for trial in trials:
                done += self._extend(trial, seed, count, progress, done)

    def _extend(self, trial: Trial, seed: int, count: int, progress: Progress, done: int) -> int:
        """Draw samples held(seed) ... count - 1 of one trial; the network calls that took."""
        start = trial.held(seed)
        parts: list[np.ndarray] = []
        engine = self.model.engine(trial.recipe)
        drawn, before = start, time.perf_counter()
        blocks = engine.span(start, count, self.judge.labels_of, seed)
        for part in blocks:
            parts.append(part)
            drawn += len(part)
            progress.update(done + trial.calls * (drawn - start), now=trial.name)
            if self.should_stop():
                raise StoppedError("stopped while measuring; no card was written")
            if self.deadline is not None and time.monotonic() > self.deadline:
                raise OutOfTimeError("the time ran out before the settings could be compared")
        trial.seconds += time.perf_counter() - before
        trial.images += count - start
        if parts:
            self._judge(trial, seed, start, np.concatenate(parts))
        return trial.calls * (count - start)

    def _judge(self, trial: Trial, seed: int, start: int, images: np.ndarray) -> None:
        found = self.judge.read(images)
        hits = self.judge.hits(found, self.judge.labels_of(start, start + len(images)))
        if hits is not None:
            trial.hits.append(hits)
        if seed in trial.drawn:
            found = Features(np.concatenate([trial.drawn[seed].features, found.features]), None)
        trial.drawn[seed] = found

    def _card(self, complete: Sequence[Trial], seconds: float) -> Card:
        """What was found, cheapest first. Settings that were given up keep the count that they came to."""
        repeats = len(complete[0].drawn)
        fids = {id(trial): [self.judge.fid(found.features) for found in trial.drawn.values()] for trial in self.trials}
        relative = _pooled([fids[id(trial)] for trial in complete])
        call = _per_call([(trial.calls, trial.seconds / trial.images) for trial in self.trials])
        found = []
        for trial in self.trials:
            mean = float(np.mean(fids[id(trial)]))
            setting = Setting(
                sampling=trial.sampling,
                calls=trial.calls,
                count=trial.held(self.seed),
                repeats=len(trial.drawn),
                fid=mean,
                deviation=None if relative is None else relative * mean,
                agreement=float(np.concatenate(trial.hits).mean()) if trial.hits else None,
                cost=trial.seconds / trial.images / call,
            )
            found.append(setting)
        floors = self.judge.floors(self.count, max(2, repeats))
        return Card(
            settings=tuple(sorted(found, key=lambda one: (one.calls, one.fid))),
            count=self.count,
            repeats=repeats,
            seed=self.seed,
            data=str(self.model.header["data"]["name"])[:200],
            against=self.judge.against,
            reference_count=len(self.judge.reference),
            features=self.judge.extractor.name[:200],
            floor=float(np.mean(floors)) if floors else None,
            floor_deviation=float(np.std(floors, ddof=1)) if len(floors) > 1 else None,
            milliseconds=1000 * call,
            device=str(self.model.device),
            processor=str(numerics(self.model.device)["processor"])[:200],
            precision=str(self.model.denoiser.precision).removeprefix("torch."),
            seconds=round(seconds, 1),
            synthgen=__version__,
        )


def _pooled(repeated: Sequence[Sequence[float]]) -> float | None:
    """The relative deviation of one FID over seeds, from all settings together: three repeats of one say too little."""
    variances = [np.var(fids, ddof=1) / np.mean(fids) ** 2 for fids in repeated if len(fids) > 1 and np.mean(fids) > 0]
    return float(np.sqrt(np.mean(variances))) if variances else None


def _per_call(points: Sequence[tuple[int, float]]) -> float:
    """Seconds of one network evaluation of one image, from (calls, seconds per image) of several settings.

    The slope of a straight line through them, whose intercept is what an image costs beside the network; where that
    makes no sense (one setting, or a machine with other work), the line through zero.
    """
    calls, seconds = (np.array(part, float) for part in zip(*points, strict=True))
    if len(set(calls)) > 2:
        slope, intercept = np.polyfit(calls, seconds, 1)
        if slope > 0 and intercept >= 0:
            return float(slope)
    return float((calls @ seconds) / (calls @ calls))


def one_fid(
    model: Model, judge: Judge, count: int, *, deadline: float | None, reporter: Reporter, should_stop: ShouldStop
) -> float:
    """FID of `count` samples by the model's own setting. Raises as `Sweep.run`."""
    sweep = Sweep(
        model,
        judge,
        (model.config.sampling,),
        count=count,
        deadline=deadline,
        reporter=reporter,
        should_stop=should_stop,
    )
    sweep._draw(sweep.trials, sweep.seed, count, "the average of the weights")
    return judge.fid(sweep.trials[0].drawn[sweep.seed].features)


def with_learned(model: Model, settings: Sequence[SamplingConfig]) -> tuple[SamplingConfig, ...]:
    """The settings, and those with few steps once more at noise levels fitted to the model (`LevelFitter`).

    Left out where the schedule's own levels are the nearest to the model's trajectories.
    """
    few = [
        one for one in settings if one.sampler in FITTED and 2 <= one.steps <= FEW and not (one.noise_levels or one.eta)
    ]
    found: dict[tuple[str, int], tuple[float, ...]] = {}
    fitter = level_fitter(model, FITTED_TO) if few else None
    for name, steps in {(one.sampler, one.steps) for one in few}:
        assert fitter is not None
        usual = model.schedule.levels(steps)
        fitted = fitter.fit(name, steps)
        if not np.allclose(fitted, usual.sigmas[:-1] / usual.alphas[:-1]):
            found[name, steps] = fitted
    again = [
        one.model_copy(update={"noise_levels": found[one.sampler, one.steps]})
        for one in few
        if (one.sampler, one.steps) in found
    ]
    return (*settings, *again)


def affordable(model: Model, seconds: float) -> int:
    """Samples of each setting for which there is time, at most the usual number; two blocks a thread are timed."""
    engine = model.engine()
    images = engine.recipe.block_size * 2 * torch.get_num_threads()
    labels = model.labels_for(0, images, None)
    before = time.perf_counter()
    engine.pixels(np.arange(images), labels, 0)
    rate = images * engine.network_calls / (time.perf_counter() - before)
    return min(COUNT, int(seconds * rate / expected_calls(model.config.sampling, 1)))
