"""Quality gates: `fid>30`, `memorised>1%`, `fid>3*floor` say when an evaluation has failed."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass

from synthgen.errors import GateError, UsageError, nearest
from synthgen.evaluation.measures import MEASURES
from synthgen.evaluation.result import Evaluation, GateResult, Metric

FIGURES = tuple(name for measure in MEASURES for name in measure.gives)
"""What a gate may name."""

SHARES = ("precision", "recall", "coverage", "agreement", "memorised", "nearer", "duplicates", "modes", "ndb")
"""Figures between 0 and 1."""

_FORM = re.compile(r"\s*([A-Za-z_][\w-]*)\s*(>=|<=|>|<)\s*(.+?)\s*")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_EXAMPLES = "write for instance fid>30, memorised>1%, recall<0.5 or fid>3*floor"


@dataclass(frozen=True)
class Gate:
    """It fails when `figure` `comparison` the limit: `limit`, or that many times the figure's floor."""

    text: str
    figure: str
    comparison: str
    limit: float
    of_floor: bool

    @property
    def measure(self) -> str:
        """The metric, as `--metrics` names it, that gives the figure."""
        return next(measure.name for measure in MEASURES if self.figure in measure.gives)


def parse_gates(texts: Sequence[str], metrics: Sequence[str] | None = None) -> tuple[Gate, ...]:
    """The gates in `--fail-if` texts. metrics: those that will be computed; None: all.

    Raises UsageError for what is no gate, an unknown figure, or one that `metrics` leaves out.
    """
    gates = tuple(_parse(text) for text in texts)
    for gate in gates:
        if metrics is not None and gate.measure not in metrics:
            raise UsageError(
                f"the gate '{gate.text}' needs the metric {gate.measure}, which --metrics leaves out",
                f"add {gate.measure} to --metrics, or leave --metrics away",
            )
    return gates


def _parse(text: str) -> Gate:
    form = _FORM.fullmatch(text)
    if form is None:
        raise UsageError(f"'{text}' is no gate: a figure, one of > >= < <=, and a limit are needed", _EXAMPLES)
    name, comparison, limit = form.groups()
    if name not in FIGURES:
        raise UsageError(
            f"the gate '{text}' names an unknown figure '{name}'{nearest(name, FIGURES)}",
            f"known: {', '.join(FIGURES)}",
        )
    number, of_floor = limit, False
    if limit == "floor":
        number, of_floor = "1", True
    elif re.search(r"\*\s*floor$|^floor\s*\*", limit):
        number, of_floor = re.sub(r"\s*\*?\s*floor\s*\*?\s*", "", limit), True
    factor = 1.0
    if number.endswith("%") and not of_floor:
        number, factor = number[:-1].strip(), 0.01
    if _NUMBER.fullmatch(number) is None:
        raise UsageError(f"the gate '{text}' has no limit that can be read: '{limit}'", _EXAMPLES)
    value = factor * float(number)
    if not of_floor and name in SHARES and _is_idle(comparison, value):
        raise UsageError(
            f"the gate '{text}' says the same of all images: {name} is a share between 0 and 1",
            f"write {name}{comparison}{number}% for percent" if factor == 1.0 else None,
        )
    if not math.isfinite(value):
        raise UsageError(f"the gate '{text}' has no limit that can be read: '{limit}'", _EXAMPLES)
    return Gate(text.strip(), name, comparison, value, of_floor)


def _is_idle(comparison: str, limit: float) -> bool:
    """Whether a gate on a share always holds or always fails, as `memorised>1`, which meant percent."""
    return limit > 1.0 or (comparison, limit) == (">", 1.0)


def judge(gates: Sequence[Gate], metrics: dict[str, Metric]) -> tuple[GateResult, ...]:
    """What became of every gate. Raises UsageError when a figure, or a floor that a gate needs, is not there."""
    return tuple(_judge(gate, metrics.get(gate.figure)) for gate in gates)


def _judge(gate: Gate, metric: Metric | None) -> GateResult:
    if metric is None:
        raise UsageError(f"the gate '{gate.text}' cannot be judged: these images give no {gate.figure}")
    if gate.of_floor and metric.floor is None:
        raise UsageError(f"the gate '{gate.text}' cannot be judged: {gate.figure} has no floor here")
    limit = gate.limit * _floor(metric) if gate.of_floor else gate.limit
    value = metric.value
    failed = {
        ">": value > limit,
        ">=": value >= limit,
        "<": value < limit,
        "<=": value <= limit,
    }[gate.comparison] or not math.isfinite(value - limit)
    sentence = _sentence(gate, metric, limit, failed)
    return GateResult(gate.text, gate.figure, value, limit, not failed, sentence)


def _sentence(gate: Gate, metric: Metric, limit: float, failed: bool) -> str:
    written = _percent if metric.share else _plain
    side = "above" if metric.value > limit else "below" if metric.value < limit else "at"
    by = "" if side == "at" else f"{written(abs(metric.value - limit))} "
    origin = f" ({gate.limit:g} times the floor of {written(_floor(metric))})" if gate.of_floor else ""
    head = f"{gate.text} {'fails' if failed else 'holds'}: {metric.title} is {written(metric.value)}"
    return f"{head}, {by}{side} the limit of {written(limit)}{origin}"


def _floor(metric: Metric) -> float:
    """The floor that a gate multiplies. Unbiased figures (KID) may fall below 0 by chance: that is 0, not a minus."""
    floor = metric.floor or 0.0
    return 0.0 if floor < 0.0 else floor


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def check_gates(results: Sequence[Evaluation]) -> None:
    """Raise GateError naming every gate that was not met, and by how much."""
    several = len(results) > 1
    failed = [
        f"{one.fake.name}: {gate.sentence}" if several else gate.sentence
        for one in results
        for gate in one.gates
        if not gate.passed
    ]
    if failed:
        count = "a quality gate was" if len(failed) == 1 else f"{len(failed)} quality gates were"
        raise GateError(f"{count} not met: {'; '.join(failed)}")
