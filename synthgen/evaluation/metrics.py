"""The figures: torch-fidelity's formulas on features that were computed once, and the uncertainty of each."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from threadpoolctl import threadpool_limits
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from synthgen.evaluation.kernels import kid_deviation

LEAST_IMAGES = 8
"""Fewer images than this on one side are not compared."""

BOOTSTRAP_REPLICATES = 40
_NARROW = 512
"""Up to this many features FID gets an interval, whose replicates cost the eigenvalues of a d x d matrix each, and
numpy works with one thread: its BLAS gains nothing from a second one, and beside other work loses a hundredfold."""

_KID_SUBSETS, _KID_SUBSET_SIZE = 100, 1000
_SCORE_REPLICATES = 100


@dataclass(frozen=True)
class Figure:
    """A value with its uncertainty, where the metric has one.

    interval: 95 %; method: how it was found. spread: torch-fidelity's own standard deviation (over subsets or splits).
    """

    value: float
    interval: tuple[float, float] | None = None
    spread: float | None = None
    method: str = "bootstrap"


def frechet_distance(first: np.ndarray, second: np.ndarray) -> float:
    """FID of two sets of features (N, d), (M, d): |mu1 - mu2|^2 + Tr(S1 + S2 - 2 (S1 S2)^(1/2)); Heusel et al. 2017."""
    return _frechet(_statistics(first), _statistics(second))


def _statistics(features: np.ndarray) -> dict[str, np.ndarray]:
    statistics: dict[str, np.ndarray] = fid_features_to_statistics(torch.from_numpy(features.astype(np.float64)))
    return statistics


def _frechet(first: dict[str, np.ndarray], second: dict[str, np.ndarray]) -> float:
    # The formula subtracts nearly equal traces: rounding can leave -1e-12 for equal sets.
    return max(0.0, float(fid_statistics_to_metric(first, second, verbose=False)[KEY_METRIC_FID]))


def frechet_from_moments(mean1: np.ndarray, cov1: np.ndarray, mean2: np.ndarray, cov2: np.ndarray) -> float:
    """The same of two Gaussians: float64 means (d,) and covariances (d, d)."""
    return _frechet({"mu": mean1, "sigma": cov1}, {"mu": mean2, "sigma": cov2})


def fid(
    reference: np.ndarray,
    other: np.ndarray,
    *,
    seed: int = 0,
    interval: bool = True,
    replicates: int = BOOTSTRAP_REPLICATES,
    reference_labels: np.ndarray | None = None,
    other_labels: np.ndarray | None = None,
) -> Figure:
    """FID with a normal interval whose deviation comes from bootstrap replicates of both sets.

    Where labels are given, images are drawn anew within their class: stratified sets do not vary in their class shares.
    The replicates' deviation is used and not their quantiles, because a resampled set has fewer distinct images and
    FID grows as those become fewer: the quantiles would lie beside the value.
    """
    with _few_threads(reference):
        value = frechet_distance(reference, other)
        if not interval or reference.shape[1] > _NARROW:
            return Figure(value)
        random = np.random.default_rng(seed)
        values = []
        for _ in range(replicates):
            first = reference[_resample(len(reference), reference_labels, random)]
            values.append(frechet_distance(first, other[_resample(len(other), other_labels, random)]))
    margin = 1.96 * float(np.std(values, ddof=1))
    return Figure(value, (max(0.0, value - margin), value + margin))


def _few_threads(features: np.ndarray) -> AbstractContextManager[object]:
    """One thread for numpy's BLAS while it works on narrow features."""
    limits: AbstractContextManager[object] = threadpool_limits(
        1 if features.shape[1] <= _NARROW else None, user_api="blas"
    )
    return limits


def _resample(count: int, labels: np.ndarray | None, random: np.random.Generator) -> np.ndarray:
    """`count` indices drawn with replacement, within each class where there are labels."""
    if labels is None:
        return random.integers(0, count, count)
    members = (np.flatnonzero(labels == label) for label in np.unique(labels))
    return np.concatenate([one[random.integers(0, len(one), len(one))] for one in members])


def kid(reference: np.ndarray, other: np.ndarray, *, seed: int = 0, interval: bool = True) -> Figure:
    """KID, the unbiased squared MMD with the kernel (x.y / d + 1)^3 over random subsets; Binkowski et al. 2018.

    Unbiased, so it may fall below 0 where the sets agree. Subsets hold 1,000 images, or half of the smaller set. The
    interval is a normal one from a bootstrap over groups of images (`kernels`).
    """
    smaller = min(len(reference), len(other))
    with _few_threads(reference):
        found = kid_features_to_metric(
            _tensor(other),
            _tensor(reference),
            kid_subsets=_KID_SUBSETS,
            kid_subset_size=max(2, min(_KID_SUBSET_SIZE, smaller // 2)),
            rng_seed=seed,
            verbose=False,
        )
    value = found[KEY_METRIC_KID_MEAN]
    margin = 1.96 * kid_deviation(reference, other, seed=seed) if interval else 0.0
    bounds = (value - margin, value + margin) if interval else None
    return Figure(value, bounds, spread=found[KEY_METRIC_KID_STD])


def inception_score(
    logits: np.ndarray, *, seed: int = 0, interval: bool = True, labels: np.ndarray | None = None
) -> Figure:
    """exp of the mean KL divergence between p(y | x) and p(y), mean over ten splits; Salimans et al. 2016.

    One split below 100 images. Between 1 and the number of classes. The interval is a normal one from bootstrap
    replicates, drawn within each class where labels are given.
    """
    splits = 10 if len(logits) >= 100 else 1
    found = isc_features_to_metric(torch.from_numpy(logits), splits=splits, rng_seed=seed)
    value, spread = found[KEY_METRIC_ISC_MEAN], found[KEY_METRIC_ISC_STD] if splits > 1 else None
    if not interval:
        return Figure(value, spread=spread)
    logs = torch.from_numpy(logits).double().log_softmax(dim=1).numpy()
    shares = np.exp(logs)
    terms = np.column_stack([shares, (shares * logs).sum(axis=1)])
    random = np.random.default_rng(seed)
    replicates = []
    for _ in range(_SCORE_REPLICATES):
        weights = np.bincount(_resample(len(terms), labels, random), minlength=len(terms)) / len(terms)
        *marginal, information = weights @ terms
        replicates.append(np.exp(information - sum(share * np.log(share) for share in marginal if share > 0)))
    margin = 1.96 * float(np.std(replicates, ddof=1))
    return Figure(value, (max(1.0, value - margin), value + margin), spread)


def crossed_mean(rows: np.ndarray, columns: np.ndarray) -> Figure:
    """The mean of a table of which only the means of its rows (N,) and of its columns (M,) are known.

    Both what the rows and what the columns stand for is drawn at random: the variance is the sum of those of the two
    kinds of means, each over their number (Owen 2007, the pigeonhole bootstrap). The interval is a normal one.
    """
    value = float(np.mean(rows))
    margin = 1.96 * float(np.sqrt(np.var(rows) / len(rows) + np.var(columns) / len(columns)))
    return Figure(value, (value - margin, value + margin), method="normal")


def share(hits: np.ndarray, *, against: int | None = None) -> Figure:
    """The share of True in a bool array, with Wilson's 95 % interval.

    against: where each entry says how an image lies to a whole other set, the number of images in that set. Which ones
    these are is chance as well, so both sides count: the interval is that of 1 / (1 / len(hits) + 1 / against) images.
    A rule of thumb, checked on features of MNIST: about right when the sets are equally large, wide rather than narrow
    otherwise.
    """
    count, z = float(len(hits)), 1.96
    if against is not None:
        count = 1.0 / (1.0 / count + 1.0 / against)
    rate = float(np.mean(hits))
    centre = (rate + z * z / (2 * count)) / (1 + z * z / count)
    margin = z * np.sqrt(rate * (1 - rate) / count + z * z / (4 * count * count)) / (1 + z * z / count)
    return Figure(rate, (max(0.0, float(centre - margin)), min(1.0, float(centre + margin))), method="wilson")


def _tensor(features: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(features, dtype=np.float32))
