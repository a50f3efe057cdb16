"""What gives synthetic rows away: a forest that tries to tell them from real ones, asked why, beside its own chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from synthgen.errors import StoppedError, UsageError
from synthgen.evaluation.tables.auc import auc, auc_with_interval
from synthgen.explain.tables.features import Contest
from synthgen.explain.tables.forest import FOLDS, LEAF, Verdicts, explained_pairs, judge
from synthgen.reporting import NullReporter, Reporter
from synthgen.stopping import ShouldStop, never_stop

REFITS = 39
"""Forests trained on permuted labels: with the real one, one in forty is as extreme by chance."""

LEVEL = 0.05
MOST_PAIRS = 5
LEAST_ROWS = 10 * LEAF

QUESTION = (
    "Can a forest tell the synthetic rows from real ones, and by which columns? Every row is judged by a forest that "
    "never saw it. A column's figure is by how many percentage points it moves that judgement towards the truth, mean "
    "over all rows (TreeSHAP)."
)
CAVEAT = (
    "That no column was found does not prove that none is wrong: fewer rows find less. A wrong relation between two "
    "columns shows in one of them or in both."
)


@dataclass(frozen=True, eq=False)
class Detection:
    """What a forest made of the rows.

    names: the C columns. auc: out of fold, with its 95 % interval (DeLong); auc_p: by permuted labels.
    scores: float64 (C,), contributions towards the truth in probability. p: float64 (C,), of one column among all:
    adjusted for how many columns were looked at (max-T, Westfall and Young 1993). chance: float64 (C,), the 95th
    percentile of each column's scores under permuted labels. pairs: (first, second, score) of columns that work
    together, strongest first. verdicts: of all rows. refits: how many permutations.
    """

    names: tuple[str, ...]
    auc: float
    interval: tuple[float, float]
    auc_p: float
    scores: np.ndarray
    p: np.ndarray
    chance: np.ndarray
    pairs: tuple[tuple[str, str, float], ...]
    verdicts: Verdicts
    refits: int

    @property
    def found(self) -> tuple[str, ...]:
        """The columns that give rows away, strongest first."""
        order = np.argsort(-self.scores, kind="stable")
        return tuple(self.names[column] for column in order if self.p[column] <= LEVEL)

    def of_properties(self, things: str, lead: str) -> str:
        """The finding in words where the columns are properties of images or windows.

        things: what they are of, in the plural. lead: how it begins where some are found, with {listed} for the first.
        """
        area = f"{self.auc:.3f} (95 % {self.interval[0]:.3f} to {self.interval[1]:.3f}; 0.5 is guessing)"
        limit = f"at p <= {LEVEL:g}, counted that {len(self.names)} properties were looked at"
        if self.found:
            more = len(self.found) - 3
            listed = ", ".join(self.found[:3]) + (f" and {more} more" if more > 0 else "")
            return f"{lead.format(listed=listed)} ({limit}); the forest's AUC is {area}."
        if self.auc_p <= LEVEL:
            return f"The forest tells the {things} apart, AUC {area}, but no single property gives them away ({limit})."
        return f"No better than chance: nothing gives the {things} away ({limit}); the forest's AUC is {area}."

    @property
    def sentence(self) -> str:
        """The finding in words."""
        chance = f"{self.auc:.3f} (95 % {self.interval[0]:.3f} to {self.interval[1]:.3f}; 0.5 is guessing)"
        limit = f"at p <= {LEVEL:g}, counted that {len(self.names)} columns were looked at"
        if self.found:
            listed = " and ".join(part for part in (", ".join(self.found[:-1]), self.found[-1]) if part)
            gives = "gives" if len(self.found) == 1 else "give"
            return f"{listed} {gives} the rows away ({limit}); the forest's AUC is {chance}."
        if self.auc_p <= LEVEL:
            return f"The forest can tell the rows apart, AUC {chance}, but no single column gives them away ({limit})."
        return f"No column gives the rows away ({limit}); the forest's AUC is {chance}."


def detect(
    rows: Contest,
    *,
    seed: int = 0,
    refits: int = REFITS,
    reporter: Reporter | None = None,
    should_stop: ShouldStop = never_stop,
) -> Detection:
    """Train forests to tell the rows apart, and the same on permuted labels to see what chance does.

    The labels are permuted before training: whatever the forests find then is chance. A column's score is divided by
    its deviation under chance; p is the share of permutations (with the real labels) in which the largest of all
    columns is as large. Raises UsageError for too few rows, StoppedError.
    """
    if len(rows.values) < 2 * LEAST_ROWS:
        raise UsageError(
            f"{len(rows.values) // 2} synthetic and as many real rows are too few to tell apart ({LEAST_ROWS} needed)",
            "raise --count, or leave out the method detector",
        )
    reporter = reporter or NullReporter()
    truth = rows.synthetic
    verdicts = judge(rows.values, truth, seed)
    random = np.random.default_rng([seed, 34])
    chance, chance_auc = np.empty((refits, rows.values.shape[1])), np.empty(refits)
    with reporter.progress("forests on permuted labels", refits, "forests") as progress:
        for number in range(refits):
            if should_stop():
                raise StoppedError("stopped while explaining; nothing was written")
            labels = random.permutation(truth)
            blind = judge(rows.values, labels, seed + FOLDS * (number + 1))
            chance[number] = blind.towards_truth(labels)
            chance_auc[number] = auc(blind.probability[labels], blind.probability[~labels])
            progress.update(number + 1)
    scores = verdicts.towards_truth(truth)
    area, interval = auc_with_interval(verdicts.probability[truth], verdicts.probability[~truth])
    p = adjusted_p(scores, chance)
    auc_p = float((1 + (chance_auc >= area).sum()) / (1 + refits))
    telling = np.flatnonzero(p <= LEVEL)
    pairs = _pairs(rows, verdicts, seed, telling) if len(telling) else ()
    limit = np.quantile(chance, 0.95, axis=0)
    return Detection(rows.names, area, interval, auc_p, scores, p, limit, pairs, verdicts, refits)


def adjusted_p(scores: np.ndarray, chance: np.ndarray) -> np.ndarray:
    """float64 (C,): p of each score against the largest of all columns by chance.

    scores: float64 (C,). chance: float64 (B, C), the same under permuted labels. Each column is put on its own scale by
    mean and deviation over chance and the real one together: where the labels mean nothing, all of these are alike, and
    p <= 0.05 for any column at all in 5 % of cases at most.
    """
    together = np.vstack([scores, chance])
    deviation = together.std(axis=0)
    scaled = (together - together.mean(axis=0)) / np.where(deviation > 0, deviation, np.inf)
    largest = scaled[1:].max(axis=1)
    return np.asarray((1 + (largest[:, None] >= scaled[0]).sum(axis=0)) / (1 + len(chance)))


def _pairs(rows: Contest, verdicts: Verdicts, seed: int, telling: np.ndarray) -> tuple[tuple[str, str, float], ...]:
    """The pairs with a telling column whose interaction moves the judgement most towards the truth, percentage of 1."""
    table = explained_pairs(rows.values, rows.synthetic, seed)
    if table is None:
        return ()
    found = [
        (rows.names[a], rows.names[b], 2.0 * float(table[a, b]))
        for a in range(len(table))
        for b in range(a + 1, len(table))
        if (a in telling or b in telling) and table[a, b] > 0
    ]
    return tuple(sorted(found, key=lambda one: -one[2])[:MOST_PAIRS])


def reasons(detection: Detection, row: int, most: int = 3) -> list[tuple[str, float]]:
    """The columns that speak most for `row` being synthetic, with their contributions in probability."""
    values = detection.verdicts.contributions[row]
    order = np.argsort(-values, kind="stable")[:most]
    return [(detection.names[column], float(values[column])) for column in order if values[column] > 0]
