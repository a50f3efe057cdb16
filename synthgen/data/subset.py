"""Deterministic parts of a data set: some classes, or the same share of every class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from synthgen.errors import UsageError, nearest

_SEED = 20240607  # never change: a limit must name the same images in every version


def stratified_subset(labels: np.ndarray | None, count: int, limit: int) -> np.ndarray:
    """Ascending indices of `limit` of `count` items, the same share of every class, at least one of each if it fits.

    labels: int (count,), or None for a plain random part. Nested: a smaller limit is contained in a larger one, because
    all limits cut one fixed order, in which item r of a class of n stands at (r + 1/2) / n and first items come first.
    The order inside a class is drawn from raw Philox words, which numpy keeps the same across versions.
    """
    if limit >= count:
        return np.arange(count)
    words = np.random.Philox(key=_SEED).random_raw(count)
    if labels is None:
        return np.sort(np.argsort(words, kind="stable")[:limit])
    place = np.empty(count)
    for label in np.unique(labels):
        members = np.flatnonzero(labels == label)
        members = members[np.argsort(words[members], kind="stable")]
        place[members] = (np.arange(len(members)) + 0.5) / len(members)
        place[members[0]] = 0.0
    return np.sort(np.lexsort((words, place))[:limit])


def class_positions(classes: Sequence[str], class_names: Sequence[str], name: str) -> list[int]:
    """Ascending positions in `class_names` of the classes asked for; case is forgiven where that leaves no doubt.

    Raises UsageError naming an unknown class and its nearest spelling, or that `name` has no classes.
    """
    if not class_names:
        raise UsageError(f"{name} has no labels, so classes cannot be chosen", "Leave the choice of classes out.")
    positions = set()
    for wanted in map(str, classes):
        exact = [i for i, known in enumerate(class_names) if known == wanted]
        close = exact or [i for i, known in enumerate(class_names) if known.casefold() == wanted.casefold()]
        if len(close) != 1:
            known = ", ".join(class_names[:20]) + (", ..." if len(class_names) > 20 else "")
            raise UsageError(
                f"{name} has no class '{wanted}'{nearest(wanted, tuple(class_names))}", f"Its classes: {known}."
            )
        positions.add(close[0])
    if not positions:
        raise UsageError(f"the choice of classes of {name} is empty", "Name at least one class.")
    return sorted(positions)


def choose(
    labels: np.ndarray | None,
    class_names: tuple[str, ...],
    count: int,
    *,
    classes: Sequence[str] | None,
    limit: int | None,
    name: str,
) -> tuple[np.ndarray | None, np.ndarray | None, tuple[str, ...]]:
    """Which items remain under `classes` and `limit`.

    Returns (ascending indices or None for all of them, labels of what remains renumbered from 0, its class names).
    """
    index: np.ndarray | None = None
    if classes is not None:
        positions = class_positions(classes, class_names, name)
        assert labels is not None
        renumbered = np.full(len(class_names), -1, np.int64)
        renumbered[positions] = np.arange(len(positions))
        index = np.flatnonzero(renumbered[labels] >= 0)
        labels, count = renumbered[labels[index]], len(index)
        class_names = tuple(class_names[i] for i in positions)
    if limit is not None:
        if limit < 1:
            raise UsageError(f"a limit of {limit} images leaves nothing", "Give a limit of at least 1.")
        if limit < count:
            part = stratified_subset(labels, count, limit)
            labels = None if labels is None else labels[part]
            index = part if index is None else index[part]
    return index, labels, class_names
