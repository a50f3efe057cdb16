"""What a classifier of the data's own classes reads in the images: inception score, class agreement, class by class."""

from __future__ import annotations

import numpy as np

from synthgen.evaluation import metrics as formulas
from synthgen.evaluation.measure import Found, Measure, Part, Parts
from synthgen.evaluation.metrics import LEAST_IMAGES, Figure
from synthgen.evaluation.result import ClassFigures

_CLASS_REPLICATES = 20
"""Of the bootstrap behind each class's interval: half as many as for the whole, as there may be many classes."""


def _no_logits(parts: Parts) -> str | None:
    return "the features read no classes" if parts.extractor.logits_layer is None else None


def _inception_score(parts: Parts) -> Found:
    found, floor = _one_score(parts, parts.fake), None
    if parts.other is not None:
        floor = _one_score(parts, parts.other, interval=False)
    real = "" if floor is None else f" (real images: {floor.value:.2f})"
    sentence = f"The judge sees {found.value:.2f} clear and equally frequent classes{real}."
    return Found((parts.metric("is", "inception score", found, floor, better="higher", sentence=sentence),))


def _one_score(parts: Parts, part: Part, *, interval: bool = True) -> Figure:
    parts.check_stop()
    assert part.logits is not None
    return formulas.inception_score(part.logits, seed=parts.seed, interval=interval, labels=part.labels)


def _no_agreement(parts: Parts) -> str | None:
    if parts.fake.labels is None:
        return "the fake images have no labels"
    if not set(parts.fake.data.class_names) & set(parts.extractor.class_names):
        return f"the features {parts.extractor.name} do not read the fake images' classes"
    return None


def _agreement(parts: Parts) -> Found:
    hits = _hits(parts, parts.fake)
    if not len(hits):
        return Found()
    others = _hits(parts, parts.other)
    found, floor = formulas.share(hits), formulas.share(others) if len(others) else None
    real = "" if floor is None else f" (real images: {100 * floor.value:.1f} %)"
    sentence = f"The judge reads the asked label in {100 * found.value:.1f} % of the fake images{real}."
    metric = parts.metric("agreement", "class agreement", found, floor, better="higher", share=True, sentence=sentence)
    return Found((metric,))


def _hits(parts: Parts, part: Part | None, name: str | None = None) -> np.ndarray:
    """Whether the judge reads the label, for the images (of one class) whose label it knows."""
    if part is None or part.labels is None or part.logits is None:
        return np.empty(0, bool)
    judge = parts.extractor.class_names
    position = np.array([judge.index(c) if c in judge else -1 for c in part.data.class_names], np.int64)
    expected = position[part.labels]
    known = expected >= 0
    if name is not None:
        known &= part.labels == part.data.class_names.index(name)
    hits: np.ndarray = (part.logits.argmax(axis=1) == expected)[known]
    return hits


def _no_classes(parts: Parts) -> str | None:
    fake, reference = parts.fake.data, parts.reference.data
    if fake.labels is None or reference.labels is None:
        return "both sets need labels"
    if not set(fake.class_names) & set(reference.class_names):
        return "the two sets have no class name in common"
    return None


def _classes(parts: Parts) -> Found:
    """FID and agreement of every class that both sets have, floors at the same n per class."""
    fake_names = parts.fake.data.class_names
    names = [name for name in parts.reference.data.class_names if name in fake_names]
    return Found(classes=tuple(_one_class(parts, name) for name in names))


def _one_class(parts: Parts, name: str) -> ClassFigures:
    parts.check_stop()
    reference, fake = (part.features[part.members(name)] for part in (parts.reference, parts.fake))
    has_other = parts.other is not None and name in parts.other.data.class_names
    other = parts.other.features[parts.other.members(name)] if parts.other is not None and has_other else None
    n = len(fake) if other is None else min(len(fake), len(other))
    enough = n >= LEAST_IMAGES and len(reference) >= LEAST_IMAGES
    found = formulas.fid(reference, fake[:n], seed=parts.seed, replicates=_CLASS_REPLICATES) if enough else None
    floor = formulas.fid(reference, other[:n], interval=False) if enough and other is not None else None
    judged = _hits(parts, parts.fake, name)
    judged_floor = _hits(parts, parts.other, name) if has_other else np.empty(0, bool)
    agreement = formulas.share(judged) if len(judged) else None
    return ClassFigures(
        name=name,
        n=n,
        fid=None if found is None else found.value,
        fid_floor=None if floor is None else floor.value,
        agreement=None if agreement is None else agreement.value,
        agreement_floor=float(judged_floor.mean()) if len(judged_floor) else None,
        fid_interval=None if found is None else found.interval,
        agreement_interval=None if agreement is None else agreement.interval,
    )


INCEPTION_SCORE = Measure("is", ("is",), _inception_score, _no_logits)
AGREEMENT = Measure("agreement", ("agreement",), _agreement, _no_agreement)
CLASSES = Measure("classes", (), _classes, _no_classes)
