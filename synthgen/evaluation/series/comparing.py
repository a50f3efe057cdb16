"""From what a user names to evaluations of series: one synthetic set or several, beside the same floors.

Two protocols. honest: the reference is the training part, in time before the later part, which no generator has seen
and which is a floor of its own. leaky: as in the field, everything is the reference and everything was trained on; for
comparison with published figures only. In both, windows begin at every step, and channels are scaled by the
reference's extremes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from synthgen.config.series import SeriesDataConfig
from synthgen.data.series.schema import SeriesData
from synthgen.data.series.windows import WindowSet
from synthgen.downstream.series.sources import Source, open_source
from synthgen.errors import UsageError, nearest
from synthgen.evaluation.cache import evaluation_cache
from synthgen.evaluation.gates import Vocabulary, parse_gates
from synthgen.evaluation.series.dividing import cut, halves
from synthgen.evaluation.series.measure import SeriesParts
from synthgen.evaluation.series.measures import MEASURES, SHARES
from synthgen.evaluation.series.measuring import measured, result_of
from synthgen.evaluation.series.result import SeriesEvaluation
from synthgen.evaluation.series.sources import RealSeries, origin_sentence, read_fake, read_real, window_of, windows_for
from synthgen.evaluation.series.space import Space
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

METRICS = tuple(measure.name for measure in MEASURES)
"""What `--metrics` may name for series."""

# The last ones are not written in percent, but a limit above 1 would be a gate that never fails.
_TO_ONE = (*SHARES, "discriminative", "predictive", "predictive_later")

GATES = Vocabulary(
    MEASURES,
    _TO_ONE,
    "write for instance discriminative>0.1, spectrum>2*floor, copies>3% or context_fid>0.05",
    "series",
)

SEEDS = 5
MOST = 20_000
"""Windows a side that figures are computed from."""

_LEAST = 10


@dataclass(frozen=True)
class Compared:
    """One evaluation per synthetic set, in the order given, and the windows that they are about."""

    results: tuple[SeriesEvaluation, ...]
    parts: tuple[SeriesParts, ...]

    def to_dict(self) -> dict[str, Any]:
        """The evaluation's own document; of several, one that lists theirs under `evaluations`."""
        if len(self.results) == 1:
            return self.results[0].to_dict()
        return {
            "kind": "synthgen-comparison",
            "modality": "series",
            "evaluations": [one.to_dict() for one in self.results],
        }


def check_metrics(metrics: Sequence[str] | None) -> tuple[str, ...]:
    """The measures meant, in the order of `METRICS`; None means all. Raises UsageError for an unknown name or none."""
    if metrics is None:
        return METRICS
    for name in metrics:
        if name not in METRICS:
            raise UsageError(f"unknown metric '{name}'{nearest(name, METRICS)}", f"known: {', '.join(METRICS)}")
    if not metrics:
        raise UsageError("no metric was named", f"known: {', '.join(METRICS)}")
    return tuple(name for name in METRICS if name in metrics)


def evaluate_series_sources(
    real: str,
    fakes: Sequence[str],
    *,
    settings: Mapping[str, object] | None = None,
    protocol: Literal["honest", "leaky"] | None = None,
    window: int | None = None,
    test: str | None = None,
    count: int | None = None,
    metrics: Sequence[str] | None = None,
    gates: Sequence[str] = (),
    seed: int = 0,
    seeds: int = SEEDS,
    device: str = "auto",
    cache: bool = True,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Compared:
    """Evaluate every source of synthetic series in `fakes` against the real series that `real` names.

    settings: entries of `SeriesDataConfig` that say how the real series are read; for the rest as the run was told,
    else found out. protocol: `honest`, `leaky`, None:
    the run's, else honest. window: steps; None: those of the run, of the synthetic sequences up to 256, else 24. test:
    real series that no generator saw, instead of the last share of `real`. count: windows a side at most; of a run as
    many sequences are drawn, by default as many as there are real windows. seeds: how many of everything random,
    beginning with `seed`. Raises UsageError for what cannot be compared or does not exist; StoppedError.
    """
    reporter = reporter or NullReporter()
    check_metrics(metrics)
    parse_gates(gates, metrics, GATES)
    _check_names(fakes)
    common: dict[str, Any] = {"reporter": reporter, "should_stop": should_stop}
    sources = [open_source(fake, device=device, **common) for fake in fakes]
    told = next((one.config for one in sources if one.config is not None), SeriesDataConfig())
    told = told.model_copy(update={**(settings or {}), **({} if protocol is None else {"protocol": protocol})})
    schema = next((one.schema for one in sources if one.schema is not None), None)
    truth = read_real(real, told, schema, test, **common)
    window = window or (told.window if "window" in (settings or {}) else None)
    made = _made(sources, truth, window, count, seed, **common)
    return evaluate_series(
        truth,
        made,
        sources=sources,
        window=window,
        count=count,
        metrics=metrics,
        gates=gates,
        seed=seed,
        seeds=seeds,
        cache=cache,
        **common,
    )


def _made(
    sources: Sequence[Source], truth: RealSeries, window: int | None, count: int | None, seed: int, **common: Any
) -> list[SeriesData]:
    """The synthetic series; a run gives as many sequences as there are real windows."""
    found = []
    for one in sources:
        wanted = count or 0
        if one.model is not None and not wanted:
            size = window or one.window or window_of(None, sources, truth.train, [])
            windows, stride = windows_for(truth.train, size)
            wanted = min(MOST, len(windows) if stride == 1 else MOST)
        found.append(read_fake(one, truth.schema, wanted, seed, **common))
    return found


def evaluate_series(
    real: RealSeries,
    fakes: Sequence[SeriesData],
    *,
    sources: Sequence[Source] = (),
    window: int | None = None,
    count: int | None = None,
    metrics: Sequence[str] | None = None,
    gates: Sequence[str] = (),
    seed: int = 0,
    seeds: int = SEEDS,
    cache: bool = True,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Compared:
    """Evaluate series in memory; all in the terms of the real ones' schema. Arguments as `evaluate_series_sources`."""
    reporter = reporter or NullReporter()
    steps = window_of(window, sources, real.train, fakes)
    train, stride = windows_for(real.train, steps)
    classes = train.class_names or None
    later = None if real.later is None else windows_for(real.later, steps, classes)[0]
    made = [windows_for(fake, steps, classes)[0] for fake in fakes]
    notes = []
    if stride > 1:
        notes.append(f"the {len(train):,} real windows begin every {stride:,} steps: copies in between may stay unseen")
    compared = evaluate_windows(
        train,
        made,
        later,
        protocol=real.config.protocol,
        count=count,
        metrics=metrics,
        gates=gates,
        seed=seed,
        seeds=seeds,
        cache=cache,
        reporter=reporter,
        should_stop=should_stop,
        origins=[origin_sentence(sources[place].generator if sources else None, real) for place in range(len(fakes))],
        notes=notes,
    )
    return compared


def evaluate_windows(
    real: WindowSet,
    fakes: Sequence[WindowSet],
    later: WindowSet | None = None,
    *,
    protocol: str = "honest",
    count: int | None = None,
    metrics: Sequence[str] | None = None,
    gates: Sequence[str] = (),
    seed: int = 0,
    seeds: int = SEEDS,
    cache: bool = True,
    origins: Sequence[tuple[str, bool]] = (),
    notes: Sequence[str] = (),
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Compared:
    """Evaluate windows of one length and the same channels. origins: what is known of each set, and whether to warn."""
    reporter = reporter or NullReporter()
    wanted = [measure for measure in MEASURES if measure.name in check_metrics(metrics)]
    asked = parse_gates(gates, metrics, GATES)
    n = min([MOST, len(real), *(len(fake) for fake in fakes), *([] if count is None else [count])])
    if n < _LEAST:
        raise UsageError(f"{n} windows a side are too few to compare", f"{_LEAST} are the least")
    if later is not None and len(later) < _LEAST:
        notes, later = [*notes, f"the later part has {len(later)} windows: too few to compare with"], None
    space = Space(real)
    sides = halves(real, seed)
    common: dict[str, Any] = {
        "real": real,
        "reference": cut(real, n, seed),
        "later": None if later is None else cut(later, n, seed),
        "halves": tuple(_thin(side, n, seed + place) for place, side in enumerate(sides)),
        "space": space,
        "seeds": tuple(range(seed, seed + max(seeds, 1))),
        "protocol": protocol,
        "reporter": reporter,
        "should_stop": should_stop,
        "cache": evaluation_cache(enabled=cache, reporter=reporter),
        "shared": {},
    }
    results, all_parts = [], []
    for place, fake in enumerate(fakes):
        parts = SeriesParts(fake=cut(fake, n, seed), **common)
        origin = origins[place] if origins else ("the windows were handed over in memory", False)
        found = measured(parts, fake, wanted, asked, metrics)
        results.append(result_of(parts, fake, found, origin, notes, asked))
        all_parts.append(parts)
    return Compared(tuple(results), tuple(all_parts))


def _thin(side: np.ndarray, n: int, seed: int) -> np.ndarray:
    """At most n positions of a half."""
    if len(side) <= n:
        return side
    return np.sort(np.random.default_rng([seed, 17]).permutation(side)[:n])


def _check_names(fakes: Sequence[str]) -> None:
    if not fakes:
        raise UsageError("no synthetic series were named", "give --fake a file, a folder of samples or a run")
    for place, fake in enumerate(fakes):
        if fake in fakes[:place]:
            raise UsageError(f"--fake {fake} is given twice", "name each set of synthetic series once")
