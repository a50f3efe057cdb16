"""A window cut into pieces, each a span of steps of a channel, that can be hidden and drawn anew together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MOST_PLAYERS = 128
_FEW_PLAYERS = 36
_LEAST_STEPS = 2


@dataclass(frozen=True, eq=False)
class Segments:
    """edges: int64 (S + 1,), where the spans of steps begin and the last one ends. groups: the G groups of channels.
    names: of the groups. A piece is number span * G + group."""

    edges: np.ndarray
    groups: tuple[tuple[int, ...], ...]
    names: tuple[str, ...]

    @property
    def spans(self) -> int:
        return len(self.edges) - 1

    def __len__(self) -> int:
        return self.spans * len(self.groups)

    def cells(self, pieces: np.ndarray, channels: int) -> np.ndarray:
        """bool (..., pieces) to bool (..., L, channels): the cells of these pieces."""
        shaped = pieces.reshape(*pieces.shape[:-1], self.spans, len(self.groups))
        found = np.zeros((*pieces.shape[:-1], int(self.edges[-1]), channels), bool)
        steps = np.repeat(shaped, np.diff(self.edges), axis=-2)
        for number, group in enumerate(self.groups):
            found[..., list(group)] = steps[..., number, None]
        return found

    def sums(self, values: np.ndarray) -> np.ndarray:
        """float64 (N, L, channels or more) to (N, pieces): sums over each piece."""
        rows = np.add.reduceat(values, self.edges[:-1], axis=1)
        found = np.stack([rows[..., list(group)].sum(axis=-1) for group in self.groups], axis=-1)
        return np.asarray(found.reshape(len(values), -1))

    def name(self, piece: int) -> str:
        """`temperature, steps 5 to 8`, steps counted from 1."""
        span, group = divmod(piece, len(self.groups))
        first, last = int(self.edges[span]) + 1, int(self.edges[span + 1])
        steps = f"step {first}" if first == last else f"steps {first} to {last}"
        return f"{self.names[group]}, {steps}"


def cut(steps: int, channels: Sequence[str]) -> Segments:
    """Pieces of windows of `steps` steps: spans of equal length, single channels unless there are very many.

    About 36 pieces where that is possible, at least 4 spans of each channel (spans of 2 steps or more), at most 128
    pieces; neighbouring channels share a piece where there would be more.
    """
    count = len(channels)
    spans = int(np.clip(_FEW_PLAYERS // count, 4, 12))
    spans = max(1, min(spans, steps // _LEAST_STEPS))
    edges = np.unique(np.rint(np.linspace(0, steps, spans + 1)).astype(np.int64))
    most = max(1, MOST_PLAYERS // (len(edges) - 1))
    parts = np.array_split(np.arange(count), min(count, most))
    groups = tuple(tuple(int(one) for one in part) for part in parts)
    names = [
        channels[group[0]] if len(group) == 1 else f"{channels[group[0]]} to {channels[group[-1]]}" for group in groups
    ]
    return Segments(edges, groups, tuple(names))
