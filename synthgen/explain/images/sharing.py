"""SHAP on superpixels: what each square adds to the judge's opinion and to the evidence, the model as the masker."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synthgen.explain import shapley
from synthgen.explain.attribution import Attribution
from synthgen.explain.audit import SHUFFLES
from synthgen.explain.images.judge import margins

if TYPE_CHECKING:
    from synthgen.explain.images.context import Context

SIDE = 4
"""Squares along each side of the image."""

PAIRS = 1
"""Orders of the squares, with their reverses, in each of two halves."""

_LEVELS = 4
"""Noise levels at which the evidence of a masked image is taken."""

JUDGE_QUESTION = (
    "What does each square add to the log-odds that a judge gives the class? Squares that are hidden are not blanked "
    "but drawn anew by the model, which sees the others. Shares add up to what the judge says of the image, minus what "
    "it says of images drawn as a whole."
)
EVIDENCE_QUESTION = (
    "What does each square add to the model's own evidence for the class against the rival? Squares that are hidden "
    "are drawn anew by the model, which sees the others and is told no class. Shares add up to the evidence of the "
    "image, minus that of images drawn as a whole."
)
CAVEAT = (
    "The shares are of {side} x {side} squares, from {orders} orders in which squares were hidden; they do not say "
    "what causes what. A square whose content its neighbours tell as well shares the credit with them."
)


def squares(height: int, width: int) -> np.ndarray:
    """int64 (H, W): the number of the square that each pixel belongs to; fewer squares where the image is smaller."""
    rows, columns = (np.arange(side) * min(SIDE, side) // side for side in (height, width))
    return np.asarray(rows[:, None] * min(SIDE, width) + columns)


def superpixels(context: Context, shuffles: int = SHUFFLES) -> list[tuple[Attribution, list[np.ndarray]]]:
    """Each map with the maps (N, H, W) of models whose weights were shuffled: of the judge, where there is one, and of
    the evidence. shuffles: how many such models."""
    assert context.labels is not None
    labels, rows = context.labels, np.arange(len(context.x0))
    place = squares(*context.x0.shape[2:])
    judges = [] if context.judge is None else [context.judge, *map(context.judge.shuffled, range(shuffles))]
    probes = [context.probe, *map(context.shuffled, range(shuffles))]

    def opinions(images: np.ndarray, which: np.ndarray) -> np.ndarray:
        of_judges = [margins(judge.log_p(images), labels[which]) for judge in judges]
        return np.stack([*of_judges, *(context.evidence_of(images, which, _LEVELS, probe) for probe in probes)], axis=1)

    def worth(hidden: np.ndarray, which: np.ndarray, number: int) -> np.ndarray:
        masks = hidden[:, place]
        draws = np.full(len(which), (1 << 10) + number)
        return opinions(context.probe.regenerated(context.x0[which], context.keys[which], masks, draws), which)

    full = opinions(context.x0, rows).T
    pieces = int(place.max()) + 1
    shares = shapley.share_out(worth, full, pieces, pairs=PAIRS, seed=context.seed, reporter=context.reporter)
    maps = spread(shares.halves, place)
    found = []
    if judges:
        one = _attribution(context, "shap-judge", JUDGE_QUESTION, "log-odds", shares, maps, 0)
        found.append((one, list(maps[:, 1 : len(judges)].mean(axis=0))))
    one = _attribution(context, "shap-evidence", EVIDENCE_QUESTION, "evidence", shares, maps, len(judges))
    return [*found, (one, list(maps[:, len(judges) + 1 :].mean(axis=0)))]


def spread(halves: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Shares float64 (2, T, N, P) spread evenly over the pixels of their square: (2, T, N, H, W)."""
    size = np.bincount(place.ravel())
    return np.asarray((halves / size)[..., place])


def _attribution(
    context: Context, method: str, question: str, unit: str, shares: shapley.Shares, maps: np.ndarray, which: int
) -> Attribution:
    assert context.labels is not None
    halves = maps[:, which]
    of_judge = method == "shap-judge"
    return Attribution(
        method,
        question,
        halves.mean(axis=0).astype(np.float32)[:, None],
        shares.full[which] - shares.empty[which],
        context.called(context.labels),
        tuple("any other class" for _ in context.labels) if of_judge else context.called(context.rivals),
        (context.seed,),
        CAVEAT.format(side=SIDE, orders=shares.orders),
        unit=unit,
        halves=halves,
        details={
            "additivity_gap": float(f"{shares.gap:.3g}"),
            "orders": shares.orders,
            "squares": int(np.prod(np.minimum(SIDE, context.x0.shape[2:]))),
        },
    )
