"""The overview picture beside a set: a few of its first samples, one class a row."""

from __future__ import annotations

import numpy as np

from synthgen.rendering import grid, png_bytes


def preview_png(images: np.ndarray, labels: np.ndarray | None) -> bytes:
    """PNG of at most 20 rows of 10 samples, a row per class where there are classes."""
    if labels is None:
        rows = images[:64]
    else:
        classes = np.unique(labels)[:20]
        per_class = 10 if len(classes) > 1 else 60
        rows = np.concatenate([images[labels == label][:per_class] for label in classes])
    columns = 10 if labels is not None else 8
    scale = max(1, 448 // (columns * images.shape[2]))
    return png_bytes(grid(rows, columns), scale=scale)
