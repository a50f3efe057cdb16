"""Labelled windows for classifiers: whole sequences, or pieces of them whose answers are brought together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from synthgen.errors import UsageError

if TYPE_CHECKING:
    from synthgen.data.series.schema import SeriesData
    from synthgen.data.series.windows import WindowSet


def window_length(real: SeriesData, test: SeriesData, made: int) -> int:
    """Steps of the windows that classifiers read when a generator makes at most `made` steps.

    Whole sequences, unless the generator knows pieces only: half of the longest real one or less.
    """
    longest = int(real.lengths.max(initial=1))
    return made if 2 * made <= longest else max(longest, made, int(test.lengths.max(initial=1)))


def labelled_windows(data: SeriesData, window: int, classes: Sequence[str] | None = None) -> WindowSet:
    """Windows side by side, none over another. Raises UsageError without classes."""
    from synthgen.data.series.windows import windows_of

    found = windows_of(data, window, window, classes=classes)
    if found.labels is None:
        raise UsageError(
            f"{data.name} has no labels: there is nothing for a classifier to learn",
            "name the column with the class of each sequence: --set data.label=COLUMN, when the generator is trained",
        )
    return found


def joined(parts: Sequence[WindowSet]) -> WindowSet:
    """Windows of the same channels and classes one after the other, as long as the longest of them."""
    steps = max(part.values.shape[1] for part in parts)
    return replace(
        parts[0],
        values=np.concatenate([_padded(part.values, steps) for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        labels=np.concatenate([labels_of(part) for part in parts]),
        sequence=np.concatenate([part.sequence for part in parts]),
        start=np.concatenate([part.start for part in parts]),
        fingerprint="+".join(part.fingerprint for part in parts),
    )


def _padded(values: np.ndarray, steps: int) -> np.ndarray:
    return np.pad(values, ((0, 0), (0, steps - values.shape[1]), (0, 0)), constant_values=np.nan)


def labels_of(windows: WindowSet) -> np.ndarray:
    """The labels of windows that have some."""
    assert windows.labels is not None
    return windows.labels


@dataclass(frozen=True)
class TestSequences:
    """The sequences that classifiers are tested on. windows: of all of them; labels: int64 (S,), of the sequences."""

    windows: WindowSet
    labels: np.ndarray
    class_names: tuple[str, ...]

    __test__ = False

    @classmethod
    def of(cls, windows: WindowSet) -> TestSequences:
        """One for each sequence that has a window."""
        _, first = np.unique(windows.sequence, return_index=True)
        return cls(windows, labels_of(windows)[first], windows.class_names)

    def __len__(self) -> int:
        return len(self.labels)

    def together(self, scores: np.ndarray) -> np.ndarray:
        """From scores of windows (N, K) to those of sequences (S, K): the mean of the logarithms of their softmax."""
        _, owner, counts = np.unique(self.windows.sequence, return_inverse=True, return_counts=True)
        if len(counts) == len(scores):
            return scores
        shifted = scores - scores.max(axis=1, keepdims=True)
        logs = np.maximum(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)), -50.0)
        found = np.zeros((len(counts), scores.shape[1]))
        np.add.at(found, owner, logs)
        return np.asarray(found / counts[:, None])
