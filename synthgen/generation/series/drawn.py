"""Sequences in the hand on their way to a file: rows of a frame, arrays, or both; cut and joined by sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Drawn:
    """Consecutive sequences (items).

    rows: int64 (n + 1,), where each begins in `frame` and the last one ends. frame: their steps one after the other, in
    the normal form of the columns; empty columns where only arrays are wanted. arrays: by name, (n * each, ...).
    """

    rows: np.ndarray
    frame: pd.DataFrame | None = None
    arrays: dict[str, np.ndarray] = field(default_factory=dict)
    each: int = 1

    def __len__(self) -> int:
        return len(self.rows) - 1

    def __getitem__(self, part: slice) -> Drawn:
        start, stop, _ = part.indices(len(self))
        stop = max(start, stop)
        begin, end = int(self.rows[start]), int(self.rows[stop])
        frame = None if self.frame is None else self.frame.iloc[begin:end].reset_index(drop=True)
        arrays = {name: one[start * self.each : stop * self.each] for name, one in self.arrays.items()}
        return Drawn(self.rows[start : stop + 1] - begin, frame, arrays, self.each)


def join_drawn(parts: Sequence[Drawn]) -> Drawn:
    """Several lots as one."""
    if len(parts) == 1:
        return parts[0]
    import pandas as pd

    ends = np.cumsum([0] + [int(part.rows[-1]) for part in parts])
    rows = np.concatenate([[0], *(part.rows[1:] + end for part, end in zip(parts, ends, strict=False))])
    frames = [part.frame for part in parts if part.frame is not None]
    arrays = {name: np.concatenate([part.arrays[name] for part in parts]) for name in parts[0].arrays}
    frame = pd.concat(frames, ignore_index=True) if frames else None
    return Drawn(rows.astype(np.int64), frame, arrays, parts[0].each)
