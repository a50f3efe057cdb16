"""The four scores of the field as measures: Context-FID, correlational, discriminative, predictive."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from synthgen.data.series.windows import WindowSet
from synthgen.evaluation.series.context import feature_distance
from synthgen.evaluation.series.correlation import correlational
from synthgen.evaluation.series.encoder import VERSION, Encoder, Fitted, fit_encoder
from synthgen.evaluation.series.judges import discriminative, expected_score, predictive, test_count
from synthgen.evaluation.series.measure import (
    Floor,
    Found,
    Measure,
    SeriesMetric,
    SeriesParts,
    beside,
    deviation,
    floor_of,
    plain,
)

_LEAST = 8


def encoder_of(parts: SeriesParts, seed: int) -> Fitted:
    """The encoder that is fitted on the reference with this seed, from the cache if it is there."""

    def fitted() -> Fitted:
        real = parts.prepared(parts.reference)
        key = {"series encoder": parts.reference.fingerprint, "space": parts.real.fingerprint, "version": VERSION}
        key |= {"seed": seed, "torch": torch.__version__}
        network = Encoder(real.x.shape[2])

        def compute() -> dict[str, np.ndarray]:
            found = fit_encoder(real.x, seed, lengths=real.lengths, should_stop=parts.should_stop)
            weights = {name: value.numpy() for name, value in found.network.state_dict().items()}
            about = np.array([found.iterations, *bytes.fromhex(found.sha256)], np.int64)
            return {**weights, "about": about}

        arrays = dict(parts.cache.get(key, compute))
        about = arrays.pop("about").tolist()
        network.load_state_dict({name: torch.from_numpy(value) for name, value in arrays.items()})
        network.eval().requires_grad_(False)
        return Fitted(network, seed, int(about[0]), bytes(about[1:]).hex())

    return parts.keep(f"encoder {seed}", fitted)


def features_of(parts: SeriesParts, windows: WindowSet, seed: int) -> np.ndarray:
    """float32 (N, 320): the windows' features by that encoder, kept."""

    def compute() -> np.ndarray:
        prepared = parts.prepared(windows)
        return encoder_of(parts, seed).features(prepared.x, prepared.lengths, parts.should_stop)

    return parts.keep(f"features {seed} {windows.fingerprint}", compute)


def _of_half(parts: SeriesParts, which: int, seed: int) -> np.ndarray:
    """The features of one half: those of the reference where that is all of the real windows."""
    if len(parts.reference) == len(parts.real):
        found: np.ndarray = features_of(parts, parts.reference, seed)[parts.halves[which]]
        return found
    return features_of(parts, parts.half(which), seed)


def _context(parts: SeriesParts) -> Found:
    random = np.random.default_rng([parts.seeds[0], 7])
    values: list[float] = []
    kept: dict[str, list[float]] = {"halves": [], "redrawn": [], "later": []}
    first = "context floors" not in parts.shared
    for seed in parts.seeds:
        parts.check_stop()
        real = features_of(parts, parts.reference, seed)
        values.append(feature_distance(real, features_of(parts, parts.fake, seed)))
        if first:
            kept["redrawn"].append(feature_distance(real, real[random.integers(0, len(real), parts.n)]))
            if parts.divided:
                sides = [_of_half(parts, which, seed) for which in (0, 1)]
                kept["halves"].append(feature_distance(*sides))
            if parts.later is not None:
                kept["later"].append(feature_distance(real, features_of(parts, parts.later, seed)))
    counts = _counts(parts)
    floors = parts.keep(
        "context floors",
        lambda: tuple(floor_of(n, v, counts[n]) for n, v in kept.items() if v),  # type: ignore[arg-type]
    )
    value = float(np.mean(values))
    text = (
        f"Context-FID, the distance in features of an encoder of real ones, is {plain(value)}{beside(floors, plain)}."
    )
    metric = SeriesMetric(
        "context_fid", "Context-FID", value, parts.n, "lower", text, floors, deviation(values), tuple(values)
    )
    fitted = [encoder_of(parts, seed) for seed in parts.seeds]
    details = {
        "encoders": [{"seed": one.seed, "iterations": one.iterations, "sha256": one.sha256} for one in fitted],
        "windows": len(parts.reference),
    }
    return Found((metric,), details)


def _counts(parts: SeriesParts) -> dict[Any, int]:
    """Windows on the smaller side of each floor."""
    later = 0 if parts.later is None else len(parts.later)
    return {"halves": min(len(half) for half in parts.halves), "redrawn": parts.n, "later": later}


def _correlational(parts: SeriesParts) -> Found:
    def score(first: WindowSet, second: WindowSet) -> np.ndarray:
        parts.check_stop()
        return correlational(parts.space.scaled(first), parts.space.scaled(second), parts.seeds)

    def compute() -> tuple[Floor, ...]:
        counts = _counts(parts)
        found = [floor_of("redrawn", score(parts.reference, parts.reference), counts["redrawn"])]
        if parts.divided:
            found.insert(0, floor_of("halves", score(parts.half(0), parts.half(1)), counts["halves"]))
        if parts.later is not None:
            found.append(floor_of("later", score(parts.reference, parts.later), counts["later"]))
        return tuple(found)

    values = score(parts.reference, parts.fake)
    floors = parts.keep("correlational floors", compute)
    value = float(values.mean())
    text = f"The correlations of channels differ by {plain(value)} in sum, over ten{beside(floors, plain)}."
    metric = SeriesMetric(
        "correlational", "correlational score", value, parts.n, "lower", text, floors, deviation(values), tuple(values)
    )
    return Found((metric,))


def _no_pairs(parts: SeriesParts) -> str | None:
    count = len(parts.space.numbers)
    return None if count > 1 else f"{count} channel{'' if count == 1 else 's'} of changing numbers: no pairs"


def _discriminative(parts: SeriesParts) -> Found:
    def score(first: WindowSet, second: WindowSet) -> np.ndarray:
        sides = (parts.prepared(first).x, parts.prepared(second).x)
        return discriminative(*sides, parts.seeds, should_stop=parts.should_stop)

    def compute() -> tuple[Floor, ...]:
        counts, tested = _counts(parts), test_count(len(parts.reference), parts.n)
        found = [Floor("chance", expected_score(tested), tested)]
        if parts.divided:
            found.insert(0, floor_of("halves", score(parts.half(0), parts.half(1)), counts["halves"]))
        if parts.later is not None and len(parts.later) >= _LEAST:
            found.append(floor_of("later", score(parts.reference, parts.later), counts["later"]))
        return tuple(found)

    values = score(parts.reference, parts.fake)
    floors = parts.keep("discriminative floors", compute)
    value = float(values.mean())
    text = (
        f"A small recurrent network tells synthetic windows from real ones {_points(value)} more often than half the "
        f"time{beside(floors, _points)}."
    )
    metric = SeriesMetric(
        "discriminative",
        "discriminative score",
        value,
        parts.n,
        "lower",
        text,
        floors,
        deviation(values),
        tuple(values),
    )
    return Found((metric,))


def _points(value: float) -> str:
    return f"{plain(100 * value)} points"


def _predictive(parts: SeriesParts) -> Found:
    target = _target(parts)
    at = parts.space.places[target]

    def errors(train: WindowSet, tests: list[WindowSet]) -> np.ndarray:
        sides = [parts.prepared(one) for one in (train, *tests)]
        return predictive(
            sides[0].x,
            [one.x for one in sides[1:]],
            parts.seeds,
            target=at,
            observed=[one.observed[:, :, target] for one in sides],
            should_stop=parts.should_stop,
        )

    later = [] if parts.later is None else [parts.later]
    values = errors(parts.fake, [parts.reference, *later])
    floors = parts.keep("predictive floors", lambda: errors(parts.reference, [parts.reference, *later]))
    name = parts.space.channels[target]
    real = "the same real windows" if parts.protocol == "leaky" else "the real training windows"
    metrics = []
    for place, (key, title, where) in enumerate(
        (
            ("predictive", "predictive score", real),
            ("predictive_later", "predictive score, later part", "the later part"),
        )
    ):
        if place >= len(values):
            continue
        one, floor = values[place], floor_of("real", floors[place], len(parts.reference))
        value = float(one.mean())
        text = (
            f"The next step of {name} on {where}, foretold by a network trained on synthetic windows, is off by "
            f"{plain(value)} of its range{beside([floor], plain)}."
        )
        metrics.append(
            SeriesMetric(key, title, value, parts.n, "lower", text, (floor,), deviation(one), tuple(one.tolist()))
        )
    return Found(tuple(metrics), {"channel": name})


def _target(parts: SeriesParts) -> int:
    return parts.space.numbers[-1]


def _no_prediction(parts: SeriesParts) -> str | None:
    if not parts.space.numbers:
        return "no channel is a number that changes"
    if parts.space.dimensions < 2:
        return "the predictive score takes one channel from the others, and there is one channel only"
    if parts.reference.values.shape[1] < 2:
        return "windows of one step have no next one"
    return None


CONTEXT = Measure("context_fid", ("context_fid",), _context)
CORRELATIONAL = Measure("correlational", ("correlational",), _correlational, _no_pairs)
DISCRIMINATIVE = Measure("discriminative", ("discriminative",), _discriminative)
PREDICTIVE = Measure("predictive", ("predictive", "predictive_later"), _predictive, _no_prediction)
