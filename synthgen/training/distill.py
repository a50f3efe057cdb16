"""Distillation: from a trained model of images to one that needs a step or two, by Easy Consistency Tuning.

Geng et al. 2024 (arXiv:2406.14548): network, data and checkpoint stay what they are; the weights start from the
teacher's averaged ones and learn to answer alike along a trajectory. The formulas are in `diffusion.consistency`.
A teacher whose samples are guided is kept in the run folder and asked in every step.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import torch

from synthgen.checkpoints import load_checkpoint
from synthgen.config.schema import Config, DistillConfig
from synthgen.data.dataset import ImageData
from synthgen.diffusion.consistency import Estimate, consistency_levels, consistency_loss, gap_of, partner
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.guidance import guide
from synthgen.diffusion.schedule import EDMSchedule
from synthgen.errors import UsageError
from synthgen.generation.compiling import for_sampling
from synthgen.generation.headers import check_weights, parse_header
from synthgen.training.batches import Batch
from synthgen.training.images import ImageSubject
from synthgen.training.subject import Draws


def settled(config: Config) -> Config:
    """The settings with the noise levels that a consistency sampler stops at, where they name none."""
    sampling = config.sampling
    if config.distill is None or sampling.noise_levels:
        return config
    named = sampling.model_copy(update={"noise_levels": consistency_levels(sampling.steps)})
    return config.model_copy(update={"sampling": named})


class DistilledSubject(ImageSubject):
    """A trained denoiser that learns to be a consistency function of the images that it was trained on."""

    def __init__(
        self, config: Config, settings: DistillConfig, data: ImageData, device: torch.device, teacher: Path | None
    ) -> None:
        """teacher: the checkpoint that the weights start from; None where a state of the run brings its own.

        Raises UsageError when it is not the one in `settings`, or `data` is not what it was trained on.
        """
        super().__init__(config, data, device)
        self.settings = settings
        self._upper = EDMSchedule(settings.noise_mean, settings.noise_std)
        self._guided: Estimate | None = None
        if teacher is not None:
            self._start_from(teacher)

    def _start_from(self, path: Path) -> None:
        header, tensors = load_checkpoint(path)
        known = parse_header(path, header)
        check_weights(path, known, tensors)
        if header["sha256"] != self.settings.teacher_sha256:
            raise UsageError(f"{path} is not the checkpoint that distill.teacher_sha256 names")
        if known.data.fingerprint != self.facts["fingerprint"] or known.class_names != self.class_names:
            raise UsageError(
                f"{path} was trained on other images than those of {self.name}: their number, pixels, labels or "
                "classes differ",
                "name the same images with --data",
            )
        self._denoiser.network.load_state_dict(tensors)
        self._denoiser.sigma_data = known.sigma_data
        if self.settings.guided:
            teacher = for_sampling(copy.deepcopy(self._denoiser).eval().requires_grad_(False), self.device)
            self._guided = guided_by(teacher, self.settings.guidance_scale, self.settings.guidance_interval)

    def describe(self) -> dict[str, Any]:
        teacher = f"{self.settings.teacher} (sha256 {self.settings.teacher_sha256[:12]})"
        return {**super().describe(), "teacher": teacher}

    def draw(self, batch: Batch, step: int, progress: float) -> Draws:
        """x0, labels, the two noise levels of each pair and their noise."""
        x0, labels, uniform, noise = super().draw(batch, step, progress).parts
        assert uniform is not None
        settings = self.settings
        upper = self._upper.draw(uniform)[1]
        lower = partner(upper, gap_of(progress, settings.q, settings.stages), settings.k, settings.b)
        return Draws((x0, labels, upper, lower, noise))

    def loss(self, denoiser: Denoiser, *parts: torch.Tensor | None) -> torch.Tensor:
        x0, labels, upper, lower, noise = parts
        assert x0 is not None and upper is not None and lower is not None and noise is not None
        if self.settings.guided and self._guided is None:
            raise RuntimeError("a guided teacher is asked in every step, and was not given")
        return consistency_loss(denoiser, x0, labels, upper, lower, noise, c=self.settings.c, teacher=self._guided)


def guided_by(teacher: Denoiser, scale: float, interval: tuple[float, float]) -> Estimate:
    """The estimate of x0 of a conditional denoiser whose schedule is EDM's, with guidance by the label.

    Rows whose label is the null one are not guided: both answers are the same.
    """

    def estimate(x: torch.Tensor, sigma: torch.Tensor, labels: torch.Tensor | None) -> torch.Tensor:
        assert labels is not None and teacher.null_label is not None and isinstance(teacher.schedule, EDMSchedule)
        levels = sigma.repeat(2)
        both = torch.cat([labels, torch.full_like(labels, teacher.null_label)])
        answers = teacher(x.repeat(2, 1, 1, 1), torch.ones_like(levels), levels, teacher.schedule.time(levels), both)
        strong, weak = answers.chunk(2)
        inside = (sigma >= interval[0]) & (sigma <= interval[1])
        return guide(strong, weak, torch.where(inside, scale, 1.0).view(-1, 1, 1, 1))

    return estimate
