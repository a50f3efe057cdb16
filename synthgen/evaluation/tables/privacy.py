"""Whom do synthetic rows give away? Distances, attacks and membership, each beside rows that were never trained on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.data.tables.schema import TableData
from synthgen.errors import UsageError
from synthgen.evaluation.metrics import Figure, share
from synthgen.evaluation.tables.figures import percent
from synthgen.evaluation.tables.measure import Floor, Found, Measure, TableMetric, TableParts
from synthgen.evaluation.tables.privacy_attacks import attack_measures
from synthgen.evaluation.tables.privacy_distances import Ground, Nearness, matches
from synthgen.evaluation.tables.privacy_membership import LEAST_ROWS, MOST_ROWS, Membership, membership
from synthgen.evaluation.tables.space import DEFINITION
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

if TYPE_CHECKING:
    import pandas as pd

FLOOR_ROWS = 5_000
"""Rows of SMOTE and of the training set drawn anew whose distances are measured for comparison."""

ALARM = 0.55
"""A share of nearer rows above this, and significantly so, is worth a warning: the issue's own bound."""


def no_holdout(parts: TableParts) -> str | None:
    """Why nothing can be said about privacy: there is nobody to compare the training rows with."""
    if parts.holdout is None:
        return "needs real rows that the generator was not trained on (--test)"
    if min(len(parts.real), len(parts.holdout), len(parts.fake)) < LEAST_ROWS:
        return f"needs {LEAST_ROWS} rows of each side"
    return None if parts.real.schema.modelled else "the table has nothing but identifiers and constants"


def _distances(parts: TableParts) -> Found:
    assert parts.holdout is not None
    holdout = parts.holdout
    ground = parts.keep("privacy.ground", lambda: Ground(parts.real, holdout, seed=parts.seed, check=parts.check_stop))
    found, new = ground.measure(parts.fake), ground.floor()
    others = {
        name: parts.keep(f"privacy.{name}", lambda data=data: ground.measure(data, FLOOR_ROWS))  # type: ignore[misc]
        for name, data in (("smote", parts.smote), ("bootstrap", parts.bootstrap))
        if data is not None
    }

    def floors(take: Callable[[Nearness], Figure], held_out: float | None = None) -> tuple[Floor, ...]:
        first = () if held_out is None else (Floor("holdout", held_out, new["n"]),)
        rest = tuple(Floor(name, take(one).value, one.n, take(one).interval) for name, one in others.items())  # type: ignore[arg-type]
        return first + rest

    metrics = (
        _metric(
            "dcr_share", "nearer to train than to holdout", found.nearer, found.n, floors(lambda one: one.nearer), 0.5
        ),
        _metric(
            "dcr_below", "nearer than the median holdout row", found.below, found.n, floors(lambda one: one.below), 0.5
        ),
        _metric("dcr", "median DCR", found.dcr, found.n, floors(lambda one: one.dcr, new["dcr"])),
        _metric("nndr", "median NNDR", found.nndr, found.n, floors(lambda one: one.nndr, new["nndr"])),
        _matches(parts, holdout),
    )
    low = found.nearer.interval[0] if found.nearer.interval else 0.0
    warnings = []
    if found.nearer.value > ALARM and low > 0.5:
        warnings.append(
            f"{percent(found.nearer.value)} of the synthetic rows are nearer to a training row than to a held-out one "
            "(50 % would be if the training rows were nothing special): the generator hands out what it was trained on"
        )
    details = {
        "definition": DEFINITION,
        "quantiles": {
            "levels": np.linspace(0, 1, 41).tolist(),
            "synthetic": found.quantiles,
            "holdout": new["quantiles"],
        }
        | {name: one.quantiles for name, one in others.items()},
    }
    return Found(metrics, details, tuple(warnings), _left_out(parts, ground))


def _left_out(parts: TableParts, ground: Ground) -> tuple[str, ...]:
    """What the caps of the distances left aside."""
    assert parts.holdout is not None
    sides = (
        ("training", len(parts.real), len(ground.train)),
        ("held-out", len(parts.holdout), len(ground.holdout)),
    )
    return tuple(
        f"distances: {used:,} random rows of the {count:,} {name} rows" for name, count, used in sides if used < count
    )


_SENTENCES = {
    "dcr_share": "{0} of the synthetic rows are nearer to a training row than to a held-out one, counted as if both "
    "were equally many (50 %: training rows are nothing special).",
    "dcr_below": "{0} of the synthetic rows are nearer to the training rows than the median held-out row is (50 %: as "
    "new as held-out rows).",
    "dcr": "The median synthetic row is {0} from its nearest training row, the median held-out row {1}.",
    "nndr": "The median ratio of the distances to the nearest and the second nearest training row is {0}, of held-out "
    "rows {1}.",
}


def _metric(
    name: str, title: str, found: Figure, n: int, floors: tuple[Floor, ...], ideal: float | None = None
) -> TableMetric:
    part = ideal is not None
    texts = [percent(found.value) if part else f"{found.value:.3g}"]
    texts += [f"{floors[0].value:.3g}"] if floors else [""]
    return TableMetric(
        name,
        title,
        found.value,
        n,
        "nearer" if part else "higher",
        _SENTENCES[name].format(*texts),
        floors,
        found.interval,
        found.method,
        part,
        ideal,
    )


def _matches(parts: TableParts, holdout: TableData) -> TableMetric:
    """The share of rows that equal a training row; held-out rows that do are the floor."""
    floor = parts.keep("privacy.matches", lambda: share(matches(holdout, parts.real)))
    hits = matches(parts.fake, parts.real)
    found = share(hits)
    sentence = (
        f"{int(hits.sum()):,} of the {len(hits):,} synthetic rows ({percent(found.value)}) equal a training row in "
        f"every column; of the held-out rows {percent(floor.value)} do."
    )
    floors = (Floor("holdout", floor.value, len(holdout), floor.interval),)
    return TableMetric(
        "matches",
        "equal to a training row",
        found.value,
        len(hits),
        "lower",
        sentence,
        floors,
        found.interval,
        "wilson",
        True,
    )


def _no_likelihood(parts: TableParts) -> str | None:
    if parts.likelihood is None:
        return "needs the generator itself: give a run as --fake"
    return no_holdout(parts)


def _membership(parts: TableParts) -> Found:
    assert parts.holdout is not None and parts.likelihood is not None
    random = np.random.default_rng([parts.seed, 31])
    count = min(len(parts.real), len(parts.holdout), MOST_ROWS)
    scores = []
    for data in (parts.real, parts.holdout):
        parts.check_stop()
        rows = data.frame.iloc[np.sort(random.permutation(len(data))[:count])].reset_index(drop=True)
        scores.append(np.asarray(parts.likelihood(rows), np.float64))
    found = membership(*scores)
    return Found(_membership_metrics(found), {"rows": list(found.counts)}, _membership_warnings(found))


def _membership_metrics(found: Membership) -> tuple[TableMetric, ...]:
    ours, theirs = found.counts
    return (
        TableMetric(
            "membership",
            "membership AUC",
            found.auc.value,
            ours + theirs,
            "nearer",
            f"The model's own likelihood tells training rows from held-out ones with an AUC of {found.auc.value:.3f} "
            "(0.5: not at all).",
            (),
            found.auc.interval,
            found.auc.method,
            False,
            0.5,
        ),
        TableMetric(
            "membership_caught",
            "members found at 1 % false alarms",
            found.caught.value,
            ours,
            "lower",
            f"At 1 % false alarms the likelihood finds {percent(found.caught.value)} of the training rows "
            "(1 %: chance).",
            (),
            found.caught.interval,
            found.caught.method,
            True,
        ),
    )


def _membership_warnings(found: Membership) -> tuple[str, ...]:
    assert found.auc.interval is not None
    if found.auc.value <= ALARM or found.auc.interval[0] <= 0.5:
        return ()
    return (
        f"the model's likelihood gives away who was in the training set (AUC {found.auc.value:.3f}): it has learned "
        "single rows; train it shorter or smaller before sharing the run",
    )


DISTANCES = Measure(
    "distances",
    ("dcr_share", "dcr_below", "dcr", "nndr", "matches"),
    _distances,
    no_holdout,
    ("dcr_share", "dcr_below", "matches"),
)
MEMBERSHIP = Measure(
    "membership", ("membership", "membership_caught"), _membership, _no_likelihood, ("membership", "membership_caught")
)

MEASURES: tuple[Measure, ...] = (DISTANCES, *attack_measures(no_holdout), MEMBERSHIP)
"""All that say something about privacy, in the order of reports."""


def evaluate_privacy(
    train: TableData,
    synthetic: TableData,
    holdout: TableData,
    *,
    seed: int = 0,
    likelihood: Callable[[pd.DataFrame], np.ndarray] | None = None,
    smote: TableData | None = None,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> dict[str, Found]:
    """All measures of privacy that the given tables allow, by name.

    train: what the generator was trained on; holdout: rows of the same kind that it never saw; all three in the terms
    of `train.schema`. likelihood: see `TableParts`. Raises UsageError when nothing can be measured; StoppedError.
    """
    random = np.random.default_rng([seed, 41])
    bootstrap = replace(train.select(random.integers(0, len(train), max(1, len(synthetic)))), name="bootstrap")
    parts = TableParts(
        train,
        synthetic,
        holdout,
        bootstrap,
        smote,
        seed=seed,
        reporter=reporter or NullReporter(),
        should_stop=should_stop,
        likelihood=likelihood,
    )
    reason = no_holdout(parts)
    if reason is not None:
        raise UsageError(f"privacy cannot be measured: {reason}")
    found: dict[str, Any] = {}
    for measure in MEASURES:
        if measure.impossible(parts) is None:
            found[measure.name] = measure.measure(parts)
    return found
