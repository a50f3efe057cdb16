"""Which images are compared with which: stratified, seeded, and the same for every metric."""

from __future__ import annotations

import numpy as np


def stratified_order(labels: np.ndarray | None, count: int, seed: int) -> np.ndarray:
    """A random order of `count` items in which every beginning holds every class in its share.

    Item r of a class of n is placed at (r + u) / n with a common u per class, so that classes interleave.

    labels: int (count,), or None for a plain random order.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(count)
    if labels is None:
        return order
    place = np.empty(count)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        place[members] = (np.arange(len(members)) + random.random()) / len(members)
    return np.argsort(place, kind="stable")


def halves(labels: np.ndarray | None, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Two disjoint halves of equal size, each stratified, each in a stratified order."""
    order = stratified_order(labels, count, seed)
    half = count // 2
    # Odd and even places of an order in which classes interleave: each class falls to both sides in equal shares.
    return order[0 : 2 * half : 2], order[1 : 2 * half : 2]
