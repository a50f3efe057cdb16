"""Whether a map deserves belief: what every modality compares it with, and what that says in words."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from synthgen.explain.attribution import Check, rank_correlation

SHARES = (0.2, 0.35)
"""Parts of what there is that are drawn anew."""

RANDOM_SETS = 20
SHUFFLES = 2
LEVEL = 0.05
LARGEST_MISS = 0.05
"""Of what a map shares out, that its parts may miss on average."""

SURE = 2.0
"""Standard errors that a difference must exceed."""


@dataclass(frozen=True)
class Words:
    """things: what is drawn anew (`cells`, `pixels`). elsewhere: what stands for chance."""

    things: str
    elsewhere: str


CELLS = Words("cells", "as many cells elsewhere, in runs as long")
PIXELS = Words("pixels", "as many pixels elsewhere, in the same shapes")


@dataclass(frozen=True, eq=False)
class Deletion:
    """Mean losses of the target over samples and shares, and of every share alone.

    ours: float64 (F,), the map's own. error: its standard error over draws, of the mean over shares. random: float64
    (RANDOM_SETS, F). others: by name of a plain map, float64 (F,). margins: by name, (mean of ours - theirs, its
    standard error), paired over draws. whole: (loss, standard error) when everything is drawn anew.
    """

    ours: np.ndarray
    error: float
    random: np.ndarray
    others: dict[str, np.ndarray]
    margins: dict[str, tuple[float, float]]
    whole: tuple[float, float]

    @property
    def p(self) -> float:
        """Share of the random choices, with the map's own, whose loss is as large; at best 1 / 21."""
        as_large = (self.random.mean(axis=1) >= self.ours.mean()).sum()
        return float((1 + as_large) / (1 + len(self.random)))


def over_draws(losses: np.ndarray) -> tuple[float, float]:
    """Mean of (N, F, draws) and its standard error over draws: of these samples, not of samples in general."""
    per_draw = losses.mean(axis=(0, 1))
    return float(per_draw.mean()), float(per_draw.std(ddof=1) / np.sqrt(len(per_draw)))


def deletion(found: Deletion, unit: str, *, classes: bool, words: Words = CELLS) -> tuple[Check, ...]:
    """The checks that come of drawing parts anew: deletion, one for each plain map; content where there are classes.

    unit: of the target. classes: whether the target speaks for a class. Then a sample drawn anew as a whole, told no
    class, has lost all of it; one that only had to be a sample is as good a sample as before.
    """
    checks = [Check("deletion", found.p, _against_random(found, unit, words))]
    if classes:
        whole, error = found.whole
        there = whole > SURE * error
        word = "there is something to explain" if there else "there is next to nothing to explain"
        checks.insert(
            0,
            Check("content", whole, f"{word}: drawing all {words.things} anew costs {whole:.2f} ± {error:.2f} {unit}"),
        )
    for name, (margin, spread) in found.margins.items():
        better = margin > SURE * spread
        word = f"better than {name}" if better else f"no better than {name}"
        theirs = found.others[name].mean()
        sentence = (
            f"{word}: the map's top {words.things} cost {margin:+.2f} ± {spread:.2f} {unit} more than those with the "
            f"most {name} ({found.ours.mean():.2f} against {theirs:.2f})"
        )
        checks.append(Check(name, margin, sentence))
    return tuple(checks)


def _against_random(found: Deletion, unit: str, words: Words) -> str:
    word = "better than random" if found.p <= LEVEL else "no better than random"
    ours = " and ".join(f"{value:.2f}" for value in found.ours)
    theirs = " and ".join(f"{value:.2f}" for value in found.random.mean(axis=0))
    return (
        f"{word}: drawing the top {shares_text()} of the {words.things} anew costs {ours} {unit}, {words.elsewhere}, "
        f"{theirs} (mean of {RANDOM_SETS} choices; p = {found.p:.3f})"
    )


def shares_text() -> str:
    """`20 % and 35 %`."""
    return " and ".join(f"{100 * share:.0f} %" for share in SHARES)


def stability(halves: np.ndarray, valid: np.ndarray, of: str = "windows") -> Check:
    """Median rank correlation of samples' maps from two halves of the random numbers: (2, N, L, P), (N, L)."""
    value = _agreement(halves[0], halves[1], valid)
    word = "stable" if value >= 0.8 else "partly stable" if value >= 0.5 else "not stable: mostly chance"
    return Check(
        "stability",
        value,
        f"{word}: maps from two halves of the random numbers agree with rank correlation {value:.2f} (median of {of})",
    )


def weights(
    values: np.ndarray,
    shuffled: Sequence[np.ndarray],
    valid: np.ndarray,
    of: str = "the model",
    samples: str = "windows",
    things: str = "cells",
) -> Check:
    """Median rank correlation of |values| with maps made with shuffled weights, (N, L, P) each.

    Adebayo et al. 2018 (arXiv:1810.03292): a map that survives the loss of what was learned explains nothing of it.
    """
    found = [_agreement(np.abs(values), np.abs(other), valid) for other in shuffled]
    value = float(np.nanmedian(found)) if np.isfinite(found).any() else float("nan")
    word = "depends on what was learned" if abs(value) < 0.5 else "does not depend on what was learned"
    return Check(
        "weights",
        value,
        f"{word}: with shuffled weights of {of}, the strengths of the {things} agree with rank correlation {value:.2f} "
        f"(median of {samples} and {len(shuffled)} shuffles; 0: not at all, 1: the same)",
    )


def _agreement(first: np.ndarray, second: np.ndarray, valid: np.ndarray) -> float:
    pairs = zip(first, second, valid, strict=True)
    found = [rank_correlation(a[there], b[there]) for a, b, there in pairs if there.any()]
    return float(np.nanmedian(found)) if np.isfinite(found).any() else float("nan")


def additivity(gap: float) -> Check:
    """How closely shares add up to what they share out."""
    return Check("additivity", gap, f"exact: shares add up to what is shared out, within {gap:.1g}")


def completeness(gap: float, size: float, unit: str) -> Check:
    """By how much the parts of a map miss what they share out, on average, beside its mean size."""
    share = gap / max(size, 1e-12)
    word = "complete" if share <= LARGEST_MISS else "not complete"
    told = f"{word}: the pixels miss what they share out by {gap:.2g} of {size:.2g} {unit} on average"
    return Check("completeness", share, told)


_FAULTS = (
    ("learned", "the model knows nothing of such {data}"),
    ("judge", "the judge that it is held to knows no better than chance"),
    ("content", "drawing everything anew changes next to nothing"),
    ("deletion", "drawing its top {things} anew changes no more than drawing random ones"),
    ("amplitude", "the cells with the largest values matter as much"),
    ("slope", "the cells with the steepest steps matter as much"),
    ("brightness", "the brightest pixels matter as much"),
    ("edges", "the pixels at the strongest edges matter as much"),
    ("insertion", "keeping its top pixels keeps no more than keeping random ones"),
    ("weights", "it would look the same with shuffled weights"),
    ("stability", "it changes with the random numbers"),
    ("completeness", "its parts do not add up to what they share out"),
)
_PLAIN = ("amplitude", "slope", "brightness", "edges")
"""Maps that know nothing of the question."""


def verdict(checks: Sequence[Check], *, data: str = "series", things: str = "cells") -> str:
    """All checks of a map in one sentence."""
    failed = {check.name for check in checks if failed_check(check)}
    reasons = "; ".join(text.format(data=data, things=things) for name, text in _FAULTS if name in failed)
    if not failed:
        return "Believe it: every check was passed."
    if "learned" in failed:
        return f"Do not believe it: {reasons}."
    worse = ["random"] if failed & {"judge", "content", "deletion"} else []
    worse += [name for name in _PLAIN if name in failed]
    if worse:
        return f"No better than {' or '.join(worse)}: {reasons}."
    return f"With care: {reasons}."


def failed_check(check: Check) -> bool:
    """Whether a check speaks against its map."""
    if check.name == "learned":
        return not check.value > 0
    if check.name == "judge":
        return check.sentence.startswith("the judge knows no better")
    if check.name == "content":
        return check.sentence.startswith("there is next to nothing")
    if check.name in ("deletion", "insertion", *_PLAIN):
        return check.sentence.startswith("no better")
    if check.name == "weights":
        return not abs(check.value) < 0.5
    if check.name == "stability":
        return not check.value >= 0.5
    if check.name == "completeness":
        return not check.value <= LARGEST_MISS
    return False


def shuffled(denoiser: Any, seed: int) -> Any:
    """A copy of a network in which the entries of everything learned changed places: weights, and buffers that are
    stored with them."""
    other = copy.deepcopy(denoiser)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            if tensor.is_floating_point():
                flat = tensor.detach().cpu().flatten()
                tensor.copy_(flat[torch.randperm(len(flat), generator=generator)].view(tensor.shape))
    return other
