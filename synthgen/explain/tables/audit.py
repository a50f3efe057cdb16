"""Whether an attribution over columns deserves belief: what is compared with what, and what that says in words."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from synthgen.explain.attribution import Check, rank_correlation
from synthgen.explain.tables.masking import value_of
from synthgen.explain.tables.probe import Probe

RANDOM_SETS = 20
SHUFFLES = 3
LITTLE = 0.05
"""Bits: where all columns together tell less than this, there is nothing to explain."""


def hidden_count(columns: int) -> int:
    """How many of the other columns the deletion check hides: a fifth, at least one."""
    return max(1, round(columns / 5))


def deletion(
    probe: Probe, tokens: np.ndarray, target: int, columns: np.ndarray, values: np.ndarray, *, seed: int = 0
) -> Check:
    """Hide the columns that speak most for the value, and as many random ones, `RANDOM_SETS` times.

    columns: int64 (D,). values: float64 (N, D), the attribution. The figure is p: the share of random choices (with the
    attribution's own) whose loss of log2 p(value), mean over rows, is as large. It is at best 1 / (RANDOM_SETS + 1).
    """
    full = value_of(probe, tokens, target, np.ones(tokens.shape, bool))
    count = hidden_count(len(columns))

    def loss(chosen: np.ndarray) -> float:
        known = np.ones(tokens.shape, bool)
        known[np.arange(len(tokens))[:, None], columns[chosen]] = False
        return float((full - value_of(probe, tokens, target, known)).mean())

    ours = loss(np.argsort(-values, axis=1, kind="stable")[:, :count])
    random = np.random.default_rng([seed, 33])
    every = np.tile(np.arange(len(columns)), (len(tokens), 1))
    theirs = np.array([loss(random.permuted(every, axis=1)[:, :count]) for _ in range(RANDOM_SETS)])
    p = float((1 + (theirs >= ours).sum()) / (1 + RANDOM_SETS))
    better = p <= 0.05 and ours > LITTLE
    word = "better than random" if better else "no better than random"
    named = "the top column" if count == 1 else f"the top {count} columns"
    sentence = (
        f"{word}: hiding {named} of each row costs {ours:.2f} bits of the value's probability, hiding as many random "
        f"ones {theirs.mean():.2f} (at most {theirs.max():.2f} in {RANDOM_SETS} draws)"
    )
    return Check("deletion", p, sentence)


def stability(halves: np.ndarray) -> Check:
    """Median rank correlation between rows' values from two halves of the random orders, float64 (2, N, D)."""
    found = [rank_correlation(a, b) for a, b in zip(*halves, strict=True)]
    value = float(np.nanmedian(found)) if np.isfinite(found).any() else float("nan")
    word = "stable" if value >= 0.8 else "partly stable" if value >= 0.5 else "not stable: mostly chance"
    return Check(
        "stability",
        value,
        f"{word}: shares from two halves of the random orders agree with rank correlation {value:.2f} (median of rows)",
    )


def weights(values: np.ndarray, shuffled: list[np.ndarray]) -> Check:
    """Median rank correlation of |values| with those of models whose weights were shuffled; float64 (N, D) each.

    Adebayo et al. 2018 (arXiv:1810.03292): an explanation that survives the loss of what was learned explains nothing
    of it.
    """
    found = [rank_correlation(np.abs(a), np.abs(b)) for other in shuffled for a, b in zip(values, other, strict=True)]
    value = float(np.nanmedian(found)) if np.isfinite(found).any() else float("nan")
    word = "depends on what the model learned" if abs(value) < 0.5 else "does not depend on what the model learned"
    return Check(
        "weights",
        value,
        f"{word}: with shuffled weights the strengths of the columns agree with rank correlation {value:.2f} (median "
        f"of rows and {len(shuffled)} shuffles; 0: not at all, 1: the same)",
    )


def additivity(gap: float) -> Check:
    """How closely shares add up to what they share out."""
    return Check("additivity", gap, f"exact: shares add up to what all columns together tell, within {gap:.1g} bits")


def content(full: np.ndarray, empty: np.ndarray) -> Check:
    """Whether the other columns tell anything at all, mean over rows, in bits."""
    value = float(np.abs(full - empty).mean())
    word = "there is something to explain" if value > LITTLE else "there is next to nothing to explain"
    return Check("content", value, f"{word}: all other columns together move log2 p(value) by {value:.2f} bits")


def shuffle_weights(denoiser: Any, seed: int) -> Any:
    """A copy of a torch module in which the entries of every weight tensor changed places."""
    import torch

    other = copy.deepcopy(denoiser)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            flat = parameter.detach().cpu().flatten()
            mixed = flat[torch.randperm(len(flat), generator=generator)]
            parameter.copy_(mixed.view(parameter.shape))
    return other


def verdict(checks: tuple[Check, ...]) -> str:
    """All checks of an attribution in one sentence."""
    by_name = {check.name: check for check in checks}
    faults = [
        words
        for name, words in (
            ("content", "the other columns tell next to nothing about it"),
            ("deletion", "hiding its top columns changes no more than hiding random ones"),
            ("weights", "it would look the same with shuffled weights"),
            ("stability", "it changes with the random numbers"),
        )
        if name in by_name and _failed(by_name[name])
    ]
    if not faults:
        return "Believe it: every check was passed."
    if {"content", "deletion"} & {name for name in by_name if _failed(by_name[name])}:
        return f"No better than random: {'; '.join(faults)}."
    return f"With care: {'; '.join(faults)}."


def _failed(check: Check) -> bool:
    if check.name == "content":
        return not check.value > LITTLE
    if check.name == "deletion":
        return check.sentence.startswith("no better")
    if check.name == "weights":
        return not abs(check.value) < 0.5
    if check.name == "stability":
        return not check.value >= 0.5
    return False
