"""`synthgen evaluate` where --real is a table: the same verb, other measures."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthgen.console import Console
from synthgen.errors import UsageError
from synthgen.stopping import ShouldStop

if TYPE_CHECKING:
    from synthgen.evaluation.tables.comparing import Compared
    from synthgen.evaluation.tables.measure import FloorName, TableMetric
    from synthgen.evaluation.tables.result import TableEvaluation


def refuse(given: Mapping[str, object], things: str, *, of: str | None = None) -> None:
    """Raise UsageError for the first flag that was given and says nothing about `things`. of: what it is for."""
    for flag, value in given.items():
        if value is not None:
            kind = of or ("tables" if things == "images" else "images")
            raise UsageError(f"{flag} is for {kind}; --real names {things}", f"leave {flag} away")


def evaluate_frames(
    console: Console,
    real: str,
    fakes: Sequence[str],
    *,
    test: str | None,
    target: str | None,
    count: int | None,
    metrics: Sequence[str] | None,
    gates: Sequence[str],
    seed: int,
    device: str,
    out: Path | None,
    words: str,
    force: bool,
    should_stop: ShouldStop,
) -> None:
    """Measure, write the report, show it, and raise GateError where a gate was not met."""
    console.loading("torch", "pandas", "sklearn")
    from synthgen.evaluation.gates import check_gates
    from synthgen.evaluation.tables.comparing import evaluate_table_sources

    compared = evaluate_table_sources(
        real,
        fakes,
        test=test,
        target=target,
        count=count,
        metrics=metrics,
        gates=gates,
        seed=seed,
        device=device,
        reporter=console.reporter,
        should_stop=should_stop,
    )
    report = None
    if out is not None:
        from synthgen.evaluation.tables.page import write_report

        report = write_report(out, compared, command_line=words, force=force)
    _show(console, compared, report)
    check_gates(compared.results)
    synthetic = [word for one in fakes for word in ("--synthetic", one)]
    console.next(shlex.join(["synthgen", "augment-classifier", "--real", real, *synthetic]))


def _show(console: Console, compared: Compared, report: Path | None) -> None:
    from synthgen.evaluation.tables.result import ranking

    results = compared.results

    def draw() -> None:
        if len(results) == 1:
            show_one(console, results[0])
        else:
            show_several(console, results, ranking(results))
        if report is not None:
            console.line(f"report: {report}")

    figures = [next(iter(one.metrics.values()), None) for one in results]
    quiet = "\n".join(f"{one.value:.6g}" for one in figures if one is not None)
    document = compared.to_dict() | {"report": None if report is None else str(report)}
    console.result(document, draw, quiet=quiet or None)
    for text in dict.fromkeys(text for one in results for text in one.warnings):
        about = [one.fake.name for one in results if text in one.warnings]
        console.warn(text if len(about) == len(results) else f"{', '.join(about)}: {text}")


def show_one(console: Console, result: TableEvaluation) -> None:
    """Figures with their floors, then in words."""
    rows = [
        (one.title, *_cells(one), one.better if one.ideal is None else f"best {one.ideal:g}") for one in _all(result)
    ]
    headings = ("metric", "value", "±", "train", "held out", "SMOTE", "better")
    title = f"{result.fake.name} against {result.real.name}"
    console.table(title, headings, rows, right=(1, 2, 3, 4, 5))
    for one in _all(result):
        console.line(one.sentence)
    _show_rest(console, result)


def show_several(console: Console, results: Sequence[TableEvaluation], sentence: str | None) -> None:
    """One row per figure, one column per synthetic set, and the floors that they share."""
    names = _short([one.fake.name for one in results])
    figures = list(dict.fromkeys(name for one in results for name in one.metrics))
    rows = []
    for figure in figures:
        found = [one.metrics.get(figure) for one in results]
        known = next(one for one in found if one is not None)
        cells = ["" if one is None else _with_margin(one) for one in found]
        rows.append((known.title, *cells, _first(known), _better(known)))
    columns = ("metric", *names, "floor", "better")
    title = f"against {results[0].real.name}; ± is half of the 95 % interval"
    console.table(title, columns, rows, right=tuple(range(1, len(names) + 2)))
    if sentence:
        console.line(sentence)
    _show_rest(console, results[0], gates=False)
    for one, name in zip(results, names, strict=True):
        for gate in one.gates:
            console.line(f"gate {name}: {gate.sentence}", "green" if gate.passed else "red")


def _show_rest(console: Console, result: TableEvaluation, *, gates: bool = True) -> None:
    console.line(f"n = {result.n:,} synthetic rows. Reference: {result.reference}.", "dim")
    console.line(
        "train: the training rows drawn anew, or models trained on them; held out: real rows that were not.", "dim"
    )
    if result.leak.status in ("clean", "unknown"):
        console.line(result.leak.sentence, "dim")
    for text in result.notes:
        console.line(text, "dim")
    for gate in result.gates if gates else ():
        console.line(f"gate {gate.sentence}", "green" if gate.passed else "red")


def _all(result: TableEvaluation) -> list[TableMetric]:
    return list(result.metrics.values())


def _better(one: TableMetric) -> str:
    return one.better if one.ideal is None else f"best {one.ideal:g}"


def _cells(one: TableMetric) -> tuple[str, str, str, str, str]:
    train = _floor(one, "bootstrap") or _floor(one, "real")
    margin = "" if one.margin is None else _text(one, one.margin)
    return _text(one, one.value), margin, train, _floor(one, "holdout"), _floor(one, "smote")


def _floor(one: TableMetric, name: FloorName) -> str:
    found = one.at(name)
    return "" if found is None else _text(one, found.value)


def _first(one: TableMetric) -> str:
    return "" if one.floor is None else _text(one, one.floor)


def _with_margin(one: TableMetric) -> str:
    return _text(one, one.value) + ("" if one.margin is None else f" ± {_text(one, one.margin)}")


def _text(one: TableMetric, value: float) -> str:
    if one.share:
        return f"{100 * value:.2f} %" if abs(value) < 0.1 else f"{100 * value:.1f} %"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _short(names: Sequence[str]) -> list[str]:
    """Last parts of paths where these tell the sets apart."""
    short = [Path(name).name or name for name in names]
    return short if len(set(short)) == len(short) else list(names)
