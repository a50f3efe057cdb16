"""Nearest-neighbour balls around the features of one set, and which features of another lie in them.

The balls are those of Kynkäänniemi et al. 2019 (precision, recall) and of Naeem et al. 2020 (density, coverage). All
distances come from matrix products of blocks, in float32 after centring: no matrix of all pairs is ever held.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import torch

from synthgen.errors import StoppedError
from synthgen.generation.parallel import in_order
from synthgen.stopping import ShouldStop, never_stop

_ROWS, _COLUMNS = 512, 1024
"""A block of distances: 2 MB stay near the processor."""

_MOST_NUMBERS = 2**23
"""Distances of whole rows held at once by a thread: 32 MB."""

_GROUP = 32
"""The k smallest of a row lie in the k groups with the smallest minima: only those are sorted."""

_ROUNDING = 2.0**-20
"""Squared distances are compared with this much of the squared lengths to spare: a copy lies in every ball of radius 0
around its original."""

T = TypeVar("T")
Tick = Callable[[int], None]


def _no_tick(rows: int) -> None:
    return None


@dataclass(frozen=True)
class Overlap:
    """How two sets lie in each other's balls; one entry per image.

    inside: of the fake images, whether some real ball (k = `narrow`) holds it: precision. reached: of the real images,
    whether some fake ball (k = `narrow`) holds it: recall. crowd: of the fake images, how many real balls (k = `wide`)
    hold it: density. drawn: of the real images, how many fake ones its own ball (k = `wide`) holds; covered: whether it
    holds any: coverage.
    """

    inside: np.ndarray
    reached: np.ndarray
    crowd: np.ndarray
    drawn: np.ndarray
    covered: np.ndarray


def radii(
    features: np.ndarray, ks: tuple[int, ...], *, tick: Tick = _no_tick, should_stop: ShouldStop = never_stop
) -> np.ndarray:
    """Squared distances (len(ks), N), float32, from each feature (N, d) to its k-th nearest other one.

    Where there are fewer others than k, the distance to the farthest. tick: called with the number of rows done.
    Raises StoppedError.
    """
    x = _centred(features, features.mean(axis=0, dtype=np.float64))
    count, most = len(x), min(max(ks) + 1, len(x))
    padded = -(-count // _GROUP) * _GROUP
    others = torch.zeros(padded, x.shape[1])
    others[:count] = x
    lengths = torch.full((padded,), torch.inf)
    lengths[:count] = x.square().sum(1)
    places = [min(k, most - 1) for k in ks]  # the nearest of all, at place 0, is the feature itself
    blocks = _blocks(count, max(1, min(_ROWS, _MOST_NUMBERS // padded)))

    def nearest(index: int) -> torch.Tensor:
        block = x[blocks[index]]
        groups = torch.addmm(lengths, block, others.T, alpha=-2).view(len(block), -1, _GROUP)
        chosen = groups.amin(-1).topk(min(most, groups.shape[1]), largest=False).indices
        candidates = groups.gather(1, chosen[:, :, None].expand(-1, -1, _GROUP)).flatten(1)
        found = candidates.topk(most, largest=False).values[:, places] + block.square().sum(1, keepdim=True)
        return found.clamp_min(0)

    return torch.cat(list(_each(nearest, blocks, tick, should_stop))).T.contiguous().numpy()


def overlap(
    real: np.ndarray,
    fake: np.ndarray,
    real_radii: np.ndarray,
    fake_radii: np.ndarray,
    *,
    tick: Tick = _no_tick,
    should_stop: ShouldStop = never_stop,
) -> Overlap:
    """Which of `fake` (M, d) lie in the balls of `real` (N, d), and the reverse.

    real_radii: squared (2, N), narrow and wide. fake_radii: squared, (M,), narrow. Raises StoppedError.
    """
    centre = real.mean(axis=0, dtype=np.float64)
    x, y = _centred(real, centre), _centred(fake, centre)
    x_lengths, y_lengths = x.square().sum(1), y.square().sum(1)
    slack_x, slack_y = _ROUNDING * x_lengths, _ROUNDING * y_lengths
    # |x - y|^2 <= r^2 is -2 x.y + |y|^2 <= r^2 - |x|^2, whose right side is known for every x, and so the other way.
    narrow, wide = (torch.from_numpy(one) + slack_x - x_lengths for one in real_radii)
    limit = torch.from_numpy(fake_radii) + slack_y - y_lengths
    rows, columns = _blocks(len(y), _ROWS), _blocks(len(x), _COLUMNS)

    def compare(index: int) -> tuple[torch.Tensor, ...]:
        here = rows[index]
        block, near, far = y[here] * -2, (y_lengths[here] - slack_y[here])[:, None], limit[here][:, None]
        margin = torch.full((len(block),), torch.inf)
        crowd = torch.zeros(len(block))
        nearest, reached, drawn = torch.empty(len(x)), torch.empty(len(x)), torch.empty(len(x))
        for there in columns:
            products = torch.mm(block, x[there].T)
            reached[there] = (products - far).amin(0)
            from_fake = products.add_(near)
            nearest[there] = from_fake.amin(0)
            held = from_fake <= wide[there]
            crowd += held.sum(1)
            drawn[there] = held.sum(0).float()
            margin = torch.minimum(margin, from_fake.sub_(narrow[there]).amin(1))
        return margin, crowd, nearest, reached, drawn

    margins, crowds = [], []
    nearest, reached = torch.full((len(x),), torch.inf), torch.full((len(x),), torch.inf)
    held_by = torch.zeros(len(x))
    for margin, crowd, near, reach, drawn in _each(compare, rows, tick, should_stop):
        margins.append(margin)
        crowds.append(crowd)
        held_by += drawn
        nearest, reached = torch.minimum(nearest, near), torch.minimum(reached, reach)
    return Overlap(
        inside=(torch.cat(margins) <= 0).numpy(),
        reached=(reached + x_lengths - slack_x <= 0).numpy(),
        crowd=torch.cat(crowds).numpy(),
        drawn=held_by.numpy(),
        covered=(nearest <= wide).numpy(),
    )


def _each(task: Callable[[int], T], blocks: list[slice], tick: Tick, should_stop: ShouldStop) -> Iterator[T]:
    """task(0), task(1), ... for every block, side by side."""
    with closing(cast("Generator[T]", in_order(task, len(blocks), torch.device("cpu")))) as results:
        for block, result in zip(blocks, results, strict=True):
            if should_stop():
                raise StoppedError("stopped while comparing features")
            tick(block.stop - block.start)
            yield result


def _centred(features: np.ndarray, centre: np.ndarray) -> torch.Tensor:
    """float32 features about `centre`: short vectors lose less to rounding."""
    return torch.from_numpy(np.ascontiguousarray(features - centre.astype(np.float32), dtype=np.float32))


def _blocks(count: int, size: int) -> list[slice]:
    return [slice(start, min(count, start + size)) for start in range(0, count, size)]
