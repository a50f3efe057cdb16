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
    """Two disjoint halves of equal size (count // 2), each stratified, each in a stratified order.

    The members of every class are dealt out in turn. Where a class is left with an odd one, the sides take turns too.
    """
    order = stratified_order(labels, count, seed)
    classes = np.zeros(count, np.int64) if labels is None else np.unique(labels, return_inverse=True)[1]
    side = np.empty(count, np.int64)
    turn = 0
    for label in np.unique(classes):
        members = order[classes[order] == label]
        side[members] = (np.arange(len(members)) + turn) % 2
        turn = (turn + len(members)) % 2
    first, second = order[side[order] == 0], order[side[order] == 1]
    return first[: count // 2], second[: count // 2]
