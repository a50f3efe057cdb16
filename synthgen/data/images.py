"""Images from anywhere: a known name, a folder, an archive, IDX files, a prepared cache."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.data.idx import read_pair
from synthgen.data.registry import KNOWN_SETS, KnownSet, known_sources
from synthgen.data.subset import choose
from synthgen.errors import UsageError, nearest
from synthgen.reporting import NullReporter, Reporter

_PREFIXES = {"train": ("train",), "test": ("t10k",), "all": ("train", "t10k")}


def load_images(
    source: str | Path,
    *,
    split: str = "train",
    image_size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    classes: Sequence[str] | None = None,
    limit: int | None = None,
    max_bad: int = 0,
    reporter: Reporter = NullReporter(),  # noqa: B008 - it holds no state
) -> ImageData:
    """Read a set of images."""
    known = KNOWN_SETS.get(str(source))
    if known is None:
        names = known_sources()
        raise UsageError(f"there is no data set or folder '{source}'{nearest(str(source), names)}")
    folder = known.find()
    if folder is None:
        raise UsageError(f"{known.name} was not found")
    images, labels = _read_known(known, folder, split)
    index, labels, names_ = choose(
        labels, known.class_names, len(images), classes=classes, limit=limit, name=known.name
    )
    images = images if index is None else np.ascontiguousarray(images[index])
    return ImageData(images, labels, names_, known.name, split, known.licence)


def _read_known(known: KnownSet, folder: Path, split: str) -> tuple[np.ndarray, np.ndarray | None]:
    parts = []
    for prefix in _PREFIXES[split]:
        paths = [folder / f"{prefix}-{kind}-ubyte" for kind in ("images-idx3", "labels-idx1")]
        images, labels = paths
        parts.append(read_pair(*(p if p.exists() else p.with_name(p.name + ".gz") for p in (images, labels))))
    return np.concatenate([p[0] for p in parts]), np.concatenate([p[1] for p in parts if p[1] is not None])
