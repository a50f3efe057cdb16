"""Measures of copying: images of the training set among the samples, and the same sample twice."""

from __future__ import annotations

import hashlib
from dataclasses import asdict
from functools import cached_property
from typing import Any

import numpy as np

from synthgen.evaluation.cache import pixel_digest
from synthgen.evaluation.measure import Found, Measure, Parts
from synthgen.evaluation.memorisation import (
    FALSE_ALARMS,
    Alarm,
    Training,
    calibrate,
    choose_training,
    cross_checked,
    excess,
    self_test,
)
from synthgen.evaluation.metrics import Figure, share
from synthgen.evaluation.neighbours import Nearest, PixelIndex, nearest_features
from synthgen.evaluation.result import Metric

_VERSION = 2
"""Of what is kept in the cache. To be raised when results change."""

SHOWN_PAIRS = 24
_AT_RANDOM = 12
_BINS = 40
_WEAK = 0.95


class Search:
    """A pixel index that is built when first needed, and whose answers are kept in the cache."""

    def __init__(self, images: np.ndarray, parts: Parts) -> None:
        self.images, self.parts = images, parts

    @cached_property
    def index(self) -> PixelIndex:
        return PixelIndex(self.images, seed=self.parts.seed, check=self.parts.check_stop)

    @cached_property
    def digest(self) -> str:
        return pixel_digest(self.images)

    def nearest(self, queries: np.ndarray, exclude: np.ndarray | None = None) -> Nearest:
        """See `PixelIndex.search`."""
        key = {
            "what": "nearest in pixel space",
            "version": _VERSION,
            "images": self.digest,
            "queries": pixel_digest(queries),
            "exclude": _hash(exclude),
            "seed": self.parts.seed,
        }
        found = self.parts.cache.get(
            key, lambda: asdict(self.index.search(queries, exclude=exclude, check=self.parts.check_stop))
        )
        return Nearest(**found)

    def self_test(self, alarm: Alarm) -> dict[str, float]:
        """See `memorisation.self_test`."""
        key = {
            "what": "planted copies",
            "version": _VERSION,
            "images": self.digest,
            "threshold": alarm.threshold,
            "seed": self.parts.seed,
        }

        def compute() -> dict[str, np.ndarray]:
            found = self_test(self.index, self.images, alarm, seed=self.parts.seed, check=self.parts.check_stop)
            return {kind: np.array([recall]) for kind, recall in found.items()}

        return {kind: float(recall[0]) for kind, recall in self.parts.cache.get(key, compute).items()}


def _hash(index: np.ndarray | None) -> str | None:
    return None if index is None else hashlib.sha256(np.ascontiguousarray(index, "<i8").data).hexdigest()


def _memorised(parts: Parts) -> Found:
    training = choose_training(parts)
    source = parts.real if training.from_real or parts.held_out is None else parts.held_out
    real = parts.real.data.images
    search = Search(np.ascontiguousarray(real[training.index]), parts)
    exclude = np.searchsorted(training.index, training.held_out) if training.leave_one_out else None
    held_out = search.nearest(np.ascontiguousarray(source.data.images[training.held_out]), exclude)
    samples = search.nearest(parts.fake.data.images)
    alarm = calibrate(held_out.ratio)
    planted = search.self_test(alarm)
    features = _in_features(parts, training, exclude)
    found = Figure(1.0, (1.0, 1.0)) if parts.identical else alarm.memorised(samples.ratio)
    crossed = cross_checked(held_out.ratio, parts.seed)
    floor = None if parts.identical else excess(crossed, min(alarm.expected, FALSE_ALARMS), len(crossed))
    details = {
        "training_set": training.text,
        "training_known": training.known,
        "training_count": len(training.index),
        "held_out_count": len(training.held_out),
        "threshold": alarm.threshold,
        "alarms": int(alarm.rings(samples.ratio).sum()),
        "alarm_share": float(alarm.rings(samples.ratio).mean()),
        "false_alarm_share": float(crossed.mean()),
        "self_test": planted,
        "pairs": _pairs(parts, training, samples, alarm),
        "histogram": _histogram(samples.ratio, held_out.ratio),
        **features.details,
    }
    metric = _memorised_metric(parts, found, floor, details)
    return Found((metric, features.metric), details=details, warnings=tuple(_warnings(metric, details, alarm)))


def _memorised_metric(parts: Parts, found: Figure, floor: Figure | None, details: dict[str, Any]) -> Metric:
    recall = float(np.mean(list(details["self_test"].values())))
    tested = f"the self-test found {100 * recall:.1f} % of planted copies"
    if parts.identical:
        sentence = f"Every image is a copy of a real one; {tested}."
    else:
        rings = (
            f"{100 * details['alarm_share']:.2f} % of the fake images lie as near to a single training image as the "
            f"nearest {100 * FALSE_ALARMS:.0f} % of held-out real ones"
        )
        assert found.interval is not None
        sentence = (
            f"{rings}: memorised are {100 * found.value:.2f} % (at most {100 * found.interval[1]:.2f} %); {tested}."
        )
    return parts.metric("memorised", "memorised", found, floor, better="lower", share=True, sentence=sentence)


def _warnings(metric: Metric, details: dict[str, Any], alarm: Alarm) -> list[str]:
    found = []
    if metric.interval is not None and metric.interval[0] > 0:
        found.append(
            f"{100 * metric.value:.1f} % of the fake images are copies of training images, or as good as copies "
            f"(95 % interval {100 * metric.interval[0]:.1f} % to {100 * metric.interval[1]:.1f} %)"
        )
    weak = {kind: recall for kind, recall in details["self_test"].items() if recall < _WEAK}
    if weak:
        text = ", ".join(f"{100 * recall:.0f} % ({kind})" for kind, recall in weak.items())
        found.append(f"the alarm for memorised images is weak here: of planted copies it finds only {text}")
    if alarm.expected > 1.5 * FALSE_ALARMS:
        found.append(
            f"{100 * alarm.expected:.1f} % of the held-out images are copies of training images themselves: so many "
            "copies among the fake images count as none"
        )
    return found


class _InFeatures:
    """The nearest training images in feature space, and what they say."""

    def __init__(self, metric: Metric, details: dict[str, Any]) -> None:
        self.metric, self.details = metric, details


def _in_features(parts: Parts, training: Training, exclude: np.ndarray | None) -> _InFeatures:
    """The figure `nearer` and its details.

    Features that were trained on the real images know these better than new ones. With left-out images as held-out ones
    they lie nearer to one another than any new image does, and the figure is too low; `--holdout test` is fair.
    """
    base = parts.real.features[training.index]
    held = parts.real if training.from_real or parts.held_out is None else parts.held_out
    _, held_distance = _nearest_features(parts, held.features[training.held_out], base, exclude)
    index, distance = _nearest_features(parts, parts.fake.features, base, None)
    nearer = distance < np.median(held_distance)
    found = share(nearer)
    sentence = (
        f"In feature space {100 * found.value:.1f} % of the fake images are nearer to a training image than the median "
        "held-out image is (50.0 % would be as near)."
    )
    floor = None if parts.identical else Figure(0.5)
    metric = parts.metric("nearer", "nearer than held-out", found, floor, better="lower", share=True, sentence=sentence)
    order = np.argsort(distance, kind="stable")[: SHOWN_PAIRS // 2]
    pairs = [
        {
            "sample": int(parts.fake_index[row]),
            "real": int(training.index[index[row]]),
            "distance": float(distance[row]),
        }
        for row in order
    ]
    return _InFeatures(metric, {"feature_pairs": pairs, "feature_histogram": _histogram(distance, held_distance)})


def _nearest_features(
    parts: Parts, queries: np.ndarray, base: np.ndarray, exclude: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray]:
    digests = [hashlib.sha256(np.ascontiguousarray(rows).data).hexdigest() for rows in (queries, base)]
    key = {"what": "nearest in feature space", "version": _VERSION, "features": digests, "exclude": _hash(exclude)}

    def compute() -> dict[str, np.ndarray]:
        index, distance = nearest_features(queries, base, exclude=exclude, check=parts.check_stop)
        return {"index": index, "distance": distance}

    found = parts.cache.get(key, compute)
    return found["index"], found["distance"]


def _pairs(parts: Parts, training: Training, samples: Nearest, alarm: Alarm) -> list[dict[str, Any]]:
    """The closest pairs first, then some at random, as indices into the given sets."""
    closest = np.lexsort((samples.distance, samples.ratio))[:SHOWN_PAIRS]
    others = np.setdiff1d(np.arange(len(samples.index)), closest)
    others = np.random.default_rng(parts.seed).permutation(others)[:_AT_RANDOM]
    rings = alarm.rings(samples.ratio)
    found: list[dict[str, Any]] = []
    for row in (*closest, *others):
        real = int(training.index[samples.index[row]])
        same = np.array_equal(parts.fake.data.images[row], parts.real.data.images[real])
        verdict = "exact copy" if same else "copy" if samples.copy[row] else "near" if rings[row] else "ok"
        pair = {
            "sample": int(parts.fake_index[row]),
            "real": real,
            "likeness": float(samples.likeness[row]),
            "ratio": float(samples.ratio[row]),
            "shift": [int(step) for step in samples.shift[row]],
            "verdict": verdict,
            "at_random": len(found) >= len(closest),
        }
        found.append(pair)
    return found


def _histogram(samples: np.ndarray, held_out: np.ndarray) -> dict[str, list[float]]:
    """Shares of both sets in common bins."""
    top = float(max(np.quantile(samples, 0.999), np.quantile(held_out, 0.999))) or 1.0
    edges = np.linspace(0.0, top, _BINS + 1)
    counts = [np.histogram(np.minimum(values, top), edges)[0] / len(values) for values in (samples, held_out)]
    return {"edges": edges.tolist(), "samples": counts[0].tolist(), "held_out": counts[1].tolist()}


def _duplicates(parts: Parts) -> Found:
    """Samples that have a twin among the samples, against real images among as many real ones."""
    found_near = _twins(parts, parts.fake.data.images)
    exact = _repeated(parts.fake.data.images)
    details: dict[str, Any] = {"exact_repeats": exact, "pairs": _twin_pairs(parts, found_near)}
    if parts.other is None:
        found, floor = share(found_near.copy), None
        text = f"{100 * found.value:.2f} % of the images have an equal twin among them."
    else:
        real_near = _twins(parts, parts.other.data.images)
        alarm = calibrate(real_near.distance)
        crossed = cross_checked(real_near.distance, parts.seed)
        found = alarm.memorised(found_near.distance)
        floor = excess(crossed, min(alarm.expected, FALSE_ALARMS), len(crossed))
        details |= {"threshold": alarm.threshold, "histogram": _histogram(found_near.distance, real_near.distance)}
        text = (
            f"{100 * float(alarm.rings(found_near.distance).mean()):.2f} % of the fake images have a twin among the "
            f"fake ones that is as near as that of the nearest {100 * FALSE_ALARMS:.0f} % of real images: "
            f"{100 * found.value:.2f} % more than real ones."
        )
    metric = parts.metric("duplicates", "duplicates", found, floor, better="lower", share=True, sentence=text)
    warnings = [f"{exact:,} of the {parts.n:,} fake images are exact repeats of another one"] if exact else []
    return Found((metric,), details=details, warnings=tuple(warnings))


def _twins(parts: Parts, images: np.ndarray) -> Nearest:
    return Search(images, parts).nearest(images, np.arange(len(images)))


def _repeated(images: np.ndarray) -> int:
    """How many images repeat an earlier one, byte for byte."""
    digests = {hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest() for image in images}
    return len(images) - len(digests)


def _twin_pairs(parts: Parts, found: Nearest) -> list[dict[str, Any]]:
    """The closest pairs of samples, each pair once, as indices into the given samples."""
    pairs: list[dict[str, Any]] = []
    seen: set[tuple[int, int]] = set()
    for row in np.argsort(found.distance, kind="stable"):
        ends = sorted((int(row), int(found.index[row])))
        if (ends[0], ends[1]) in seen:
            continue
        seen.add((ends[0], ends[1]))
        first, second = (int(parts.fake_index[end]) for end in ends)
        pairs.append({"first": first, "second": second, "likeness": float(found.likeness[row])})
        if len(pairs) == SHOWN_PAIRS // 2:
            break
    return pairs


MEMORISED = Measure("memorised", ("memorised", "nearer"), _memorised, needs=("fake", "real", "held_out"))
DUPLICATES = Measure("duplicates", ("duplicates",), _duplicates, needs=())
