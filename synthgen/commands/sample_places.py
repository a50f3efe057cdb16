"""Where `synthgen sample` puts rows or sequences: told from --out, --format and the flags that cut a set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from synthgen.errors import UsageError
from synthgen.generation.sharding import WHOLE, Part, part_from_environment, part_from_flag

FORMATS = ("csv", "tsv", "parquet")
STDOUT = "-"


@dataclass(frozen=True)
class Place:
    """out: as it is named to people. packed: compressed with gzip. in_shards: a folder or URL of many files."""

    out: str
    format: str
    packed: bool = False
    in_shards: bool = False
    part: Part = WHOLE

    @property
    def stdout(self) -> bool:
        return self.out == STDOUT

    def note(self, shards: int) -> str | None:
        """Which shards this process makes and who said so; None when it makes all of them."""
        if not self.part.source:
            return None
        mine = self.part.of(shards)
        if not mine:
            return f"nothing to make: {self.part.source} says part {self.part.index}, and there are {shards:,} shards"
        numbers = f"shard {mine[0]}" if len(mine) == 1 else f"{len(mine):,} shards"
        return f"making {numbers} of {shards:,}, counted from 0 (from {self.part.source})"


def read_place(
    out: str | None,
    format_: str | None,
    shards: int | None,
    shard_size: int | None,
    shard: str | None,
    *,
    formats: Sequence[str] = FORMATS,
    default: str = "csv",
    what: str = "rows of a table",
) -> Place:
    """Check the flags against each other and ask the environment. Raises UsageError.

    formats: those of the kind of data, which people know as `what`. default: unless --format or --out says another.
    """
    if format_ is not None and format_ not in formats:
        raise UsageError(f"{what} are not written as {format_}", f"known formats: {', '.join(formats)}")
    if shards is not None and shard_size is not None:
        raise UsageError("--shards and --shard-size both say how the set is cut: give one of them")
    from synthgen.generation.storage import is_remote, without_scheme
    from synthgen.generation.targets import named_format

    cut = shards is not None or shard_size is not None
    part = part_from_flag(shard) if shard else part_from_environment(os.environ, cut=cut)
    remote = out is not None and is_remote(out)
    alone = part is None or (part.total == 1 and not cut)
    in_shards = cut or remote or not alone
    if out is None:
        out = "synthetic" if in_shards else f"synthetic.{format_ or default}"
    out = without_scheme(out)
    named, packed = named_format(out)
    if named is not None and named not in formats:
        raise UsageError(f"{what} are not written as {named}", f"known formats: {', '.join(formats)}")
    if in_shards and (named or out == STDOUT):
        raise UsageError(
            f"{what} in shards, or at a URL, are many files, and --out {out} is one",
            "give a folder, and make one file of it afterwards: synthgen sample merge DIR --out FILE",
        )
    if named and format_ and named != format_:
        raise UsageError(f"--format {format_} and --out {out} disagree", "leave one of them out")
    chosen = format_ or named or default
    if out == STDOUT and format_ is None:
        chosen = "csv"
    if out == STDOUT and chosen == "parquet":
        raise UsageError("Parquet cannot be written to stdout", "give --out FILE.parquet, or --format csv")
    if out == STDOUT and chosen == "npz":
        raise UsageError("npz cannot be written to stdout", "give --out FILE.npz, or --format csv")
    return Place(out, chosen, packed, in_shards, part or WHOLE)
