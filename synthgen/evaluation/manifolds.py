"""Whether each image lies where images of the other set lie: precision and recall."""

from __future__ import annotations

from synthgen.evaluation import metrics as formulas
from synthgen.evaluation.measure import Found, Measure, Parts


def _prc(parts: Parts) -> Found:
    parts.check_stop()
    precision, recall = formulas.precision_recall(parts.reference.features, parts.fake.features)
    floors = None
    if parts.other is not None:
        parts.check_stop()
        floors = formulas.precision_recall(parts.reference.features, parts.other.features)
    texts = (
        f"{_percent(precision.value)} of the fake images lie where real ones lie",
        f"{_percent(recall.value)} of the real images lie where fake ones lie",
    )
    made = [
        parts.metric(
            name,
            name,
            found,
            floor,
            better="higher",
            share=True,
            sentence=f"{text}." if floor is None else f"{text} (real images: {_percent(floor.value)}).",
        )
        for name, found, floor, text in zip(
            ("precision", "recall"), (precision, recall), floors or (None, None), texts, strict=True
        )
    ]
    return Found(tuple(made))


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


PRC = Measure("prc", ("precision", "recall"), _prc)
