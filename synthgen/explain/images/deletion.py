"""What a target loses when pixels are drawn anew by the model: those that a map ranks highest, and others like them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.ndimage import gaussian_filter

from synthgen.explain.attribution import Check, Target
from synthgen.explain.audit import LEVEL, RANDOM_SETS, SHARES, Deletion, over_draws, shares_text
from synthgen.explain.images.probe import Probe

DRAWS = 4
"""How often the pixels of one choice are drawn anew; those of random choices once."""

ALL = 0.99
"""Share of the target that counts as all of it."""

_BLUR = 28
"""A map is smoothed by 1 / 28 of the image's side before pixels are chosen: a lone pixel is no part of a picture, and
the model restores it from its neighbours."""


@dataclass(frozen=True, eq=False)
class Insertion:
    """What is left of the target when the top pixels alone are kept. ours: float64 (F,). random: (RANDOM_SETS, F).
    before: what there was."""

    ours: np.ndarray
    random: np.ndarray
    before: float

    @property
    def p(self) -> float:
        """Share of the random choices, with the map's own, that keep as much; at best 1 / 21."""
        as_much = (self.random.mean(axis=1) >= self.ours.mean()).sum()
        return float((1 + as_much) / (1 + len(self.random)))

    def check(self, unit: str) -> Check:
        """In words."""
        word = "better than random" if self.p <= LEVEL else "no better than random"
        if (
            self.p > LEVEL and self.ours.mean() >= ALL * self.before > 0
        ):  # random ones may do so, too: no more can be had
            word = "nothing is lost"
        ours = " and ".join(f"{value:.2f}" for value in self.ours)
        theirs = " and ".join(f"{value:.2f}" for value in self.random.mean(axis=0))
        return Check(
            "insertion",
            self.p,
            f"{word}: keeping the top {shares_text()} of the pixels and drawing all others anew keeps {ours} {unit}, "
            f"as many pixels elsewhere, in the same shapes, {theirs} (mean of {RANDOM_SETS} choices; p = {self.p:.3f})",
        )


class Deleter:
    """Draws pixels of N images anew and says what a target loses; the plain maps are looked at once for all maps."""

    def __init__(self, probe: Probe, x0: np.ndarray, keys: np.ndarray, target: Target, seed: int = 0) -> None:
        self.probe, self.x0, self.keys, self.target, self.seed = probe, x0, keys, target, seed
        self.before = target(x0, np.arange(len(x0)))
        self.plain = plain_maps(x0)

    @cached_property
    def _losses(self) -> dict[str, np.ndarray]:
        """Of the plain maps."""
        return {name: self.losses(self.masks(one), DRAWS) for name, one in self.plain.items()}

    @cached_property
    def _whole(self) -> np.ndarray:
        """When everything is drawn anew."""
        return self.losses(np.ones((len(self.x0), 1, *self.x0.shape[2:]), bool), DRAWS)

    def masks(self, values: np.ndarray) -> np.ndarray:
        """bool (N, F, H, W): the pixels that a map (N, H, W) ranks highest, smoothed a little."""
        count, height, width = values.shape
        blur = max(height, width) / _BLUR
        smooth = np.stack([gaussian_filter(one.astype(np.float64), blur, mode="nearest") for one in values])
        rank = np.argsort(np.argsort(-smooth.reshape(count, -1), axis=1, kind="stable"), axis=1, kind="stable")
        found = [rank < round(share * height * width) for share in SHARES]
        return np.stack(found, axis=1).reshape(count, len(SHARES), height, width)

    def losses(self, masks: np.ndarray, draws: int) -> np.ndarray:
        """float64 (N, F, draws): what the target loses when the pixels of each mask are drawn anew."""
        count, kinds = masks.shape[:2]
        rows = np.repeat(np.arange(count), kinds * draws)
        hidden = np.repeat(masks.reshape(count * kinds, *masks.shape[2:]), draws, axis=0)
        number = np.tile(np.arange(draws), count * kinds)
        after = self.probe.regenerated(self.x0[rows], self.keys[rows], hidden, number)
        return np.asarray((self.before[rows] - self.target(after, rows)).reshape(count, kinds, draws))

    def __call__(self, values: np.ndarray) -> tuple[Deletion, Insertion]:
        """The two checks of a map, float64 (N, H, W)."""
        masks = self.masks(values)
        moved = self.moved(masks)
        found, margins = self._deletion(masks, moved)
        others = {name: other.mean(axis=(0, 2)) for name, other in self._losses.items()}
        one = Deletion(*found, others, margins, over_draws(self._whole))
        before = self.before.mean()
        kept = before - self.losses(~masks, DRAWS).mean(axis=(0, 2))
        elsewhere = before - self.losses(~moved, 1).mean(axis=(0, 2)).reshape(RANDOM_SETS, len(SHARES))
        return one, Insertion(kept, elsewhere, float(before))

    def _deletion(
        self, masks: np.ndarray, moved: np.ndarray
    ) -> tuple[tuple[np.ndarray, float, np.ndarray], dict[str, tuple[float, float]]]:
        ours = self.losses(masks, DRAWS)
        theirs = self.losses(moved, 1).mean(axis=(0, 2)).reshape(RANDOM_SETS, len(SHARES))
        margins = {name: over_draws(ours - other) for name, other in self._losses.items()}
        return (ours.mean(axis=(0, 2)), over_draws(ours)[1], theirs), margins

    def moved(self, masks: np.ndarray, sets: int = RANDOM_SETS) -> np.ndarray:
        """bool (N, sets x F, H, W): the same masks elsewhere, moved round the edges and mirrored, so that as many
        pixels are hidden, in the same shapes."""
        random = np.random.default_rng([self.seed, 51])
        count, kinds, height, width = masks.shape
        found = np.empty((count, sets, kinds, height, width), bool)
        for row in range(count):
            for place in range(sets):
                down, right = random.integers(height), random.integers(width)
                flips = tuple(axis for axis in (1, 2) if random.random() < 0.5)
                found[row, place] = np.roll(np.flip(masks[row], flips), (down, right), axis=(1, 2))
        return found.reshape(count, sets * kinds, height, width)


def plain_maps(x0: np.ndarray) -> dict[str, np.ndarray]:
    """Maps that know nothing of the question, float64 (N, H, W): brightness, and the length of its gradient."""
    bright = x0.astype(np.float64).mean(axis=1)
    down, right = np.gradient(bright, axis=(1, 2))
    return {"brightness": bright, "edges": np.hypot(down, right)}
