"""What a target loses when cells are drawn anew by the model: those that a map ranks highest, and others like them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from synthgen.explain.audit import RANDOM_SETS, SHARES, Deletion, over_draws
from synthgen.explain.series.cells import Scene
from synthgen.explain.series.probe import Probe
from synthgen.explain.series.segments import Segments

DRAWS, RANDOM_DRAWS = 8, 2
"""How often the cells of one choice are drawn anew."""

Target = Callable[[Scene, np.ndarray], np.ndarray]
"""(windows, which window each of them was, int64 (M,)) -> the scalar that a map explains, float64 (M,)."""


class Deleter:
    """Draws cells of N windows anew and says what a target loses; the baselines are drawn once for all maps."""

    def __init__(self, probe: Probe, scene: Scene, target: Target, segments: Segments, seed: int = 0) -> None:
        self.probe, self.scene, self.target, self.segments, self.seed = probe, scene, target, segments, seed
        self.channels = probe.layout.channels
        self.before = target(scene, np.arange(len(scene)))
        self.plain = plain_maps(scene, probe)
        self._losses = {name: self.losses(self.masks(one), DRAWS) for name, one in self.plain.items()}
        every = np.repeat(scene.valid[:, None, :, None], self.channels, axis=3)
        self._whole = self.losses(every, DRAWS)

    def masks(self, values: np.ndarray) -> np.ndarray:
        """bool (N, F, L, channels): the pieces that a map, (N, L, channels or more), ranks highest."""
        there = self.segments.sums(np.repeat(self.scene.valid[..., None], self.channels, axis=2).astype(np.float64))
        score = self.segments.sums(values[..., : self.channels]) / np.maximum(there, 1.0)
        order = np.argsort(np.where(there > 0, -score, np.inf), axis=1, kind="stable")
        rank = np.argsort(order, axis=1, kind="stable")
        found = []
        for share in SHARES:
            count = np.maximum(1, np.rint(share * (there > 0).sum(axis=1)))
            cells = self.segments.cells(rank < count[:, None], self.channels)
            found.append(cells & self.scene.valid[..., None])
        return np.stack(found, axis=1)

    def losses(self, masks: np.ndarray, draws: int) -> np.ndarray:
        """float64 (N, F, draws): what the target loses when the cells of each mask are drawn anew."""
        count, kinds = masks.shape[:2]
        rows = np.repeat(np.arange(count), kinds * draws)
        hidden = np.repeat(masks.reshape(count * kinds, *masks.shape[2:]), draws, axis=0)
        number = np.tile(np.arange(draws), count * kinds)
        after = self.target(self.probe.regenerated(self.scene.select(rows), hidden, number), rows)
        return np.asarray((self.before[rows] - after).reshape(count, kinds, draws))

    def __call__(self, values: np.ndarray) -> Deletion:
        """The deletion check of a map, float64 (N, L, channels or more)."""
        masks = self.masks(values)
        ours = self.losses(masks, DRAWS)
        random = np.random.default_rng([self.seed, 41])
        moved = np.concatenate([self._moved(masks, random) for _ in range(RANDOM_SETS)], axis=1)
        theirs = self.losses(moved, RANDOM_DRAWS).mean(axis=(0, 2)).reshape(RANDOM_SETS, len(SHARES))
        margins = {name: over_draws(ours - other) for name, other in self._losses.items()}
        others = {name: other.mean(axis=(0, 2)) for name, other in self._losses.items()}
        return Deletion(ours.mean(axis=(0, 2)), over_draws(ours)[1], theirs, others, margins, over_draws(self._whole))

    def _moved(self, masks: np.ndarray, random: np.random.Generator) -> np.ndarray:
        """The same masks elsewhere: moved in time (round the end) and to other channels, so that as many cells are
        hidden, in runs as long."""
        found = np.zeros_like(masks)
        for row, length in enumerate(self.scene.lengths):
            for kind in range(masks.shape[1]):
                move = int(random.integers(length)) if length else 0
                moved = np.roll(masks[row, kind, :length], move, axis=0)
                found[row, kind, :length] = moved[:, random.permutation(self.channels)]
        return found


def plain_maps(scene: Scene, probe: Probe) -> dict[str, np.ndarray]:
    """Maps that know nothing of the question, float64 (N, L, channels): amplitude, the distance from the channel's mean
    in deviations, and slope, the step from the value before (for the first step: to the value after)."""
    squares = np.square(scene.x0.astype(np.float64))
    amplitude = np.sqrt(probe.layout.gathered(squares))[..., : probe.layout.channels]
    steps = np.zeros_like(squares)
    steps[:, 1:] = np.square(np.diff(scene.x0.astype(np.float64), axis=1))
    if scene.x0.shape[1] > 1:
        steps[:, 0] = steps[:, 1]
    slope = np.sqrt(probe.layout.gathered(steps))[..., : probe.layout.channels]
    exists = scene.valid[..., None]
    return {"amplitude": amplitude * exists, "slope": slope * exists}
