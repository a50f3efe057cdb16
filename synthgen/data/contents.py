"""What a source holds before it is brought to one size: arrays, or files still to be decoded."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from synthgen.data.geometry import Geometry, Survey
from synthgen.errors import UsageError
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop, never_stop


@dataclass(frozen=True)
class About:
    """What is known about a set beside its images.

    labels: int64 (N,) into class_names, or None. splits: what can be asked for, ("train", "test") or ("all",).
    ignored: files that are no images; notes: sentences for the user. keep: the images are at the size for training.
    captioned: the classes are captions.
    """

    name: str
    split: str
    labels: np.ndarray | None
    class_names: tuple[str, ...]
    splits: tuple[str, ...] = ("all",)
    licence: str = ""
    ignored: int = 0
    notes: tuple[str, ...] = field(default=())
    keep: bool = False
    captioned: bool = False


@dataclass(frozen=True)
class Bad:
    """An unreadable file: its name below the source, and why."""

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Chunk:
    """Some images in order. positions: which of the set (N,) they are; bad: what was left out on the way."""

    images: np.ndarray
    positions: np.ndarray
    bad: tuple[Bad, ...] = ()


class Contents(Protocol):
    """A set of images that can be cut down, surveyed and read in order."""

    @property
    def about(self) -> About: ...

    def __len__(self) -> int: ...

    def take(self, index: np.ndarray | None, labels: np.ndarray | None, class_names: tuple[str, ...]) -> Contents:
        """The items in `index` (None: all), with these labels and names."""

    def without(self, names: set[str]) -> Contents:
        """Less the files of these names."""

    def survey(self, reporter: Reporter, should_stop: ShouldStop = never_stop) -> tuple[Survey, tuple[Bad, ...]]:
        """Sizes and greyness from the headers, and the files that have no readable one."""

    def read(self, geometry: Geometry, *, start: int = 0, should_stop: ShouldStop = never_stop) -> Iterator[Chunk]:
        """The images from item `start` on, brought to `geometry`; ends early when asked to stop."""

    def identity(self) -> str:
        """A text that changes when what would be read changes; cheap, from names, sizes and dates."""


def check_split(asked: str, splits: tuple[str, ...], name: str) -> str:
    """The split to read: "train", "test" or "all". Data without splits counts as training data.

    Raises UsageError when the split is not there.
    """
    if asked not in ("train", "test", "all"):
        raise UsageError(f"'{asked}' is no split", "Say train, test or all.")
    if splits == ("all",):
        if asked == "test":
            raise UsageError(
                f"{name} has no test split", "Make sub-folders train/ and test/, or name another source for the test."
            )
        return "all"
    if asked != "all" and asked not in splits:
        raise UsageError(f"{name} has no {asked} split", f"It holds: {', '.join(splits)}.")
    return asked


class BadFiles:
    """Counts unreadable files against what the user allows."""

    def __init__(self, name: str, allowed: int) -> None:
        self.name, self.allowed = name, allowed
        self.found: list[Bad] = []

    def add(self, bad: tuple[Bad, ...]) -> None:
        """Raises UsageError naming the files when there are more than allowed."""
        self.found += bad
        if bad and len(self.found) > self.allowed:
            raise UsageError(self._message(), self._hint())

    def _message(self) -> str:
        count = len(self.found)
        shown = "".join(f"\n  {bad}" for bad in self.found[:10])
        more = f"\n  ... and {count - 10:,} more" if count > 10 else ""
        allowed = f" ({self.allowed:,} allowed)" if self.allowed else ""
        files = "1 file" if count == 1 else f"{count:,} files"
        return f"{self.name} holds {files} that cannot be read{allowed}:{shown}{more}"

    def _hint(self) -> str:
        return (
            f"Repair or remove {'it' if len(self.found) == 1 else 'them'}, or allow unreadable files: --max-bad N "
            f"(data.max_bad). `synthgen data inspect {self.name}` finds all of them."
        )

    def warning(self) -> str:
        """One sentence on what was left out."""
        first = "; ".join(str(bad) for bad in self.found[:3])
        more = ", ..." if len(self.found) > 3 else ""
        return f"Left out {len(self.found):,} unreadable file(s) of {self.name}: {first}{more}"
