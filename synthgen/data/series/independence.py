"""Which channels of windows depend on each other: those that do not are learned as groups of their own.

Dependence is looked for in features of each channel's windows: normal scores of leading principal components, their
squares, the roughness, and random waves of them (after the randomised dependence coefficient of Lopez-Paz, Hennig,
Schoelkopf 2013), whose correlations between two channels are those of chance when the channels are independent. Random
waves of several channels at once find what no two of them show. Whatever is in doubt counts as dependent: channels are
then learned together, as they always can be.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.special import ndtri
from scipy.stats import rankdata

from synthgen.data.series.encoded import EncodedSeries

if TYPE_CHECKING:
    from synthgen.data.series.codec import SeriesCodec
    from synthgen.data.series.schema import SeriesSchema

FEWEST_WINDOWS = 1000
"""Windows that share no step, at least: dependence that is worth learning is then seen."""

MOST_WINDOWS = 20_000
MOST_CELLS = 2048
"""Cells of a window, at most: the linear estimate is exact up to there; see `synthgen.models.series_linear`."""

_COMPONENTS = 6
_WAVES = 24
_JOINT = 96
_LEVEL = 0.01
_DEVIATIONS = 5.0
"""Of chance: so far out nothing counts as chance, however many pairs there are."""


def may_be_grouped(schema: SeriesSchema, window: int, apart: int) -> bool:
    """Whether it is worth asking. apart: windows of `window` steps that share no step."""
    conditions = schema.label is not None or schema.static
    channels = len(schema.channels)
    return not conditions and 1 < channels <= MOST_CELLS // window and apart >= FEWEST_WINDOWS


def grouped(codec: SeriesCodec, windows: EncodedSeries) -> SeriesCodec:
    """The codec with `group` of its parts set: as many groups as do not depend on each other.

    One group when the windows have conditions (classes, covariates, dates, gaps, lengths), which channels that are
    independent otherwise may share; when fewer than `FEWEST_WINDOWS` of them share no step; or when they are large.
    """
    parts = codec.parts
    plain = all(part.role == "channel" for part in parts) and bool((windows.lengths == windows.window).all())
    if not plain or len(parts) < 2 or windows.window * codec.dimensions > MOST_CELLS:
        return codec
    index = _apart(windows)
    if len(index) < FEWEST_WINDOWS:
        return codec
    values = windows.gather(index)[0].cpu().numpy()
    channels = []
    for part in parts:
        own = [*range(part.start, part.stop), *([] if part.missing is None else [part.missing])]
        channels.append(values[..., own].astype(np.float64))
    groups = independent_groups(channels, [part.missing for part in parts])
    return replace(codec, parts=tuple(replace(part, group=group) for part, group in zip(parts, groups, strict=True)))


def _apart(windows: EncodedSeries) -> torch.Tensor:
    """Windows no two of which share a step, int64; evenly spread when there are more than `MOST_WINDOWS`."""
    starts, sequence = windows.starts.cpu().numpy(), windows.sequence.cpu().numpy()
    found, last, owner = [], -windows.window, -1
    for place in np.lexsort((starts, sequence)).tolist():
        if sequence[place] != owner or starts[place] >= last + windows.window:
            found.append(place)
            last, owner = int(starts[place]), int(sequence[place])
    kept = np.linspace(0, len(found) - 1, min(len(found), MOST_WINDOWS)).astype(int)
    return torch.from_numpy(np.array(found)[kept]).to(windows.starts.device)


def independent_groups(channels: Sequence[np.ndarray], bits: Sequence[int | None] = ()) -> tuple[int, ...]:
    """The number of the group of each channel, from 0 in the order of the channels.

    channels: windows (N, L, W) of each. bits: of channels with the same number, other than None, cells are missing
    together: one group.
    """
    random = np.random.default_rng(0)
    scores = [_scores(values) for values in channels]
    features = [_features(one, values, random) for one, values in zip(scores, channels, strict=True)]
    count = len(channels)
    tied = np.eye(count, dtype=bool)
    for first in range(count):
        for second in range(first):
            same = bool(bits) and bits[first] is not None and bits[first] == bits[second]
            if same or dependent(features[first], features[second], count * count):
                tied[first, second] = tied[second, first] = True
    groups = _connected(tied)
    for own in range(max(groups) + 1):  # what no two channels show: one group against waves of several others
        inside = [place for place, group in enumerate(groups) if group == own]
        others = [place for place, group in enumerate(groups) if group != own]
        if len(others) > 1:
            waves = _waves([scores[place] for place in others], _JOINT, random)
            if any(dependent(features[place], waves, count) for place in inside):
                return (0,) * count
    return tuple(groups)


def dependent(first: np.ndarray, second: np.ndarray, tests: int = 1) -> bool:
    """Whether standardised features (N, F) and (N, G) of the same windows are correlated beyond chance.

    Independent: sqrt(N) times every correlation is about standard normal, and their squares add up to a mean of F G and
    a variance of 2 |A|^2 |B|^2 with the correlations A and B on either side. tests: how often this is asked in all.
    """
    count = len(first)
    within = [float(((one.T @ one / count) ** 2).sum()) for one in (first, second)]
    z = first.T @ second / np.sqrt(count)
    most = max(_DEVIATIONS, float(-ndtri(_LEVEL / (2 * tests * max(z.size, 1)))))
    if not z.size:
        return False
    total = (float((z**2).sum()) - z.size) / np.sqrt(2 * within[0] * within[1])
    return bool(np.abs(z).max() > most or total > most)


def _scores(values: np.ndarray) -> np.ndarray:
    """Normal scores (N, K) of the leading principal components of windows (N, L, W)."""
    flat = values.reshape(len(values), -1)
    flat = flat - flat.mean(0)
    variances, vectors = np.linalg.eigh(flat.T @ flat)
    kept = np.flatnonzero(variances > 1e-8 * max(float(variances[-1]), 1e-300))[-_COMPONENTS:]
    return _normal(flat @ vectors[:, kept])


def _features(scores: np.ndarray, values: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Standardised features (N, F) of the windows of one channel."""
    found = [scores, scores**2]
    steps = values
    for _ in range(min(2, values.shape[1] - 1)):
        steps = np.diff(steps, axis=1)
        found.append(_normal((steps**2).mean((1, 2))[:, None]))
    return np.concatenate([_standard(np.concatenate(found, axis=1)), _waves([scores], _WAVES, random)], axis=1)


def _waves(scores: Sequence[np.ndarray], count: int, random: np.random.Generator) -> np.ndarray:
    """Standardised random waves (N, count) of scores; of several channels, each wave goes across two or three."""
    found = np.empty((len(scores[0]), count), np.float64)
    for place in range(count):
        few = min(len(scores), 2 + place % 2)
        chosen = np.concatenate([scores[one] for one in random.choice(len(scores), few, replace=False)], axis=1)
        weights = random.normal(size=chosen.shape[1]) * random.uniform(0.3, 1.5)
        found[:, place] = np.cos(chosen @ weights + random.uniform(0, 2 * np.pi))
    return _standard(found)


def _normal(values: np.ndarray) -> np.ndarray:
    """Normal scores of the ranks of each column (N, K)."""
    return np.asarray(ndtri((rankdata(values, axis=0) - 0.5) / len(values)))


def _standard(values: np.ndarray) -> np.ndarray:
    """Columns with mean 0 and deviation 1; those that do not vary are left out."""
    spread = values.std(0)
    kept = spread > 1e-9
    return np.asarray((values[:, kept] - values[:, kept].mean(0)) / spread[kept])


def _connected(tied: np.ndarray) -> list[int]:
    """The number of the connected component of each node, from 0 in order; tied: bool (C, C)."""
    groups = [-1] * len(tied)
    for start in range(len(tied)):
        if groups[start] >= 0:
            continue
        number, left = max(groups) + 1, [start]
        while left:
            node = left.pop()
            if groups[node] < 0:
                groups[node] = number
                left += np.flatnonzero(tied[node]).tolist()
    return groups
