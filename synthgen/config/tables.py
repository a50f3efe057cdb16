"""The configuration of a model of tables; see `synthgen.config.schema` for what all modalities share."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import Field, model_validator

from synthgen.config.schema import LENGTHS, Section, TrainingConfig

STEPS_PER_ROOT = 16
"""Optimizer steps per square root of the rows when no length is given, up to `MOST_STEPS`.

500 for 1,000 rows (65 passes, fewer than it takes to learn rows by heart), 2,900 for the 32,561 rows of adult (91).
"""

MOST_STEPS = 6000
SMALLEST_BATCH = 16
FEWEST_BINS = 8

ColumnKind = Literal["auto", "number", "integer", "category", "boolean", "datetime", "identifier", "constant", "drop"]


class ColumnConfig(Section):
    """What is to be known of one column beyond what its values tell."""

    kind: ColumnKind = Field("auto", description="what the values mean; auto: inferred; drop: left out")
    format: str | None = Field(None, description="how dates are written, e.g. %d.%m.%Y; null: inferred")
    missing: tuple[str, ...] = Field((), description="texts that mean a missing value in this column")


class ConstraintConfig(Section):
    """A rule that every row of the training data keeps and every sample must keep. One of its kinds at a time."""

    less_equal: tuple[str, ...] | None = Field(
        None, min_length=2, description="columns in ascending order: [low, high]"
    )
    combination: tuple[str, ...] | None = Field(
        None, min_length=2, description="columns that only occur in the combinations of the data: [city, country]"
    )
    sum: tuple[str, ...] | None = Field(None, min_length=2, description="columns that add up to the column `total`")
    total: str | None = Field(None, description="the column of the sum")

    @model_validator(mode="after")
    def _one_kind(self) -> ConstraintConfig:
        given = [name for name in ("less_equal", "combination", "sum") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"give one of less_equal, combination, sum, not {' and '.join(given) or 'none'}")
        if (self.sum is None) != (self.total is None):
            raise ValueError(
                "sum and total belong together: the columns that are added, and the one that holds the sum"
            )
        return self


class TableDataConfig(Section):
    """What to learn from."""

    source: str = Field("table.csv", min_length=1, description="a CSV, TSV or Parquet file")
    columns: dict[str, ColumnConfig] = Field({}, description="by column name: what inference gets wrong")
    drop: tuple[str, ...] = Field((), description="columns to leave out")
    as_category: tuple[str, ...] = Field((), description="columns of free text to learn as categories all the same")
    missing: tuple[str, ...] = Field(
        ("", "NA", "N/A", "#N/A", "<NA>", "n/a", "NaN", "nan", "null", "NULL", "None", "?"),
        description="texts that mean a missing value",
    )
    separator: str | None = Field(None, description="between the cells of a text file; null: found out")
    target: str | None = Field(None, description="the column that models are trained to predict when it is evaluated")
    limit: int | None = Field(None, ge=1, description="use this many rows, evenly spread; null: all")
    bins: int = Field(
        100,
        ge=4,
        le=1000,
        description="most tokens of a column of numbers, with about equally many rows each; never more than sqrt(rows)",
    )
    rare: int = Field(2, ge=1, description="categories with fewer rows are learned as one, and written as one of them")
    constraints: tuple[ConstraintConfig, ...] = Field((), description="rules that every row must keep")


class TableModelConfig(Section):
    """The network: a residual perceptron over the tokens of a row."""

    width: int = Field(384, ge=16, le=8192, description="features of each layer")
    blocks: int = Field(3, ge=1, le=64, description="residual blocks")
    embedding: int = Field(32, ge=2, le=1024, description="features of a token")
    dropout: float = Field(0.3, ge=0.0, lt=1.0, description="share of activations dropped in training")
    fine: int = Field(1, ge=1, le=256, description="levels inside a bin, learned in a second stage; 1: none")


class TableDiffusionConfig(Section):
    """How rows are taken apart and put together again."""

    process: Literal["masked", "gaussian"] = Field(
        "masked", description="masked: tokens are hidden in any order; gaussian: noise on numbers and one-hot vectors"
    )
    noise_mean: float = Field(-0.8, description="mean of log sigma in training (gaussian)")
    noise_std: float = Field(1.4, gt=0, description="deviation of log sigma in training (gaussian)")


class TableTrainingConfig(TrainingConfig):
    """How long and how to optimise. Give one of `budget`, `steps`, `epochs`, or none: the rows decide."""

    batch_size: int = Field(
        1024, ge=1, description="rows per optimizer step, over all processes; never more than an eighth of all"
    )
    micro_batch: int | None = Field(
        None, ge=1, description="rows in memory at once, per process; null: all, halved when memory runs out"
    )
    weight_decay: float = Field(0.1, ge=0, description="weight decay of AdamW")
    validation: float = Field(
        0.0, ge=0.0, lt=0.9, description="share of rows never trained on, whose loss is reported; 0: none"
    )
    patience: int = Field(
        0, ge=0, description="stop after this many checks without a better loss there, and keep the best; 0: never"
    )


class TableSamplingConfig(Section):
    """How rows are drawn unless the command line says otherwise."""

    steps: int | None = Field(None, ge=1, description="network evaluations per row; null: one per column")
    temperature: float = Field(1.0, gt=0, le=10, description="below 1: likelier values only; 1: as learned")
    block_size: int = Field(
        1024,
        ge=1,
        description="rows computed together, at most 128 beyond 128 columns; part of what the values depend on",
    )


class TableConfig(Section):
    """Everything a run on a table is made from. Written, resolved, beside the run and into its checkpoints."""

    modality: Literal["tables"] = Field("tables", description="what kind of data this is: images, tables or series")
    data: TableDataConfig = Field(TableDataConfig(), description="what to learn from")
    model: TableModelConfig = Field(TableModelConfig(), description="the network")
    diffusion: TableDiffusionConfig = Field(TableDiffusionConfig(), description="how rows are made")
    training: TableTrainingConfig = Field(TableTrainingConfig(), description="how long and how to optimise")
    sampling: TableSamplingConfig = Field(TableSamplingConfig(), description="how rows are drawn")

    def for_rows(self, rows: int) -> TableConfig:
        """These settings for a table of `rows` rows to learn from; settled ones stay as they are.

        Limits become what is used: few rows get fewer bins, smaller batches and, unless a length is given, fewer steps.
        """
        training = self.training
        used: dict[str, int] = {"batch_size": min(training.batch_size, max(SMALLEST_BATCH, rows // 8))}
        if all(getattr(training, name) is None for name in LENGTHS):
            used["steps"] = min(MOST_STEPS, math.ceil(STEPS_PER_ROOT * math.sqrt(rows)))
        bins = min(self.data.bins, max(FEWEST_BINS, round(math.sqrt(rows))))
        return self.model_copy(
            update={
                "data": self.data.model_copy(update={"bins": bins}),
                "training": training.model_copy(update=used),
            }
        )
