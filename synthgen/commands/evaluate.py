"""`synthgen evaluate`: how far synthetic images, rows of a table, or series are from real ones."""

from __future__ import annotations

import shlex
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthgen.commands.evaluate_frames import evaluate_frames, refuse
from synthgen.commands.options import (
    Color,
    ColorOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    QuietOption,
    SeedOption,
    SetOption,
)
from synthgen.commands.resuming import stoppable
from synthgen.console import Console, command_console
from synthgen.outputs import check_output

if TYPE_CHECKING:
    from synthgen.evaluation.comparing import Compared


class Protocol(str, Enum):
    """Which real series are the reference."""

    honest = "honest"
    leaky = "leaky"


class Holdout(str, Enum):
    """Which real images the floor is made of."""

    half = "half"
    test = "test"


def evaluate(
    real: Annotated[
        str, typer.Option("--real", metavar="SOURCE", help="Real images, a table or series: a name, folder, file.")
    ],
    fake: Annotated[
        list[str],
        typer.Option("--fake", metavar="SOURCE|RUN", help="Synthetic images, rows or series, or a run; repeatable."),
    ],
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            "-n",
            min=1,
            metavar="N",
            help="Images, rows or windows at most [of a run: 2000 images, as many rows or windows as it learned].",
        ),
    ] = None,
    features: Annotated[
        str, typer.Option("--features", metavar="NAME", help="domain, inception, or a domain extractor's file.")
    ] = "domain",
    inception_weights: Annotated[
        Path | None,
        typer.Option("--inception-weights", metavar="FILE", help="torch-fidelity's Inception weights."),
    ] = None,
    metrics: Annotated[
        str | None,
        typer.Option(
            "--metrics",
            metavar="NAMES",
            help="Of fid, fid_infinity, kid, is, prc, dc, agreement, classes, memorised, duplicates, diversity; of "
            "tables: shape, trend, detection, utility, support, missing, variety, distances, singling_out, "
            "linkability, inference, membership; of series: context_fid, correlational, discriminative, predictive, "
            "marginals, autocorrelation, spectrum, cross_correlation, forecasting, agreement, copies; with commas "
            "[default: all possible].",
        ),
    ] = None,
    fail_if: Annotated[
        list[str] | None,
        typer.Option(
            "--fail-if",
            metavar="GATE",
            help="Exit with 3 if so: fid>30, memorised>1%, fid>3*floor, trend>2%, discriminative>0.1; repeatable.",
        ),
    ] = None,
    holdout: Annotated[
        Holdout, typer.Option("--holdout", help="Floor from half of the real images, or from their test split.")
    ] = Holdout.half,
    test: Annotated[
        str | None,
        typer.Option("--test", metavar="FILE", help="Tables, series: real data that no generator saw, to test with."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="Tables: what models are trained to predict.")
    ] = None,
    window: Annotated[
        int | None,
        typer.Option("--window", min=2, metavar="STEPS", help="Series: steps compared together [as they were made]."),
    ] = None,
    protocol: Annotated[
        Protocol | None,
        typer.Option(
            "--protocol",
            show_default=False,
            help="Series: compare with the training part, or with everything, as the field does [honest].",
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", min=1, max=50, metavar="N", show_default=False, help="Series: evaluation seeds [5]."),
    ] = None,
    set_: SetOption = None,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Also write report.html and evaluation.json.")
    ] = None,
    seed: SeedOption = 0,
    max_bad: Annotated[int, typer.Option("--max-bad", min=0, metavar="N", help="Unreadable images to skip.")] = 0,
    no_cache: Annotated[
        bool, typer.Option("--no-cache", help="Compute everything anew; neither read nor write the cache.")
    ] = False,
    device: DeviceOption = "auto",
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Compare synthetic images, rows or series with real ones: distance, quality, variety, worth, copies, privacy.

    Every figure stands beside its floor: what real data score against other real data. Several --fake are compared side
    by side at the same n. A CSV file is a recording, and no table, with --window or --set data.window=24.
    """
    gates = fail_if or []
    of_images = {
        "--features": None if features == "domain" else features,
        "--inception-weights": inception_weights,
        "--holdout": None if holdout is Holdout.half else holdout.value,
        "--max-bad": max_bad or None,
        "--no-cache": no_cache or None,
    }
    of_tables: dict[str, object] = {"--test": test, "--target": target}
    shown = {flag: value for flag, value in of_images.items() if flag != "--no-cache"}
    common = {"--count": count, "--metrics": metrics, "--fail-if": gates, "--seed": seed or None, "--out": out}
    of_series: dict[str, object] = {"--window": window, "--protocol": protocol and protocol.value, "--seeds": seeds}
    of_series |= {"--set": set_}
    given = {**common, **shown, **of_tables, **of_series}
    with command_console(json=json, quiet=quiet, color=color) as console, stoppable() as stop:
        if out is not None:
            check_output(out, force=force)
        from synthgen.commands.evaluate_series import evaluate_sequences
        from synthgen.data.tables import is_table
        from synthgen.evaluation.series.choosing import means_series

        if means_series(real, fake, set_ or (), window):
            refuse({**{k: v for k, v in of_images.items() if k != "--no-cache"}, "--target": target}, "series")
            evaluate_sequences(
                console,
                real,
                fake,
                overrides=set_ or (),
                protocol=None if protocol is None else ("leaky" if protocol is Protocol.leaky else "honest"),
                window=window,
                test=test,
                count=count,
                metrics=_names(metrics),
                gates=gates,
                seed=seed,
                seeds=seeds or 5,
                device=device,
                cache=not no_cache,
                out=out,
                words=_words(real, fake, given),
                force=force,
                should_stop=stop,
            )
            return
        refuse(of_series, "a table" if is_table(real) else "images", of="series")
        if is_table(real):
            refuse(of_images, "a table")
            evaluate_frames(
                console,
                real,
                fake,
                test=test,
                target=target,
                count=count,
                metrics=_names(metrics),
                gates=gates,
                seed=seed,
                device=device,
                out=out,
                words=_words(real, fake, given),
                force=force,
                should_stop=stop,
            )
            return
        refuse(of_tables, "images")
        console.loading("torch", "torch_fidelity")
        from synthgen.evaluation.comparing import evaluate_sources
        from synthgen.evaluation.gates import check_gates

        compared = evaluate_sources(
            real,
            fake,
            count=count,
            holdout=holdout.value,
            features=features,
            inception_weights=inception_weights,
            metrics=_names(metrics),
            gates=gates,
            seed=seed,
            device=device,
            max_bad=max_bad,
            cache=not no_cache,
            reporter=console.reporter,
            should_stop=stop,
        )
        report = None if out is None else _write(compared, out, _words(real, fake, given), force=force)
        _show(console, compared, report)
        check_gates(compared.results)
        if len(compared.fakes[0].class_names) > 1:
            synthetic = [word for one in fake for word in ("--synthetic", one)]
            console.next(shlex.join(["synthgen", "augment-classifier", "--real", real, *synthetic]))


def _names(metrics: str | None) -> list[str] | None:
    """The names in `fid,prc`; None for all."""
    return None if metrics is None else [name.strip() for name in metrics.split(",") if name.strip()]


def _write(compared: Compared, out: Path, words: str, *, force: bool) -> Path:
    """The report of one evaluation, or of several side by side."""
    if len(compared.results) == 1:
        from synthgen.evaluation.page import write_report

        return write_report(out, compared.results[0], compared.real, compared.fakes[0], command_line=words, force=force)
    from synthgen.evaluation.page_comparison import write_comparison

    return write_comparison(out, compared.results, compared.real, compared.fakes, command_line=words, force=force)


def _show(console: Console, compared: Compared, report: Path | None) -> None:
    from synthgen.commands.evaluate_tables import quiet_figure, show_one, show_several
    from synthgen.evaluation.comparing import ranking

    results = compared.results

    def draw() -> None:
        if len(results) == 1:
            show_one(console, results[0])
        else:
            show_several(console, results, ranking(results))
        if report is not None:
            console.line(f"report: {report}")

    figures = [quiet_figure(one) for one in results]
    quiet = "\n".join(figure for figure in figures if figure is not None)
    document = compared.to_dict() | {"report": None if report is None else str(report)}
    console.result(document, draw, quiet=quiet or None)
    warnings = [(one.fake.name, text) for one in results for text in one.warnings]
    for name, text in warnings:
        if len(results) == 1:
            console.warn(text)
        elif sum(other == text for _, other in warnings) < len(results):
            console.warn(f"{name}: {text}")
    for text in dict.fromkeys(text for _, text in warnings):
        if len(results) > 1 and sum(other == text for _, other in warnings) == len(results):
            console.warn(text)


def _words(real: str, fakes: list[str], options: dict[str, object]) -> str:
    """The command line that makes the report again."""
    words = ["synthgen", "evaluate", "--real", real]
    for flag, value in {"--fake": fakes, **options}.items():
        for one in value if isinstance(value, list) else [value]:
            if one is not None:
                words += [flag, str(one)]
    return shlex.join(words)
