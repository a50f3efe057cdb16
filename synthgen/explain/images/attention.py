"""Where the network looks in an image, and at what it was told: attention, recomputed beside it without touching it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn

from synthgen.explain.attribution import Attribution
from synthgen.explain.images.probe import Probe, View
from synthgen.models.cross_attention import CrossAttention, HeadAttention
from synthgen.models.unet import Attention

QUANTILES = (0.9, 0.5, 0.1)
"""Noise levels, of those of training, at which the network is watched: much noise, middling, little."""

DRAWS = 4
CLUSTERS = 4
MOST_PLACES = 256
"""Feature maps with more have their places joined: weights grow with the square of their number."""

_DRAW = 1 << 18
TOKEN_QUESTION = (
    "Which places look at what the network was told? The weight that a place gives to tokens that say something, mean "
    "over layers, heads and noise levels, in parts of the mean over places (DAAM). Where it looks, not why."
)
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
    """Weights by which places of feature maps look at places, or at tokens, of each layer that attends.

    names: of the layers. maps: for each layer float32 (N, levels, heads, T, K); a row (the place that looks) adds up to
    1. sides: (h, w) of each layer's feature map, T = h w. told: which layers look at tokens (K of them, not places).
    entropy: for each layer float64 (levels, heads), of the rows in parts of its largest value: 1 looks everywhere
    alike, 0 at one place. ratios: noise-to-signal of the levels. tokens: of each image, what its tokens say ("":
    nothing). finest: the layer that looks at places with the most of them; clusters: int64 (N, T of it), its places by
    what they look at.
    """

    names: tuple[str, ...]
    maps: tuple[np.ndarray, ...]
    sides: tuple[tuple[int, int], ...]
    told: tuple[bool, ...]
    entropy: tuple[np.ndarray, ...]
    ratios: tuple[float, ...]
    tokens: tuple[tuple[str, ...], ...]
    finest: int
    clusters: np.ndarray


def layers_of(network: nn.Module) -> dict[str, Attention | HeadAttention]:
    """The layers that attend, by name, in the order in which they run."""
    return {name: part for name, part in network.named_modules() if isinstance(part, (Attention, HeadAttention))}


def softmax_weights(
    layer: Attention | HeadAttention, x: torch.Tensor, seen: torch.Tensor | None = None
) -> torch.Tensor:
    """softmax(q k' / sqrt(d)) of a layer for its input: float32 (B, heads, T, K).

    x: (B, C, h, w) with T = K = h w; of a `HeadAttention` (B, T, C), which looks at `seen` (B, K, D).
    """
    if isinstance(layer, Attention):
        batch, channels, height, width = x.shape
        x = layer.group_norm(x.reshape(batch, channels, height * width)).transpose(1, 2)
    channels = x.shape[-1]
    query, key = (
        part(one).view(len(x), -1, layer.heads, channels // layer.heads).transpose(1, 2).float()
        for part, one in ((layer.to_q, x), (layer.to_k, x if seen is None else seen))
    )
    with torch.autocast(x.device.type, enabled=False):  # the network may compute in half precision around this
        found: torch.Tensor = (query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5).softmax(-1)
    return found


@contextmanager
def watched(network: nn.Module, see: Callable[[str, torch.Tensor, tuple[int, int]], None]) -> Iterator[None]:
    """Inside the block, `see(layer, weights, (h, w))` is called with `softmax_weights` of every layer that runs. The
    network computes what it always does; hooks are removed at the end, and on an error."""
    hooks: list[Any] = []
    sides: dict[str, tuple[int, int]] = {}

    def measure(name: str) -> Callable[..., None]:
        def seen(layer: nn.Module, arguments: tuple[torch.Tensor, ...]) -> None:
            sides[name] = (int(arguments[0].shape[2]), int(arguments[0].shape[3]))

        return seen

    def hook(name: str) -> Callable[..., None]:
        around = name.partition(".transformer_blocks.")[0]

        def seen(layer: Attention | HeadAttention, arguments: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            see(name, softmax_weights(layer, *arguments).detach(), sides[around])

        return seen

    try:
        for name, part in network.named_modules():
            if isinstance(part, (Attention, CrossAttention)):
                hooks.append(part.register_forward_pre_hook(measure(name)))
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
    words: Sequence[str] = (),
) -> tuple[list[Attribution], Looks]:
    """The network's attention on the images under noise, told their class: to places, and to tokens where there are.

    names: of the classes. draws: even. words: what tokens 1, 2, ... say.
    """
    network = probe.denoiser.network
    sums: dict[str, np.ndarray] = {}
    sides: dict[str, tuple[int, int]] = {}
    ratios: list[float] = []
    count = len(x0)
    for level, quantile in enumerate(QUANTILES):
        for draw in range(draws):

            def ask(view: View, half: int = draw % 2, level: int = level) -> float:
                def see(name: str, weights: torch.Tensor, side: tuple[int, int]) -> None:
                    while weights.shape[-2] > MOST_PLACES:
                        weights, side = coarser(weights, side, told=name.endswith(".attn2"))
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
    rows = _tokens_of(network, labels, count)
    shared = (names, probe.seed, draws)
    found = []
    for told, received in ((False, _received), (True, _given)):
        maps = {name: one * (2.0 / draws) for name, one in sums.items() if name.endswith(".attn2") == told}
        if maps:
            halves = np.mean([received(one, sides[name], x0.shape[2:], rows) for name, one in maps.items()], axis=0)
            found.append(_attribution(told, halves, list(maps), *shared))
    means = tuple(one.sum(axis=0) / draws for one in sums.values())
    return found, _looks(means, sides, tuple(ratios), _said(rows, words), probe.seed)


def coarser(weights: torch.Tensor, side: tuple[int, int], *, told: bool) -> tuple[torch.Tensor, tuple[int, int]]:
    """Weights (B, heads, T, K) of a map (h, w) whose places are joined two by two, or three by three and so on where
    sides are odd: the mean over those that look, the sum over those that are looked at. told: those are tokens."""
    parts = tuple(next(part for part in (2, 3, 5, 7, size) if size % part == 0) if size > 1 else 1 for size in side)
    height, width = side[0] // parts[0], side[1] // parts[1]
    front = weights.shape[:2]
    joined = weights.reshape(*front, height, parts[0], width, parts[1], -1).mean(dim=(3, 5)).flatten(2, 3)
    if not told:
        joined = joined.reshape(*front, height * width, height, parts[0], width, parts[1]).sum(dim=(4, 6)).flatten(3)
    return joined, (height, width)


def _looks(
    maps: tuple[np.ndarray, ...],
    sides: dict[str, tuple[int, int]],
    ratios: tuple[float, ...],
    tokens: tuple[tuple[str, ...], ...],
    seed: int,
) -> Looks:
    names = tuple(sides)
    told = tuple(name.endswith(".attn2") for name in names)
    finest = max(
        (layer for layer in range(len(maps)) if not told[layer]), key=lambda layer: (maps[layer].shape[-1], -layer)
    )
    groups = np.stack([clusters(one.mean(axis=(0, 1)), seed) for one in maps[finest]])
    entropy = tuple(map(_entropy, maps))
    return Looks(names, maps, tuple(sides.values()), told, entropy, ratios, tokens, finest, groups)


def _attribution(
    told: bool, halves: np.ndarray, layers: list[str], names: tuple[str, ...], seed: int, draws: int
) -> Attribution:
    return Attribution(
        "attention-to-tokens" if told else "attention",
        TOKEN_QUESTION if told else QUESTION,
        halves.mean(axis=0).astype(np.float32)[:, None],
        np.full(len(names), np.nan),
        names,
        tuple("the mean over places" if told else "its even share" for _ in names),
        (seed,),
        CAVEAT,
        unit="parts of the mean" if told else "even shares",
        halves=halves,
        details={"layers": layers, "noise_levels": len(QUANTILES), "draws_per_level": draws},
    )


def _tokens_of(network: nn.Module, labels: np.ndarray | None, count: int) -> np.ndarray:
    """int64 (N, K): what each image's label tells a network that looks at tokens; (N, 0) of others."""
    table = getattr(network, "tokens", None)
    if table is None or labels is None:
        return np.zeros((count, 0), np.int64)
    return np.asarray(table.cpu().numpy()[labels])


def _said(rows: np.ndarray, words: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    known = ("", *words)
    return tuple(tuple(known[token] if token < len(known) else str(token) for token in row) for row in rows)


def clusters(weights: np.ndarray, seed: int = 0, count: int = CLUSTERS) -> np.ndarray:
    """int64 (T,): places by what they look at, k-means of the rows of (T, T); the largest cluster is number 0."""
    from sklearn.cluster import KMeans

    rows = np.sqrt(weights.astype(np.float64))  # Euclidean distances of roots are Hellinger's of the weights
    found = KMeans(min(count, len(rows)), n_init=4, random_state=seed % 2**32).fit_predict(rows)
    names, sizes = np.unique(found, return_counts=True)
    order = names[np.argsort(-sizes, kind="stable")]
    return np.asarray(np.argsort(order)[np.searchsorted(names, found)], np.int64)


def _moved(ask: Callable[[View], float], start: int) -> Callable[[View], float]:
    """The same question when the rows of the view are counted from `start`."""
    from dataclasses import replace

    def asked(view: View) -> float:
        return ask(replace(view, rows=slice(start + view.rows.start, start + view.rows.stop)))

    return asked


def _received(weights: np.ndarray, side: tuple[int, int], size: tuple[int, ...], rows: np.ndarray) -> np.ndarray:
    """float64 (2, N, H, W): the weight that a place gets, in parts of its even share; (2, N, levels, heads, T, T)."""
    return _laid(weights.astype(np.float64).mean(axis=(2, 3, 4)) * weights.shape[-1], side, size)


def _given(weights: np.ndarray, side: tuple[int, int], size: tuple[int, ...], rows: np.ndarray) -> np.ndarray:
    """float64 (2, N, H, W): the weight that a place gives to tokens that say something, in parts of the mean over
    places (DAAM, Tang et al. 2022, arXiv:2210.04885); (2, N, levels, heads, T, K), tokens (N, K)."""
    says = (rows > 0).astype(np.float64)[None, :, None, None, None]
    given = (weights * says).sum(axis=-1).mean(axis=(2, 3))
    return _laid(given / np.maximum(given.mean(axis=-1, keepdims=True), 1e-12), side, size)


def _laid(mean: np.ndarray, side: tuple[int, int], size: tuple[int, ...]) -> np.ndarray:
    """Places (2, N, T) over the image, (2, N, H, W)."""
    laid = mean.reshape(*mean.shape[:2], *side)
    rows, columns = (np.arange(size[axis]) * side[axis] // size[axis] for axis in (0, 1))
    return np.asarray(laid[:, :, rows[:, None], columns])


def _entropy(weights: np.ndarray) -> np.ndarray:
    """float64 (levels, heads): mean over images and queries, in parts of log T."""
    safe = np.maximum(weights.astype(np.float64), 1e-30)
    found = -(weights * np.log(safe)).sum(axis=-1) / np.log(max(2, weights.shape[-1]))
    return np.asarray(found.mean(axis=(0, 3)))
