"""The whole protocol: subset, generator, samples, classifiers, for one number of real images or for several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from synthgen.checkpoints import read_header
from synthgen.config.schema import Config
from synthgen.data.dataset import ImageData
from synthgen.data.subset import stratified_subset
from synthgen.downstream.factories import resolve_classifier
from synthgen.downstream.generators import check_asked, is_finished
from synthgen.downstream.images import RealSides, choose_real, run_augmentation
from synthgen.downstream.leaks import Provenance, check_leak, provenance
from synthgen.downstream.result import Augmentation, Design
from synthgen.downstream.store import Store
from synthgen.downstream.variants import Imbalance
from synthgen.errors import UsageError
from synthgen.evaluation.sources import (
    Synthetic,
    check_is_images,
    has_test_split,
    is_run,
    load_like,
    load_synthetic,
    resizing_note,
)
from synthgen.outputs import MARKER, prepare_output
from synthgen.reporting import NullReporter, Reporter
from synthgen.runs import list_checkpoints, resolve_run
from synthgen.stopping import ShouldStop, never_stop

SAMPLES = 10_000
"""Samples drawn from a generator when no count is given."""

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Request:
    """What the user asked for.

    synthetic: images or runs, one for all sizes or one for each. train_generator: a preset or config instead of them.
    real_sizes: None is all there are. out: the work folder, which keeps generators, samples and answers.
    """

    real: str
    synthetic: tuple[str, ...] = ()
    train_generator: str | None = None
    budget: str | None = None
    overrides: tuple[str, ...] = ()
    test: str | None = None
    real_sizes: tuple[int | None, ...] = (None,)
    imbalance: Imbalance | None = None
    count: int | None = None
    design: Design = field(default_factory=Design)
    seed: int = 0
    device: str = "auto"
    max_bad: int = 0
    out: Path | None = None

    def check(self) -> None:
        """Raise UsageError for what cannot work, before anything is loaded."""
        check_asked(self)
        check_is_images("--real", self.real)
        if self.test is not None:
            check_is_images("--test", self.test)


@dataclass
class _Trial:
    """One number of real images. samples: what gives the synthetic images; asked for last, it may take long."""

    sides: RealSides
    generator: Provenance | None
    samples: Callable[[], ImageData]


def run_protocol(
    request: Request,
    *,
    force: bool = False,
    resume: bool = False,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> tuple[Augmentation, ...]:
    """Do what is asked, one result per number of real images.

    With `request.out`, finished generators, samples and classifiers are kept there and, with `resume`, not made again.

    Raises: UsageError for a request that cannot work or a leak, before any training; StoppedError.
    """
    request.check()
    work = _Work(request, reporter or NullReporter(), should_stop)
    trials = [work.trial(number) for number in range(len(request.real_sizes))]
    for trial in trials:
        sides = trial.sides
        leak = check_leak(
            trial.generator, sides.whole, sides.train, sides.test, test_from_real=sides.cut, thinned=bool(sides.rare)
        )
        leak.require(allow_leak=request.design.allow_leak)
        _check_classifier(request.design, sides)
    store = Store()
    if request.out is not None:
        prepare_output(request.out, force=force, resume=resume)
        store = Store(request.out / "trainings")
    results = []
    for trial in trials:
        if len(trials) > 1:
            work.reporter.info(f"with {len(trial.sides.train):,} real images:")
        results.append(
            run_augmentation(
                trial.sides,
                trial.samples(),
                generator=trial.generator,
                design=request.design,
                device=request.device,
                store=store,
                reporter=work.reporter,
                should_stop=should_stop,
            )
        )
    return tuple(results)


def _check_classifier(design: Design, sides: RealSides) -> None:
    """Build it once, so that a wrong one is refused before a generator is trained."""
    height, width, channels = sides.train.shape
    resolve_classifier(design.classifier).build(
        (channels, height, width), len(sides.whole.class_names), design.seeds[0]
    )


class _Work:
    """Loads what the trials share, once."""

    def __init__(self, request: Request, reporter: Reporter, should_stop: ShouldStop) -> None:
        self.request, self.reporter, self.should_stop = request, reporter, should_stop
        self.common: dict[str, Any] = {"reporter": reporter, "should_stop": should_stop}
        self.real: dict[Shape, tuple[ImageData, ImageData | None]] = {}
        self.made: dict[str, Synthetic] = {}

    def trial(self, number: int) -> _Trial:
        request = self.request
        size = request.real_sizes[number]
        if request.train_generator:
            config = self.config(size)
            sides = self.sides(self.fitting_shape(config), size)
            origin = Provenance(sides.train.name, sides.train.split, len(sides.train), sides.train.fingerprint)
            return _Trial(sides, origin, partial(self.generate, config, sides, size))
        source = request.synthetic[number if len(request.synthetic) > 1 else 0]
        if is_run(source):
            header = read_header(resolve_run(source))
            codec = header["codec"]
            shape = (int(codec["height"]), int(codec["width"]), int(codec["channels"]))
            return _Trial(self.sides(shape, size), provenance(header.get("data")), partial(self.load, source))
        if source not in self.made:
            self.made[source] = load_synthetic(
                source, count=None, default_count=SAMPLES, max_bad=request.max_bad, **self.common
            )
        made = self.made[source]
        chosen = self.part(made.data)
        return _Trial(self.sides(chosen.shape, size), made.generator, lambda: chosen)

    def part(self, data: ImageData) -> ImageData:
        """The first `count` of synthetic images in the order of `stratified_subset`."""
        count = self.request.count
        if count is None or count == len(data):
            return data
        if count > len(data):
            raise UsageError(f"--count {count:,}: {data.name} has {len(data):,} images")
        return data.select(stratified_subset(data.labels, len(data), count))

    def load(self, source: str) -> ImageData:
        """Samples of a run, drawn now."""
        request = self.request
        return load_synthetic(
            source,
            count=request.count,
            default_count=SAMPLES,
            seed=request.seed,
            device=request.device,
            **self.common,
        ).data

    def sides(self, shape: Shape, size: int | None) -> RealSides:
        """The real images at `shape`, cut to `size`."""
        if shape not in self.real:
            self.real[shape] = self._load_real(shape)
        return choose_real(*self.real[shape], size, self.request.imbalance)

    def _load_real(self, shape: Shape) -> tuple[ImageData, ImageData | None]:
        real, test = self.request.real, self.request.test
        common = {**self.common, "max_bad": self.request.max_bad}
        note = resizing_note(real, shape)
        if note:
            self.reporter.info(note)
        own_test = has_test_split(test or real, **self.common)
        held_out = None
        if own_test or test is not None:
            held_out = load_like(test or real, shape, split="test" if own_test else "all", **common)
        else:
            self.reporter.info(f"{real} has no test images: a fifth of it is cut off and only tested on")
        return load_like(real, shape, **common), held_out

    def config(self, size: int | None) -> Config:
        """How the generator is trained: on the classifier's real images, whatever the preset says."""
        from synthgen.training.choosing import choose_settings

        request = self.request
        flags = {
            "data.source": request.real,
            "data.limit": size,
            "data.max_bad": request.max_bad or None,
            "training.budget": request.budget,
            "training.seed": request.seed or None,
        }
        config = choose_settings(config=request.train_generator, overrides=request.overrides, flags=flags).config
        if not isinstance(config, Config):
            raise UsageError(f"{request.train_generator} describes a model of {config.modality}, and these are images")
        return config

    def fitting_shape(self, config: Config) -> Shape:
        """The size at which the generator can be trained on the images."""
        from synthgen.training.images import load_data

        return load_data(config, self.reporter).shape

    def generate(self, config: Config, sides: RealSides, size: int | None) -> ImageData:
        """Train a generator on the classifier's real images and draw its samples, or take up what is there."""
        from synthgen.generation.folder import MANIFEST, plan_samples, sample_to_folder
        from synthgen.generation.model import load_image_model
        from synthgen.training.run import train

        assert self.request.out is not None
        folder = self.request.out / ("real-all" if size is None else f"real-{size}")
        run, out = folder / "generator", folder / "synthetic"
        if is_finished(run, config, sides.train.fingerprint):
            self.reporter.info(f"{run} is trained already")
        else:
            resume = bool(list_checkpoints(run))
            options: dict[str, Any] = {"resume": resume, "force": not resume and (run / MARKER).exists()}
            train(config, run, device=self.request.device, data=sides.train, **options, **self.common)
        model = load_image_model(run, device=self.request.device)
        plan = plan_samples(model, self.request.count or SAMPLES, seed=self.request.seed, format="npz")
        resume = (out / MANIFEST).exists()
        options = {"resume": resume, "force": not resume and (out / MARKER).exists()}
        sample_to_folder(model, out, plan, **options, **self.common)
        return load_synthetic(str(out), count=None, default_count=SAMPLES, **self.common).data
