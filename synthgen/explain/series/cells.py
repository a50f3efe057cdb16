"""Windows as a model of series sees them, and the cells (step and channel) that an explanation speaks of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from synthgen.data.series.codec import Part


GENERATED = ("channel", "static", "gap")
"""Roles of parts that the model makes; classes and calendars it is told."""


@dataclass(frozen=True, eq=False)
class Layout:
    """Which dimensions of a window belong to which channel.

    names: the P parts that the model generates: channels, then static covariates and gaps of time. channels: how many
    of them are channels. weights: float64 (D, P), the share of each dimension that belongs to each part; a missing bit
    that several parts share is divided among them. label: the dimensions of the class, or None.
    """

    names: tuple[str, ...]
    channels: int
    weights: np.ndarray
    label: slice | None

    @classmethod
    def of(cls, parts: Sequence[Part]) -> Layout:
        """From the parts of a codec."""
        made = [part for role in GENERATED for part in parts if part.role == role]
        ends = [part.stop for part in parts] + [part.missing + 1 for part in parts if part.missing is not None]
        weights = np.zeros((max(ends), len(made)))
        for number, part in enumerate(made):
            weights[part.start : part.stop, number] = 1.0
            if part.missing is not None:
                weights[part.missing, number] = 1.0
        weights /= np.maximum(weights.sum(axis=1, keepdims=True), 1.0)
        labels = [slice(part.start, part.stop) for part in parts if part.role == "label"]
        channels = sum(part.role == "channel" for part in made)
        return cls(tuple(part.name for part in made), channels, weights, labels[0] if labels else None)

    @property
    def dimensions(self) -> int:
        """D."""
        return len(self.weights)

    @property
    def generated(self) -> np.ndarray:
        """bool (D,): the dimensions that are no conditions."""
        return np.asarray(self.weights.any(axis=1))

    def gathered(self, values: np.ndarray) -> np.ndarray:
        """Sums over the dimensions of each part: (..., L, D) to float64 (..., L, P)."""
        return np.asarray(values.astype(np.float64) @ self.weights)

    def spread(self, cells: np.ndarray) -> np.ndarray:
        """bool (..., L, channels) to bool (..., L, D): the dimensions of these cells; a bit that several channels share
        is among them where all of these are."""
        share = cells.astype(np.float64) @ self.weights[:, : cells.shape[-1]].T
        return np.asarray(share > 1.0 - 1e-9)


@dataclass(frozen=True, eq=False)
class Scene:
    """N windows to explain, in the model's terms.

    x0: float32 (N, L, D), 0 at steps that do not exist; conditions (class, calendar) hold their values. valid: bool
    (N, L). told: bool (N, L, D), what the model is told: class, calendar, conditions asked for. labels: int64 (N,), or
    None without classes. keys: int64 (N,), which noise each window gets. values: float64 (N, L, C), in the data's
    units, NaN where missing or beyond the length.
    """

    x0: np.ndarray
    valid: np.ndarray
    told: np.ndarray
    labels: np.ndarray | None
    keys: np.ndarray
    values: np.ndarray

    def __len__(self) -> int:
        return len(self.x0)

    @property
    def lengths(self) -> np.ndarray:
        """Steps of each window, int64 (N,)."""
        return np.asarray(self.valid.sum(axis=1))

    def select(self, index: np.ndarray) -> Scene:
        """The windows in `index`; repeats allowed."""
        labels = None if self.labels is None else self.labels[index]
        parts = {name: getattr(self, name)[index] for name in ("x0", "valid", "told", "keys", "values")}
        return replace(self, labels=labels, **parts)

    def named(self, layout: Layout, labels: np.ndarray | None) -> Scene:
        """The same windows told to be of other classes, int64 (N,); -1, or None for all: told no class."""
        if layout.label is None:
            return self
        classes = np.full(len(self), -1) if labels is None else labels
        x0, told = self.x0.copy(), self.told.copy()
        count = layout.label.stop - layout.label.start
        codes = np.where(np.arange(count) == classes[:, None], 1.0, -1.0)[:, None, :]
        x0[..., layout.label] = np.where(self.valid[..., None], codes, 0.0)
        told[..., layout.label] = (self.valid & (classes >= 0)[:, None])[..., None]
        return replace(self, x0=x0, told=told)
