"""From what a user names to evaluations of tables: one synthetic set or several, beside the same floors.

The protocol. The reference is the real training rows. Synthetic rows, at most as many, are measured against them, and
so are tables that no generator made, at the same n: the training rows drawn anew (bootstrap), real rows that were held
out, and SMOTE. The held-out rows come from --test, or from the real table's own column `split`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from synthgen.data.tables.schema import TableData
from synthgen.errors import UsageError, nearest
from synthgen.evaluation.gates import Gate, Vocabulary, judge, parse_gates
from synthgen.evaluation.result import SetSummary
from synthgen.evaluation.tables.installed import NOT_INSTALLED
from synthgen.evaluation.tables.measure import Found, Measure, TableParts
from synthgen.evaluation.tables.measures import MEASURES, SHARES
from synthgen.evaluation.tables.result import TableEvaluation
from synthgen.evaluation.tables.sources import (
    Origin,
    check_leak,
    copy_warnings,
    leak_warnings,
    open_synthetic,
    read_holdout,
    read_real,
)
from synthgen.evaluation.tables.utility import unsuitable
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

METRICS = tuple(measure.name for measure in MEASURES)
"""What `--metrics` may name for tables."""

GATES = Vocabulary(
    MEASURES, SHARES, "write for instance detection_auc>0.6, shape>1%, tstr_auc<0.9 or trend>1.5*floor", "tables"
)

_SMOTE_ROWS, _SMOTE_BASE, _SMOTE_COLUMNS = 20_000, 50_000, 300
_LEAST_ROWS = 10


@dataclass(frozen=True)
class Compared:
    """One evaluation per synthetic set, in the order given, and the tables that they are about."""

    results: tuple[TableEvaluation, ...]
    real: TableData
    fakes: tuple[TableData, ...]
    holdout: TableData | None

    def to_dict(self) -> dict[str, Any]:
        """The evaluation's own document; of several, one that lists theirs under `evaluations`."""
        if len(self.results) == 1:
            return self.results[0].to_dict()
        return {
            "kind": "synthgen-comparison",
            "modality": "tables",
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


def evaluate_table_sources(
    real: str,
    fakes: Sequence[str],
    *,
    test: str | None = None,
    target: str | None = None,
    count: int | None = None,
    metrics: Sequence[str] | None = None,
    gates: Sequence[str] = (),
    seed: int = 0,
    device: str = "auto",
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Compared:
    """Evaluate every source of synthetic rows in `fakes` against the real rows that `real` names.

    A run is sampled in memory: `count` rows, or as many as it was trained on. test: real rows for testing and for the
    floor; None: those that the column `split` of `real` calls test. target: what models are trained to predict; None:
    what the run's configuration names, else the last column where it can be predicted. Several sources are compared at
    the same n. Raises UsageError for what cannot be compared or does not exist; StoppedError.
    """
    reporter = reporter or NullReporter()
    check_metrics(metrics)
    parse_gates(gates, metrics, GATES)
    _check_names(fakes)
    common: dict[str, Any] = {"reporter": reporter, "should_stop": should_stop}
    origins = [open_synthetic(fake, count=count, seed=seed, device=device, **common) for fake in fakes]
    schema = next((one.schema for one in origins if one.schema is not None), None)
    truth = read_real(real, schema, **common)
    held_out = read_holdout(real, test, truth.schema, **common)
    made = tuple(one.read(truth.schema) for one in origins)
    if target is None:
        target = next((one.target for one in origins if one.target is not None), None)
    return evaluate_tables(
        truth,
        made,
        held_out,
        origins=origins,
        target=target,
        count=count,
        metrics=metrics,
        gates=gates,
        seed=seed,
        **common,
    )


def evaluate_tables(
    real: TableData,
    fakes: Sequence[TableData],
    holdout: TableData | None = None,
    *,
    origins: Sequence[Origin] = (),
    target: str | None = None,
    count: int | None = None,
    metrics: Sequence[str] | None = None,
    gates: Sequence[str] = (),
    seed: int = 0,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Compared:
    """Evaluate tables in memory; all in the terms of the real one's schema. Arguments as `evaluate_table_sources`."""
    reporter = reporter or NullReporter()
    wanted = [measure for measure in MEASURES if measure.name in check_metrics(metrics)]
    asked = parse_gates(gates, metrics, GATES)
    n = min([len(real), *(len(fake) for fake in fakes), *([] if count is None else [count])])
    if n < _LEAST_ROWS:
        raise UsageError(f"{n} rows a side are too few to compare", f"{_LEAST_ROWS} are the least")
    chosen, said = choose_target(real, target)
    shared: dict[str, Any] = {}
    bootstrap = real.select(np.random.default_rng([seed, 1]).integers(0, len(real), n))
    smote, lacking = _smote(real, n, chosen, seed, reporter, should_stop)
    results = []
    for place, fake in enumerate(fakes):
        origin = origins[place] if origins else None
        parts = TableParts(
            real=real,
            fake=_cut(fake, n, seed),
            holdout=holdout,
            bootstrap=bootstrap,
            smote=smote,
            target=chosen,
            seed=seed,
            reporter=reporter,
            should_stop=should_stop,
            shared=shared,
            likelihood=None if origin is None else origin.likelihood,
        )
        leak = check_leak(None if origin is None else origin.generator, real, holdout)
        notes = [text for text in (said, lacking) if text]
        one = _evaluate(parts, fake, wanted, asked, metrics)
        results.append(_result(parts, fake, one, leak, notes, asked))
    return Compared(tuple(results), real, tuple(fakes), holdout)


def _cut(fake: TableData, n: int, seed: int) -> TableData:
    if len(fake) <= n:
        return fake
    return fake.select(np.sort(np.random.default_rng([seed, 2]).permutation(len(fake))[:n]))


def _check_names(fakes: Sequence[str]) -> None:
    if not fakes:
        raise UsageError("no synthetic rows were named", "give --fake a table, a folder of samples or a run")
    for place, fake in enumerate(fakes):
        if fake in fakes[:place]:
            raise UsageError(f"--fake {fake} is given twice", "name each set of synthetic rows once")


def choose_target(real: TableData, target: str | None) -> tuple[str | None, str | None]:
    """What models are to predict, and what is to be said about it. Raises UsageError for a column that is not there."""
    names = real.schema.names
    if target is not None:
        if target not in names:
            raise UsageError(
                f"{real.name} has no column '{target}' to predict{nearest(target, names)}",
                f"it has {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}",
            )
        reason = unsuitable(real.schema, target, real)
        if reason is not None:
            raise UsageError(f"nothing can be trained to predict {reason}", "name another column with --target")
        return target, None
    modelled = [column.name for column in real.schema.modelled]
    reason = unsuitable(real.schema, modelled[-1], real) if modelled else "the table has no columns to predict"
    if reason is not None:
        return None, None
    text = f"models are trained to predict the last column, {modelled[-1]}: --target names another one"
    return modelled[-1], text


def _smote(
    real: TableData, n: int, target: str | None, seed: int, reporter: Reporter, should_stop: ShouldStop
) -> tuple[TableData | None, str | None]:
    """Rows between neighbours, at most 20,000; and why there are none."""
    from synthgen.downstream.tables.smote import smote_rows

    width = len(real.schema.modelled)
    if not width or width > _SMOTE_COLUMNS:
        return None, f"the floor SMOTE: {width:,} columns are too many for neighbours" if width else None
    reporter.info(f"making {min(n, _SMOTE_ROWS):,} rows by SMOTE, for comparison")
    base = _cut(real, _SMOTE_BASE, seed)
    return smote_rows(base, min(n, _SMOTE_ROWS), seed, by=target, should_stop=should_stop), None


def _evaluate(
    parts: TableParts,
    fake: TableData,
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
    with parts.reporter.progress(f"measuring {fake.name}", len(wanted), "figures") as progress:
        for done, measure in enumerate(wanted):
            progress.update(done, now=measure.name)
            parts.check_stop()
            found[measure.name] = reasons.get(measure.name) or measure.measure(parts)
        progress.update(len(wanted))
    return found


def _result(
    parts: TableParts,
    fake: TableData,
    found: dict[str, Found | str],
    leak: Any,
    notes: Sequence[str],
    gates: Sequence[Gate],
) -> TableEvaluation:
    done = {name: one for name, one in found.items() if isinstance(one, Found)}
    figures = {metric.name: metric for one in done.values() for metric in one.metrics}
    held = parts.holdout
    copied = copy_warnings(parts.real, parts.fake) if held is None else []
    return TableEvaluation(
        real=_summary(parts.real, len(parts.real)),
        fake=_summary(fake, len(parts.fake)),
        holdout=None if held is None else _summary(held, len(held)),
        n=len(parts.fake),
        seed=parts.seed,
        target=parts.target,
        metrics=figures,
        leak=leak,
        warnings=(*leak_warnings(leak), *copied, *(text for one in done.values() for text in one.warnings)),
        notes=(
            *notes,
            *(text for one in done.values() for text in one.notes),
            *(
                f"left out {name}: {one}"
                for name, one in found.items()
                if isinstance(one, str) and one != NOT_INSTALLED
            ),
        ),
        details={name: one.details for name, one in done.items() if one.details is not None},
        gates=judge(gates, figures),
    )


def _summary(data: TableData, used: int) -> SetSummary:
    return SetSummary(data.name, data.split, len(data), used, data.fingerprint)
