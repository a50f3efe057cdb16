"""Whether a map over steps and channels deserves belief: what is compared with what, and what that says in words."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from synthgen.explain.attribution import Check, rank_correlation
from synthgen.explain.series.cells import Scene
from synthgen.explain.series.deletion import RANDOM_SETS, SHARES, Deletion
from synthgen.explain.series.maps import Map
from synthgen.explain.series.probe import Probe, levels, nats

SHUFFLES = 2
_LEVELS, _DRAWS = 8, 2
_DRAW = 1 << 17
LEVEL = 0.05
SURE = 2.0
"""Standard errors that a difference must exceed."""


def deletion(found: Deletion, unit: str, *, classes: bool) -> tuple[Check, ...]:
    """The checks that come of drawing cells anew: deletion, one for each plain map; content where there are classes.

    unit: of the target. classes: whether the target speaks for a class. Then a window drawn anew as a whole, told no
    class, has lost all of it; one that only had to be a sample is as good a sample as before.
    """
    checks = [Check("deletion", found.p, _against_random(found, unit))]
    if classes:
        whole, error = found.whole
        there = whole > SURE * error
        word = "there is something to explain" if there else "there is next to nothing to explain"
        checks.insert(
            0, Check("content", whole, f"{word}: drawing every cell anew costs {whole:.2f} ± {error:.2f} {unit}")
        )
    for name, (margin, spread) in found.margins.items():
        better = margin > SURE * spread
        word = f"better than {name}" if better else f"no better than {name}"
        theirs = found.others[name].mean()
        sentence = (
            f"{word}: the map's top cells cost {margin:+.2f} ± {spread:.2f} {unit} more than those with the most "
            f"{name} ({found.ours.mean():.2f} against {theirs:.2f})"
        )
        checks.append(Check(name, margin, sentence))
    return tuple(checks)


def _against_random(found: Deletion, unit: str) -> str:
    word = "better than random" if found.p <= LEVEL else "no better than random"
    shares = " and ".join(f"{100 * share:.0f} %" for share in SHARES)
    ours = " and ".join(f"{value:.2f}" for value in found.ours)
    theirs = " and ".join(f"{value:.2f}" for value in found.random.mean(axis=0))
    return (
        f"{word}: drawing the top {shares} of the cells anew costs {ours} {unit}, as many cells elsewhere, in runs as "
        f"long, {theirs} (mean of {RANDOM_SETS} choices; p = {found.p:.3f})"
    )


def stability(halves: np.ndarray, valid: np.ndarray) -> Check:
    """Median rank correlation of windows' maps from two halves of the random numbers: (2, N, L, P), (N, L)."""
    value = _agreement(halves[0], halves[1], valid)
    word = "stable" if value >= 0.8 else "partly stable" if value >= 0.5 else "not stable: mostly chance"
    return Check(
        "stability",
        value,
        f"{word}: maps from two halves of the random numbers agree with rank correlation {value:.2f} (median of "
        "windows)",
    )


def weights(values: np.ndarray, shuffled: Sequence[np.ndarray], valid: np.ndarray, of: str = "the model") -> Check:
    """Median rank correlation of |values| with maps made with shuffled weights, (N, L, P) each.

    Adebayo et al. 2018 (arXiv:1810.03292): a map that survives the loss of what was learned explains nothing of it.
    """
    found = [_agreement(np.abs(values), np.abs(other), valid) for other in shuffled]
    value = float(np.nanmedian(found)) if np.isfinite(found).any() else float("nan")
    word = "depends on what was learned" if abs(value) < 0.5 else "does not depend on what was learned"
    return Check(
        "weights",
        value,
        f"{word}: with shuffled weights of {of}, the strengths of the cells agree with rank correlation {value:.2f} "
        f"(median of windows and {len(shuffled)} shuffles; 0: not at all, 1: the same)",
    )


def _agreement(first: np.ndarray, second: np.ndarray, valid: np.ndarray) -> float:
    pairs = zip(first, second, valid, strict=True)
    found = [rank_correlation(a[there], b[there]) for a, b, there in pairs if there.any()]
    return float(np.nanmedian(found)) if np.isfinite(found).any() else float("nan")


def learned(probe: Probe, scene: Scene, name: str) -> Check:
    """By how many nats per cell the model predicts windows better than if all their values were noise of their own.

    scene: ordinary windows, not those to explain: these may be odd, and it is no fault of a model to say so. name: what
    they are.

    What it is compared with is the best denoiser of independent standard normal values, x / (1 + sigma^2). A model with
    random weights is worse than that.
    """
    plain = probe.with_denoiser(_Independent())
    gain, cells = 0.0, max(1, int(scene.valid.sum()) * len(probe.layout.names))
    for place, sigma in enumerate(levels(_LEVELS)):
        for draw in range(_DRAWS):
            number = _DRAW + place * _DRAWS + draw
            sums = [one.errors(scene, float(sigma), number).sum() for one in (plain, probe)]
            gain += (sums[0] - sums[1]) * nats(_LEVELS) / _DRAWS / cells
    word = "the model knows such series" if gain > 0 else "the model knows nothing of such series"
    told = f"it predicts {len(scene)} {name} {gain:+.2f} nats per cell better than independent noise would"
    return Check("learned", float(gain), f"{word}: {told}")


def additivity(gap: float) -> Check:
    """How closely shares add up to what they share out."""
    return Check("additivity", gap, f"exact: shares add up to what is shared out, within {gap:.1g}")


class _Independent:
    """The denoiser of independent standard normal values."""

    def denoise(
        self,
        x: torch.Tensor,
        alpha: torch.Tensor,
        sigma: torch.Tensor,
        time: torch.Tensor,
        *,
        given: torch.Tensor,
        known: torch.Tensor,
        valid: torch.Tensor,
    ) -> torch.Tensor:
        return torch.where(known, given, x / (1 + sigma.square()))


_FAULTS = (
    ("learned", "the model knows nothing of such series"),
    ("judge", "the judge that it is held to knows no better than chance"),
    ("content", "drawing the whole window anew changes next to nothing"),
    ("deletion", "drawing its top cells anew changes no more than drawing random ones"),
    ("amplitude", "the cells with the largest values matter as much"),
    ("slope", "the cells with the steepest steps matter as much"),
    ("weights", "it would look the same with shuffled weights"),
    ("stability", "it changes with the random numbers"),
)


def verdict(checks: Sequence[Check]) -> str:
    """All checks of a map in one sentence."""
    failed = {check.name for check in checks if failed_check(check)}
    reasons = "; ".join(words for name, words in _FAULTS if name in failed)
    if not failed:
        return "Believe it: every check was passed."
    if "learned" in failed:
        return f"Do not believe it: {reasons}."
    worse = ["random"] if failed & {"judge", "content", "deletion"} else []
    worse += [name for name in ("amplitude", "slope") if name in failed]
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
    if check.name in ("deletion", "amplitude", "slope"):
        return check.sentence.startswith("no better")
    if check.name == "weights":
        return not abs(check.value) < 0.5
    if check.name == "stability":
        return not check.value >= 0.5
    return False


def judged(one: Map, checks: Sequence[Check]) -> Map:
    """The map with its checks and the verdict."""
    return replace(one, checks=tuple(checks), verdict=verdict(checks))


def shuffled(denoiser: Any, seed: int) -> Any:
    """A copy of a denoiser in which the entries of everything learned changed places: weights, and buffers that are
    stored with them."""
    other = copy.deepcopy(denoiser)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for tensor in other.state_dict().values():
            if tensor.is_floating_point():
                flat = tensor.detach().cpu().flatten()
                tensor.copy_(flat[torch.randperm(len(flat), generator=generator)].view(tensor.shape))
    return other
