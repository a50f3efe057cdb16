"""Where the network looks along time: the weights of its self-attention, recomputed beside it without touching it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from synthgen.explain.series.cells import Scene
from synthgen.explain.series.maps import Map
from synthgen.explain.series.probe import Probe

if TYPE_CHECKING:
    from synthgen.models.series import SeriesNetwork

SIGMAS = (5.0, 1.0, 0.2)
"""Noise levels at which the network is watched: only the outline left, half and half, only details to find."""

DRAWS = 4
_DRAW = 1 << 18
QUESTION = (
    "At which steps does the network look? The weight that a step gets from all steps, mean over blocks, heads and "
    "noise levels; 1 is its even share. Where it looks, not why: what is read there, and what is made of it, is not "
    "told."
)
CAVEAT = (
    "Attention shows where the network looks, not why the window came out as it did. The weights of one block say "
    "nothing of what earlier blocks have already carried from step to step, and a channel is not seen apart: a step's "
    "channels enter together."
)


@dataclass(frozen=True, eq=False)
class Attention:
    """Weights by which tokens look at tokens.

    maps: float32 (N, levels, blocks, T, T), mean over heads and draws; a row (who looks) adds up to 1. entropy: float64
    (levels, blocks, heads), of the rows in parts of its largest value: 1 looks everywhere alike, 0 at one token.
    patch: steps of a token.
    """

    maps: np.ndarray
    entropy: np.ndarray
    patch: int


@contextmanager
def watched(network: SeriesNetwork, see: Callable[[int, torch.Tensor], None]) -> Iterator[None]:
    """Inside the block, `see(block, weights)` is called with softmax(q k' / sqrt(d)), float32 (B, heads, T, T), of
    every block that runs, a mean over groups of channels. The network computes what it always does; hooks are removed
    at the end, and on an error."""
    hooks: list[Any] = []
    told: dict[int, torch.Tensor] = {}

    def entered(number: int) -> Callable[..., None]:
        return lambda module, arguments, output: told.__setitem__(number, output)

    def left(number: int) -> Callable[..., None]:
        def hook(module: Any, arguments: tuple[Any, ...], output: torch.Tensor) -> None:
            weights = softmax_weights(told.pop(number), module.heads, arguments[2])
            see(number, weights.reshape(-1, network.groups.count, *weights.shape[1:]).mean(1))

        return hook

    try:
        for number, block in enumerate(network.blocks):
            hooks.append(block.qkv.register_forward_hook(entered(number)))  # type: ignore[union-attr]
            hooks.append(block.register_forward_hook(left(number)))
        yield
    finally:
        for hook in hooks:
            hook.remove()


def softmax_weights(qkv: torch.Tensor, heads: int, seen: torch.Tensor | None) -> torch.Tensor:
    """float32 (B, heads, T, T) from a block's projections (B, T, 3 W) and the tokens that may be looked at."""
    parts = qkv.detach().float()
    q, k, _ = parts.reshape(*parts.shape[:2], 3, heads, -1).permute(2, 0, 3, 1, 4)
    with torch.autocast(q.device.type, enabled=False):  # the network may compute in half precision around this
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if seen is not None:
            scores = scores.masked_fill(~seen[:, None, None, :], float("-inf"))
        found: torch.Tensor = scores.softmax(-1)
    return found


def attention(probe: Probe, scene: Scene, draws: int = DRAWS) -> tuple[Map, Attention]:
    """The network's attention on the windows under noise, told their class."""
    network = probe.denoiser.network
    heads, blocks = int(network.blocks[0].heads), len(network.blocks)  # type: ignore[arg-type]
    sums = np.zeros((2, len(scene), len(SIGMAS), blocks, heads, network.tokens, network.tokens), np.float32)
    place = {"level": 0, "draw": 0}
    begun = [0] * blocks

    def see(block: int, found: torch.Tensor) -> None:
        rows = slice(begun[block], begun[block] + len(found))
        begun[block] += len(found)
        sums[place["draw"] % 2, rows, place["level"], block] += found.cpu().numpy()

    with watched(network, see):
        for place["level"], sigma in enumerate(SIGMAS):
            for place["draw"] in range(draws):
                begun[:] = [0] * blocks
                probe.errors(scene, sigma, _DRAW + place["level"] * draws + place["draw"])
    weights = sums.sum(axis=0) / draws
    tokens = _tokens(scene, network)
    halves = np.stack([_received(half / max(1, draws / 2), tokens, scene, network.patch) for half in sums])
    received = _received(weights, tokens, scene, network.patch)
    parts = len(probe.layout.names)
    values, halves = received[..., None].repeat(parts, -1), halves[..., None].repeat(parts, -1)
    names = tuple(("the step", "its even share") for _ in range(len(scene)))
    totals = values.sum(axis=(1, 2))
    found = Map("attention", QUESTION, "even shares", values, totals, halves, names, CAVEAT)
    return found, Attention(weights.mean(axis=3), _entropy(weights, tokens), network.patch)


def _tokens(scene: Scene, network: SeriesNetwork) -> np.ndarray:
    """bool (N, T): tokens with a step that exists."""
    spare = network.tokens * network.patch - network.window
    padded = np.pad(scene.valid, ((0, 0), (0, spare)))
    return np.asarray(padded.reshape(len(scene), network.tokens, network.patch).any(axis=2))


def _received(weights: np.ndarray, tokens: np.ndarray, scene: Scene, patch: int) -> np.ndarray:
    """float64 (N, L): the weight that a step gets, in parts of its even share; queries that exist only."""
    mean = weights.astype(np.float64).mean(axis=(1, 2, 3))
    asked = (mean * tokens[:, :, None]).sum(axis=1) / np.maximum(tokens.sum(axis=1), 1)[:, None]
    share = asked * np.maximum(tokens.sum(axis=1), 1)[:, None]
    return np.asarray(share.repeat(patch, axis=1)[:, : scene.valid.shape[1]] * scene.valid)


def _entropy(weights: np.ndarray, tokens: np.ndarray) -> np.ndarray:
    """float64 (levels, blocks, heads): mean over windows and queries that exist, in parts of log(tokens)."""
    most = np.log(np.maximum(tokens.sum(axis=1), 2))
    safe = np.maximum(weights.astype(np.float64), 1e-30)
    found = -(weights * np.log(safe)).sum(axis=-1) / most[:, None, None, None, None]
    counted = tokens[:, None, None, None, :]
    return np.asarray((found * counted).sum(axis=(0, -1)) / max(1, int(tokens.sum())))
