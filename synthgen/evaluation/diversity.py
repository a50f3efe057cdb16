"""How various the samples are: the Vendi score, distances inside each class, and which real modes they hit.

Each beside what real images show at the same n.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from synthgen.evaluation.measure import Found, Measure, Part, Parts
from synthgen.evaluation.metrics import BOOTSTRAP_REPLICATES, Figure, share
from synthgen.evaluation.neighbours import nearest_features
from synthgen.evaluation.result import Metric

MODES = 100
"""Modes of the real images at most; a mode has at least `_PER_MODE` of them."""

_PER_MODE = 20
_MOST_CLUSTERED = 20_000
_MOST_PER_CLASS = 1000
_SIGNIFICANT = 1.96
_NARROW = 512
"""Up to this many features the Vendi score gets an interval."""


def vendi_score(features: np.ndarray, weights: np.ndarray | None = None) -> float:
    """The effective number of different images, between 1 and min(N, d); Friedman & Dieng 2022, equation 1.

    exp of the entropy of the eigenvalues of K / N, where K holds the cosines between the features (N, d). They are
    those of the d x d matrix of the normalised features, so that no part has to be drawn from large sets.

    weights: how often each image counts (N,), for bootstrap replicates.
    """
    rows = torch.from_numpy(np.ascontiguousarray(features, np.float64))
    rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(1e-12)
    if weights is not None:
        rows = rows * torch.from_numpy(np.sqrt(weights))[:, None]
    gram = rows.T @ rows if rows.shape[1] <= len(rows) else rows @ rows.T
    found = torch.linalg.eigvalsh(gram).clamp_min(0.0)
    found = found[found > 0] / found.sum()
    return float(torch.exp(-(found * found.log()).sum()))


def vendi(features: np.ndarray, *, seed: int = 0, interval: bool = True) -> Figure:
    """The Vendi score with a normal interval whose deviation comes from bootstrap replicates."""
    value = vendi_score(features)
    if not interval or features.shape[1] > _NARROW:
        return Figure(value)
    random, count = np.random.default_rng(seed), len(features)
    draws = (np.bincount(random.integers(0, count, count), minlength=count) for _ in range(BOOTSTRAP_REPLICATES))
    margin = 1.96 * float(np.std([vendi_score(features, draw) for draw in draws], ddof=1))
    return Figure(value, (max(1.0, value - margin), value + margin))


def mean_pairwise_distance(features: np.ndarray, *, seed: int = 0) -> tuple[float, float]:
    """Mean Euclidean distance between two different rows of (N, d), N >= 2, and the variance of this mean.

    On at most 1,000 rows. The variance is that of a U-statistic, 4 var(h) / N with h the mean distance of each row to
    the others (Hoeffding 1948).
    """
    if len(features) > _MOST_PER_CLASS:
        features = features[np.random.default_rng(seed).permutation(len(features))[:_MOST_PER_CLASS]]
    rows = torch.from_numpy(np.ascontiguousarray(features, np.float64))
    count = len(rows)
    each = torch.cdist(rows, rows, compute_mode="donot_use_mm_for_euclid_dist").sum(1) / (count - 1)
    return float(each.mean()), 4.0 * float(each.var()) / count if count > 2 else 0.0


@dataclass(frozen=True)
class Modes:
    """Clusters of the real images: their centres (K, d), and how many of `count` real images are in each (K,)."""

    centres: np.ndarray
    sizes: np.ndarray
    count: int

    def counts(self, features: np.ndarray) -> np.ndarray:
        """How many of these images (N, d) are nearest to each centre (K,)."""
        return np.bincount(nearest_features(features, self.centres)[0], minlength=len(self.centres))

    def different(self, counts: np.ndarray) -> np.ndarray:
        """-1 where a mode is hit significantly too rarely, +1 too often, 0 otherwise (K,).

        The test of two proportions at 5 % of Richardson & Weiss 2018 (NDB).
        """
        n = counts.sum()
        pooled = (counts + self.sizes) / (n + self.count)
        error = np.sqrt(np.maximum(pooled * (1 - pooled), 1e-12) * (1 / n + 1 / self.count))
        z = (counts / n - self.sizes / self.count) / error
        return np.where(np.abs(z) > _SIGNIFICANT, np.sign(z), 0).astype(np.int64)


def find_modes(reference: np.ndarray, *, seed: int = 0) -> Modes:
    """At most 100 clusters of real features (N, d) by k-means."""
    from sklearn.cluster import KMeans

    chosen = np.random.default_rng(seed).permutation(len(reference))[:_MOST_CLUSTERED]
    number = max(2, min(MODES, len(chosen) // _PER_MODE))
    with threadpool_limits(1):
        fitted = KMeans(number, n_init=1, max_iter=50, random_state=seed).fit(reference[chosen])
    centres = np.asarray(fitted.cluster_centers_, np.float32)
    sizes = Modes(centres, np.zeros(number), 0).counts(reference)
    return Modes(centres, sizes, len(reference))


def _diversity(parts: Parts) -> Found:
    spread, classes = _pairwise(parts)
    modes, details = _modes(parts)
    metrics = (_vendi(parts), *spread, *modes)
    return Found(metrics, details={"classes": classes, **details})


def _vendi(parts: Parts) -> Metric:
    parts.check_stop()
    found = vendi(parts.fake.features, seed=parts.seed)
    floor = None if parts.other is None else vendi(parts.other.features, seed=parts.seed, interval=False)
    real = "" if floor is None else f" (real images: {floor.value:.2f})"
    sentence = f"The fake images are as various as {found.value:.2f} entirely different ones{real}."
    return parts.metric("vendi", "Vendi score", found, floor, better="higher", sentence=sentence)


def _pairwise(parts: Parts) -> tuple[list[Metric], list[dict[str, Any]]]:
    """The mean distance inside a class, mean of the classes; of all images where labels are missing."""
    parts.check_stop()
    fake, other = _by_class(parts.fake), None if parts.other is None else _by_class(parts.other)
    names = [name for name in fake if other is None or name in other]
    if not names:
        return [], []
    rows, variance = [], 0.0
    for name in names:
        parts.check_stop()
        value, error = mean_pairwise_distance(fake[name], seed=parts.seed)
        limit = None if other is None else mean_pairwise_distance(other[name], seed=parts.seed)[0]
        rows.append({"name": name, "distance": value, "real": limit})
        variance += error / len(names) ** 2
    value, margin = float(np.mean([row["distance"] for row in rows])), 1.96 * variance**0.5
    found = Figure(value, (max(0.0, value - margin), value + margin), method="normal")
    floor = None if other is None else Figure(float(np.mean([row["real"] for row in rows])))
    real = "" if floor is None else f" (real images: {floor.value:.3g})"
    whom = "Two fake images of one class" if "" not in fake else "Two fake images"
    sentence = f"{whom} are {found.value:.3g} apart in feature space on average{real}."
    metric = parts.metric("pairwise", "distance inside classes", found, floor, better="higher", sentence=sentence)
    return [metric], [row for row in rows if row["name"]]


def _by_class(part: Part) -> dict[str, np.ndarray]:
    """Features of every class of two images or more; of all images under the empty name without labels."""
    if part.labels is None:
        return {"": part.features}
    members = {name: part.members(name) for name in part.data.class_names}
    return {name: part.features[index] for name, index in members.items() if len(index) > 1}


def _modes(parts: Parts) -> tuple[list[Metric], dict[str, Any]]:
    parts.check_stop()
    modes = find_modes(parts.reference.features, seed=parts.seed)
    counts = modes.counts(parts.fake.features)
    others = None if parts.other is None else modes.counts(parts.other.features)
    number, different = len(counts), modes.different(counts)
    hit, hit_floor = share(counts > 0), None if others is None else share(others > 0)
    uneven, uneven_floor = share(different != 0), None if others is None else share(modes.different(others) != 0)
    real_hit = "" if others is None else f" (real images: {int((others > 0).sum())})"
    real_uneven = "" if uneven_floor is None else f" (real images: {round(uneven_floor.value * number)})"
    classes = _classes_hit(parts, parts.fake)
    read = (
        "" if classes is None else f" The judge reads {classes} of {len(parts.extractor.class_names)} classes in them."
    )
    hit_text = f"The fake images hit {int((counts > 0).sum())} of {number} modes of the real ones{real_hit}.{read}"
    uneven_text = (
        f"{int((different < 0).sum())} of {number} modes are hit significantly too rarely and "
        f"{int((different > 0).sum())} too often{real_uneven}."
    )
    metrics = [
        parts.metric("modes", "modes hit", hit, hit_floor, better="higher", share=True, sentence=hit_text),
        parts.metric(
            "ndb", "modes off their share", uneven, uneven_floor, better="lower", share=True, sentence=uneven_text
        ),
    ]
    return metrics, {
        "modes": number,
        "classes_read": classes,
        "classes_known": len(parts.extractor.class_names) or None,
    }


def _classes_hit(parts: Parts, part: Part) -> int | None:
    """How many classes the judge reads in the images; None when it reads none of the data's own."""
    if part.logits is None or not parts.extractor.class_names:
        return None
    return len(np.unique(part.logits.argmax(axis=1)))


DIVERSITY = Measure("diversity", ("vendi", "pairwise", "modes", "ndb"), _diversity)
