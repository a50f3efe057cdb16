"""Questions to a model of series: how well it predicts the noise, and what it would put into hidden cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synthgen.errors import StoppedError
from synthgen.explain.series.cells import Layout, Scene
from synthgen.generation.noise import noise
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    from synthgen.diffusion.series import SeriesDenoiser

LOWEST, HIGHEST = 0.05, 20.0
"""Noise levels (sigma) between which errors are compared: below, all is known almost exactly; above, nothing is."""

SAMPLER, STEPS = "dpm++2m", 12
"""How hidden cells are drawn: a second-order solver, whose cost is one evaluation per step."""

_DRAW_OFFSET = 1 << 32
"""Noise of explanations lies far from the noise that samplers draw for the same sample number."""

_REGENERATED = 1 << 20
"""Beyond the draws that errors use."""

_CELLS = 2**19
"""Values of windows that go through the network together."""


class Probe:
    """A denoiser asked in blocks that fit in memory. windows: how many went through the network so far."""

    def __init__(
        self,
        denoiser: SeriesDenoiser,
        layout: Layout,
        *,
        seed: int = 0,
        device: torch.device | str = "cpu",
        should_stop: ShouldStop = never_stop,
    ) -> None:
        self.denoiser, self.layout, self.seed, self.device = denoiser, layout, seed, torch.device(device)
        self.should_stop = should_stop
        self.windows = 0

    def with_denoiser(self, denoiser: Any) -> Probe:
        """The same questions to another model."""
        return Probe(denoiser, self.layout, seed=self.seed, device=self.device, should_stop=self.should_stop)

    def errors(self, scene: Scene, sigma: float, draw: int) -> np.ndarray:
        """float64 (N, L, D): |eps - eps_hat|^2 of every value to generate that is not told, at one noise level.

        The noise is the same for every question about a window: it depends on the seed, its key and `draw` alone.
        """
        epsilon = noise(self.seed, scene.keys, scene.x0.shape[1:], _DRAW_OFFSET + draw)
        free = ~scene.told & scene.valid[..., None] & self.layout.generated  # a class that is not told is no error

        def ask(rows: slice) -> np.ndarray:
            x0, given, known, valid = self._tensors(scene, rows, scene.told)
            x = x0 + sigma * self._tensor(epsilon[rows])
            level = [torch.tensor(value, device=self.device) for value in (1.0, sigma, np.log(sigma) / 4)]
            guess = self.denoiser.denoise(x, *(one.float() for one in level), given=given, known=known, valid=valid)
            # eps - eps_hat = (x0_hat - x0) / sigma, because x_t is the same in both.
            return np.asarray(((guess - x0) / sigma).double().square().cpu().numpy())

        return np.asarray(np.concatenate(self._blocks(scene, ask)) * free)

    def regenerated(self, scene: Scene, hidden: np.ndarray, draws: np.ndarray, *, steps: int = STEPS) -> Scene:
        """The windows with the hidden cells drawn anew by the model, which knows all others and is told no class.

        hidden: bool (N, L, channels). draws: int (N,), which noise a window gets beside its key; static covariates
        stay. Raises StoppedError.
        """
        blind = scene.named(self.layout, None)
        shape = scene.x0.shape[1:]
        known = (blind.told | self.layout.generated) & ~self.layout.spread(hidden) & scene.valid[..., None]
        fresh = np.empty_like(scene.x0)
        for draw in np.unique(draws):
            mine = draws == draw
            fresh[mine] = noise(self.seed, scene.keys[mine], shape, _DRAW_OFFSET + _REGENERATED + int(draw))

        def ask(rows: slice) -> np.ndarray:
            _, given, mask, valid = self._tensors(blind, rows, known)
            found = self.denoiser.sample(
                self._tensor(fresh[rows]), given=given, known=mask, valid=valid, sampler=SAMPLER, steps=steps
            )
            return np.asarray(found.float().cpu().numpy())

        x0 = np.concatenate(self._blocks(scene, ask))
        if self.layout.label is not None:
            x0[..., self.layout.label] = scene.x0[..., self.layout.label]
        values = np.full_like(scene.values, np.nan)  # units are made where they are needed
        return Scene(x0, scene.valid, scene.told, scene.labels, scene.keys, values)

    def _tensor(self, values: np.ndarray) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def _tensors(self, scene: Scene, rows: slice, known: np.ndarray) -> tuple[torch.Tensor, ...]:
        """x0, given, known, valid of some windows."""
        given = np.where(known[rows], scene.x0[rows], np.float32(0.0))
        return tuple(map(self._tensor, (scene.x0[rows], given, known[rows], scene.valid[rows])))

    def _blocks(self, scene: Scene, ask: Callable[[slice], np.ndarray]) -> list[np.ndarray]:
        size = max(1, min(256, _CELLS // max(1, scene.x0.shape[1] * max(scene.x0.shape[2], 64))))
        found = []
        with torch.inference_mode():
            for start in range(0, len(scene), size):
                if self.should_stop():
                    raise StoppedError("stopped while explaining; nothing was written")
                found.append(ask(slice(start, start + size)))
        self.windows += len(scene)
        return found


def levels(count: int) -> np.ndarray:
    """Noise levels, evenly spaced in log sigma (centres of `count` equal parts), float64."""
    edges = np.linspace(np.log(LOWEST), np.log(HIGHEST), count + 1)
    return np.asarray(np.exp((edges[1:] + edges[:-1]) / 2))


def nats(count: int) -> float:
    """What turns a sum of squared errors over `levels(count)` into nats.

    -log p(x) = 1/2 * integral of E|eps - eps_hat|^2 d(log SNR) + constant (Kong et al. 2023, arXiv:2302.03792, equation
    9, with squared errors of the noise), and d(log SNR) = 2 d(log sigma).
    """
    return float(np.log(HIGHEST / LOWEST)) / count
