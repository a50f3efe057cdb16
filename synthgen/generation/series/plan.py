"""The plan of a set of sequences: everything its bytes depend on, and the bounds of shard i."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.plans import MOST, ItemPlan
from synthgen.generation.series.engine import MOST_DRAWS, SeriesRecipe

FORMATS = ("csv", "tsv", "parquet", "npz")
LONGEST = 10**7
"""Steps of one sequence, at most."""


@dataclass(frozen=True)
class SeriesCompletion:
    """Sequences that begin with known cells. sha256: of the file that holds them; sequences: how many it has.

    longest: steps of the longest one when it is completed. draws: completions of each. quantiles: written instead of
    the draws. missing: whether a cell may be filled with a missing value. spread: whether several draws lie as far
    apart as known cells demand; see `synthgen.generation.series.spreading`.
    """

    sha256: str
    sequences: int
    longest: int
    draws: int = 1
    quantiles: tuple[float, ...] = ()
    missing: bool = False
    spread: bool = False


@dataclass(frozen=True)
class SeriesPlan(ItemPlan):
    """What will be made: everything the bytes depend on, and nothing else.

    count: sequences; with `complete` those of the file, each in all its draws. labels: the classes that were asked
    for, by name; () for the law of the data. where: static covariates as they were asked for. length: steps of each
    sequence; None: drawn, or all of a window. start: the time of the first step as it was asked for. together:
    sequences that are computed together. See `synthgen.generation.plans.ItemPlan` for the rest.
    """

    checkpoint_sha256: str
    count: int
    seed: int
    labels: tuple[str, ...]
    where: tuple[str, ...]
    length: int | None
    start: str | None
    complete: SeriesCompletion | None
    recipe: SeriesRecipe
    together: int
    format: str
    packed: bool
    escape: bool
    precision: str
    device: str
    versions: dict[str, str]
    numerics: dict[str, str | int | bool]
    shards: int | None = None

    @property
    def block(self) -> int:
        return self.together


def plan_from_dict(values: dict[str, Any]) -> SeriesPlan:
    """The plan in a manifest. Raises SynthgenError for anything else."""
    try:
        complete = values["complete"]
        plan = SeriesPlan(
            **{
                **values,
                "labels": tuple(str(text) for text in values["labels"]),
                "where": tuple(str(text) for text in values["where"]),
                "recipe": SeriesRecipe(**values["recipe"]),
                "complete": None if complete is None else _completion(complete),
            }
        )
        sizes = (plan.count, plan.recipe.block_size, plan.together, 1 if plan.shards is None else plan.shards)
        if not all(isinstance(size, int) and 1 <= size <= MOST for size in sizes):
            raise ValueError("count {}, block sizes {} and {}, shards {}".format(*sizes))
        if plan.format not in FORMATS or not isinstance(plan.packed, bool):
            raise ValueError(f"format {plan.format!r}")
        texts = (plan.checkpoint_sha256, plan.precision, plan.device)
        if not all(isinstance(text, str) for text in texts) or not isinstance(plan.versions, dict):
            raise ValueError("no plan of sequences")
        return plan
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SynthgenError(f"the plan in the manifest cannot be read ({error})") from error


def _completion(values: dict[str, Any]) -> SeriesCompletion:
    return SeriesCompletion(**{**values, "quantiles": tuple(float(one) for one in values["quantiles"])})


def check_draws(draws: int, quantiles: tuple[float, ...]) -> None:
    """Raises UsageError for what cannot be drawn or told from draws."""
    if not 1 <= draws < MOST_DRAWS:
        raise UsageError(f"between 1 and {MOST_DRAWS - 1:,} draws are possible, not {draws:,}")
    bad = [one for one in quantiles if not 0.0 <= one <= 1.0]
    if bad:
        raise UsageError(f"quantiles lie between 0 and 1, and {bad[0]:g} does not", "for example 0.1,0.5,0.9")
    if quantiles and draws < 2:
        raise UsageError("quantiles are told from several draws", "give --draws 100 or so")
