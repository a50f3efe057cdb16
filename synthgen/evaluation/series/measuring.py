"""All measures of one synthetic set, one after the other, and the result that they make."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import torch
from threadpoolctl import threadpool_limits

from synthgen.data.series.windows import WindowSet
from synthgen.errors import UsageError
from synthgen.evaluation.gates import Gate, judge
from synthgen.evaluation.result import SetSummary
from synthgen.evaluation.series.measure import Found, Measure, SeriesParts
from synthgen.evaluation.series.result import SeriesEvaluation
from synthgen.reporting import Progress
from synthgen.stopping import ShouldStop


def measured(
    parts: SeriesParts,
    fake: WindowSet,
    wanted: Sequence[Measure],
    gates: Sequence[Gate],
    metrics: Sequence[str] | None,
) -> dict[str, Found | str]:
    """What every measure found, by name, or why it cannot be had. Raises UsageError when that was asked for."""
    reasons = {measure.name: reason for measure in wanted if (reason := measure.impossible(parts))}
    for gate in gates:
        if gate.measure in reasons:
            raise UsageError(f"the gate '{gate.text}' cannot be judged: {reasons[gate.measure]}")
    if metrics is not None and reasons:
        name = next(iter(reasons))
        raise UsageError(f"cannot compute {name}: {reasons[name]}")
    found: dict[str, Found | str] = {}
    with parts.reporter.progress(f"measuring {fake.name}", len(wanted), "figures") as progress, one_thread():
        for done, measure in enumerate(wanted):
            told = replace(parts, should_stop=_telling(progress, done, measure.name, parts.should_stop))
            told.check_stop()
            found[measure.name] = reasons.get(measure.name) or measure.measure(told)
        progress.update(len(wanted))
    return found


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread for torch and BLAS: the judges are so small that a second one waits more than it works."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)


def _telling(progress: Progress, done: int, name: str, should_stop: ShouldStop) -> ShouldStop:
    """`should_stop` that also says what is being measured, whenever it is asked."""

    def asked() -> bool:
        progress.update(done, now=name)
        return should_stop()

    return asked


def result_of(
    parts: SeriesParts,
    fake: WindowSet,
    found: dict[str, Found | str],
    origin: tuple[str, bool],
    notes: Sequence[str],
    gates: Sequence[Gate],
) -> SeriesEvaluation:
    done = {name: one for name, one in found.items() if isinstance(one, Found)}
    figures = {metric.name: metric for one in done.values() for metric in one.metrics}
    later = parts.later
    sentence, warn = origin
    return SeriesEvaluation(
        real=_summary(parts.real, len(parts.reference)),
        fake=_summary(fake, parts.n),
        later=None if later is None else _summary(later, len(later)),
        n=parts.n,
        window=parts.reference.values.shape[1],
        channels=parts.space.channels,
        protocol=parts.protocol,
        seeds=parts.seeds,
        metrics=figures,
        origin=sentence,
        warnings=(*([sentence] if warn else []), *(text for one in done.values() for text in one.warnings)),
        notes=(
            *notes,
            *parts.space.notes,
            *(text for one in done.values() for text in one.notes),
            *(f"left out {name}: {one}" for name, one in found.items() if isinstance(one, str)),
        ),
        details={name: one.details for name, one in done.items() if one.details is not None},
        gates=judge(gates, figures),
    )


def _summary(windows: WindowSet, used: int) -> SetSummary:
    return SetSummary(windows.name, windows.split, len(windows), used, windows.fingerprint)
