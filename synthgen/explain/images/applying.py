"""The methods for images: what computes each, holds it to its checks, and adds it to the explanation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from synthgen.explain import audit
from synthgen.explain.attribution import Attribution
from synthgen.explain.images import attention as attending
from synthgen.explain.images import augmentation, giveaway, influence, journey, neighbours, sharing
from synthgen.explain.images.cam import DRAWS, evidence_cam, judge_cam
from synthgen.explain.images.context import Context
from synthgen.explain.images.evidence import DRAWS as EVIDENCE_DRAWS
from synthgen.explain.images.evidence import LEVELS, evidence
from synthgen.explain.images.integrated import integrated
from synthgen.explain.images.methods import NEEDS_CLASSES, NEEDS_DATA
from synthgen.explain.images.probe import Probe
from synthgen.explain.trajectory import trajectory_summary
from synthgen.models.classifier import SMALLEST_SIDE

if TYPE_CHECKING:
    from synthgen.explain.images.run import Explanation

UNTESTED = "With care: without classes it could not be tested what its pixels are worth; every other check was passed."
CAM_BLOCKS = ("up", "middle", "down")
_FEW_LEVELS, _FEW_DRAWS = 12, 2
"""For maps of models with shuffled weights."""


def impossible(found: Explanation, method: str) -> str | None:
    """Why a method cannot be had, or None."""
    context = found.context
    if method in NEEDS_CLASSES and (context.labels is None or not context.classes):
        return "it compares classes, and this model is unconditional"
    if method == "trajectory" and context.trajectory is None:
        return "given images were not drawn by the model"
    if method == "judge" and context.judge is None:
        return f"there is no judge of these classes ({context.real.why or 'the real images have no such labels'})"
    if method == "attention" and not attending.layers_of(context.model.denoiser.network):
        return "the network has no attention layers (model.attention_resolutions)"
    if method in NEEDS_DATA and context.real.train is None:
        return context.real.why
    if method == "detector":
        return _too_few(context)
    return _not_comparable(context) if method == "augmentation" else None


def _too_few(context: Context) -> str | None:
    sides = [side for side in (context.real.train, context.real.holdout) if side is not None]
    few = max(len(side) for side in sides) < giveaway.LEAST
    return f"fewer than {giveaway.LEAST} real images are too few to tell apart from others" if few else None


def _not_comparable(context: Context) -> str | None:
    """Why no classifier can learn with and without synthetic images, or None."""
    train, held = context.real.train, context.real.holdout
    assert train is not None
    if train.labels is None or len(np.unique(train.labels)) < 2 or not set(train.class_names) <= set(context.classes):
        return "the real images do not have the model's classes"
    if min(train.shape[:2]) < SMALLEST_SIDE:
        return f"images of fewer than {SMALLEST_SIDE} pixels a side are too small for a classifier"
    if held is None or held.labels is None or len(held) < augmentation.LEAST_TESTED:
        return f"fewer than {augmentation.LEAST_TESTED} real images were held out to ask a classifier about"
    return None


def _evidence_of(context: Context, probe: Probe, few: bool = False) -> tuple[Attribution, Attribution]:
    assert context.labels is not None
    return evidence(
        probe,
        context.x0,
        context.labels,
        context.rivals,
        context.classes,
        keys=context.keys,
        levels=_FEW_LEVELS if few else LEVELS,
        draws=_FEW_DRAWS if few else EVIDENCE_DRAWS,
        reporter=None if few else context.reporter,
    )


def _evidence(found: Explanation) -> None:
    _of_evidence(found, 0)


def _information(found: Explanation) -> None:
    _of_evidence(found, 1)


def _of_evidence(found: Explanation, form: int) -> None:
    """Both forms come out of one pass over the noise levels, kept for the second method that asks."""
    kept = found.kept
    if "evidence" not in kept:
        context = found.context
        others = [context.shuffled(number) for number in range(audit.SHUFFLES)]
        kept["evidence"] = (
            _evidence_of(context, context.probe),
            [_evidence_of(context, other, few=True) for other in others],
        )
    ours, shuffled = kept["evidence"]
    _audited(found, ours[form], [one[form].maps for one in shuffled])


def _gradcam(found: Explanation) -> None:
    context = found.context
    labels, rivals = context.labels, context.rivals
    assert labels is not None
    names = (context.called(labels), context.called(rivals))
    for block in CAM_BLOCKS:

        def made(probe: Probe, draws: int, block: str = block) -> tuple[Attribution, np.ndarray]:
            asked = (probe, context.x0, labels, rivals, names)
            return evidence_cam(*asked, keys=context.keys, block=block, draws=draws)

        one, bins = made(context.probe, DRAWS)
        shuffled = [made(context.shuffled(number), 2)[0].maps for number in range(audit.SHUFFLES)]
        _audited(found, one, shuffled)
        found.arrays[f"gradcam-{block}-by-noise"] = bins


def _judge(found: Explanation) -> None:
    context = found.context
    assert context.judge is not None and context.labels is not None
    names = context.called(context.labels)
    one = judge_cam(context.judge, context.x0, context.labels, names)
    shuffled = [
        judge_cam(context.judge.shuffled(number), context.x0, context.labels, names).maps
        for number in range(audit.SHUFFLES)
    ]
    _audited(found, one, shuffled, "the judge")
    one = integrated(context, context.judge)
    shuffled = [integrated(context, context.judge.shuffled(number), 2).maps for number in range(audit.SHUFFLES)]
    _audited(found, one, shuffled, "the judge")


def _attention(found: Explanation) -> None:
    context = found.context
    names = context.names if context.labels is None else context.called(context.labels)

    known = context.model.vocabulary
    words = context.classes if known is None else known.words

    def made(probe: Probe, draws: int) -> tuple[list[Attribution], attending.Looks]:
        asked = (probe, context.x0, context.labels, names)
        return attending.attention(*asked, keys=context.keys, draws=draws, words=words)

    ours, found.looks = made(context.probe, attending.DRAWS)
    shuffled = [made(context.shuffled(number), 2)[0] for number in range(audit.SHUFFLES)]
    for place, one in enumerate(ours):
        _audited(found, one, [maps[place].maps for maps in shuffled])


def _shap(found: Explanation) -> None:
    for one, shuffled in sharing.superpixels(found.context):
        _audited(found, one, shuffled, "the judge" if one.method == "shap-judge" else "the model")


def _audited(found: Explanation, one: Attribution, shuffled: list[np.ndarray], of: str = "the model") -> None:
    """The map with its checks, of which none is left out where it can be had."""
    context = found.context
    checks = [context.learned]
    if context.labels is not None and context.classes:
        if context.judge is not None:
            checks.append(context.judge.check)
        deleted, kept = context.deleter(one.maps)
        checks += audit.deletion(deleted, context.target.unit, classes=True, words=audit.PIXELS)
        checks.append(kept.check(context.target.unit))
        found.losses[one.method] = deleted
    flat = one.maps.reshape(len(one.maps), -1, 1)
    valid = np.ones(flat.shape[:2], bool)
    others = [other.reshape(flat.shape) for other in shuffled]
    checks.append(audit.weights(flat, others, valid, of, "images", "pixels"))
    if one.halves is not None:
        checks.append(audit.stability(one.halves.reshape(2, *flat.shape), valid, "images"))
    if "additivity_gap" in one.details:
        checks.append(audit.additivity(one.details["additivity_gap"]))
    if "completeness_gap" in one.details:
        size = float(np.abs(one.scalars).mean())
        checks.append(audit.completeness(one.details["completeness_gap"], size, one.unit))
    verdict = audit.verdict(checks, data="images", things="pixels")
    if one.method not in found.losses and not any(map(audit.failed_check, checks)):
        verdict = UNTESTED
    found.attributions[one.method] = one.judged(tuple(checks), verdict)


def _trajectory(found: Explanation) -> None:
    context = found.context
    assert context.trajectory is not None
    found.steps = trajectory_summary(context.trajectory)
    found.journey = journey.follow(context)


def _neighbours(found: Explanation) -> None:
    found.neighbours = neighbours.find(found.context)


def _influence(found: Explanation) -> None:
    found.influence = influence.find(found.context)


def _detector(found: Explanation) -> None:
    found.giveaway = giveaway.give_away(found.context)


def _augmentation(found: Explanation) -> None:
    found.change = augmentation.augmented(found.context)


METHODS: dict[str, Callable[[Explanation], None]] = {
    "trajectory": _trajectory,
    "evidence": _evidence,
    "information": _information,
    "gradcam": _gradcam,
    "judge": _judge,
    "attention": _attention,
    "shap": _shap,
    "neighbours": _neighbours,
    "influence": _influence,
    "detector": _detector,
    "augmentation": _augmentation,
}
"""Name -> what computes it and adds it to the explanation."""
