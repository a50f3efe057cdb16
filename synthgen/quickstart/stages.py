"""The six stages: each calls the core function that the command of its name calls, and returns plain numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from synthgen.config.loading import load_config
from synthgen.config.schema import Config
from synthgen.data import load_images
from synthgen.data.dataset import ImageData
from synthgen.downstream import page as augmentation_page
from synthgen.downstream.classifier import ClassifierRecipe
from synthgen.downstream.images import choose_real, run_augmentation
from synthgen.downstream.leaks import provenance_of_samples
from synthgen.downstream.result import Design
from synthgen.evaluation import page as evaluation_page
from synthgen.evaluation.images import evaluate_images
from synthgen.explain.images.run import Request, explain_to_folder
from synthgen.export.exporting import export_model
from synthgen.generation.folder import MANIFEST, plan_samples, sample_to_folder
from synthgen.generation.model import Model, load_image_model
from synthgen.outputs import MARKER, prepare_output
from synthgen.quickstart.plan import CLASSIFIER_SEEDS, CLASSIFIER_STEPS, SOURCE, Plan
from synthgen.reporting import Reporter
from synthgen.runs import list_checkpoints
from synthgen.stopping import ShouldStop
from synthgen.training.run import train

Numbers = dict[str, Any]
"""A stage's result: JSON-ready, with a `sentence` that says how it went."""


@dataclass
class Work:
    """What the stages share."""

    plan: Plan
    reporter: Reporter
    should_stop: ShouldStop

    @cached_property
    def model(self) -> Model:
        """The model that the first stage left."""
        return load_image_model(self.plan.folder("run"), device=self.plan.device)

    @cached_property
    def config(self) -> Config:
        """The preset with the plan's budget and seed."""
        plan = self.plan
        config = load_config(SOURCE, None, {"training.budget": plan.budget, "training.seed": plan.seed})
        assert isinstance(config, Config)
        return config

    @cached_property
    def real(self) -> ImageData:
        """The training images."""
        return load_images(SOURCE, split="train")

    @cached_property
    def held_out(self) -> ImageData:
        """The test images, which neither model nor classifier has seen."""
        return load_images(SOURCE, split="test")

    @cached_property
    def fake(self) -> ImageData:
        """The synthetic images, read back from their folder."""
        return load_images(self.plan.folder("synthetic"))


def _train(work: Work) -> Numbers:
    out = work.plan.folder("run")
    resume = bool(list_checkpoints(out))
    result = train(
        work.config,
        out,
        resume=resume,
        force=not resume,
        device=work.plan.device,
        data=work.real,
        reporter=work.reporter,
        should_stop=work.should_stop,
    )
    speed = result.seen / max(result.seconds, 1e-9)
    return {
        "checkpoint": str(result.checkpoint),
        "steps": result.steps,
        "images_seen": result.seen,
        "seconds_training": result.seconds,
        "loss": result.loss,
        "parameters": result.parameters,
        "images_per_second": round(speed, 1),
        "sentence": f"{result.steps:,} steps over {result.seen:,} images, loss {result.loss:.3f}",
    }


def _sample(work: Work) -> Numbers:
    out, plan = work.plan.folder("synthetic"), work.plan
    resume = (out / MANIFEST).exists()
    result = sample_to_folder(
        work.model,
        out,
        plan_samples(work.model, plan.count, seed=plan.seed),
        resume=resume,
        force=not resume and (out / MARKER).exists(),
        reporter=work.reporter,
        should_stop=work.should_stop,
    )
    return {
        "count": result.count,
        "counts": result.counts,
        "images_per_second": result.images_per_second,
        "sampler": work.model.recipe().sampler,
        "steps": work.model.recipe().steps,
        "sentence": f"{result.count:,} digits, {min(result.counts.values()):,} or more of each class",
    }


def _evaluate(work: Work) -> Numbers:
    result = evaluate_images(
        work.real,
        work.fake,
        seed=work.plan.seed,
        device=work.plan.device,
        reporter=work.reporter,
        should_stop=work.should_stop,
    )
    out, words = work.plan.folder("evaluation"), work.plan.command("evaluate")
    evaluation_page.write_report(out, result, work.real, work.fake, command_line=words, force=True)
    return {**result.to_dict(), "sentence": result.headline}


def _augment(work: Work) -> Numbers:
    result = run_augmentation(
        choose_real(work.real, work.held_out, None),
        work.fake,
        generator=provenance_of_samples(work.plan.folder("synthetic")),
        design=Design(
            recipe=ClassifierRecipe(steps=CLASSIFIER_STEPS),
            seeds=tuple(range(work.plan.seed, work.plan.seed + CLASSIFIER_SEEDS)),
            kinds=("real", "synthetic", "both"),
        ),
        device=work.plan.device,
        reporter=work.reporter,
        should_stop=work.should_stop,
    )
    out, words = work.plan.folder("augmentation"), work.plan.command("augment-classifier")
    prepare_output(out, force=True)
    augmentation_page.write_report(out, result, command_line=words)
    return result.to_dict()


def _explain(work: Work) -> Numbers:
    request = Request(
        seed=work.plan.seed,
        methods=("trajectory", "evidence"),
        invocation=work.plan.command("explain"),
    )
    out = work.plan.folder("why")
    result = explain_to_folder(
        work.model, out, request, force=True, reporter=work.reporter, should_stop=work.should_stop
    )
    numbers = result.summary["trajectory"]
    sentence = (
        f"half of the way to the final image is done by step {numbers['median_half_step']} of {numbers['steps']}, "
        f"at noise level {numbers['sigma_at_median_half_step']:.2g}"
    )
    return {"folder": str(out), "sentence": sentence}


def _export(work: Work) -> Numbers:
    out = work.plan.folder("export")
    result = export_model(work.model, out, force=True, reporter=work.reporter)
    sentence = (
        f"diffusers draws the same images: at most {result.max_difference} of 255 grey levels apart, in "
        f"{result.differing_pixels:,} of {result.checked_pixels:,} pixels"
    )
    numbers = {key: value for key, value in result.to_dict().items() if key not in ("out", "source")}
    return {**numbers, "folder": str(out), "sentence": sentence}


WORK: dict[str, Callable[[Work], Numbers]] = {
    "train": _train,
    "sample": _sample,
    "evaluate": _evaluate,
    "augment-classifier": _augment,
    "explain": _explain,
    "export": _export,
}
"""Stage -> what does it."""
