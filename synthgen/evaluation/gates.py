"""Quality gates: `fid>30`, `memorised>1%`, `fid>3*floor` say when an evaluation has failed."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from synthgen.errors import GateError, UsageError, nearest
from synthgen.evaluation.result import GateResult

SHARES = ("precision", "recall", "coverage", "agreement", "memorised", "nearer", "duplicates", "modes", "ndb")
"""Figures of images between 0 and 1."""

_FORM = re.compile(r"\s*([A-Za-z_][\w-]*)\s*(>=|<=|>|<)\s*(.+?)\s*")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")
_EXAMPLES = "write for instance fid>30, memorised>1%, recall<0.5 or fid>3*floor"


class Measured(Protocol):
    """A measure: what `--metrics` calls it, and the figures that it gives."""

    @property
    def name(self) -> str: ...
    @property
    def gives(self) -> tuple[str, ...]: ...


class Judged(Protocol):
    """A figure that a gate is held against, of images or of tables."""

    @property
    def title(self) -> str: ...
    @property
    def value(self) -> float: ...
    @property
    def floor(self) -> float | None: ...
    @property
    def share(self) -> bool: ...


class _Set(Protocol):
    @property
    def name(self) -> str: ...


class Gated(Protocol):
    """An evaluation with what became of its gates."""

    @property
    def fake(self) -> _Set: ...
    @property
    def gates(self) -> tuple[GateResult, ...]: ...


@dataclass(frozen=True)
class Vocabulary:
    """What gates may name. shares: figures between 0 and 1. examples: how gates look, for messages; things: of what."""

    measures: Sequence[Measured]
    shares: Sequence[str]
    examples: str
    things: str

    @property
    def figures(self) -> tuple[str, ...]:
        return tuple(name for measure in self.measures for name in measure.gives)


def image_vocabulary() -> Vocabulary:
    """The figures of images."""
    from synthgen.evaluation.measures import MEASURES

    return Vocabulary(MEASURES, SHARES, _EXAMPLES, "images")


@dataclass(frozen=True)
class Gate:
    """It fails when `figure` `comparison` the limit: `limit`, or that many times the figure's floor.

    measure: what `--metrics` calls the measure that gives the figure; things: what it is a figure of.
    """

    text: str
    figure: str
    comparison: str
    limit: float
    of_floor: bool
    measure: str
    things: str = "images"


def parse_gates(
    texts: Sequence[str], metrics: Sequence[str] | None = None, vocabulary: Vocabulary | None = None
) -> tuple[Gate, ...]:
    """The gates in `--fail-if` texts. metrics: those that will be computed; None: all. vocabulary: None: images'.

    Raises UsageError for what is no gate, an unknown figure, or one that `metrics` leaves out.
    """
    known = vocabulary or image_vocabulary()
    gates = tuple(_parse(text, known) for text in texts)
    for gate in gates:
        if metrics is not None and gate.measure not in metrics:
            raise UsageError(
                f"the gate '{gate.text}' needs the metric {gate.measure}, which --metrics leaves out",
                f"add {gate.measure} to --metrics, or leave --metrics away",
            )
    return gates


def _parse(text: str, known: Vocabulary) -> Gate:
    form = _FORM.fullmatch(text)
    if form is None:
        raise UsageError(f"'{text}' is no gate: a figure, one of > >= < <=, and a limit are needed", known.examples)
    name, comparison, limit = form.groups()
    if name not in known.figures:
        raise UsageError(
            f"the gate '{text}' names an unknown figure '{name}'{nearest(name, known.figures)}",
            f"known: {', '.join(known.figures)}",
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
        raise UsageError(f"the gate '{text}' has no limit that can be read: '{limit}'", known.examples)
    value = factor * float(number)
    if not of_floor and name in known.shares and _is_idle(comparison, value):
        raise UsageError(
            f"the gate '{text}' says the same of all {known.things}: {name} is a share between 0 and 1",
            f"write {name}{comparison}{number}% for percent" if factor == 1.0 else None,
        )
    if not math.isfinite(value):
        raise UsageError(f"the gate '{text}' has no limit that can be read: '{limit}'", known.examples)
    measure = next(one.name for one in known.measures if name in one.gives)
    return Gate(text.strip(), name, comparison, value, of_floor, measure, known.things)


def _is_idle(comparison: str, limit: float) -> bool:
    """Whether a gate on a share always holds or always fails, as `memorised>1`, which meant percent."""
    return limit > 1.0 or (comparison, limit) == (">", 1.0)


def judge(gates: Sequence[Gate], metrics: Mapping[str, Judged]) -> tuple[GateResult, ...]:
    """What became of every gate. Raises UsageError when a figure, or a floor that a gate needs, is not there."""
    return tuple(_judge(gate, metrics.get(gate.figure)) for gate in gates)


def _judge(gate: Gate, metric: Judged | None) -> GateResult:
    if metric is None:
        raise UsageError(f"the gate '{gate.text}' cannot be judged: these {gate.things} give no {gate.figure}")
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


def _sentence(gate: Gate, metric: Judged, limit: float, failed: bool) -> str:
    written = _percent if metric.share else _plain
    side = "above" if metric.value > limit else "below" if metric.value < limit else "at"
    by = "" if side == "at" else f"{written(abs(metric.value - limit))} "
    origin = f" ({gate.limit:g} times the floor of {written(_floor(metric))})" if gate.of_floor else ""
    head = f"{gate.text} {'fails' if failed else 'holds'}: {metric.title} is {written(metric.value)}"
    return f"{head}, {by}{side} the limit of {written(limit)}{origin}"


def _floor(metric: Judged) -> float:
    """The floor that a gate multiplies. Unbiased figures (KID) may fall below 0 by chance: that is 0, not a minus."""
    floor = metric.floor or 0.0
    return 0.0 if floor < 0.0 else floor


def _plain(value: float) -> str:
    return f"{value:.4g}"


def _percent(value: float) -> str:
    return f"{100 * value:.2f} %"


def check_gates(results: Sequence[Gated]) -> None:
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
