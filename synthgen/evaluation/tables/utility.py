"""What synthetic rows are worth as training data: train on synthetic rows, test on real ones (Esteban et al. 2017).

A tuned gradient boosting learns to predict the target from synthetic rows, another one from the real training rows (the
ceiling), and both are judged on the same real test rows. Settings are searched on each one's own training rows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from synthgen.data.tables.schema import NUMERIC, TableData, TableSchema
from synthgen.evaluation.tables.auc import auc_with_interval
from synthgen.evaluation.tables.cells import Cells, cells
from synthgen.evaluation.tables.design import boosting_matrix
from synthgen.evaluation.tables.figures import FLOORS
from synthgen.evaluation.tables.measure import Floor, FloorName, Found, Measure, TableMetric, TableParts
from synthgen.evaluation.tables.tuning import Task, Tuned, tune

MOST_ROWS = 50_000
"""Training rows that are used at most."""

_MOST_CLASSES = 50
_LEAST_ROWS = 50
_LEAST_TESTED = 10
_REPLICATES = 200
_SKEWED = 1.0
"""A target without negative values whose skewness is larger is also judged on the scale of its logarithm."""

TITLES = {
    "tstr_auc": "AUC, trained on synthetic",
    "tstr_f1": "macro F1, trained on synthetic",
    "tstr_accuracy": "accuracy, trained on synthetic",
    "tstr_r2": "R2, trained on synthetic",
    "tstr_rmse": "RMSE, trained on synthetic",
    "tstr_log_rmse": "log-RMSE, trained on synthetic",
}
Figure = tuple[float, tuple[float, float]]


@dataclass(frozen=True)
class Problem:
    """What is to be predicted. classes: the codes of the target's values, in order (none for regression)."""

    target: str
    task: Task
    classes: np.ndarray
    log: bool = False

    def labels(self, table: Cells) -> np.ndarray:
        """The target: float64, or the place in `classes`; NaN or -1 where it is missing or unknown."""
        values = table.numbers.get(self.target, table.codes.get(self.target))
        assert values is not None
        if self.task == "regression":
            return values.astype(np.float64)
        place = np.searchsorted(self.classes, values).clip(0, len(self.classes) - 1)
        return np.where(self.classes[place] == values, place, -1)

    def usable(self, table: Cells) -> np.ndarray:
        """Places of the rows whose target is known."""
        labels = self.labels(table)
        return np.flatnonzero(np.isfinite(labels) if self.task == "regression" else labels >= 0)


def unsuitable(schema: TableSchema, target: str, data: TableData) -> str | None:
    """Why a column cannot be predicted, or None."""
    column = schema[target]
    if not column.modelled:
        return f"{target} is {'an identifier' if column.kind == 'identifier' else 'constant'}"
    if column.kind == "datetime":
        return f"{target} is a date"
    values = data.frame[target].dropna()
    count = int(values.nunique())
    if count < 2:
        return f"{target} has {count} distinct values"
    if column.kind not in NUMERIC and count > _MOST_CLASSES:
        return f"{target} has {count:,} categories, {_MOST_CLASSES} are the most"
    return None


def pose(target: str, real: Cells) -> Problem:
    """Which task the target makes: two values and categories are classes, other numbers are regressed."""
    numeric = target in real.numbers
    values = real.numbers[target] if numeric else real.codes[target]
    known = np.unique(values[~np.isnan(values)] if numeric else values[values >= 0])
    if len(known) == 2:
        return Problem(target, "binary", known)
    if not numeric:
        return Problem(target, "multiclass", known)
    present = values[~np.isnan(values)]
    skewness = float(np.mean(((present - present.mean()) / (present.std() or 1.0)) ** 3))
    return Problem(target, "regression", np.zeros(0), bool(present.min() >= 0 and skewness > _SKEWED))


def on_log_scale(values: np.ndarray) -> np.ndarray:
    """log(max(y, 1)), the scale on which TabSyn judges regressions."""
    found: np.ndarray = np.log(np.maximum(values, 1.0))
    return found


def train_and_test(problem: Problem, train: Cells, test: Cells, parts: TableParts) -> tuple[dict[str, Figure], int]:
    """The figures on the test rows of a model trained on `train`, by name, and how many rows it was trained on."""
    used = problem.usable(train)
    if len(used) > MOST_ROWS:
        used = np.random.default_rng([parts.seed, 61]).permutation(used)[:MOST_ROWS]
    train, test = train.select(used), test.select(problem.usable(test))
    (x, x_test), categorical = boosting_matrix([train, test], leave_out=problem.target)
    y, y_test = problem.labels(train), problem.labels(test)
    if problem.task != "regression":
        seen = np.unique(y)
        chances = np.zeros((len(y_test), len(problem.classes)))
        if len(seen) == 1:  # nothing to learn: always the same answer
            chances[:, seen[0]] = 1.0
        else:
            model = tune(x, np.searchsorted(seen, y), categorical, "multiclass", parts.seed, parts.check_stop)
            chances[:, seen] = model.predict(x_test, "multiclass")
        return _class_figures(problem, chances, y_test, parts.seed), len(used)

    def predict(scale: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
        found: Tuned = tune(x, scale(y), categorical, "regression", parts.seed, parts.check_stop)
        return found.predict(x_test, "regression")

    figures = _number_figures(y_test, predict(lambda values: values), parts.seed)
    if problem.log:
        apart = (predict(on_log_scale) - on_log_scale(y_test)) ** 2
        figures["tstr_log_rmse"] = _bootstrap(lambda rows: float(np.sqrt(apart[rows].mean())), len(apart), parts.seed)
    return figures, len(used)


def _class_figures(problem: Problem, chances: np.ndarray, truth: np.ndarray, seed: int) -> dict[str, Figure]:
    answers = chances.argmax(axis=1)
    right = answers == truth
    found: dict[str, Figure] = {}
    if problem.task == "binary" and len(np.unique(truth)) == 2:  # of one class alone there is no area
        found["tstr_auc"] = auc_with_interval(chances[truth == 1, 1], chances[truth == 0, 1])
    found["tstr_f1"] = _bootstrap(lambda rows: _macro_f1(answers[rows], truth[rows]), len(truth), seed)
    found["tstr_accuracy"] = _bootstrap(lambda rows: float(right[rows].mean()), len(truth), seed)
    return found


def _macro_f1(answers: np.ndarray, truth: np.ndarray) -> float:
    """The mean over the classes that occur of the harmonic mean of precision and recall."""
    size = int(max(answers.max(), truth.max())) + 1
    hits = np.bincount(truth[answers == truth], minlength=size)
    both = np.bincount(truth, minlength=size) + np.bincount(answers, minlength=size)
    return float((2 * hits[both > 0] / both[both > 0]).mean())


def _number_figures(truth: np.ndarray, answers: np.ndarray, seed: int) -> dict[str, Figure]:
    apart = (truth - answers) ** 2

    def r2(rows: np.ndarray) -> float:
        return 1.0 - float(apart[rows].mean()) / (float(np.var(truth[rows])) or 1.0)

    return {
        "tstr_r2": _bootstrap(r2, len(truth), seed),
        "tstr_rmse": _bootstrap(lambda rows: float(np.sqrt(apart[rows].mean())), len(truth), seed),
    }


def _bootstrap(figure: Callable[[np.ndarray], float], count: int, seed: int) -> Figure:
    """The value, and the middle 95 % of it over resamples of the test rows."""
    random = np.random.default_rng([seed, 62])
    values = [figure(random.integers(0, count, count)) for _ in range(_REPLICATES)]
    low, high = np.quantile(values, [0.025, 0.975]).tolist()
    return figure(np.arange(count)), (low, high)


def _sides(parts: TableParts) -> tuple[Cells, Cells]:
    """Training rows and test rows: the held-out ones, or a fifth of the real rows."""
    real = cells(parts, parts.real)
    if parts.holdout is not None:
        return real, cells(parts, parts.holdout)
    order = np.random.default_rng([parts.seed, 63]).permutation(len(real))
    return real.select(np.sort(order[len(order) // 5 :])), real.select(np.sort(order[: len(order) // 5]))


def _measure(parts: TableParts) -> Found:
    assert parts.target is not None
    train, test = _sides(parts)
    problem = pose(parts.target, cells(parts, parts.real))

    def floors() -> dict[FloorName, tuple[dict[str, Figure], int]]:
        found: dict[FloorName, tuple[dict[str, Figure], int]] = {"real": train_and_test(problem, train, test, parts)}
        if parts.smote is not None:
            found["smote"] = train_and_test(problem, cells(parts, parts.smote), test, parts)
        return found

    known = parts.keep("utility floors", floors)
    figures, count = train_and_test(problem, cells(parts, parts.fake), test, parts)
    metrics = tuple(_metric(problem, name, figures[name], count, known) for name in figures)
    tested = len(problem.usable(test))
    warnings: tuple[str, ...] = ()
    if parts.holdout is None:
        warnings = (
            f"no test rows were given: models are tested on a fifth of the real rows ({tested:,}), which the generator "
            "may have seen; what it repeats of them looks like a gain. --test FILE names rows that it did not see",
        )
    details = {"target": problem.target, "task": problem.task, "test_rows": tested, "log": problem.log}
    return Found(metrics, details, warnings)


def _metric(
    problem: Problem, name: str, found: Figure, count: int, known: dict[FloorName, tuple[dict[str, Figure], int]]
) -> TableMetric:
    value, bounds = found
    floors = tuple(Floor(floor, one[name][0], n, one[name][1]) for floor, (one, n) in known.items())
    lower = name in ("tstr_rmse", "tstr_log_rmse")
    what = TITLES[name].partition(",")[0]
    sentence = (
        f"Trained on synthetic rows, boosting predicts {problem.target} of real test rows with {what} {value:.3f}"
        f" ({FLOORS['real']}: {floors[0].value:.3f})."
    )
    method = "delong" if name == "tstr_auc" else "bootstrap"
    better = "lower" if lower else "higher"
    return TableMetric(name, TITLES[name], value, count, better, sentence, floors, bounds, method)  # type: ignore[arg-type]


def _impossible(parts: TableParts) -> str | None:
    if parts.target is None:
        return "no column to predict: name one with --target"
    reason = unsuitable(parts.real.schema, parts.target, parts.real)
    if reason is not None:
        return reason
    if len(parts.real.schema.modelled) < 2:
        return f"the table has no other column to predict {parts.target} from"
    problem = pose(parts.target, cells(parts, parts.real))
    train, test = _sides(parts)
    sides = ((train, "training", _LEAST_ROWS), (cells(parts, parts.fake), "synthetic", _LEAST_ROWS))
    for table, whose, needed in (*sides, (test, "test", _LEAST_TESTED)):
        count = len(problem.usable(table))
        if count < needed:
            return f"{count:,} {whose} rows have a {parts.target} that real training rows have, {needed} are the least"
    return None


UTILITY = Measure("utility", tuple(TITLES), _measure, _impossible)
