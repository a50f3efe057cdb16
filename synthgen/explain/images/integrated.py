"""Integrated gradients of a judge: what every pixel adds to its opinion on the way from images drawn anew."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from captum.attr import IntegratedGradients

from synthgen.explain.attribution import Attribution
from synthgen.explain.images.judge import Judge, Odds

if TYPE_CHECKING:
    from synthgen.explain.images.context import Context

DRAWS = 4
"""Images drawn as a whole from which the way to an image begins, even: halves are compared."""

STEPS = 48
"""Places on a way at which the gradient is taken (Gauss-Legendre)."""

_DRAW = 1 << 13
QUESTION = (
    "What does each pixel add to the log-odds that a judge gives the class, on the straight way from images that the "
    "model draws anew as a whole, told no class, to this one? The map adds up to what the judge says of the image "
    "minus what it says of those."
)
CAVEAT = (
    "It explains the judge, not the model that made the image. On the way lie mixtures of images such as the judge has "
    "never seen, and what it says of them counts as much; single pixels are often noise."
)


def integrated(context: Context, judge: Judge, draws: int = DRAWS) -> Attribution:
    """Integrated gradients (Sundararajan et al. 2017, arXiv:1703.01365, equation 1), mean over beginnings drawn by the
    model, which stand for an image that knows nothing of the class. draws: even. Raises StoppedError."""
    assert context.labels is not None
    x0, count = context.x0, len(context.x0)
    rows = np.repeat(np.arange(count), draws)
    hidden = np.ones((len(rows), *x0.shape[2:]), bool)
    begin = context.probe.regenerated(x0[rows], context.keys[rows], hidden, _DRAW + np.tile(np.arange(draws), count))
    begin = begin.reshape(count, draws, *x0.shape[1:])
    halves, gaps = np.zeros((2, *x0.shape)), np.empty((count, draws))
    scalars = np.zeros(count)
    place = next(judge.network.parameters()).device
    for row in range(count):
        context.probe.check()
        told = torch.from_numpy(context.labels[row : row + 1]).to(place)
        explained = IntegratedGradients(Odds(judge, told))
        image = torch.from_numpy(x0[row : row + 1]).to(place).expand(draws, -1, -1, -1)
        start = torch.from_numpy(begin[row]).to(place)
        with torch.enable_grad():
            found, gap = explained.attribute(image, start, n_steps=STEPS, return_convergence_delta=True)
        with torch.no_grad():
            odds = Odds(judge, told)(torch.cat([image[:1], start])).cpu().double().numpy()
        scalars[row] = odds[0] - odds[1:].mean()
        gaps[row] = gap.cpu().double().numpy()
        values = found.detach().cpu().double().numpy()
        halves[0, row], halves[1, row] = values[::2].mean(axis=0), values[1::2].mean(axis=0)
    return Attribution(
        "judge-integrated",
        QUESTION,
        halves.mean(axis=0).astype(np.float32),
        scalars,
        context.called(context.labels),
        tuple("any other class" for _ in range(count)),
        (context.seed,),
        CAVEAT,
        unit="log-odds",
        halves=halves.sum(axis=2),
        details={
            "ways": draws,
            "places_of_a_way": STEPS,
            "completeness_gap": float(f"{np.abs(gaps.mean(axis=1)).mean():.3g}"),
        },
    )
