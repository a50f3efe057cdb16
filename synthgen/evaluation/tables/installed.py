"""What the installed sdmetrics itself says, with its version, beside our own figures. Optional: extra `sdmetrics`.

Its versions disagree: the QualityReport of 0.32 leaves weakly related pairs of columns out of the mean (by thresholds
on the real table), that of 0.25 and of the published tables counts all of them, as our own trend error does. It also
binds pandas to versions before 3.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import warnings
from typing import Any

from synthgen.data.tables.schema import NUMERIC, TableData
from synthgen.evaluation.tables.figures import percent
from synthgen.evaluation.tables.measure import Floor, Found, Measure, TableMetric, TableParts

_TITLES = {
    "Column Shapes": ("sdmetrics_shape", "shape error"),
    "Column Pair Trends": ("sdmetrics_trend", "trend error"),
}
NOT_INSTALLED = 'sdmetrics is not installed: pip install "synthgen[sdmetrics]"'


def quality(real: TableData, fake: TableData) -> dict[str, float]:
    """By our names of the figures: 1 - the scores of sdmetrics' QualityReport. Needs sdmetrics."""
    from sdmetrics.reports.single_table import QualityReport

    columns: dict[str, dict[str, str]] = {}
    for column in real.schema.modelled:
        kind = "datetime" if column.kind == "datetime" else "numerical"
        other = "boolean" if column.kind == "boolean" else "categorical"
        columns[column.name] = {"sdtype": kind if column.kind in NUMERIC else other}
    report = QualityReport()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of correlations of constant columns, which it leaves out as well
        report.generate(_plain(real), _plain(fake), {"columns": columns}, verbose=False)
    found = report.get_properties()
    scores = dict(zip(found["Property"], found["Score"], strict=True))
    return {figure: 1.0 - float(scores[name]) for name, (figure, _) in _TITLES.items()}


def _plain(data: TableData) -> Any:
    """The modelled columns with numpy's own dtypes, which all versions of sdmetrics understand."""
    import pandas as pd

    columns = {}
    for column in data.schema.modelled:
        values = data.frame[column.name]
        if column.kind in ("number", "integer"):
            columns[column.name] = values.to_numpy("float64", na_value=float("nan"))
        elif column.kind == "datetime":
            columns[column.name] = values.to_numpy("datetime64[us]")
        else:
            columns[column.name] = values.astype(object).where(values.notna(), None).to_numpy(object)
    return pd.DataFrame(columns)


def _measure(parts: TableParts) -> Found:
    version = importlib.metadata.version("sdmetrics")
    values = quality(parts.real, parts.fake)
    known = parts.keep("sdmetrics floors", lambda: quality(parts.real, parts.bootstrap))
    metrics = []
    for name, title in _TITLES.values():
        floor = Floor("bootstrap", known[name], len(parts.bootstrap))
        sentence = f"sdmetrics {version} itself gives a {title} of {percent(values[name])}."
        whole = f"{title}, sdmetrics {version}"
        metrics.append(TableMetric(name, whole, values[name], len(parts.fake), "lower", sentence, (floor,), share=True))
    return Found(tuple(metrics), {"version": version})


def _impossible(parts: TableParts) -> str | None:
    if importlib.util.find_spec("sdmetrics") is None:
        return NOT_INSTALLED
    return None if len(parts.real.schema.modelled) > 1 else "a table with one column has no pairs of columns"


_FIGURES = ("sdmetrics_shape", "sdmetrics_trend")
SDMETRICS = Measure("sdmetrics", _FIGURES, _measure, _impossible, shares=_FIGURES)
