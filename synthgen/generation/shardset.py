"""What all sets in shards share, whatever they hold: names, manifests, what is there and what is whole."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, Protocol, TypeVar

from synthgen.errors import SynthgenError, UsageError
from synthgen.generation.manifest import MANIFEST, SHARD_KIND, check_same_plan, parse
from synthgen.generation.plan import differences
from synthgen.generation.storage import Store, read, sha256_of, sha256_of_file
from synthgen.stopping import ShouldStop, never_stop

MISSING = "missing"


class OtherPlanError(SynthgenError):
    """A shard that was made from another plan than the set."""


@dataclass(frozen=True)
class ShardState:
    """problem: None when the shard is whole; `MISSING`, or what is wrong with it. record: its manifest, if readable.

    foreign: it was made from another plan.
    """

    problem: str | None
    record: dict[str, Any] | None = None
    foreign: bool = False


class ShardPlan(Protocol):
    """What is asked of a plan, of images or of rows."""

    @property
    def count(self) -> int: ...

    @property
    def format(self) -> str: ...

    @property
    def shards(self) -> int | None: ...

    @property
    def sha256(self) -> str: ...

    def bounds(self, shard: int) -> tuple[int, int]: ...

    def to_dict(self) -> dict[str, Any]: ...


P = TypeVar("P", bound=ShardPlan)


class ShardedSet(ABC, Generic[P]):
    """The shards of one plan in one store."""

    content = ""
    """The entry of a shard's manifest that holds the hash of what the shard says, whatever its files."""

    def __init__(self, store: Store, plan: P) -> None:
        self.store, self.plan = store, plan
        self.total = plan.shards or 1

    def tag(self, shard: int) -> str:
        return f"{shard:05d}-of-{self.total:05d}"

    def counts(self) -> dict[str, int]:
        """Samples by class name in the whole set."""
        return {}

    @abstractmethod
    def data_names(self, shard: int) -> list[str]:
        """The objects of a shard, in order."""

    @abstractmethod
    def describe(self, *, finished: bool, **state: Any) -> bytes:
        """The manifest of the whole."""

    @abstractmethod
    def write(
        self,
        shard: int,
        blocks: Iterator[Any],
        *,
        report: Callable[[int], None] = lambda made: None,
        should_stop: ShouldStop = never_stop,
    ) -> bool:
        """Make a shard of `blocks` of samples; False, with nothing left behind, when it was asked to stop."""

    @abstractmethod
    def finish(self, records: Iterator[dict[str, Any]]) -> None:
        """All shards are there: write the manifest of the whole, and the card; clear away what kills left."""

    def manifest_name(self, shard: int) -> str:
        return f"shards/{self.tag(shard)}.json"

    def begin(self, *, force: bool = False) -> None:
        """Open the place, or join those who work there. Raises UsageError when it holds anything else."""
        present = self.store.entries()  # before the manifest is read: others may begin at the same time
        held = read(self.store, MANIFEST)
        if force and present:
            if held is None:
                raise UsageError(f"{self.store.url} was not made by synthgen: --force will not delete it")
            parse(held, f"{self.store.url}/{MANIFEST}")
            self.store.clear()
            held = None
        elif held is None and present:
            raise UsageError(f"{self.store.url} exists already and holds no samples of ours", "give another --out")
        if held is None:
            self.store.prepare()
            self.store.write(MANIFEST, self.describe(finished=False, shards=[]))
            held = read(self.store, MANIFEST) or b""
        check_same_plan(parse(held, f"{self.store.url}/{MANIFEST}"), self.plan, self.store.url)

    def state(self, shard: int) -> ShardState:
        """Whether a shard is whole: its manifest there, of this plan, and every file as it was written."""
        try:
            record = self.record(shard)
        except SynthgenError as error:
            return ShardState(error.message, foreign=isinstance(error, OtherPlanError))
        for file in record["files"]:
            found = sha256_of(self.store, file["name"])
            if found is None:
                return ShardState(f"{file['name']} is missing", record)
            if found != (file["sha256"], file["bytes"]):
                return ShardState(f"{file['name']} is damaged", record)
        return ShardState(None, record)

    def forget(self, shard: int) -> None:
        """Take away the manifest of a damaged shard: whoever finishes the set meanwhile must not count it as there."""
        self.store.remove(self.manifest_name(shard))

    def record(self, shard: int) -> dict[str, Any]:
        """A shard's own manifest. Raises SynthgenError: "missing", or what is wrong with it."""
        data = read(self.store, self.manifest_name(shard))
        if data is None:
            raise SynthgenError(MISSING)
        start, stop = self.plan.bounds(shard)
        try:
            record = parse(data, self.manifest_name(shard), SHARD_KIND)
            if record["plan_sha256"] != self.plan.sha256:
                changes = differences(record["plan"], self.plan.to_dict()) or "its plan was altered"
                raise OtherPlanError(f"it is of another plan ({changes})")
            names = [str(file["name"]) for file in record["files"] if file["sha256"] and file["bytes"] >= 0]
            said = (record["shard"], record["start"], record["count"], names)
            if said != (shard, start, stop - start, self.data_names(shard)) or not record[self.content]:
                raise ValueError("it says other things than the plan")
            return record
        except OtherPlanError:
            raise
        except (SynthgenError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise SynthgenError(f"{self.manifest_name(shard)} is damaged") from error

    def shard_record(self, shard: int, made: list[tuple[Any, str]], **more: Any) -> dict[str, Any]:
        """The manifest of a shard whose local files were just made under these names; `more`: what it says else."""
        start, stop = self.plan.bounds(shard)
        files = []
        for path, name in made:
            sha256, size = sha256_of_file(path)
            files.append({"name": name, "bytes": size, "sha256": sha256})
        return {
            "kind": SHARD_KIND,
            "format_version": 1,
            "shard": shard,
            "start": start,
            "count": stop - start,
            **more,
            "files": files,
            "plan_sha256": self.plan.sha256,
            "plan": self.plan.to_dict(),
        }

    def document(self) -> dict[str, Any]:
        """The manifest of the whole as it stands."""
        place = f"{self.store.url}/{MANIFEST}"
        return parse(read(self.store, MANIFEST) or b"", place)

    def missing(self) -> int:
        """How many shards have no manifest yet; their files are not looked at."""
        ending = f"-of-{self.total:05d}.json"
        names = (name.removeprefix("shards/") for name in self.store.names("shards") if name.endswith(ending))
        stems = (name.removesuffix(ending) for name in names)
        there = sum(stem.isascii() and stem.isdigit() and int(stem) < self.total for stem in stems)
        return self.total - there

    def first_missing(self, most: int) -> list[int]:
        """The first of them by number."""
        present = set(self.store.names("shards"))
        return list(islice((i for i in range(self.total) if self.manifest_name(i) not in present), most))
