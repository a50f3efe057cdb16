"""Compare synthetic images with real ones: every figure beside what real images score against real images.

The protocol. The real set is cut into two random, stratified halves. Half A is the reference. The fake images are
measured against A, and so is half B, at the same n = min(fake, B, --count): that is the floor, what a perfect generator
would score. An extractor that is trained on demand learns from A alone, so that B and the fake images are equally new
to it. With held-out images (the test split), they take the place of B and the whole real set is the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from synthgen.data.dataset import ImageData
from synthgen.downstream.copies import count_copies
from synthgen.downstream.leaks import Provenance
from synthgen.errors import UsageError
from synthgen.evaluation.cache import ArrayCache, evaluation_cache
from synthgen.evaluation.choosing import choose_extractor
from synthgen.evaluation.domain import BUNDLED
from synthgen.evaluation.extractors import Extractor, Features
from synthgen.evaluation.gates import Gate, judge, parse_gates
from synthgen.evaluation.measure import Found, Measure, Part, Parts
from synthgen.evaluation.measures import MEASURES, METRICS, check_metrics
from synthgen.evaluation.result import SMALL_COUNT, Evaluation, SetSummary
from synthgen.evaluation.sides import Sides, check_sets, choose_sides
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

__all__ = ["METRICS", "check_metrics", "evaluate_images"]


def evaluate_images(
    real: ImageData,
    fake: ImageData,
    *,
    features: str | Path | Extractor = "domain",
    inception_weights: Path | None = None,
    metrics: Sequence[str] | None = None,
    count: int | None = None,
    held_out: ImageData | None = None,
    generator: Provenance | None = None,
    gates: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    cache: bool | ArrayCache = True,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Evaluation:
    """Measure how far `fake` is from `real`.

    Args:
        features: `domain`, `inception`, the file of a domain extractor, or an extractor.
        metrics: of `METRICS`; None: all that the data and the extractor allow.
        count: images per side at most. held_out: real images for the floor instead of half of `real`.
        generator: what the generator was trained on, where that is known.
        gates: such as `fid>30`; what became of them is in the result's `gates`.
        seed: decides the halves, the subsets and the bootstrap replicates.
        cache: keep features, and other results that took long, in the user's cache, and use those that are there.
    Raises: UsageError when the sets cannot be compared, or a metric asked for, by itself or by a gate, is impossible;
        StoppedError.
    """
    reporter = reporter or NullReporter()
    wanted = [measure for measure in MEASURES if measure.name in check_metrics(metrics)]
    asked = parse_gates(gates, metrics)
    check_sets(real, fake, held_out)
    sides = choose_sides(real, fake, held_out, count, seed)
    extractor = choose_extractor(
        features, sides.reference, weights=inception_weights, device=device, reporter=reporter, should_stop=should_stop
    )
    kept = cache if isinstance(cache, ArrayCache) else evaluation_cache(enabled=cache, reporter=reporter)
    parts = replace(
        _parts(sides, real, fake, held_out, extractor, kept, seed, reporter, should_stop), generator=generator
    )
    reasons = {measure.name: reason for measure in wanted if (reason := measure.impossible(parts))}
    _check_possible(reasons, metrics, asked, identical=sides.identical)
    found = _measure(parts, [measure for measure in wanted if measure.name not in reasons])
    figures = {metric.name: metric for one in found.values() for metric in one.metrics}
    copies = count_copies(fake.images, real.images)
    return Evaluation(
        real=SetSummary(real.name, real.split, len(real), len(sides.reference), real.fingerprint),
        fake=SetSummary(fake.name, fake.split, len(fake), sides.n, fake.fingerprint),
        n=sides.n,
        seed=seed,
        reference=sides.text,
        extractor={"name": extractor.name, **extractor.card},
        metrics=figures,
        classes=tuple(figures for one in found.values() for figures in one.classes),
        exact_copies=copies,
        identical=sides.identical,
        warnings=(
            *_warnings(sides, fake, copies),
            *_familiar(sides, real, held_out, extractor),
            *(text for one in found.values() for text in one.warnings),
        ),
        notes=tuple(f"{name}: {reason}" for name, reason in reasons.items()),
        details={name: one.details for name, one in found.items() if one.details is not None},
        gates=judge(asked, figures),
    )


def _check_possible(
    reasons: dict[str, str], metrics: Sequence[str] | None, gates: Sequence[Gate], *, identical: bool
) -> None:
    """Raise UsageError when what was asked for cannot be had, before any of the work is done."""
    for gate in gates:
        if gate.measure in reasons:
            raise UsageError(f"the gate '{gate.text}' cannot be judged: {reasons[gate.measure]}")
        if gate.of_floor and identical:
            raise UsageError(f"the gate '{gate.text}' cannot be judged: the same images have no floor")
    if metrics is not None and reasons:
        name = next(iter(reasons))
        raise UsageError(f"cannot compute {name}: {reasons[name]}")


def _parts(
    sides: Sides,
    real: ImageData,
    fake: ImageData,
    held_out: ImageData | None,
    extractor: Extractor,
    cache: ArrayCache,
    seed: int,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> Parts:
    """Everybody's images, with features that are read when they are asked for, and each image's only once."""

    def part(data: ImageData, label: str) -> Part:
        def read() -> Features:
            return extractor.features_of(data.images, cache, label=label, should_stop=should_stop, reporter=reporter)

        return Part(data, read)

    def whole(data: ImageData, known: list[tuple[np.ndarray, Part]], label: str) -> Part:
        return Part(data, lambda: _join(data, known, lambda rest: part(rest, label)))

    reference = part(sides.reference, "reading the real images")
    chosen = reference if sides.identical else part(sides.fake, "reading the fake images")
    other = None if sides.other is None else part(sides.other, "reading the other real images")
    of_real = [(sides.reference_index, reference)]
    of_held_out: list[tuple[np.ndarray, Part]] = []
    if other is not None:
        (of_real if held_out is None else of_held_out).append((sides.other_index, other))
    return Parts(
        reference=reference,
        fake=Part(sides.fake, lambda: chosen.found),
        other=other,
        real=whole(real, of_real, "reading the rest of the real images"),
        samples=whole(fake, [(sides.fake_index, chosen)], "reading the rest of the fake images"),
        held_out=None if held_out is None else whole(held_out, of_held_out, "reading the rest of the held-out images"),
        extractor=extractor,
        n=sides.n,
        seed=seed,
        identical=sides.identical,
        fake_index=sides.fake_index,
        cache=cache,
        reporter=reporter,
        should_stop=should_stop,
    )


def _join(data: ImageData, known: list[tuple[np.ndarray, Part]], read: Callable[[ImageData], Part]) -> Features:
    """The features of all of `data`: those that are known, at their places, and the others read now."""
    missing = np.ones(len(data), bool)
    for index, _ in known:
        missing[index] = False
    places = list(known)
    if missing.any():
        places.append((np.flatnonzero(missing), read(data.select(np.flatnonzero(missing)))))
    order = np.argsort(np.concatenate([index for index, _ in places]), kind="stable")
    logits = [part.logits for _, part in places]
    return Features(
        np.concatenate([part.features for _, part in places])[order],
        None if logits[0] is None else np.concatenate([one for one in logits if one is not None])[order],
    )


def _measure(parts: Parts, measures: Sequence[Measure]) -> dict[str, Found]:
    """What every measure finds, by name, in their order."""
    for role in ("reference", "fake", "other", "real", "samples", "held_out"):
        part: Part | None = getattr(parts, role)
        if part is not None and any(role in measure.needs for measure in measures):
            part.found  # noqa: B018 - read before the measuring begins, each with its own progress line
    found: dict[str, Found] = {}
    with parts.reporter.progress("measuring", len(measures), "figures") as progress:
        for done, measure in enumerate(measures):
            progress.update(done, now=measure.name)
            parts.check_stop()
            found[measure.name] = measure.measure(parts)
        progress.update(len(measures))
    return found


def _familiar(sides: Sides, real: ImageData, held_out: ImageData | None, extractor: Extractor) -> list[str]:
    """What to say of a floor made of images that the features were trained on: new real images score worse."""
    trained = extractor.card.get("data") or {}
    same = trained.get("fingerprint") == real.fingerprint or trained.get("name") == BUNDLED.get(real.name, "")
    if sides.identical or held_out is not None or not trained or not same or trained.get("split") != real.split:
        return []
    return [
        f"the features {extractor.name} were trained on these real images, those of the floor included: new real "
        "images score a little worse than this floor; --holdout test makes it of images that the features never saw"
    ]


def _warnings(sides: Sides, fake: ImageData, copies: int) -> list[str]:
    found = []
    if sides.n < SMALL_COUNT:
        found.append(
            f"n = {sides.n:,}: below {SMALL_COUNT:,} images every figure depends strongly on n; read each beside its "
            "floor, and compare only figures at the same n"
        )
    if copies and not sides.identical:
        found.append(f"{copies:,} of the {len(fake):,} fake images are exact copies of real ones")
    held = fake.class_names if fake.labels is None else [fake.class_names[k] for k in np.unique(fake.labels)]
    missing = set(sides.reference.class_names) - set(held)
    if missing and fake.class_names and set(fake.class_names) & set(sides.reference.class_names):
        found.append(
            f"the fake images lack {len(missing)} of the {len(sides.reference.class_names)} real classes "
            f"({', '.join(sorted(missing)[:5])}): FID and recall count that against them"
        )
    return found
