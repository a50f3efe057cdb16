"""A model of images as two functions of tensors alone: its denoiser, and its whole sampler unrolled.

Both are the reference implementation (`Denoiser`, `run_table`) with everything that is fixed built in, so that a graph
of them needs no formula of ours beside it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from synthgen.data.dataset import ImageCodec
from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.guidance import guide, guided_levels
from synthgen.diffusion.loop import run_table
from synthgen.diffusion.samplers import build_table
from synthgen.diffusion.schedule import DDPMSchedule, EDMSchedule, NoiseSchedule
from synthgen.diffusion.timesteps import sampling_levels
from synthgen.errors import UsageError
from synthgen.generation.engine import Recipe
from synthgen.generation.model import Model
from synthgen.generation.noise import noise as numbered_noise

MOST_CALLS = 128
"""Network evaluations of an unrolled sampler: its graph grows with each."""


def level_meaning(schedule: NoiseSchedule) -> str:
    """What the input `level` of a network's graph is, in words."""
    if isinstance(schedule, EDMSchedule):
        return f"`level` is sigma, float32 from {schedule.sigma_min} to {schedule.sigma_max:g}: x = x0 + sigma * noise"
    if isinstance(schedule, DDPMSchedule):
        return (
            f"`level` is the time step, int64 from 0 (nearly clean) to 999 (noise) of the {schedule.name} schedule: "
            "x = sqrt(abar) * x0 + sqrt(1 - abar) * noise"
        )
    return "`level` is t, float32 from 0 to 0.999: x = (1 - t) * x0 + t * noise"


class NetworkGraph(nn.Module):
    """The posterior mean of the clean image, with preconditioning and all: (x, level, labels) -> x0_hat.

    x: float32 (B, C, H, W). level: (B,), see `level_meaning`. labels: int64 (B,), the number of classes meaning none;
    left out for an unconditional network.
    """

    alpha_bar: torch.Tensor

    def __init__(self, denoiser: Denoiser) -> None:
        super().__init__()
        self.denoiser = denoiser
        schedule = denoiser.schedule
        if isinstance(schedule, DDPMSchedule):
            self.register_buffer("alpha_bar", torch.as_tensor(schedule.alpha_bar, dtype=torch.float32))

    def forward(self, x: torch.Tensor, level: torch.Tensor, labels: torch.Tensor | None = None) -> torch.Tensor:
        x0: torch.Tensor = self.denoiser(x, *self.at(level), labels)
        return x0

    def at(self, level: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """alpha, sigma and the network's time at a level, float32 (B,); as `NoiseSchedule.draw` has them."""
        schedule = self.denoiser.schedule
        if isinstance(schedule, EDMSchedule):
            return torch.ones_like(level), level, level.log() / 4
        if isinstance(schedule, DDPMSchedule):
            bar = self.alpha_bar[level]
            return bar.sqrt(), (1 - bar).sqrt(), level.float()
        return 1 - level, level, 1000 * level


class SamplerGraph(nn.Module):
    """A whole sampler: (noise, labels, fresh) -> (images, x0).

    noise: standard normal float32 (B, C, H, W). labels: int64 (B,), left out for an unconditional model. fresh:
    standard normal float32 (B, D, C, H, W), the D noises that a stochastic sampler adds on its way; left out where
    D = 0.
    images: uint8 (B, H, W, C). x0: float32 (B, C, H, W), the same in [-1, 1], neither rounded nor clamped.

    Raises: UsageError for recipes of more than `MOST_CALLS` network evaluations, and for autoguidance.
    """

    alphas: torch.Tensor
    sigmas: torch.Tensor
    times: torch.Tensor

    def __init__(self, denoiser: Denoiser, codec: ImageCodec, recipe: Recipe) -> None:
        super().__init__()
        if recipe.autoguidance is not None:
            raise UsageError("a graph holds one network, and autoguidance needs two", "leave out the autoguidance")
        self.denoiser, self.codec, self.scale = denoiser, codec, recipe.guidance_scale
        levels = sampling_levels(denoiser.schedule, recipe.sampler, recipe.steps, recipe.noise_levels)
        self.table = build_table(recipe.sampler, levels.alphas, levels.sigmas, eta=recipe.eta)
        for name, values in (("alphas", levels.alphas), ("sigmas", levels.sigmas), ("times", levels.times)):
            self.register_buffer(name, torch.as_tensor(values, dtype=torch.float32))
        scale = recipe.guidance_scale if denoiser.null_label is not None else 1.0
        self.guided = guided_levels(levels.alphas, levels.sigmas, scale, recipe.guidance_interval)
        if self.calls > MOST_CALLS:
            raise UsageError(
                f"the sampler is unrolled into its graph, and {self.calls} network evaluations are too many for that: "
                f"at most {MOST_CALLS}",
                "give fewer --steps",
            )

    @property
    def calls(self) -> int:
        """Network evaluations per sample."""
        return sum(1 + self.guided[row.level] for row in self.table.rows)

    @property
    def draws(self) -> int:
        """D, how many fresh noises it takes."""
        return self.table.draws

    def forward(
        self, noise: torch.Tensor, labels: torch.Tensor | None = None, fresh: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        def added(index: int) -> torch.Tensor:
            assert fresh is not None
            return fresh[:, index]

        x0 = run_table(self.table, lambda x, level: self._denoise(x, level, labels), self.sigmas[0] * noise, added)
        return self.codec.decode(x0), x0

    def _denoise(self, x: torch.Tensor, level: int, labels: torch.Tensor | None) -> torch.Tensor:
        at = (self.alphas[level], self.sigmas[level], self.times[level])
        strong: torch.Tensor = self.denoiser(x, *at, labels)
        return guide(strong, self.denoiser(x, *at, None), self.scale) if self.guided[level] else strong


@dataclass(frozen=True)
class Graph:
    """A function to export, with everything that a format needs to know of it.

    inputs: examples by name, in the order of the arguments; the first dimension of all is the batch. outputs: names.
    """

    name: str
    module: nn.Module
    inputs: dict[str, torch.Tensor]
    outputs: tuple[str, ...]

    def run(self, inputs: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The outputs by name, eagerly."""
        with torch.no_grad():
            found = self.module(**inputs)
        return dict(zip(self.outputs, found if isinstance(found, tuple) else (found,), strict=True))

    def traced(self) -> torch.export.ExportedProgram:
        """The graph of the function, for batches of any size; it names no file of the machine that traced it."""
        batch = torch.export.Dim("batch")
        shapes = {name: {0: batch} for name in self.inputs}
        with torch.no_grad():
            program = torch.export.export(self.module, (), dict(self.inputs), dynamic_shapes=shapes)
        for part in program.graph_module.modules():
            for node in part.graph.nodes if isinstance(part, torch.fx.GraphModule) else ():
                node.meta.pop("stack_trace", None)
        return program


def graphs_of(model: Model, recipe: Recipe) -> tuple[Graph, Graph]:
    """Network and sampler, with small examples of their inputs; a batch of one would be taken for a constant."""
    network, sampler = NetworkGraph(model.denoiser), SamplerGraph(model.denoiser, model.codec, recipe)
    return (
        Graph("network", network.eval(), network_inputs(model, 2), ("x0",)),
        Graph("sampler", sampler.eval(), sampler_inputs(model, sampler.draws, 2), ("images", "x0")),
    )


def network_inputs(model: Model, count: int) -> dict[str, torch.Tensor]:
    """Random noisy images at levels from one end to the other, as in training, of all classes and none."""
    generator = torch.Generator().manual_seed(0)
    alpha, sigma, time = model.schedule.draw((torch.arange(count) + 0.5) / count)
    shape = (count, model.codec.channels, model.codec.height, model.codec.width)
    clean = torch.rand(shape, generator=generator) * 2 - 1
    noise = torch.randn(shape, generator=generator)
    x = alpha.view(-1, 1, 1, 1) * clean + sigma.view(-1, 1, 1, 1) * noise
    inputs = {"x": x, "level": time.long() if isinstance(model.schedule, DDPMSchedule) else sigma}
    if model.class_names:
        inputs["labels"] = torch.arange(count) % (len(model.class_names) + 1)
    return {name: value.to(model.device) for name, value in inputs.items()}


def sampler_inputs(model: Model, draws: int, count: int) -> dict[str, torch.Tensor]:
    """The noise and labels of the first samples of seed 0. draws: fresh noises that the sampler takes."""
    shape = (model.codec.channels, model.codec.height, model.codec.width)
    drawn = [torch.from_numpy(numbered_noise(0, np.arange(count), shape, index)) for index in range(draws + 1)]
    labels = model.labels_for(0, count, None)
    inputs = {"noise": drawn[0]}
    if labels is not None:
        inputs["labels"] = torch.from_numpy(labels)
    if draws:
        inputs["fresh"] = torch.stack(drawn[1:], 1)
    return {name: value.to(model.device) for name, value in inputs.items()}
