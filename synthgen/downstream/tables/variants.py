"""What the models are trained on: real rows, SMOTE's, synthetic ones, and their mixtures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from synthgen.data.subset import stratified_subset
from synthgen.data.tables.schema import TableData
from synthgen.downstream.tables.problem import Problem
from synthgen.downstream.tables.smote import smote_rows
from synthgen.downstream.variants import filling, repeated
from synthgen.stopping import ShouldStop, never_stop


@dataclass(frozen=True)
class Kind:
    """A kind of training rows.

    real: none; all: as they are; balanced: rare classes repeated. added: none; smote: as many rows of SMOTE as there
    are synthetic ones; synthetic; rare_smote, rare_synthetic: as many as a rare class lacks.
    """

    name: str
    label: str
    real: Literal["none", "all", "balanced"]
    added: Literal["none", "smote", "synthetic", "rare_smote", "rare_synthetic"]


KINDS = {
    kind.name: kind
    for kind in (
        Kind("real", "real", "all", "none"),
        Kind("smote", "real + SMOTE", "all", "smote"),
        Kind("synthetic", "synthetic", "none", "synthetic"),
        Kind("both", "real + synthetic", "all", "synthetic"),
        Kind("repeated", "rare repeated", "balanced", "none"),
        Kind("filled_smote", "rare filled by SMOTE", "all", "rare_smote"),
        Kind("filled", "rare filled up", "all", "rare_synthetic"),
    )
}
"""Every kind by its name. The last three balance classes that have become rare."""

PLAIN = ("real", "smote", "synthetic", "both")
IMBALANCED = ("real", "repeated", "filled_smote", "filled")


@dataclass(frozen=True)
class TrainingSet:
    """One variant. rows: from real rows, all of them or a part, to training rows. size: of the whole variant.

    ratio: synthetic per real row, None for all there are. It is a recipe because settings are tuned on a part of the
    real rows, with SMOTE's rows lying between these.
    """

    kind: Kind
    name: str
    label: str
    ratio: float | None
    size: int
    rows: Callable[[TableData, int], TableData]


def training_sets(
    problem: Problem,
    real: TableData,
    synthetic: TableData,
    *,
    rare: tuple[int, ...] = (),
    ratios: tuple[float | None, ...] = (None,),
    should_stop: ShouldStop = never_stop,
) -> Iterator[TrainingSet]:
    """The variants in order; SMOTE stands beside the largest ratio."""
    for name in IMBALANCED if rare else PLAIN:
        kind = KINDS[name]
        for ratio in ratios if name == "both" else ratios[-1:] if name == "smote" else (None,):
            several = name == "both" and len(ratios) > 1
            shown = "all" if ratio is None else f"{ratio:g}"
            label = kind.label + (f", {shown} : 1" if several and ratio is not None else "")

            def rows(part: TableData, seed: int, kind: Kind = kind, ratio: float | None = ratio) -> TableData:
                return _assemble(problem, kind, part, synthetic, ratio, seed, should_stop)

            size = len(_assemble(problem, kind, real, synthetic, ratio, 0, should_stop))
            yield TrainingSet(kind, name + (f"_ratio_{shown}" if several else ""), label, ratio, size, rows)


def _assemble(
    problem: Problem,
    kind: Kind,
    real: TableData,
    synthetic: TableData,
    ratio: float | None,
    seed: int,
    should_stop: ShouldStop,
) -> TableData:
    """The rows of a variant. seed: of SMOTE; synthetic rows are always the same, those of the nested order."""
    labels = None if problem.regression else problem.labels(real)
    parts = []
    if kind.real == "all":
        parts.append(real)
    elif kind.real == "balanced":
        assert labels is not None
        parts.append(real.select(repeated(labels)))
    amount = len(synthetic) if ratio is None else min(len(synthetic), max(1, round(ratio * len(real))))
    if kind.added == "smote":
        parts.append(smote_rows(real, amount, seed, by=problem.target, should_stop=should_stop))
    elif kind.added == "synthetic":
        chosen = None if problem.regression else problem.labels(synthetic)
        parts.append(synthetic.select(stratified_subset(chosen, len(synthetic), amount)))
    elif kind.added != "none":
        assert labels is not None
        parts.append(_lacking(problem, kind, real, labels, synthetic, seed, should_stop))
    return join(parts)


def _lacking(
    problem: Problem,
    kind: Kind,
    real: TableData,
    labels: np.ndarray,
    synthetic: TableData,
    seed: int,
    should_stop: ShouldStop,
) -> TableData:
    """What every class of `real` lacks to be as frequent as the largest."""
    if kind.added == "rare_synthetic":
        return synthetic.select(filling(labels, problem.labels(synthetic)))
    counts = np.bincount(labels, minlength=len(problem.classes))
    lacking = {label: int(counts.max() - count) for label, count in enumerate(counts) if 0 < count < counts.max()}
    made = []
    for label, amount in lacking.items():
        group = real.select(np.flatnonzero(labels == label))
        made.append(smote_rows(group, amount, seed, should_stop=should_stop))
    return join(made) if made else real.select(np.arange(0))


def join(parts: list[TableData]) -> TableData:
    """Tables of one schema below one another."""
    if len(parts) == 1:
        return parts[0]
    import pandas as pd

    filled = [part for part in parts if len(part)] or parts[:1]
    frame = pd.concat([part.frame for part in filled], ignore_index=True)
    return replace(parts[0], frame=frame.astype(parts[0].frame.dtypes.to_dict()), fingerprint="")
