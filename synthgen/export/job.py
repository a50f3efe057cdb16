"""What one export is asked for, and what it found when its result was loaded back."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from synthgen.generation.model import Model
from synthgen.reporting import NullReporter, Reporter

if TYPE_CHECKING:
    from synthgen.generation.series.model import SeriesModel
    from synthgen.generation.tables.model import TableModel

    AnyModel: TypeAlias = Model | TableModel | SeriesModel


@dataclass(frozen=True)
class Job:
    """A model on its way into a folder.

    recipe: how the result samples unless told otherwise. folder: where the files are made. name: what the folder will
    be called, for the examples in its card. dtype: fp32, fp16 or bf16, in which weights are stored; None: as they are.
    metrics: an evaluation's result, for the card. aot: compiled programs too.
    """

    model: AnyModel
    recipe: Any
    folder: Path
    name: str
    dtype: str | None = None
    metrics: dict[str, Any] | None = None
    aot: bool = False
    reporter: Reporter = field(default_factory=NullReporter)

    @property
    def images(self) -> Model:
        """The model of a format that only images have."""
        assert isinstance(self.model, Model)
        return self.model


@dataclass(frozen=True)
class Samples:
    """How far the samples of an export are from the model's own.

    unit: `grey levels` of 0 ... 255 (images), `deviations` of a channel (series) or `cells` (tables, which either agree
    or do not). largest, mean: absolute differences in that unit. differing: how many of `compared` values differ.
    """

    unit: str
    largest: float
    mean: float
    differing: int
    compared: int


@dataclass(frozen=True)
class Check:
    """The largest absolute error of one graph's numbers on `inputs` random inputs, and the limit it was held to."""

    what: str
    error: float
    limit: float
    inputs: int


@dataclass(frozen=True)
class Outcome:
    """What a format wrote. scheduler: of diffusers. checks: of graphs."""

    samples: Samples
    scheduler: str | None = None
    checks: tuple[Check, ...] = ()


def eight(recipe: Any) -> Any:
    """The recipe with blocks as small as what is compared."""
    return replace(recipe, block_size=CHECKED)


CHECKED = 8
"""Samples that are drawn from both sides."""
