"""The configuration of a model of series; see `synthgen.config.schema` for what all modalities share."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from synthgen.config.schema import LENGTHS, Section, TrainingConfig
from synthgen.config.tables import ColumnConfig

STEPS = 7500
"""Optimizer steps when no length is given: minutes of one CPU core for windows of 24 steps."""

FEWEST_STEPS = 1500
MOST_EPOCHS = 400
"""Few windows are seen so many times at most, in no fewer steps than those: they are learned by heart otherwise.
Windows that overlap count for as many as share no step: what else they hold is the same. (In the leaky protocol, in
which what is learned by heart is what is tested, all of them count.)"""

MOST_GROUPS = 3
"""Groups of channels that do not depend on each other are as many examples in every window: training is shortened by
their number, at most to a third."""

DROPOUT = 0.2
"""For overlapping windows so few that training is shortened: with less, forecasts are too sure of themselves on steps
that were not trained on (80 % intervals held 54 % of ETTh1's; docs/results/series_completion.md)."""

LONGEST_WHOLE = 256
"""Sequences of at most this many steps are learned whole unless `data.window` says otherwise."""

WINDOW = 24
"""The window on longer ones: the length in which the field reports its figures."""

MANY = 10
"""Sequences from which on they are learned whole; of fewer, windows tell more than the sequences' own number."""


class SeriesDataConfig(Section):
    """What to learn from."""

    source: str = Field(
        "series.csv", min_length=1, description="a known series, a CSV, TSV, Parquet or npz file, or a folder of CSVs"
    )
    time: str | None = Field(None, description="the column of times; null: found out, or there is none")
    id: str | None = Field(None, description="the column that tells sequences apart; null: found out, or one sequence")
    label: str | None = Field(None, description="the column with the class of each sequence, which samples can ask for")
    static: tuple[str, ...] = Field((), description="columns with one value for each sequence; null: those found")
    columns: dict[str, ColumnConfig] = Field({}, description="by column name: what inference gets wrong")
    drop: tuple[str, ...] = Field((), description="columns to leave out")
    missing: tuple[str, ...] = Field(
        ("", "NA", "N/A", "#N/A", "<NA>", "n/a", "NaN", "nan", "null", "NULL", "None", "?"),
        description="texts that mean a missing value",
    )
    separator: str | None = Field(None, description="between the cells of a text file; null: found out")
    window: int | None = Field(
        None,
        ge=2,
        le=4096,
        description="steps learned together; null: whole sequences (ten or more, up to 256 steps), else 24",
    )
    stride: int | None = Field(
        None, ge=1, description="steps from one window to the next; null: 1, or as many as give a million windows"
    )
    test: float = Field(
        0.2, ge=0.0, lt=0.9, description="share that is never trained on: the end of a recording, or sequences"
    )
    validation: float = Field(
        0.0, ge=0.0, lt=0.9, description="share before the test part, whose loss is reported; 0: none"
    )
    protocol: Literal["honest", "leaky"] = Field(
        "honest", description="leaky: as the field does, everything is trained on and tested with; to compare only"
    )
    scaling: Literal["auto", "standard", "minmax", "quantile"] = Field(
        "auto", description="of channels; auto: quantile for repeated values and heavy tails, else standard"
    )
    calendar: bool = Field(
        True, description="hour, weekday, season of dates are known to the model, if there are three turns of them"
    )
    limit: int | None = Field(None, ge=1, description="use this many sequences, evenly spread; null: all")


class SeriesModelConfig(Section):
    """The network: a transformer over the steps of a window."""

    width: int = Field(64, ge=16, le=2048, description="features of each step")
    blocks: int = Field(4, ge=1, le=64, description="transformer blocks")
    heads: int = Field(4, ge=1, le=64, description="attention heads; must divide width")
    dropout: float | None = Field(
        None,
        ge=0.0,
        lt=1.0,
        description="share of activations dropped in training; null: 0.2 for few, overlapping windows, else 0",
    )

    @model_validator(mode="after")
    def _heads(self) -> SeriesModelConfig:
        if self.width % self.heads:
            raise ValueError(f"heads {self.heads} does not divide width {self.width}")
        return self


class SeriesDiffusionConfig(Section):
    """How noise is added, and how often some cells are known."""

    noise_mean: float = Field(-1.0, description="mean of log sigma in training")
    noise_std: float = Field(1.4, gt=0, description="deviation of log sigma in training")
    known: float = Field(
        0.25, ge=0.0, le=1.0, description="share of windows in which some cells are known: completion, continuation"
    )


class SeriesTrainingConfig(TrainingConfig):
    """How long and how to optimise. Give one of `budget`, `steps`, `epochs`, or none: 7,500 steps."""

    batch_size: int = Field(128, ge=1, description="windows per optimizer step, over all processes")
    micro_batch: int | None = Field(
        None, ge=1, description="windows in memory at once, per process; null: all, halved when memory runs out"
    )
    learning_rate: float = Field(2e-3, gt=0, description="peak learning rate of AdamW")
    precision: Literal["auto", "fp32", "bf16"] = Field(
        "fp32", description="auto: bf16 where the machine computes in it, which is slower for a network this small"
    )
    patience: int = Field(
        0, ge=0, description="stop after this many checks without a better validation loss, and keep the best; 0: never"
    )


class SeriesSamplingConfig(Section):
    """How windows are drawn unless the command line says otherwise."""

    sampler: Literal["ddpm", "ddim", "euler", "heun", "dpm++2m", "dpm++2m-sde", "dpm++3m"] = Field(
        "dpm++2m", description="how the noise is taken away step by step"
    )
    steps: int = Field(36, ge=1, le=10_000, description="steps of the sampler")
    guidance_scale: float = Field(1.0, ge=0.0, description="classifier-free guidance by the label; 1.0 is off")
    block_size: int = Field(128, ge=1, description="windows computed together; part of what the values depend on")


class SeriesConfig(Section):
    """Everything a run on series is made from. Written, resolved, beside the run and into its checkpoints."""

    modality: Literal["series"] = Field("series", description="what kind of data this is: images, tables or series")
    data: SeriesDataConfig = Field(SeriesDataConfig(), description="what to learn from")
    model: SeriesModelConfig = Field(SeriesModelConfig(), description="the network")
    diffusion: SeriesDiffusionConfig = Field(SeriesDiffusionConfig(), description="the noise process")
    training: SeriesTrainingConfig = Field(SeriesTrainingConfig(), description="how long and how to optimise")
    sampling: SeriesSamplingConfig = Field(SeriesSamplingConfig(), description="how windows are drawn")

    def for_lengths(
        self, longest: int, windows: int, sequences: int = MANY, apart: int | None = None, groups: int = 1
    ) -> SeriesConfig:
        """These settings for sequences of at most `longest` steps that give `windows` windows; idempotent.

        apart: windows that share no step; None: all of them. groups: of channels that do not depend on each other.
        """
        training = self.training
        window = window_for(self.data.window, longest, sequences)
        batch = training.batch_size
        if "batch_size" not in training.model_fields_set:  # about as many steps of series in every batch
            batch = batch * WINDOW // max(WINDOW, min(window, 4 * WINDOW))
        used: dict[str, int] = {"batch_size": min(batch, max(16, windows))}
        counted = windows if apart is None or self.data.protocol == "leaky" else min(apart, windows)
        enough = MOST_EPOCHS * counted // used["batch_size"]
        if all(getattr(training, name) is None for name in LENGTHS):
            used["steps"] = max(FEWEST_STEPS, min(STEPS // min(groups, MOST_GROUPS), enough))
        dropout = self.model.dropout
        if dropout is None:
            dropout = DROPOUT if counted < windows and enough < STEPS else 0.0
        return self.model_copy(
            update={
                "model": self.model.model_copy(update={"dropout": dropout}),
                "data": self.data.model_copy(update={"window": window}),
                "training": training.model_copy(update=used),
            }
        )


def window_for(asked: int | None, longest: int, sequences: int = MANY) -> int:
    """Steps of a window on `sequences` sequences of at most `longest` steps when `asked` are wanted (None: not said).

    Of a short recording windows have a quarter of its steps: a window as long as the recording would be the only one.
    """
    if asked is None:
        whole = longest <= LONGEST_WHOLE and sequences >= MANY
        asked = LONGEST_WHOLE if whole else min(WINDOW, max(2, longest // 4))
    return max(1, min(asked, longest))
