"""What `--real`, `--fake` and `--test` mean for series: files, folders of samples, or a run, sampled in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from synthgen.config.series import LONGEST_WHOLE, SeriesDataConfig, window_for
from synthgen.data.series.reading import configured, part_of, read_series, read_whole
from synthgen.data.series.schema import SeriesData, SeriesSchema
from synthgen.data.series.splitting import split_steps
from synthgen.data.series.windows import WindowSet, windows_of
from synthgen.downstream.leaks import Provenance
from synthgen.downstream.series.sources import Source, draw
from synthgen.errors import UsageError
from synthgen.reporting import Reporter
from synthgen.stopping import ShouldStop

_CELLS = 40_000_000
_LEAST, _MOST = 2000, 50_000
"""Real windows that are looked at: as many as the cells allow, between these; they then begin every few steps."""


@dataclass(frozen=True)
class RealSeries:
    """The real side. train: the reference; later: what no generator was trained on, None without any."""

    train: SeriesData
    later: SeriesData | None
    config: SeriesDataConfig

    @property
    def schema(self) -> SeriesSchema:
        return self.train.schema


def read_real(
    source: str,
    config: SeriesDataConfig,
    schema: SeriesSchema | None,
    test: str | None,
    *,
    reporter: Reporter,
    should_stop: ShouldStop,
) -> RealSeries:
    """The real series, divided as `config` says: `honest` into training and later part, `leaky` not at all.

    test: other series as the later part, instead of a share of the time of `source`.
    """
    config = configured(source, config)
    if test is not None:
        config = config.model_copy(update={"test": 0.0})
    whole = read_whole(source, config, schema, reporter, should_stop)
    train = part_of(whole, config, "train")
    later = None
    if test is not None:
        later = read_series(test, config, schema=train.schema, split="all", reporter=reporter, should_stop=should_stop)
    elif config.protocol == "honest" and "test" in split_steps(whole.steps, config, whole.schema.label):
        later = part_of(whole, config, "test")
    return RealSeries(train, later, config)


def read_fake(
    source: Source, schema: SeriesSchema, count: int, seed: int, *, reporter: Reporter, should_stop: ShouldStop
) -> SeriesData:
    """The synthetic series in the terms of the real ones; of a run `count` sequences are drawn."""
    if source.model is not None:
        return draw(source.model, count, None, seed, reporter=reporter, should_stop=should_stop)
    return source.read(schema if source.generator is not None else _without_whole_numbers(schema))


def _without_whole_numbers(schema: SeriesSchema) -> SeriesSchema:
    """A schema in which whole numbers are numbers: others' generators write 3.02 where the real series have 3."""
    columns = tuple(
        replace(column, kind="number") if column.kind == "integer" and column.name in schema.channels else column
        for column in schema.table.columns
    )
    return replace(schema, table=replace(schema.table, columns=columns))


def window_of(asked: int | None, sources: Sequence[Source], real: SeriesData, made: Sequence[SeriesData]) -> int:
    """Steps of the windows that are compared: those asked for, else the generator's, else the synthetic sequences'.

    Synthetic sequences of more than 256 steps are compared as `data.window` has it: in windows of 24. Raises
    UsageError when a side has no window of that length.
    """
    longest = int(real.lengths.max(initial=1))
    known = [one.window for one in sources if one.window is not None]
    short = [int(data.lengths.max(initial=1)) for data in made]
    window = asked or (known[0] if known else None)
    if window is None:
        window = min(short) if min(short, default=LONGEST_WHOLE + 1) <= LONGEST_WHOLE else None
    window = window_for(window, longest)
    if window < 2:
        raise UsageError(f"{real.name}: sequences of one step have no course in time to compare")
    for data in made:
        if int(data.lengths.max(initial=0)) < window and longest > int(data.lengths.max(initial=0)) and asked:
            raise UsageError(
                f"{data.name}: the longest sequence has {int(data.lengths.max(initial=0)):,} steps, and windows of "
                f"{window:,} are asked for",
                "ask for shorter windows: --window",
            )
    return window


def windows_for(data: SeriesData, window: int, classes: Sequence[str] | None = None) -> tuple[WindowSet, int]:
    """The windows of `data` and the steps from one to the next: 1, or more where there would be too many."""
    most = int(np.clip(_CELLS // (window * max(len(data.schema.channels), 1)), _LEAST, _MOST))
    total = int((np.maximum(data.lengths - window, 0) + 1).sum())
    stride = max(1, -(-total // most))
    return windows_of(data, window, stride, classes=classes), stride


def origin_sentence(generator: Provenance | None, real: RealSeries) -> tuple[str, bool]:
    """What is known of the generator's training series, and whether a user must be warned."""
    train, later = real.train, real.later
    if generator is None:
        return "it is not known what the generator was trained on (no manifest and no checkpoint of ours)", False
    if generator.fingerprint == train.fingerprint:
        return f"the generator was trained on exactly this real part, {train.steps:,} steps", False
    if later is not None and generator.fingerprint == later.fingerprint:
        return "the generator was trained on the later part: nothing here is out of sample", True
    text = f"the generator was trained on {generator.name} ({generator.split}), which is not exactly the real part here"
    if later is None:
        return text, True
    return f"{text}: the later part may be among it (--protocol leaky compares as the field does)", True
