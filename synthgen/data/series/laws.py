"""How windows begin: which class, how many steps, at what time, drawn together from the windows learned from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.data.tables.hashing import uniforms
from synthgen.errors import UsageError

MOST_BEGINNINGS = 65_536
"""Beginnings that are kept, evenly spread over the windows."""


@dataclass(frozen=True)
class Beginnings:
    """Of the windows learned from, in the order of their classes.

    classes: int64 (M,), 0 without labels. lengths: int64 (M,). starts: (M,) times as `times.as_numbers` has them, 0
    without times.
    """

    classes: np.ndarray
    lengths: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, classes: np.ndarray, lengths: np.ndarray, starts: np.ndarray) -> Beginnings:
        """Those of all windows, or of `MOST_BEGINNINGS` of them."""
        kept = np.arange(len(classes))
        if len(kept) > MOST_BEGINNINGS:
            kept = (np.arange(MOST_BEGINNINGS) * len(kept)) // MOST_BEGINNINGS
        kept = kept[np.argsort(classes[kept], kind="stable")]
        return cls(classes[kept], lengths[kept], starts[kept])

    def draw(self, keys: np.ndarray, seed: int, classes: np.ndarray | None) -> np.ndarray:
        """int64 (B,): for each key a beginning, of the class asked for; a function of (seed, key, class) alone.

        Raises UsageError for a class that no window had.
        """
        chance = uniforms(seed, keys, "window")
        if classes is None:
            return np.minimum((chance * len(self.classes)).astype(np.int64), len(self.classes) - 1)
        first = np.searchsorted(self.classes, classes, side="left")
        count = np.searchsorted(self.classes, classes, side="right") - first
        if (count == 0).any():
            raise UsageError(f"no window to learn from was of class number {int(classes[np.argmax(count == 0)])}")
        found: np.ndarray = first + np.minimum((chance * count).astype(np.int64), count - 1)
        return found
