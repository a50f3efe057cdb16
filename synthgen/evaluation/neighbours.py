"""The nearest image of another set, in pixel space and in feature space, for tens of thousands of images on a CPU.

Pixel space. Two images are as like as the normalised correlation of their pixels, the highest over all shifts of at
most two pixels: a copy that was moved, brightened or given another contrast is as like as the original. Comparing every
pair at every shift would cost 10^14 operations for 60,000 x 60,000, so candidates are searched first, exhaustively and
in blocks, in two spaces of 63 principal components: the normalised pixels, which know the brightest neighbours, and
the magnitudes of their Fourier transform, which do not change when an image is shifted. Candidates are then compared
pixel by pixel at every shift.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import TypeVar, cast

import numpy as np
import torch
from torch.nn import functional

from synthgen.generation.parallel import in_order

T = TypeVar("T")

SHIFT = 2
"""Pixels by which a copy may be moved, on images of 32 pixels a side or less; larger ones are reduced to 32 first."""

RANK = 10
"""The nearest distance is put in relation to the distance of the neighbour of this rank."""

_SIDE = 32
_CANDIDATES = 16
_COMPONENTS = 63
_ITERATIONS = 4
_MOST_FITTED = 8192
_SEARCHED, _COMPARED, _EMBEDDED = 256, 64, 2048
"""Queries whose scores are held at once (256 x 60,000 floats are 61 MB), and whose shifted copies are; images that are
embedded at once."""

_GROUP = 32
_FLAT = 1e-6

Check = Callable[[], None]
"""Called between blocks; raises to stop."""


def _no_check() -> None:
    return None


@dataclass(frozen=True)
class Nearest:
    """For every query: its nearest image in the other set.

    index: int64 (N,). likeness: float32 (N,), correlation in [-1, 1] at the best shift. shift: int64 (N, 2), pixels
    (down, right) by which the other image is moved against the query. local: float32 (N,), distance to the neighbour of
    rank `RANK`, or of the last rank where there are fewer.
    """

    index: np.ndarray
    likeness: np.ndarray
    shift: np.ndarray
    local: np.ndarray

    @property
    def distance(self) -> np.ndarray:
        """sqrt(2 - 2 likeness), the Euclidean distance of the normalised images: 0 a copy, 1.41 unrelated."""
        found = np.sqrt(np.maximum(0.0, 2.0 - 2.0 * self.likeness))
        return np.asarray(np.where(found < _LEAST, 0.0, found), np.float32)

    @property
    def ratio(self) -> np.ndarray:
        """Distance to the nearest in parts of the distance to the neighbour of rank `RANK`: 0 a copy, 1 one of many.

        Simple images have near neighbours everywhere; what stands out is one that is much nearer than the others
        (compare Carlini et al. 2023, section 5.1, and the ratio of 1/3 in Yoon et al. 2023). An image of which the
        other set has ten copies is one of many, too.
        """
        many = self.copy & (self.local < _LEAST)
        return np.asarray(np.where(many, 1.0, self.distance / np.maximum(self.local, _LEAST)), np.float32)

    @property
    def copy(self) -> np.ndarray:
        """bool (N,): the nearest is the same image but for a shift, its brightness and contrast."""
        return np.asarray(self.distance == 0)


_LEAST = 4e-3
"""Distances below this are rounding errors of the correlation in float32: the images are the same."""


@dataclass(frozen=True)
class _View:
    """One space in which candidates are searched: principal components, and the length of what they leave out.

    With that length the distance never exceeds the one before the projection, so a copy stays the nearest.
    """

    describe: Callable[[torch.Tensor], torch.Tensor]
    mean: torch.Tensor
    basis: torch.Tensor

    def embed(self, images: torch.Tensor) -> torch.Tensor:
        """Float images (n, h, w, c) to float32 (n, components + 1)."""
        centred = self.describe(images) - self.mean
        inside = centred @ self.basis
        rest = (centred.square().sum(1) - inside.square().sum(1)).clamp_min(0.0).sqrt()
        return torch.cat([inside, rest[:, None]], dim=1)


class PixelIndex:
    """A set of images in which the nearest ones are searched. images: uint8 (N, H, W, C), at least 2."""

    def __init__(self, images: np.ndarray, *, seed: int = 0, check: Check = _no_check) -> None:
        self.images = _reduced(images)
        _, height, width, _ = self.images.shape
        self.margin = min(SHIFT, min(height, width) // 8)
        steps = range(-self.margin, self.margin + 1)
        self.shifts = sorted(((y, x) for y in steps for x in steps), key=lambda step: abs(step[0]) + abs(step[1]))
        chosen = np.random.default_rng(seed).permutation(len(images))[:_MOST_FITTED]
        part = self.images[torch.from_numpy(chosen)].float()
        self._views = [_fit(self._window, part), _fit(_spectrum, part)]
        self._tables = [self._table(view, check) for view in self._views]
        self._scale, self._flat = self._norms()

    def search(self, queries: np.ndarray, *, exclude: np.ndarray | None = None, check: Check = _no_check) -> Nearest:
        """The nearest of this set for each of `queries`, uint8 (M, H, W, C).

        exclude: int (M,), an image of this set that each query is not compared with: itself.
        """

        def search(number: int) -> list[tuple[torch.Tensor, ...]]:
            rows = slice(number * _SEARCHED, (number + 1) * _SEARCHED)
            block = _reduced(queries[rows]).float()
            banned = None if exclude is None else torch.from_numpy(np.ascontiguousarray(exclude[rows]))
            candidates, valid = self._candidates(block, banned)
            few = [slice(first, first + _COMPARED) for first in range(0, len(block), _COMPARED)]
            return [self._compare(block[part], candidates[part], valid[part]) for part in few]

        parts = [part for found in _side_by_side(search, len(queries), _SEARCHED, check) for part in found]
        joined = [torch.cat(column).numpy() for column in zip(*parts, strict=True)]
        return Nearest(joined[0], joined[1], np.array(self.shifts)[joined[2]], joined[3])

    def _window(self, images: torch.Tensor) -> torch.Tensor:
        """The normalised pixels inside the margin, (n, D): zero mean, length 1; flat images are 0."""
        _, height, width, _ = images.shape
        m = self.margin
        return _normalised(images[:, m : height - m, m : width - m].reshape(len(images), -1))

    def _table(self, view: _View, check: Check) -> tuple[torch.Tensor, torch.Tensor]:
        """The whole set in a view: (rows, d), padded to full groups, and minus the squared lengths (rows,)."""

        def embed(number: int) -> torch.Tensor:
            return view.embed(self.images[number * _EMBEDDED : (number + 1) * _EMBEDDED].float())

        rows = torch.cat(_side_by_side(embed, len(self.images), _EMBEDDED, check))
        padding = -len(rows) % _GROUP
        bias = functional.pad(-rows.square().sum(1), (0, padding), value=float("-inf"))
        return functional.pad(rows, (0, 0, 0, padding)), bias

    def _norms(self) -> tuple[torch.Tensor, torch.Tensor]:
        """One over the length of every image's centred window at every shift, (N, shifts); and where it is flat."""
        _, height, width, channels = self.images.shape
        m = self.margin
        size = (height - 2 * m) * (width - 2 * m) * channels
        columns = [m + y for y, _ in self.shifts], [m + x for _, x in self.shifts]
        parts = []
        for block in _blocks(self.images, 2048):
            pixels = block.double().permute(0, 3, 1, 2)
            window = (height - 2 * m, width - 2 * m)
            first, second = (functional.avg_pool2d(p, window, 1).mean(1) for p in (pixels, pixels.square()))
            spread = (second - first.square()).clamp_min(0.0)[:, columns[0], columns[1]]
            parts.append((spread * size).sqrt().float())
        length = torch.cat(parts)
        flat = length < _FLAT * 255 * size**0.5
        return torch.where(flat, 0.0, 1.0 / length.clamp_min(_FLAT)), flat

    def _candidates(self, block: torch.Tensor, banned: torch.Tensor | None) -> tuple[torch.Tensor, torch.Tensor]:
        """Indices (n, candidates) that are worth a comparison, and whether each is one, met for the first time."""
        found, worth = [], []
        for view, (rows, bias) in zip(self._views, self._tables, strict=True):
            scores = torch.addmm(bias, view.embed(block) * 2.0, rows.T)
            if banned is not None:
                scores.scatter_(1, banned[:, None], float("-inf"))
            values, index = _top(scores, min(_CANDIDATES, len(self.images)))
            found.append(index)
            worth.append(values > float("-inf"))
        index, order = torch.cat(found, dim=1).sort(dim=1, stable=True)
        valid = torch.cat(worth, dim=1).gather(1, order)
        valid[:, 1:] &= index[:, 1:] != index[:, :-1]
        return index.clamp_max(len(self.images) - 1), valid

    def _compare(self, block: torch.Tensor, candidates: torch.Tensor, valid: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """Index, likeness, number of the shift and local distance of the nearest candidates, (n,) each."""
        count, height, width, channels = block.shape
        m = self.margin
        window = self._window(block)
        inner = window.reshape(count, height - 2 * m, width - 2 * m, channels)
        templates = block.new_zeros(count, len(self.shifts), height, width, channels)
        for number, (y, x) in enumerate(self.shifts):
            templates[:, number, m + y : height - m + y, m + x : width - m + x] = inner
        theirs = self.images[candidates].float().sub_(128.0).flatten(2)
        likeness = torch.bmm(theirs, templates.flatten(2).transpose(1, 2)) * self._scale[candidates]
        both_flat = (window.abs().amax(1) == 0)[:, None, None] & self._flat[candidates]
        likeness = likeness.masked_fill(both_flat, 1.0).clamp(-1.0, 1.0)
        best, shift = likeness.max(dim=2)
        best = best.masked_fill(~valid, -2.0)
        rank = min(RANK, best.shape[1])
        ranked, order = best.topk(rank, dim=1)
        last = valid.sum(1).clamp(1, rank) - 1
        local = (2.0 - 2.0 * ranked.gather(1, last[:, None])[:, 0]).clamp_min(0.0).sqrt()
        first = order[:, :1]
        return candidates.gather(1, first)[:, 0], ranked[:, 0], shift.gather(1, first)[:, 0], local


def nearest_features(
    queries: np.ndarray, base: np.ndarray, *, exclude: np.ndarray | None = None, check: Check = _no_check
) -> tuple[np.ndarray, np.ndarray]:
    """For each of `queries` (M, d) the nearest of `base` (N, d): its index, int64 (M,), and distance, float32 (M,).

    exclude: int (M,), a row of `base` that each query is not compared with. Exhaustive, in blocks.
    """
    mean = base.mean(axis=0, dtype=np.float64).astype(np.float32)
    rows = torch.from_numpy(base - mean)
    bias = -rows.square().sum(1)

    def search(number: int) -> np.ndarray:
        part = slice(number * _SEARCHED, (number + 1) * _SEARCHED)
        scores = torch.addmm(bias, torch.from_numpy(queries[part] - mean) * 2.0, rows.T)
        if exclude is not None:
            banned = torch.from_numpy(np.ascontiguousarray(exclude[part]))
            scores.scatter_(1, banned[:, None], float("-inf"))
        return np.asarray(scores.argmax(dim=1).numpy())

    index = np.concatenate(_side_by_side(search, len(queries), _SEARCHED, check))
    return index, np.linalg.norm(queries - base[index], axis=1).astype(np.float32)


def _side_by_side(task: Callable[[int], T], rows: int, size: int, check: Check) -> list[T]:
    """The results of `task` for each block of `size` rows: one thread a block, because threads that share an operation
    wait for each other where the machine also does other work."""
    found = []
    with closing(cast("Generator[T]", in_order(task, -(-rows // size), torch.device("cpu")))) as results:
        for result in results:
            check()
            found.append(result)
    return found


def _reduced(images: np.ndarray) -> torch.Tensor:
    """uint8 (N, h, w, C) of at most 32 pixels a side, averaged from the images."""
    pixels = torch.from_numpy(np.ascontiguousarray(images))
    _, height, width, _ = pixels.shape
    if max(height, width) <= _SIDE:
        return pixels
    size = (min(height, _SIDE), min(width, _SIDE))
    parts = [
        functional.adaptive_avg_pool2d(block.permute(0, 3, 1, 2).float(), size).round().byte().permute(0, 2, 3, 1)
        for block in _blocks(pixels, 1024)
    ]
    return torch.cat(parts).contiguous()


def _blocks(rows: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _normalised(vectors: torch.Tensor) -> torch.Tensor:
    """Rows with mean 0 and length 1; flat rows are 0."""
    centred = vectors - vectors.mean(dim=1, keepdim=True)
    length = centred.norm(dim=1, keepdim=True)
    flat = length < _FLAT * 255 * vectors.shape[1] ** 0.5
    return torch.where(flat, torch.zeros(()), centred / length.clamp_min(_FLAT))


def _spectrum(images: torch.Tensor) -> torch.Tensor:
    """Magnitudes of the Fourier transform of the normalised images, (n, D): the same for a shifted image."""
    pixels = _normalised(images.flatten(1)).reshape(images.shape)
    magnitudes: torch.Tensor = torch.fft.rfft2(pixels, dim=(1, 2)).abs().flatten(1)
    return magnitudes


def _fit(describe: Callable[[torch.Tensor], torch.Tensor], images: torch.Tensor) -> _View:
    """The view whose basis holds the principal components of the images, nearly: by subspace iteration.

    Exact eigenvectors of 3,000 dimensions would take seconds, and candidates need no better ones.
    """
    vectors = describe(images)
    mean = vectors.mean(0)
    centred = vectors - mean
    width = vectors.shape[1]
    start = torch.randn(width, min(_COMPONENTS, width), generator=torch.Generator().manual_seed(0))
    basis = torch.linalg.qr(start).Q
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(centred.T @ (centred @ basis)).Q
    return _View(describe, mean, basis)


def _top(scores: torch.Tensor, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """The `count` highest of every row and their columns, exactly, ten times faster than over single columns.

    The columns come in groups of 32: the best columns lie in the best groups.
    """
    rows, columns = scores.shape
    groups = columns // _GROUP
    if groups <= count:
        return scores.topk(count, dim=1)
    blocks = scores.view(rows, groups, _GROUP)
    best = blocks.amax(dim=2).topk(count, dim=1).indices
    inside = blocks.gather(1, best[:, :, None].expand(-1, -1, _GROUP)).flatten(1)
    values, place = inside.topk(count, dim=1)
    return values, best.gather(1, place // _GROUP) * _GROUP + place % _GROUP
