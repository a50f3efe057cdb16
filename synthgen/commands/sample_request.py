"""What a command line of `synthgen sample` asks for, as far as it can be told without loading a model."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from synthgen.errors import UsageError
from synthgen.generation.sharding import WHOLE, Part, part_from_environment, part_from_flag, shard_count

if TYPE_CHECKING:
    from synthgen.generation.engine import Recipe
    from synthgen.generation.model import Model
    from synthgen.generation.plan import SamplePlan

_CONTAINERS = ("parquet", "webdataset")


@dataclass(frozen=True)
class Request:
    """in_shards: by flags, by the place (a URL), by the format, or because others make the other parts."""

    count: int
    out: str
    format: str
    in_shards: bool
    part: Part
    shards: int | None
    shard_size: int | None

    def shard_count(self, model: Model, recipe: Recipe) -> int | None:
        """How many shards there will be; None for a set that is not cut."""
        if not self.in_shards:
            return None
        codec = model.codec
        return shard_count(
            self.count,
            recipe.block_size,
            codec.height * codec.width * codec.channels,
            shards=self.shards,
            shard_size=self.shard_size,
            part=self.part,
        )

    def note(self, shards: int) -> str | None:
        """Which shards this process makes and who said so; None when it makes all of them."""
        if not self.part.source:
            return None
        mine = self.part.of(shards)
        if not mine:
            return f"nothing to make: {self.part.source} says part {self.part.index}, and there are {shards:,} shards"
        if len(mine) == 1:
            return f"making shard {mine[0]} of {shards:,}, counted from 0 (from {self.part.source})"
        return f"making {len(mine):,} of {shards:,} shards, from shard {mine[0]} on (from {self.part.source})"

    def described(self, plan: SamplePlan) -> dict[str, Any]:
        """What a plan in shards adds to the JSON of --dry-run."""
        if plan.shards is None:
            return {}
        mine = self.part.of(plan.shards)
        samples = sum(stop - start for start, stop in map(plan.bounds, mine))
        part = {"index": self.part.index, "total": self.part.total, "source": self.part.source or None}
        return {"part": part, "shards_of_part": len(mine), "samples_of_part": samples}

    def rows(self, plan: SamplePlan) -> list[tuple[str, object]]:
        """The same for people."""
        if plan.shards is None:
            return []
        start, stop = plan.bounds(0)
        shards = ("shards", f"{plan.shards:,} of about {stop - start:,} samples")
        note = self.note(plan.shards)
        return [shards, ("this process", note)] if note else [shards]


def read_request(
    count: int, out: str, format_: str | None, shards: int | None, shard_size: int | None, shard: str | None
) -> Request:
    """Check the flags against each other and ask the environment. Raises UsageError."""
    if count < 1:
        raise UsageError(f"--count must be 1 or more, not {count}")
    if shards is not None and shard_size is not None:
        raise UsageError("--shards and --shard-size both say how the set is cut: give one of them")
    from synthgen.generation.storage import is_remote

    out = out.removeprefix("file://")
    cut = shards is not None or shard_size is not None
    part = part_from_flag(shard) if shard else part_from_environment(os.environ, cut=cut)
    remote = is_remote(out)
    in_shards = cut or part is not None or remote or format_ in _CONTAINERS
    if part is not None and part.total == 1 and not (cut or remote or format_ in _CONTAINERS):
        in_shards = False  # --shard 0/1: everything, here
    chosen = format_ or ("parquet" if in_shards else "png")
    return Request(count, out, chosen, in_shards, part or WHOLE, shards, shard_size)


def read_interval(text: str | None) -> tuple[float, float] | None:
    """The bounds in `--guidance-interval LOW,HIGH`. Raises UsageError."""
    if text is None:
        return None
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--guidance-interval is LOW,HIGH, such as 0.2,5, not '{text}'") from error
    return low, high


def read_levels(text: str | None) -> tuple[float, ...] | None:
    """The numbers in `--noise-levels LIST`; whether they can be levels, the schedule says. Raises UsageError."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError as error:
        raise UsageError(f"--noise-levels is a list of numbers, such as 80,0.8, not '{text}'") from error
