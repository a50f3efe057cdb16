"""Context-FID: the Frechet distance between real and synthetic windows in the features of an encoder of real ones.

Proposed by Jeha et al. 2022 (PSA-GAN) with TS2Vec as the encoder. Its scale is that of the features: figures compare
only where the encoder is trained alike, so seeds and digests of the weights stand beside them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from threadpoolctl import threadpool_limits

from synthgen.evaluation.metrics import frechet_distance
from synthgen.evaluation.series.encoder import fit_encoder
from synthgen.stopping import ShouldStop, never_stop


def context_fid(
    real: np.ndarray,
    fake: np.ndarray,
    seeds: Sequence[int] = range(5),
    *,
    should_stop: ShouldStop = never_stop,
) -> np.ndarray:
    """Context-FID, float64 (S,): for each seed an encoder of its own is fitted on `real`.

    real, fake: (N, L, C) and (M, L, C) without NaN, scaled to about 0..1 by the real windows' extremes.
    """
    found = []
    for seed in seeds:
        encoder = fit_encoder(real, seed, should_stop=should_stop)
        sides = [encoder.features(side, should_stop=should_stop) for side in (real, fake)]
        found.append(feature_distance(*sides))
    return np.array(found)


def feature_distance(first: np.ndarray, second: np.ndarray) -> float:
    """Frechet distance of features (N, d), (M, d), with one thread: BLAS gains nothing from more at this width."""
    with threadpool_limits(1, user_api="blas"):
        return frechet_distance(first, second)
