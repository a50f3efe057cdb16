"""`synthgen evaluate` where --real are series: the same verb, other measures."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from synthgen.console import Console
from synthgen.stopping import ShouldStop

if TYPE_CHECKING:
    from synthgen.evaluation.series.comparing import Compared
    from synthgen.evaluation.series.measure import FloorName, SeriesMetric
    from synthgen.evaluation.series.result import SeriesEvaluation


def evaluate_sequences(
    console: Console,
    real: str,
    fakes: Sequence[str],
    *,
    overrides: Sequence[str],
    protocol: Literal["honest", "leaky"] | None,
    window: int | None,
    test: str | None,
    count: int | None,
    metrics: Sequence[str] | None,
    gates: Sequence[str],
    seed: int,
    seeds: int,
    device: str,
    cache: bool,
    out: Path | None,
    words: str,
    force: bool,
    should_stop: ShouldStop,
) -> None:
    """Measure, write the report, show it, and raise GateError where a gate was not met."""
    console.loading("torch", "pandas", "sklearn")
    from synthgen.evaluation.gates import check_gates
    from synthgen.evaluation.series.comparing import evaluate_series_sources

    compared = evaluate_series_sources(
        real,
        fakes,
        settings=_settings(real, overrides),
        protocol=protocol,
        window=window,
        test=test,
        count=count,
        metrics=metrics,
        gates=gates,
        seed=seed,
        seeds=seeds,
        device=device,
        cache=cache,
        reporter=console.reporter,
        should_stop=should_stop,
    )
    report = None
    if out is not None:
        from synthgen.evaluation.series.page import write_report

        report = write_report(out, compared, command_line=words, force=force)
    _show(console, compared, report)
    check_gates(compared.results)
    if compared.parts[0].real.labels is not None:
        synthetic = [word for one in fakes for word in ("--synthetic", one)]
        console.next(shlex.join(["synthgen", "augment-classifier", "--real", real, *synthetic]))
    elif out is None:
        console.next(f"{words} --out report")


def _settings(real: str, overrides: Sequence[str]) -> dict[str, object]:
    """The entries of `data` that --set names, checked."""
    if not overrides:
        return {}
    from synthgen.config.loading import load_config

    config = load_config(None, overrides, {"modality": "series", "data.source": real})
    named = [text.partition("=")[0].strip() for text in overrides]
    entries = [name.split(".")[1] for name in named if name.startswith("data.")]
    return {name: getattr(config.data, name) for name in entries}


def _show(console: Console, compared: Compared, report: Path | None) -> None:
    from synthgen.evaluation.series.result import ranking

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


def show_one(console: Console, result: SeriesEvaluation) -> None:
    """Figures with their floors, then in words."""
    found = list(result.metrics.values())
    rows = [
        (
            one.title,
            _text(one, one.value),
            "" if one.spread is None else _text(one, one.spread),
            _floor(one, "halves") or _floor(one, "real"),
            _floor(one, "redrawn") or _floor(one, "chance"),
            _floor(one, "later"),
            _better(one),
        )
        for one in found
    ]
    headings = ("metric", "value", "±", "real", "best", "later", "better")
    console.table(f"{result.fake.name} against {result.real.name}", headings, rows, right=(1, 2, 3, 4, 5))
    for one in found:
        console.line(one.sentence)
    _show_rest(console, result)


def show_several(console: Console, results: Sequence[SeriesEvaluation], sentence: str | None) -> None:
    """One row per figure, one column per synthetic set, and the floors that they share."""
    names = _short([one.fake.name for one in results])
    rows = []
    for figure in dict.fromkeys(name for one in results for name in one.metrics):
        found = [one.metrics.get(figure) for one in results]
        known = next(one for one in found if one is not None)
        cells = ["" if one is None else _with_spread(one) for one in found]
        rows.append((known.title, *cells, _floor(known, "halves") or _floor(known, "real"), _better(known)))
    columns = ("metric", *names, "real", "better")
    title = f"against {results[0].real.name}; ± is the deviation over {len(results[0].seeds)} seeds"
    console.table(title, columns, rows, right=tuple(range(1, len(names) + 2)))
    if sentence:
        console.line(sentence)
    _show_rest(console, results[0], gates=False)
    for one, name in zip(results, names, strict=True):
        for gate in one.gates:
            console.line(f"gate {name}: {gate.sentence}", "green" if gate.passed else "red")


def _show_rest(console: Console, result: SeriesEvaluation, *, gates: bool = True) -> None:
    console.line(
        f"n = {result.n:,} synthetic windows of {result.window} steps and {len(result.channels)} channels, seeds "
        f"{result.seeds[0]} to {result.seeds[-1]}, protocol {result.protocol}. Reference: {result.reference}.",
        "dim",
    )
    console.line(
        "real: one real part against another with which it shares no step, or what is trained on real windows; best: "
        "real windows drawn anew, or chance; later: the held-out real part.",
        "dim",
    )
    for text in (*([result.origin] if result.origin not in result.warnings else []), *result.notes):
        console.line(text, "dim")
    for gate in result.gates if gates else ():
        console.line(f"gate {gate.sentence}", "green" if gate.passed else "red")


def _better(one: SeriesMetric) -> str:
    return one.better if one.ideal is None else f"best {one.ideal:g}"


def _floor(one: SeriesMetric, name: FloorName) -> str:
    found = one.at(name)
    return "" if found is None else _text(one, found.value)


def _with_spread(one: SeriesMetric) -> str:
    return _text(one, one.value) + ("" if one.spread is None else f" ± {_text(one, one.spread)}")


def _text(one: SeriesMetric, value: float) -> str:
    from synthgen.evaluation.series.measure import percent

    return percent(value) if one.share else f"{value:.3g}" if abs(value) < 1000 else f"{value:,.0f}"


def _short(names: Sequence[str]) -> list[str]:
    """Last parts of paths where these tell the sets apart."""
    short = [Path(name).name or name for name in names]
    return short if len(set(short)) == len(short) else list(names)
