"""Rows as the matrices that classifiers and distances want: cells for boosting, dense features for the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthgen.evaluation.tables.cells import Cells

MOST_LEVELS = 250
"""Categories of one column that boosting is shown; the rarest are one."""

_MOST_ONE_HOT = 60
"""Columns of a one-hot code; the rarest categories share the last."""


def boosting_matrix(tables: Sequence[Cells], leave_out: str | None = None) -> tuple[list[np.ndarray], np.ndarray]:
    """float64 (N, C) per table with NaN for missing values, and which columns are categories (bool (C,)).

    Codes of categories mean the same in all tables.
    """
    names = [name for name in tables[0].names if name != leave_out]
    columns: list[list[np.ndarray]] = [[] for _ in tables]
    for name in names:
        if name in tables[0].numbers:
            found = [table.numbers[name] for table in tables]
        else:
            found = _ranked([table.codes[name] for table in tables], MOST_LEVELS)
        for column, values in zip(columns, found, strict=True):
            column.append(values)
    matrices = [
        np.column_stack(column) if column else np.zeros((len(table), 0))
        for column, table in zip(columns, tables, strict=True)
    ]
    return matrices, np.array([name in tables[0].codes for name in names], bool)


def _ranked(codes: Sequence[np.ndarray], most: int) -> list[np.ndarray]:
    """Codes by falling frequency in all tables together, those from `most` on as one; NaN for missing values."""
    counts = np.bincount(np.concatenate([one[one >= 0] for one in codes]), minlength=1)
    order = np.argsort(-counts, kind="stable")
    rank = np.empty(len(counts))
    rank[order] = np.minimum(np.arange(len(counts)), most - 1)
    return [np.where(one < 0, np.nan, rank[np.maximum(one, 0)]) for one in codes]


@dataclass(frozen=True)
class Scale:
    """How numbers are brought to a common size: (value - shift) / width, missing ones at `fill`."""

    shift: float
    width: float
    fill: float


def standard_scale(values: np.ndarray) -> Scale:
    """By mean and standard deviation; missing values at the mean."""
    known = values[~np.isnan(values)]
    return Scale(float(known.mean()), float(known.std()) or 1.0, 0.0) if len(known) else Scale(0.0, 1.0, 0.0)


def range_scale(values: np.ndarray) -> Scale:
    """By minimum and range; missing values at the mean."""
    known = values[~np.isnan(values)]
    if not len(known):
        return Scale(0.0, 1.0, 0.0)
    low, width = float(known.min()), float(known.max() - known.min()) or 1.0
    return Scale(low, width, (float(known.mean()) - low) / width)


def dense_features(tables: Sequence[Cells], scales: dict[str, Scale]) -> list[np.ndarray]:
    """float32 (N, d) per table: scaled numbers, an indicator where some are missing, one-hot categories.

    Missing categories are a category.
    """
    parts: list[list[np.ndarray]] = [[] for _ in tables]
    for name in tables[0].names:
        if name in tables[0].numbers:
            found = [_scaled(table.numbers[name], scales[name]) for table in tables]
            if any(np.isnan(table.numbers[name]).any() for table in tables):
                found = [
                    np.column_stack([one, np.isnan(table.numbers[name])])
                    for one, table in zip(found, tables, strict=True)
                ]
        else:
            ranked = _ranked([table.codes[name] + 1 for table in tables], _MOST_ONE_HOT)
            size = int(max(one.max(initial=0) for one in ranked)) + 1
            found = [np.eye(size, dtype=np.float32)[one.astype(np.int64)] for one in ranked]
        for part, values in zip(parts, found, strict=True):
            part.append(values.astype(np.float32))
    return [
        np.concatenate(part, axis=1) if part else np.zeros((len(table), 1), np.float32)
        for part, table in zip(parts, tables, strict=True)
    ]


def _scaled(values: np.ndarray, scale: Scale) -> np.ndarray:
    found = np.where(np.isnan(values), scale.fill, (values - scale.shift) / scale.width)
    return found[:, None]
