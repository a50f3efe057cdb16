"""Whether an evaluation is about series. Imports nothing heavy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from synthgen.config.modalities import wants_series
from synthgen.data.series.sources import is_series
from synthgen.runs import modality_of, resolve_run


def means_series(real: str, fakes: Sequence[str], overrides: Sequence[str] = (), window: int | None = None) -> bool:
    """Whether this is about series: by the real side, by what made a synthetic one, or by the settings (`KEY=VALUE`).

    A single CSV or Parquet file may be a table or a recording.
    """
    from synthgen.evaluation.sources import is_run

    if window is not None or wants_series(overrides) or is_series(real):
        return True
    for one in fakes:
        if is_run(one):
            if modality_of(resolve_run(one)) == "series":
                return True
        elif is_series(one) or _made_by_ours(Path(one)):
            return True
    return False


def _made_by_ours(path: Path) -> bool:
    """Whether the manifest beside a file says that a model of series made it."""
    try:
        found = json.loads(path.with_name(f"{path.name}.manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get("modality") == "series"
