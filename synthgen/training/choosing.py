"""Which settings a request to train means: a preset, a config file, data, or the run that is resumed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from synthgen.config.loading import load_config
from synthgen.config.modalities import AnyConfig, wants_series
from synthgen.config.presets import preset_names
from synthgen.data.series.sources import is_series
from synthgen.data.tables.sources import is_table
from synthgen.errors import UsageError, nearest
from synthgen.training.distill_settings import distilled_settings
from synthgen.training.origins import started_settings

GENERIC = {"images": "images", "tables": "table", "series": "series"}
"""The preset under data that has none of its own, by modality."""


def modality_of_data(source: str, overrides: Sequence[str] = ()) -> str:
    """What kind of data `source` is: by its own shape, or because the settings only make sense for series."""
    if wants_series(overrides) or is_series(source):
        return "series"
    return "tables" if is_table(source) else "images"


class Choice(NamedTuple):
    """The settings of a run, and a name for its folder."""

    name: str
    config: AnyConfig


def choose_settings(
    what: str | Path | None = None,
    *,
    config: str | Path | None = None,
    overrides: Sequence[str] = (),
    flags: Mapping[str, object] | None = None,
    resumed: Path | None = None,
    distill: str | Path | None = None,
    start: str | Path | None = None,
) -> Choice:
    """Settle what to train.

    Args:
        what: a preset's name, a config file, a data set's name, or a path of data.
        config: a preset's name or a config file. overrides: `key=value` texts.
        flags: dotted keys and values that win over all; None means not given.
        resumed: the run folder to go on with, whose config is taken when nothing else is named.
        distill: the run to distil, which brings data and network. start: the run whose weights this one starts from.
    Raises: UsageError for what is unknown, contradictory or missing.
    """
    flags = dict(flags or {})
    data = flags.get("data.source")
    what = None if what is None else str(what)
    if what and config:
        raise UsageError(f"WHAT is '{what}' and --config is {config}: give one of them")
    if distill is not None:
        if start is not None:
            raise UsageError("--from and --distill both say what to start from: give one of them")
        if what or config:
            raise UsageError(
                f"{what or config} and --distill both say what to train",
                "--distill RUN brings its own data and network: leave the other out, change settings with --set",
            )
        return Choice(*distilled_settings(distill, overrides, flags, resumed))
    source: str | Path | None = config
    if what and (what in preset_names() or Path(what).suffix in (".yaml", ".yml")):
        source = what if what in preset_names() else Path(what)
    elif what:
        if data:
            raise UsageError(f"WHAT is '{what}' and --data is {data}: give one of them")
        _check_data(what)
        data = flags["data.source"] = what
    if source is None and resumed and (resumed / "config.yaml").is_file():
        source = resumed / "config.yaml"
    elif source is None and data:
        told = [*overrides, *(f"{key}={value}" for key, value in flags.items() if value is not None)]
        source = str(data) if data in preset_names() else GENERIC[modality_of_data(str(data), told)]
    elif source is None:
        raise UsageError("nothing to train on", "give a preset (`synthgen train mnist`), --config FILE or --data DIR")
    stem = Path(str(data)).name if data else Path(str(source)).stem
    if start is None:
        chosen = load_config(source, overrides, flags)
    else:
        chosen = started_settings(start, source, overrides, flags)
    return Choice(stem.split(".")[0] or "run", chosen)


def _check_data(what: str) -> None:
    from synthgen.data import known_sources

    if what in known_sources() or Path(what).exists():
        return
    near = nearest(what, [*preset_names(), *known_sources()])
    raise UsageError(
        f"'{what}' is neither a preset, a config file, a data set, a folder nor a file{near}",
        "`synthgen config list` names the presets, `synthgen data list` the data sets",
    )
