"""Where synthetic series come from: a run, a folder of samples, or a file of anybody's."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from synthgen.config.series import SeriesDataConfig
from synthgen.data.classes import SAMPLES_KIND
from synthgen.data.series.reading import read_series, series_from_frame
from synthgen.data.series.schema import SeriesData, SeriesSchema
from synthgen.downstream.leaks import Provenance, provenance
from synthgen.errors import SynthgenError, UsageError
from synthgen.evaluation.sources import is_run
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop

if TYPE_CHECKING:
    from synthgen.generation.series.model import SeriesModel

_MOST_BYTES = 64 * 2**20


@dataclass(frozen=True)
class Source:
    """What `--synthetic` names. read: gives the series in the terms of a schema; model: of a run, which is drawn from.

    generator: what it was trained on, None where nothing says so. config: how it read its data. window: the steps that
    it draws together.
    """

    name: str
    read: Callable[[SeriesSchema], SeriesData]
    schema: SeriesSchema | None = None
    generator: Provenance | None = None
    config: SeriesDataConfig | None = None
    window: int | None = None
    model: SeriesModel | None = None


def open_source(name: str, *, device: str, reporter: Reporter, should_stop: ShouldStop) -> Source:
    """Look at it without reading or drawing. Raises UsageError for what are no series."""

    def read(schema: SeriesSchema) -> SeriesData:
        return read_series(name, schema=schema, reporter=reporter, should_stop=should_stop)

    if is_run(name):
        from synthgen.generation.model import load
        from synthgen.generation.series.model import SeriesModel

        model = load(name, device=device, reporter=reporter)
        if not isinstance(model, SeriesModel):
            raise UsageError(f"{name} is no model of series, and --real are series", "give a run on series")
        return Source(
            name,
            read,
            model.schema,
            provenance(model.header.get("data")),
            model.config.data,
            model.codec.window,
            model,
        )
    manifest = _manifest(Path(name))
    if manifest is None:
        return Source(name, read)
    try:
        schema = SeriesSchema.from_dict(manifest["schema"])
        about = manifest["model"]
        # As a run says it: a file and the run that made it are held against the same real series.
        config = SeriesDataConfig.model_validate(about["reading"]) if "reading" in about else None
        return Source(name, read, schema, provenance(about.get("data")), config)
    except (KeyError, AttributeError, TypeError, ValueError) as error:
        raise SynthgenError(f"the manifest beside {name} does not describe its series ({error})") from error


def _manifest(path: Path) -> dict[str, Any] | None:
    """What `synthgen sample` wrote beside a file or into its folder; None without it."""
    beside = [path / "manifest.json"] if path.is_dir() else [path.with_name(f"{path.name}.manifest.json")]
    beside += [] if path.is_dir() else [path.parent / "manifest.json"]
    for one in beside:
        if one.is_file() and one.stat().st_size <= _MOST_BYTES:
            try:
                found = json.loads(one.read_text(encoding="utf-8"))
            except ValueError:
                continue  # not ours
            if isinstance(found, dict) and found.get("kind") == SAMPLES_KIND and found.get("modality") == "series":
                return found
    return None


def draw(
    model: SeriesModel,
    count: int,
    labels: Sequence[str] | None,
    seed: int,
    *,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> SeriesData:
    """`count` sequences of a model in the terms of its schema. labels: the class of each; None: as they come."""
    reporter.info(f"drawing {count:,} sequences from {model.path}")
    frame = model.sample_frame(count, seed=seed, labels=labels, reporter=reporter, should_stop=should_stop)
    return series_from_frame(frame, name=f"samples of {model.path}", schema=model.schema, split="all")
