"""The configuration: every field, its default, its meaning. YAML files and `--set` fill these models."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator


class Section(BaseModel):
    """A frozen group of settings in which an unknown key is an error."""

    # A class called 3 may be written without quotes; infinity is no learning rate.
    model_config = ConfigDict(extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False)


def parse_duration(text: str) -> float:
    """Seconds in a duration such as `90s`, `15m`, `1h30m` or `2h`. Raises ValueError on anything else."""
    match = re.fullmatch(r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?", text.strip())
    if not match or not any(match.groups()):
        raise ValueError(f"'{text}' is not a duration (write 90s, 15m or 1h30m)")
    hours, minutes, seconds = (float(part or 0) for part in match.groups())
    total = 3600 * hours + 60 * minutes + seconds
    if total <= 0:
        raise ValueError(f"'{text}' is no time at all")
    return total


class AugmentConfig(Section):
    """Random changes to training images. All off by default: a flipped digit is another sign."""

    horizontal_flip: bool = Field(False, description="mirror half of the images left to right")
    vertical_flip: bool = Field(False, description="mirror half of the images top to bottom")
    shift: int = Field(0, ge=0, le=64, description="move by up to this many pixels, edges repeated")


class DataConfig(Section):
    """What to learn from."""

    source: str = Field(
        "mnist-mini", min_length=1, description="a data set's name (`synthgen data list`), folder or file"
    )
    image_size: int | tuple[int, int] | None = Field(
        None, description="pixels, one number or [height, width]; null: the images' own size"
    )
    channels: Literal[1, 3] | None = Field(None, description="1 grey, 3 RGB; null: as the images are")
    classes: tuple[str, ...] | None = Field(None, min_length=1, description="learn only these classes; null: all")
    limit: int | None = Field(None, ge=1, description="use this many images, the same share of every class; null: all")
    validation: float = Field(
        0.0, ge=0.0, le=0.5, description="share of the images that training never sees, to choose a sampler by"
    )
    max_bad: int = Field(0, ge=0, description="unreadable images to skip before giving up")
    augment: AugmentConfig = Field(AugmentConfig(), description="random changes to training images, all off by default")

    @field_validator("image_size")
    @classmethod
    def _size(cls, value: int | tuple[int, int] | None) -> int | tuple[int, int] | None:
        sides = (value,) if isinstance(value, int) else value or ()
        if any(not 4 <= side <= 1024 for side in sides):
            raise ValueError("an image side must lie between 4 and 1024 pixels")
        return value


class ModelConfig(Section):
    """The network: a U-Net, with the weights of diffusers' `UNet2DModel` or `UNet2DConditionModel`."""

    channels: tuple[Annotated[int, Field(ge=8, le=2048)], ...] = Field(
        (32, 64, 64), min_length=1, max_length=6, description="feature channels per resolution, finest first"
    )
    patch_size: Literal[1, 2, 4] = Field(
        1, description="side of the pixel squares that the network sees as one; 2 learns faster on small budgets"
    )
    layers_per_block: int = Field(1, ge=1, le=8, description="residual layers per resolution")
    attention_resolutions: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        (), description="feature map heights at which to attend, e.g. [7]"
    )
    attention_head_dim: int = Field(32, ge=8, description="channels per attention head")
    norm_groups: int = Field(8, ge=1, description="groups of each group norm; must divide every entry of channels")
    dropout: float = Field(0.0, ge=0.0, lt=1.0, description="share of activations dropped in training")
    conditioning: Literal["auto", "class", "cross-attention", "none"] = Field(
        "auto",
        description="class: by label; cross-attention: by captions, else by label, which layers look at; none: "
        "unconditional; auto: by label when the data has labels",
    )

    @model_validator(mode="after")
    def _groups(self) -> ModelConfig:
        bad = [width for width in self.channels if width % self.norm_groups]
        if bad:
            raise ValueError(f"norm_groups {self.norm_groups} does not divide channels {bad}")
        return self


class DiffusionConfig(Section):
    """The noise process and what the network is asked."""

    schedule: Literal["edm", "linear", "cosine", "flow"] = Field(
        "edm",
        description="edm: Karras et al. 2022; linear, cosine: DDPM with 1,000 steps; flow: straight paths",
    )
    prediction: Literal["edm", "epsilon", "v", "sample"] = Field("edm", description="what the network's output means")
    loss_weight: Literal["edm", "min-snr", "uniform"] = Field("edm", description="weight of a noise level in the loss")
    min_snr_gamma: float = Field(5.0, gt=0, description="cap of the min-snr weight (Hang et al. 2023)")
    noise_mean: float = Field(-1.2, description="mean of log sigma in training (edm)")
    noise_std: float = Field(1.2, gt=0, description="deviation of log sigma in training (edm)")
    label_dropout: float = Field(0.1, ge=0.0, lt=1.0, description="share of labels replaced by the null class")


LENGTHS = ("budget", "steps", "epochs")
"""The ways to say how long to train: one of them at a time."""


Beta = Annotated[float, Field(ge=0, lt=1)]


class TrainingConfig(Section):
    """How long and how to optimise. Give one of `budget`, `steps`, `epochs`."""

    budget: str | None = Field(None, description="wall-clock promise: 90s, 15m, 1h30m")
    steps: int | None = Field(None, ge=1, description="optimizer steps")
    epochs: float | None = Field(None, gt=0, description="passes over the data")
    batch_size: int = Field(128, ge=1, description="images per optimizer step, over all processes")
    micro_batch: int | None = Field(
        None, ge=1, description="images in memory at once, per process; null: all, halved when memory runs out"
    )
    learning_rate: float = Field(2e-3, gt=0, description="peak learning rate of AdamW")
    betas: tuple[Beta, Beta] = Field(
        (0.9, 0.99), description="decay of AdamW's averages of gradient and squared gradient"
    )
    weight_decay: float = Field(0.0, ge=0, description="weight decay of AdamW")
    warmup: float = Field(0.03, ge=0, lt=1, description="share of the run in which the learning rate rises")
    gradient_clip: float = Field(1.0, gt=0, description="largest norm of the gradient")
    ema_half_life: float = Field(0.05, gt=0, description="half-life of the weight average, in share of what was seen")
    ema_short_half_life: float | None = Field(
        0.01, gt=0, description="of a second, shorter average that the sampler card may choose; null: none"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "auto", description="auto: bf16 where the machine computes in it"
    )
    compile: Literal["never", "always"] = Field(
        "never", description="turn the network into machine code first: a minute or two that long runs win back"
    )
    max_bad_steps: int = Field(
        10, ge=1, description="give up after this many steps in a row whose loss or gradient is not finite"
    )
    checkpoint_every: str = Field("5m", description="time between checkpoints and previews")
    seed: int = Field(0, ge=0, lt=2**63, description="of weights, order and noise")
    track: Literal["none", "mlflow", "tensorboard"] = Field("none", description="experiment tracker to tell of the run")

    @field_validator("budget", "checkpoint_every")
    @classmethod
    def _duration(cls, value: str | None) -> str | None:
        if value is not None:
            parse_duration(value)
        return value

    @model_validator(mode="after")
    def _one_length(self) -> TrainingConfig:
        given = [name for name in LENGTHS if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"give one of budget, steps, epochs, not {' and '.join(given)}")
        return self


NoiseLevel = Annotated[float, Field(gt=0, le=1e6)]


class StartConfig(Section):
    """The trained model whose weights a run starts from: fine-tuning."""

    model: str = Field("", description="the run that the weights start from")
    sha256: str = Field("", description="which checkpoint of it that was")


class DistillConfig(Section):
    """Tuning of a trained model into a consistency model, which needs one or two steps (Geng et al. 2024)."""

    teacher: str = Field("", description="the run that the weights start from")
    teacher_sha256: str = Field("", description="which checkpoint of it that was")
    guidance_scale: float = Field(
        1.0, ge=0.0, description="learn the samples that the teacher draws with this guidance; 1.0: without any"
    )
    guidance_interval: tuple[float, float] = Field(
        (0.0, 1e9), description="guide the teacher only where sigma/alpha lies in this interval"
    )
    q: float = Field(4.0, gt=1, description="the two noise levels of a pair lie q times closer at every stage")
    stages: int = Field(
        3, ge=1, le=100, description="equal parts of the run; after the last, pairs are q^-stages apart"
    )
    k: float = Field(8.0, ge=0, description="how much wider pairs are at low noise")
    b: float = Field(1.0, gt=0, description="noise above which pairs are no longer wider, as 1/sigma")
    noise_mean: float = Field(-1.1, description="mean of log sigma of the upper level of a pair")
    noise_std: float = Field(2.0, gt=0, description="deviation of log sigma of the upper level of a pair")
    c: float = Field(0.00054, gt=0, description="differences below this count squared, above it as they are")

    @property
    def guided(self) -> bool:
        """Whether the teacher is asked in every step; else the images themselves show where trajectories lead."""
        return self.guidance_scale != 1.0


class SamplingConfig(Section):
    """How samples are drawn unless the command line says otherwise."""

    sampler: Literal["ddpm", "ddim", "euler", "heun", "dpm++2m", "dpm++2m-sde", "dpm++3m", "consistency"] = Field(
        "dpm++2m", description="how the noise is taken away step by step; consistency: models tuned for it only"
    )
    steps: int = Field(12, ge=1, le=10_000, description="steps of the sampler")
    noise_levels: tuple[NoiseLevel, ...] = Field(
        (), max_length=1000, description="sigma/alpha at each step, falling; []: spaced as the schedule says"
    )
    eta: float = Field(0.0, ge=0.0, le=1.0, description="share of fresh noise of ddim")
    guidance_scale: float = Field(1.0, ge=0.0, description="classifier-free guidance; 1.0 is off")
    guidance_interval: tuple[float, float] = Field(
        (0.0, 1e9), description="guide only where sigma/alpha lies in this interval"
    )
    block_size: int = Field(32, ge=1, description="samples computed together; part of what the pixels depend on")
    card: Literal["auto", "always", "never"] = Field(
        "auto",
        description="measure samplers after training; auto: within a tenth of its time, always: beyond the budget",
    )

    @field_validator("noise_levels")
    @classmethod
    def _falling(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if any(second >= first for first, second in pairwise(value)):
            raise ValueError("must fall from each entry to the next")
        return value

    @model_validator(mode="after")
    def _as_many_levels(self) -> SamplingConfig:
        if self.noise_levels and len(self.noise_levels) != self.steps:
            raise ValueError(f"steps is {self.steps}, and noise_levels has {len(self.noise_levels)} entries")
        return self

    @field_validator("guidance_interval")
    @classmethod
    def _interval(cls, value: tuple[float, float]) -> tuple[float, float]:
        if not 0 <= value[0] <= value[1]:
            raise ValueError("must be [low, high] with 0 <= low <= high")
        return value


class Config(Section):
    """Everything a run is made from. Written, resolved, beside the run and into its checkpoints."""

    modality: Literal["images"] = Field("images", description="what kind of data this is: images, tables or series")
    data: DataConfig = Field(DataConfig(), description="what to learn from")
    model: ModelConfig = Field(ModelConfig(), description="the network")
    diffusion: DiffusionConfig = Field(DiffusionConfig(), description="the noise process")
    training: TrainingConfig = Field(TrainingConfig(), description="how long and how to optimise")
    sampling: SamplingConfig = Field(SamplingConfig(), description="how samples are drawn")
    start: StartConfig | None = Field(None, description="of a model made by `train --from`: what it started as")
    distill: DistillConfig | None = Field(None, description="of a model made by `train --distill`: how it was tuned")

    @model_validator(mode="after")
    def _own_sampler(self) -> Config:
        """A consistency model answers what its sampler asks, and no other model does."""
        if self.distill is None and self.sampling.sampler == "consistency":
            raise ValueError("sampler consistency is for models tuned for it: `synthgen train --distill RUN` makes one")
        if self.distill is not None and self.sampling.sampler != "consistency":
            raise ValueError(f"a distilled model needs sampler consistency, not {self.sampling.sampler}")
        return self
