"""Where the network looks in an image: its self-attention, recomputed beside it without touching it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from synthgen.explain.attribution import Attribution
from synthgen.explain.images.probe import Probe, View
from synthgen.models.unet import Attention

QUANTILES = (0.9, 0.5, 0.1)
"""Noise levels, of those of training, at which the network is watched: much noise, middling, little."""

DRAWS = 4
MOST_PLACES = 256
"""Feature maps with more places are left out: their weights grow with the square."""

_DRAW = 1 << 18
QUESTION = (
    "At which places does the network look? The weight that a place gets from all places, mean over layers, heads and "
    "noise levels; 1 is its even share. Where it looks, not why."
)
CAVEAT = (
    "Attention shows where the network looks, not why the image came out as it did: what is read there, and what is "
    "made of it, is not told. Convolutions have already carried things from place to place."
)


@dataclass(frozen=True, eq=False)
class Looks:
    """Weights by which places of feature maps look at places, of each layer that attends.

    names: of the layers. maps: for each layer float32 (N, levels, heads, T, T); a row (who looks) adds up to 1. sides:
    (h, w) of each layer's feature map, T = h w. entropy: for each layer float64 (levels, heads), of the rows in parts
    of its largest value: 1 looks everywhere alike, 0 at one place. ratios: noise-to-signal of the levels.
    """

    names: tuple[str, ...]
    maps: tuple[np.ndarray, ...]
    sides: tuple[tuple[int, int], ...]
    entropy: tuple[np.ndarray, ...]
    ratios: tuple[float, ...]


def layers_of(network: nn.Module) -> dict[str, Attention]:
    """The layers that attend, by name, in the order in which they run."""
    return {name: part for name, part in network.named_modules() if isinstance(part, Attention)}


def softmax_weights(layer: Attention, x: torch.Tensor) -> torch.Tensor:
    """softmax(q k' / sqrt(d)) of a layer for its input (B, C, h, w): float32 (B, heads, T, T)."""
    batch, channels, height, width = x.shape
    pixels = layer.group_norm(x.reshape(batch, channels, height * width)).transpose(1, 2)
    query, key = (
        part(pixels).view(batch, -1, layer.heads, channels // layer.heads).transpose(1, 2).float()
        for part in (layer.to_q, layer.to_k)
    )
    with torch.autocast(x.device.type, enabled=False):  # the network may compute in half precision around this
        found: torch.Tensor = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
    return found


@contextmanager
def watched(network: nn.Module, see: Callable[[str, torch.Tensor, tuple[int, int]], None]) -> Iterator[None]:
    """Inside the block, `see(layer, weights, (h, w))` is called with `softmax_weights` of every layer that runs. The
    network computes what it always does; hooks are removed at the end, and on an error."""
    hooks: list[Any] = []

    def hook(name: str) -> Callable[..., None]:
        def seen(layer: Attention, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            see(name, softmax_weights(layer, arguments[0]).detach(), tuple(arguments[0].shape[2:]))  # type: ignore[arg-type]

        return seen

    try:
        for name, layer in layers_of(network).items():
            hooks.append(layer.register_forward_hook(hook(name)))
        yield
    finally:
        for one in hooks:
            one.remove()


def attention(
    probe: Probe,
    x0: np.ndarray,
    labels: np.ndarray | None,
    names: tuple[str, ...],
    *,
    keys: np.ndarray,
    draws: int = DRAWS,
) -> tuple[Attribution, Looks]:
    """The network's attention on the images under noise, told their class. names: of the classes. draws: even."""
    network = probe.denoiser.network
    sums: dict[str, np.ndarray] = {}
    sides: dict[str, tuple[int, int]] = {}
    ratios: list[float] = []
    count = len(x0)
    for level, quantile in enumerate(QUANTILES):
        for draw in range(draws):

            def ask(view: View, half: int = draw % 2, level: int = level) -> float:
                def see(name: str, weights: torch.Tensor, side: tuple[int, int]) -> None:
                    if weights.shape[-1] > MOST_PLACES:
                        return
                    sides[name] = side
                    shape = (2, count, len(QUANTILES), *weights.shape[1:])
                    sums.setdefault(name, np.zeros(shape, np.float32))[half, view.rows, level] += weights.cpu().numpy()

                told = None if labels is None else torch.from_numpy(labels[view.rows]).to(probe.device)
                with watched(network, see):
                    probe.denoiser(view.x, view.alpha, view.sigma, view.time, told)
                return float(view.sigma / view.alpha)

            # One block after another: hooks hang on the network, which all threads share.
            ratio = [
                probe.viewed(x0[rows], keys[rows], quantile, _DRAW + level * draws + draw, _moved(ask, rows.start))[0]
                for rows in (slice(start, start + 64) for start in range(0, count, 64))
            ]
        ratios.append(ratio[0])
    halves = np.mean([_received(one * (2.0 / draws), sides[name], x0.shape[2:]) for name, one in sums.items()], axis=0)
    found = Attribution(
        "attention",
        QUESTION,
        halves.mean(axis=0).astype(np.float32)[:, None],
        np.full(count, np.nan),
        names,
        tuple("its even share" for _ in names),
        (probe.seed,),
        CAVEAT,
        unit="even shares",
        halves=halves,
        details={"layers": list(sums), "noise_levels": len(QUANTILES), "draws_per_level": draws},
    )
    maps = tuple(one.sum(axis=0) / draws for one in sums.values())
    looks = Looks(tuple(sums), maps, tuple(sides[name] for name in sums), tuple(map(_entropy, maps)), tuple(ratios))
    return found, looks


def _moved(ask: Callable[[View], float], start: int) -> Callable[[View], float]:
    """The same question when the rows of the view are counted from `start`."""
    from dataclasses import replace

    def asked(view: View) -> float:
        return ask(replace(view, rows=slice(start + view.rows.start, start + view.rows.stop)))

    return asked


def _received(weights: np.ndarray, side: tuple[int, int], size: tuple[int, ...]) -> np.ndarray:
    """float64 (2, N, H, W): the weight that a place gets, in parts of its even share; (2, N, levels, heads, T, T)."""
    mean = weights.astype(np.float64).mean(axis=(2, 3, 4)) * weights.shape[-1]
    laid = mean.reshape(*mean.shape[:2], *side)
    rows, columns = (np.arange(size[axis]) * side[axis] // size[axis] for axis in (0, 1))
    return np.asarray(laid[:, :, rows[:, None], columns])


def _entropy(weights: np.ndarray) -> np.ndarray:
    """float64 (levels, heads): mean over images and queries, in parts of log T."""
    safe = np.maximum(weights.astype(np.float64), 1e-30)
    found = -(weights * np.log(safe)).sum(axis=-1) / np.log(max(2, weights.shape[-1]))
    return np.asarray(found.mean(axis=(0, 3)))
