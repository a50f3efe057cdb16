"""What a map over steps and channels is held to beside the checks of all maps: does the model know such series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from synthgen.explain.attribution import Check
from synthgen.explain.audit import verdict
from synthgen.explain.series.cells import Scene
from synthgen.explain.series.maps import Map
from synthgen.explain.series.probe import Probe, levels, nats

_LEVELS, _DRAWS = 8, 2
_DRAW = 1 << 17


def learned(probe: Probe, scene: Scene, name: str) -> Check:
    """By how many nats per cell the model predicts windows better than if all their values were noise of their own.

    scene: ordinary windows, not those to explain: these may be odd, and it is no fault of a model to say so. name: what
    they are.

    What it is compared with is the best denoiser of independent standard normal values, x / (1 + sigma^2). A model with
    random weights is worse than that.
    """
    plain = probe.with_denoiser(_Independent())
    gain, cells = 0.0, max(1, int(scene.valid.sum()) * len(probe.layout.names))
    for place, sigma in enumerate(levels(_LEVELS)):
        for draw in range(_DRAWS):
            number = _DRAW + place * _DRAWS + draw
            sums = [one.errors(scene, float(sigma), number).sum() for one in (plain, probe)]
            gain += (sums[0] - sums[1]) * nats(_LEVELS) / _DRAWS / cells
    word = "the model knows such series" if gain > 0 else "the model knows nothing of such series"
    told = f"it predicts {len(scene)} {name} {gain:+.2f} nats per cell better than independent noise would"
    return Check("learned", float(gain), f"{word}: {told}")


class _Independent:
    """The denoiser of independent standard normal values."""

    def denoise(
        self,
        x: torch.Tensor,
        alpha: torch.Tensor,
        sigma: torch.Tensor,
        time: torch.Tensor,
        *,
        given: torch.Tensor,
        known: torch.Tensor,
        valid: torch.Tensor,
    ) -> torch.Tensor:
        return torch.where(known, given, x / (1 + sigma.square()))


def judged(one: Map, checks: Sequence[Check]) -> Map:
    """The map with its checks and the verdict."""
    return replace(one, checks=tuple(checks), verdict=verdict(checks))
