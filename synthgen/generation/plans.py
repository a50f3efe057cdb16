"""What plans of rows and of sequences share: their hash, the bounds of shards, how their files end."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any

from synthgen.errors import UsageError

MOST = 10**12
"""Items that a manifest may claim."""


class ItemPlan(ABC):
    """A dataclass of everything that the bytes of a set depend on.

    count: items. block: items that are computed together. shards: into how many pieces that can be made alone the set
    is cut; None: one file. format: of the files; packed: compressed with gzip. escape: cells that a spreadsheet would
    run are written as text.
    """

    count: int
    shards: int | None
    format: str
    packed: bool
    escape: bool

    @property
    @abstractmethod
    def block(self) -> int: ...

    def to_dict(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))  # type: ignore[no-any-return,call-overload]

    @property
    def sha256(self) -> str:
        """What the manifests of shards that belong together share."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def bounds(self, shard: int) -> tuple[int, int]:
        """First item and the one after the last of a shard; both are bounds of blocks, or the end."""
        shards, size = self.shards or 1, self.block
        blocks = -(-self.count // size)
        first, last = shard * blocks // shards, (shard + 1) * blocks // shards
        return first * size, min(last * size, self.count)

    @property
    def suffix(self) -> str:
        """How a file of this plan ends."""
        return f".{self.format}" + (".gz" if self.packed else "")


def check_shards(count: int, block: int, shards: int | None, unit: str) -> None:
    """Raises UsageError for more shards than there are blocks."""
    blocks = -(-count // block)
    if shards is not None and not 1 <= shards <= blocks:
        raise UsageError(
            f"{count:,} {unit} are {blocks:,} block(s) of {block:,}: between 1 and {blocks:,} shards are "
            f"possible, not {shards:,}",
            f"a block is what the network computes at once; ask for fewer shards or more {unit}",
        )
