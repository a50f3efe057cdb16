"""From sample numbers to pixels: noise, the sampler's table, guidance, blocks of one fixed size."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from synthgen.data.dataset import ImageCodec
from synthgen.devices import sent
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.guidance import guide, guided_levels
from synthgen.diffusion.loop import run_table
from synthgen.diffusion.samplers import SamplerTable, build_table
from synthgen.diffusion.timesteps import sampling_levels
from synthgen.generation.compiling import for_sampling
from synthgen.generation.noise import noise
from synthgen.generation.numerics import pinned
from synthgen.generation.parallel import in_order, one_behind, one_thread

StepCallback = Callable[[int, torch.Tensor, torch.Tensor], None]
"""Called at each row of the table with (row, x as the network saw it, x0_hat)."""

LabelsOf = Callable[[int, int], "np.ndarray | None"]
"""(start, stop) -> int64 labels of samples start ... stop - 1, or None without classes."""


@dataclass(frozen=True)
class Recipe:
    """All that the pixels of a sample depend on beside the weights, its number and the seed.

    noise_levels: sigma/alpha at each step, falling; none: as the schedule spaces them. compiled: by torch.compile,
    which rounds elsewhere than the network as it is.
    """

    sampler: str = "dpm++2m"
    steps: int = 12
    eta: float = 0.0
    guidance_scale: float = 1.0
    guidance_interval: tuple[float, float] = (0.0, 1e9)
    block_size: int = 32
    noise_levels: tuple[float, ...] = ()
    autoguidance: str | None = None
    """sha256 of the checkpoint of the weaker copy that guides; None: the network itself without the label does."""
    compiled: bool = False


class Engine:
    """Draws blocks of samples from one denoiser with one recipe.

    A block always has `block_size` rows (the last one is padded), because the arithmetic of a network depends on the
    shape of its batch: only so is sample k the same in every request.
    """

    def __init__(
        self,
        denoiser: Denoiser,
        codec: ImageCodec,
        recipe: Recipe,
        device: torch.device,
        weaker: Denoiser | None = None,
    ) -> None:
        """weaker: the copy that `recipe.autoguidance` names. Raises ValueError when one is there without the other."""
        if (recipe.autoguidance is None) != (weaker is None):
            raise ValueError("a recipe with autoguidance and the weaker denoiser that it names belong together")
        self.denoiser = for_sampling(denoiser.eval(), device, compiled=recipe.compiled)
        self.weaker = None if weaker is None else for_sampling(weaker, device, compiled=recipe.compiled)
        self.codec = codec
        self.recipe = recipe
        self.device = device
        levels = sampling_levels(denoiser.schedule, recipe.sampler, recipe.steps, recipe.noise_levels)
        self.table: SamplerTable = build_table(recipe.sampler, levels.alphas, levels.sigmas, eta=recipe.eta)
        # Everything that the loop reads is on the device before it starts: no copy, no synchronisation inside.
        as_tensor = {"dtype": torch.float32, "device": device}
        self._alphas = torch.tensor(levels.alphas, **as_tensor)  # type: ignore[arg-type]
        self._sigmas = torch.tensor(levels.sigmas, **as_tensor)  # type: ignore[arg-type]
        self._times = torch.tensor(levels.times, **as_tensor)  # type: ignore[arg-type]
        possible = weaker is not None or denoiser.null_label is not None
        scale = recipe.guidance_scale if possible else 1.0
        self._guided = guided_levels(levels.alphas, levels.sigmas, scale, recipe.guidance_interval)

    @property
    def network_calls(self) -> int:
        """Network evaluations per sample, guidance counted."""
        return sum(1 + self._guided[row.level] for row in self.table.rows)

    def _denoise(self, x: torch.Tensor, level: int, labels: torch.Tensor | None) -> torch.Tensor:
        at = (self._alphas[level], self._sigmas[level], self._times[level])
        strong: torch.Tensor = self.denoiser(x, *at, labels)
        if not self._guided[level]:
            return strong
        weak = self.denoiser(x, *at, None) if self.weaker is None else self.weaker(x, *at, labels)
        return guide(strong, weak, self.recipe.guidance_scale)

    @torch.inference_mode()
    def seconds_per_call(self) -> float:
        """How long the network takes for one block, on one CPU thread or the device: the fastest of three calls."""
        size = self.recipe.block_size
        x = torch.zeros(size, self.codec.channels, self.codec.height, self.codec.width, device=self.device)
        times = []
        with one_thread(self.device), pinned(self.device):
            for _ in range(3):
                began = time.perf_counter()
                self.denoiser(x, self._alphas[0], self._sigmas[0], self._times[0], None).sum().item()
                times.append(time.perf_counter() - began)
        return min(times)

    @torch.inference_mode()
    def latents(
        self, keys: np.ndarray, labels: np.ndarray | None, seed: int, callback: StepCallback | None = None
    ) -> torch.Tensor:
        """Encoded samples, float32 (len(keys), C, H, W), for at most `block_size` sample numbers."""
        block = self.recipe.block_size
        if len(keys) > block:
            raise ValueError(f"{len(keys)} samples do not fit a block of {block}")
        padding = block - len(keys)
        keys = np.pad(np.asarray(keys), (0, padding), mode="edge")
        shape = (self.codec.channels, self.codec.height, self.codec.width)

        def draw(index: int) -> torch.Tensor:
            return sent(noise(seed, keys, shape, index), self.device)

        on_device = None
        if labels is not None:
            on_device = sent(np.pad(labels, (0, padding), mode="edge"), self.device)
        with one_thread(self.device), pinned(self.device):
            x = run_table(
                self.table,
                lambda x, level: self._denoise(x, level, on_device),
                self._sigmas[0] * draw(0),
                lambda index: draw(index + 1),
                callback=callback,
            )
        return x[: block - padding]

    def blocks(self, keys: Sequence[int] | np.ndarray, labels: np.ndarray | None, seed: int) -> Iterator[np.ndarray]:
        """Samples of any number of keys as uint8 (n, H, W, C) blocks, n = block_size but for the last, in order."""

        def labels_at(start: int, stop: int) -> np.ndarray | None:
            return None if labels is None else labels[start:stop]

        return self._in_blocks(keys, labels_at, seed)

    def span(self, start: int, stop: int, labels: LabelsOf, seed: int) -> Iterator[np.ndarray]:
        """`blocks` of samples start ... stop - 1, with labels computed block by block: no memory in their number."""
        return self._in_blocks(range(start, stop), lambda first, last: labels(start + first, start + last), seed)

    def _in_blocks(self, keys: Sequence[int] | np.ndarray, labels: LabelsOf, seed: int) -> Iterator[np.ndarray]:
        size = self.recipe.block_size

        def decoded(index: int) -> torch.Tensor:
            start, stop = index * size, min((index + 1) * size, len(keys))
            return self.codec.decode(self.latents(np.asarray(keys[start:stop]), labels(start, stop), seed))

        def one(index: int) -> np.ndarray:
            pixels: np.ndarray = decoded(index).cpu().numpy()
            return pixels

        def begin(index: int) -> Callable[[], np.ndarray]:
            pixels = decoded(index).to("cpu", non_blocking=True)
            there = torch.cuda.Event()  # type: ignore[no-untyped-call]
            there.record(torch.cuda.current_stream(self.device))  # by default that of the first GPU

            def wait() -> np.ndarray:
                there.synchronize()
                return pixels.numpy().copy()  # memory that the device writes to is scarce

            return wait

        count = -(-len(keys) // size)
        return one_behind(begin, count) if self.device.type == "cuda" else in_order(one, count, self.device)

    def pixels(self, keys: np.ndarray, labels: np.ndarray | None, seed: int) -> np.ndarray:
        """Samples as uint8 (len(keys), H, W, C)."""
        return np.concatenate(list(self.blocks(keys, labels, seed)))
