"""When the class of an image is decided on its way out of noise, and what the network does meanwhile."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from synthgen.diffusion.denoiser import Denoiser
from synthgen.diffusion.tables import Row
from synthgen.diffusion.timesteps import sampling_levels
from synthgen.explain.commitment import Commitment, commitment
from synthgen.explain.images.evidence import nearest_rivals
from synthgen.explain.images.judge import margins
from synthgen.explain.images.probe import RATIOS
from synthgen.generation.engine import Engine
from synthgen.generation.parallel import in_order, one_thread

if TYPE_CHECKING:
    from synthgen.explain.images.context import Context

SAMPLES = 40
"""Images whose label is switched, spread over the classes; those explained are among them where they are of the same
classes. More than are explained, because quartiles of two images say nothing."""

SURVIVAL_DRAWS = 2
_OTHERS = 10**6
"""Samples of these numbers and above are drawn beside those explained."""

_SURVIVAL = 1 << 12
"""Number of the draws of noise-then-denoise, apart from those of deletions."""

CAVEAT = (
    "Switching the label says until when the model listens to it. That the judge reads the class in an earlier guess "
    "does not mean that it is decided: told otherwise, the model would still make something else."
)


@dataclass(frozen=True, eq=False)
class Journey:
    """R network evaluations (rows) of N images, and label switches of M images over S steps.

    energy: float64 (R, N), root mean square of eps_y - eps_null, what guidance would amplify; None without classes.
    paths: float64 (R, N, 2), the mean of the middle block's maps over places, in their two principal components;
    explained: their shares of the variance. commitment, labels: of the M images; None without a judge or classes.
    survival: float64 (levels, N), how often an image that was noised to each of `probe.RATIOS` and denoised without a
    class still is of its class for the judge.
    """

    energy: np.ndarray | None
    paths: np.ndarray
    explained: tuple[float, float]
    commitment: Commitment | None
    labels: np.ndarray
    survival: np.ndarray | None


def follow(context: Context) -> Journey:
    """All of it. Raises StoppedError."""
    energy, states = _watched(context)
    paths, explained = principal(states)
    found, labels, survival = None, np.empty(0, np.int64), None
    if context.judge is not None:
        found, labels = _commitment(context)
        survival = _survival(context)
    return Journey(energy, paths, explained, found, labels, survival)


def _watched(context: Context) -> tuple[np.ndarray | None, np.ndarray]:
    """(guidance energy (R, N) or None, states of the middle block float64 (R, N, channels)) along the trajectory."""
    made, denoiser, recipe = context.trajectory, context.model.denoiser, context.recipe
    assert made is not None
    levels = sampling_levels(denoiser.schedule, recipe.sampler, recipe.steps, recipe.noise_levels)
    rows = _rows(context)
    told = None if context.labels is None else torch.from_numpy(context.labels).to(context.probe.device)
    energies: list[np.ndarray] = []
    seen: list[torch.Tensor] = []
    middle = denoiser.network.unet.mid_block  # type: ignore[union-attr]
    with torch.inference_mode(), one_thread(context.probe.device), _means_of(middle, seen):  # type: ignore[arg-type]
        for place, row in enumerate(rows):
            context.probe.check()
            x = context.probe.tensor(made.x[place])
            at = [
                torch.tensor(float(part[row.level]), device=x.device)
                for part in (levels.alphas, levels.sigmas, levels.times)
            ]
            own = denoiser(x, *at, told)
            if told is not None:
                difference = (at[0] / at[1]) * (own - denoiser(x, *at, None))
                energies.append(difference.square().mean(dim=(1, 2, 3)).sqrt().cpu().double().numpy())
    states = torch.stack(seen[:: 1 if told is None else 2]).cpu().double().numpy()
    return (None if told is None else np.stack(energies)), states


@contextmanager
def _means_of(layer: nn.Module, seen: list[torch.Tensor]) -> Iterator[None]:
    """Inside the block, the means over places of what the layer puts out are added to `seen`."""
    hook = layer.register_forward_hook(lambda module, arguments, output: seen.append(output.float().mean(dim=(2, 3))))
    try:
        yield
    finally:
        hook.remove()


def principal(states: np.ndarray) -> tuple[np.ndarray, tuple[float, float]]:
    """States (R, N, C) in their two principal components, float64 (R, N, 2), and their shares of the variance."""
    flat = states.reshape(-1, states.shape[-1])
    centred = flat - flat.mean(axis=0)
    _, lengths, directions = np.linalg.svd(centred, full_matrices=False)
    signs = np.sign(directions[np.arange(len(directions)), np.abs(directions).argmax(axis=1)])  # the same everywhere
    variance = np.square(lengths) / max(float(np.square(lengths).sum()), 1e-30)
    found = np.zeros((len(flat), 2))
    found[:, : len(directions[:2])] = centred @ (directions * signs[:, None])[:2].T
    first, second = (*(float(one) for one in variance[:2]), 0.0)[:2]
    return found.reshape(*states.shape[:2], 2), (first, second)


class _Switched(nn.Module):
    """A network that is told other labels from a noise level on. since: float32 (B,), the network's time (it falls with
    the noise) at and below which a row is told its rival. No class stays no class."""

    def __init__(self, denoiser: Denoiser, rivals: torch.Tensor, since: torch.Tensor) -> None:
        super().__init__()
        self.network, self.null_label, self.rivals, self.since = denoiser.network, denoiser.null_label, rivals, since

    def forward(self, x: torch.Tensor, time: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        late = (time <= self.since) & (labels != self.null_label)
        found: torch.Tensor = self.network(x, time, torch.where(late, self.rivals, labels))
        return found


def _commitment(context: Context) -> tuple[Commitment, np.ndarray]:
    """When the class is decided: the model is told the rival from step k on, for every k. And the labels."""
    judge, recipe = context.judge, context.recipe
    assert judge is not None and context.labels is not None and context.trajectory is not None
    classes = np.unique(context.labels)
    more = max(0, SAMPLES - len(context.labels))
    labels = np.concatenate([context.labels, classes[np.arange(more) % len(classes)]])
    keys = np.concatenate([context.keys, _OTHERS + np.arange(more)])
    levels = sampling_levels(context.model.schedule, recipe.sampler, recipe.steps, recipe.noise_levels)
    limits = np.append(levels.times.astype(np.float32), -np.inf)
    first = [place for place, row in enumerate(_rows(context)) if _begins(_rows(context), place)]
    guesses: list[np.ndarray] = []
    whole = _drawn(context, keys, labels, labels, np.full(len(keys), -np.inf), guesses)
    rivals = nearest_rivals(context.probe, np.clip(whole, -1.0, 1.0), keys, labels, len(context.classes))

    def drawn(rows: np.ndarray, since: np.ndarray) -> np.ndarray:
        return _drawn(context, keys[rows], labels[rows], rivals[rows], limits[since])

    def read(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        return margins(judge.log_p(x), labels[rows])

    found = commitment(drawn, read, np.stack([guesses[place] for place in first]), len(keys), recipe.steps)
    return found, labels


def _rows(context: Context) -> tuple[Row, ...]:
    return context.model.engine(context.recipe).table.rows


def _begins(rows: tuple[Row, ...], place: int) -> bool:
    """Whether a step of the sampler begins here: Heun's method asks twice in every step but the last."""
    steps = rows[-1].level + 1
    return place % -(-len(rows) // steps) == 0


def _drawn(
    context: Context,
    keys: np.ndarray,
    labels: np.ndarray,
    rivals: np.ndarray,
    since: np.ndarray,
    guesses: list[np.ndarray] | None = None,
) -> np.ndarray:
    """Samples that are told their rivals where the network's time is `since` or less, float32 (M, C, H, W); the guess
    of every row is added to `guesses`."""
    size = context.recipe.block_size
    padded = -(-len(keys) // size) * size

    def one(index: int) -> tuple[np.ndarray, list[np.ndarray]]:
        context.probe.check()
        rows = slice(index * size, (index + 1) * size)
        told = [
            context.probe.tensor(np.pad(part, (0, padded - len(part)), mode="edge")[rows])
            for part in (rivals, since.astype(np.float32))
        ]
        own = context.probe.quick
        switched = Denoiser(
            _Switched(own, *told),
            own.schedule,
            prediction=own.prediction,
            sigma_data=own.sigma_data,
            null_label=own.null_label,
            precision=own.precision,
        )
        engine = Engine(switched, context.model.codec, context.recipe, context.model.device)
        seen: list[np.ndarray] = []

        def keep(row: int, x: torch.Tensor, x0: torch.Tensor) -> None:
            if guesses is not None:
                seen.append(x0[: len(keys[rows])].float().cpu().numpy().copy())

        x = engine.latents(keys[rows], labels[rows], context.seed, callback=keep)
        return x.float().cpu().numpy(), seen

    parts = list(in_order(one, padded // size, context.model.device))
    if guesses is not None:
        guesses += [np.concatenate(column) for column in zip(*(seen for _, seen in parts), strict=True)]
    return np.concatenate([x for x, _ in parts])


def _survival(context: Context) -> np.ndarray:
    """How often each image is still of its class, float64 (levels, N), when it was noised to a level and denoised."""
    judge = context.judge
    assert judge is not None and context.labels is not None
    rows = np.repeat(np.arange(len(context.x0)), SURVIVAL_DRAWS)
    draws = _SURVIVAL + np.tile(np.arange(SURVIVAL_DRAWS), len(context.x0))
    hidden = np.ones((len(rows), *context.x0.shape[2:]), bool)
    found = []
    for level in range(len(RATIOS)):
        x = context.probe.regenerated(context.x0[rows], context.keys[rows], hidden, draws, start=level)
        same = judge.log_p(x).argmax(axis=1) == context.labels[rows]
        found.append(same.reshape(-1, SURVIVAL_DRAWS).mean(axis=1))
    return np.stack(found)
