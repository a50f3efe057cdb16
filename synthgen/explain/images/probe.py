"""Questions to a model of images: how well it predicts the noise, and what it would put into hidden pixels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch

from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.loop import run_table
from synthgen.diffusion.samplers import build_table
from synthgen.errors import StoppedError
from synthgen.generation.compiling import for_sampling
from synthgen.generation.noise import noise
from synthgen.generation.parallel import in_order, one_thread
from synthgen.stopping import ShouldStop, never_stop

T = TypeVar("T")

SAMPLER, RATIOS = "dpm++2m-sde", tuple(float(ratio) for ratio in np.geomspace(30.0, 0.06, 10))
"""How hidden pixels are drawn: with fresh noise at every step, and of second order, because ten steps of ancestral
sampling leave a third of the spread out. Noise-to-signal of the steps: above, nothing is known; below, everything."""

BLOCK = 64
"""Images that go through the network together."""

_DRAW_OFFSET = 1 << 32
"""Noise of explanations lies far from the noise that samplers draw for the same sample number."""

_REGENERATED = 1 << 24
"""Beyond the draws that errors use."""

_MOST_STEPS = 64


@dataclass(frozen=True)
class View:
    """Some images at one noise level, as the network is shown them. Tensors on the device.

    x, x0: float32 (B, C, H, W). alpha, sigma, time: scalars. rows: which images of the request these are.
    """

    x: torch.Tensor
    x0: torch.Tensor
    alpha: torch.Tensor
    sigma: torch.Tensor
    time: torch.Tensor
    rows: slice

    def epsilon_error(self, guess: torch.Tensor) -> torch.Tensor:
        """eps_hat - eps of a guess of x0: -(alpha / sigma)(x0_hat - x0), because x_t is the same in both."""
        return (self.alpha / self.sigma) * (self.x0 - guess)


class Probe:
    """A denoiser asked in blocks that fit in memory, on as many CPU threads as torch may use.

    seed: of all noise. should_stop: asked before every block. quick: the same denoiser in the form that samples are
    drawn with, for questions without gradients and hooks.
    """

    def __init__(self, denoiser: Denoiser, *, seed: int = 0, should_stop: ShouldStop = never_stop) -> None:
        self.denoiser, self.seed, self.should_stop = denoiser, seed, should_stop
        self.device = next(denoiser.parameters()).device
        self.quick = for_sampling(denoiser, self.device)

    def with_denoiser(self, denoiser: Denoiser) -> Probe:
        """The same questions to another model."""
        return Probe(denoiser, seed=self.seed, should_stop=self.should_stop)

    def guesses(
        self, x0: np.ndarray, keys: np.ndarray, quantile: float, draw: int, labels: Sequence[np.ndarray]
    ) -> list[torch.Tensor]:
        """eps_hat - eps for each of `labels`, float32 (N, C, H, W) on the CPU; noise level at `quantile` of training's.

        The noise is the same for every question about an image: it depends on the seed, its key and `draw` alone.
        """

        def ask(view: View) -> torch.Tensor:
            told = [torch.from_numpy(one[view.rows]).to(self.device) for one in labels]
            guess = self.quick(
                view.x.repeat(len(told), 1, 1, 1), view.alpha, view.sigma, view.time, torch.cat(told)
            ).view(len(told), *view.x.shape)
            return view.epsilon_error(guess).transpose(0, 1).cpu()

        found = torch.cat(self.viewed(x0, keys, quantile, draw, ask, size=max(1, BLOCK // len(labels))))
        return list(found.unbind(1))

    def viewed(
        self,
        x0: np.ndarray,
        keys: np.ndarray,
        quantile: float,
        draw: int,
        ask: Callable[[View], T],
        *,
        size: int = BLOCK,
        gradients: bool = False,
    ) -> list[T]:
        """What `ask` answers to blocks of the images under noise."""
        alpha, sigma, time = self.denoiser.schedule.draw(torch.full((1,), quantile, device=self.device))
        fresh = noise(self.seed, keys, x0.shape[1:], _DRAW_OFFSET + draw)

        def one(rows: slice) -> T:
            clean = self.tensor(x0[rows])
            x = alpha * clean + sigma * self.tensor(fresh[rows])
            return ask(View(x, clean, alpha[0], sigma[0], time[0], rows))

        return self.blocks(len(x0), one, size=size, gradients=gradients)

    def regenerated(
        self, x0: np.ndarray, keys: np.ndarray, hidden: np.ndarray, draws: np.ndarray, *, start: int = 0
    ) -> np.ndarray:
        """The images with the hidden pixels drawn anew by the model, which sees all others and is told no class.

        Lugmayr et al. 2022 (RePaint, arXiv:2201.09865, algorithm 1 without its repetitions): at every level the known
        pixels are those of the image under noise. Here that falls out of the sampler's own update, because the guess of
        a known pixel is its value. Returns float32 (M, C, H, W) in [-1, 1].

        Args:
            x0: float32 (M, C, H, W). hidden: bool (M, H, W). draws: int (M,), which noise an image gets beside its key.
            start: the level to begin with: the hidden pixels are not forgotten but noised to its level (SDEdit, Meng et
                al. 2022, arXiv:2108.01073).
        """
        levels = self.denoiser.schedule.at(RATIOS)
        table = build_table(SAMPLER, levels.alphas[start:], levels.sigmas[start:])
        alphas, sigmas, times = (
            torch.tensor(part[start:], dtype=torch.float32, device=self.device)
            for part in (levels.alphas, levels.sigmas, levels.times)
        )

        def one(rows: slice) -> np.ndarray:
            clean, free = self.tensor(x0[rows]), self.tensor(hidden[rows])[:, None]
            base = _DRAW_OFFSET + _REGENERATED + draws[rows].astype(np.int64) * _MOST_STEPS

            def fresh(number: int) -> torch.Tensor:
                return self.tensor(noise(self.seed, keys[rows], x0.shape[1:], base + number))

            def denoise(x: torch.Tensor, level: int) -> torch.Tensor:
                guess = self.quick(x, alphas[level], sigmas[level], times[level], None)
                return torch.where(free, guess.clamp(-1.0, 1.0), clean)

            begin = alphas[0] * (clean if start else torch.where(free, torch.zeros_like(clean), clean))
            x = run_table(table, denoise, begin + sigmas[0] * fresh(0), lambda number: fresh(number + 1))
            return x.clamp(-1.0, 1.0).cpu().numpy()

        return np.concatenate(self.blocks(len(x0), one))

    def tensor(self, values: np.ndarray) -> torch.Tensor:
        """On the device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def check(self) -> None:
        """Raises StoppedError when asked to stop."""
        if self.should_stop():
            raise StoppedError("stopped while explaining; nothing was written")

    def blocks(self, count: int, task: Callable[[slice], T], *, size: int = BLOCK, gradients: bool = False) -> list[T]:
        """What `task` returns for each block of rows, in order. Raises StoppedError."""

        def one(index: int) -> T:
            self.check()
            with torch.inference_mode(not gradients), torch.set_grad_enabled(gradients):
                return task(slice(index * size, min((index + 1) * size, count)))

        number = -(-count // size)
        if number == 1 or gradients:  # who asks for gradients hangs hooks on the network, which all threads share
            with one_thread(self.device):
                return [one(index) for index in range(number)]
        return list(in_order(one, number, self.device))


def quantiles(count: int) -> np.ndarray:
    """Noise levels as quantiles of those of training: the centres of `count` equal parts, float64."""
    return (np.arange(count) + 0.5) / count
