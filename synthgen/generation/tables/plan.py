"""The plan of a table of samples: everything its bytes depend on, and the bounds of shard i."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.numerics import numerics, table_versions
from synthgen.generation.plans import MOST, ItemPlan, check_shards
from synthgen.generation.tables.engine import TableRecipe
from synthgen.generation.tables.requests import Where, conditions_of

if TYPE_CHECKING:
    from synthgen.generation.tables.model import TableModel

FORMATS = ("csv", "tsv", "parquet")


@dataclass(frozen=True)
class Completion:
    """Rows that begin with known cells. sha256: of the file that holds them; rows: how many it has.

    draws: completions of each. missing: whether a cell may be filled with a missing value.
    """

    sha256: str
    rows: int
    draws: int = 1
    missing: bool = False


@dataclass(frozen=True)
class TablePlan(ItemPlan):
    """What will be made: everything the bytes depend on, and nothing else.

    where: conditions as they were written. balance: the column whose values take turns. escape: cells that a
    spreadsheet would run are written as text. shards: into how many pieces that can be made alone the set is cut;
    None: one file. packed: the file is compressed with gzip.
    """

    checkpoint_sha256: str
    count: int
    seed: int
    where: tuple[str, ...]
    balance: str | None
    complete: Completion | None
    recipe: TableRecipe
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
        return self.recipe.block_size


def plan_from_dict(values: dict[str, Any]) -> TablePlan:
    """The plan in a manifest. Raises SynthgenError for anything else."""
    try:
        complete = values["complete"]
        plan = TablePlan(
            **{
                **values,
                "where": tuple(str(text) for text in values["where"]),
                "recipe": TableRecipe(**values["recipe"]),
                "complete": None if complete is None else Completion(**complete),
            }
        )
        sizes = (plan.count, plan.recipe.block_size, 1 if plan.shards is None else plan.shards)
        if not all(isinstance(size, int) and 1 <= size <= MOST for size in sizes):
            raise ValueError("count {}, block size {}, shards {}".format(*sizes))
        if plan.format not in FORMATS or not isinstance(plan.packed, bool):
            raise ValueError(f"format {plan.format!r}")
        texts = (plan.checkpoint_sha256, plan.precision, plan.device)
        if not all(isinstance(text, str) for text in texts) or not isinstance(plan.versions, dict):
            raise ValueError("no plan of rows")
        return plan
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SynthgenError(f"the plan in the manifest cannot be read ({error})") from error


def plan_rows(
    model: TableModel,
    count: int,
    *,
    where: Where = (),
    balance: str | None = None,
    complete: Completion | None = None,
    seed: int = 0,
    recipe: TableRecipe | None = None,
    format: str = "csv",
    packed: bool = False,
    escape: bool = False,
    shards: int | None = None,
) -> TablePlan:
    """Check a request and say all that its result depends on. Raises UsageError."""
    if count < 1:
        raise UsageError(f"--count must be 1 or more, not {count}")
    if format not in FORMATS:
        raise UsageError(f"rows are not written as {format}", f"known formats: {', '.join(FORMATS)}")
    recipe = recipe or model.recipe()
    model.request(where, balance)  # every word of it is understood, or refused here
    check_shards(count, recipe.block_size, shards, "rows")
    return TablePlan(
        model.sha256,
        count,
        seed,
        tuple(f"{name}{condition}" for name, condition in conditions_of(where)),
        balance,
        complete,
        recipe,
        format,
        packed,
        escape,
        model.precision,
        torch.device(model.device).type,
        table_versions(format),
        numerics(model.device),
        shards,
    )
