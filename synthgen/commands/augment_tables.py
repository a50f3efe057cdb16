"""`synthgen augment-classifier` where --real is a table: the same verb, other models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from synthgen.console import Console
from synthgen.stopping import ShouldStop

if TYPE_CHECKING:
    from synthgen.downstream.tables.result import TableAugmentation


def augment_rows(
    console: Console,
    real: str,
    *,
    synthetic: Sequence[str],
    train_generator: str | None,
    budget: str | None,
    overrides: Sequence[str],
    test: str | None,
    target: str | None,
    real_size: str | None,
    ratio: str | None,
    imbalance: str | None,
    learners: str | None,
    count: int | None,
    seeds: int,
    seed: int,
    allow_leak: bool,
    device: str,
    out: Path | None,
    words: str,
    resume: bool,
    force: bool,
    should_stop: ShouldStop,
) -> None:
    """Run the protocol on a table and show what it found."""
    console.loading("torch", "pandas", "sklearn")
    from synthgen.downstream.parsing import parse_imbalance, parse_ratios, parse_sizes
    from synthgen.downstream.tables.learners import parse_learners
    from synthgen.downstream.tables.page import document_of, write_report
    from synthgen.downstream.tables.protocol import Request, run_protocol
    from synthgen.downstream.tables.result import Design

    design = Design(parse_learners(learners), tuple(range(seed, seed + seeds)), parse_ratios(ratio), allow_leak)
    request = Request(
        real,
        tuple(synthetic),
        train_generator,
        budget,
        tuple(overrides),
        test,
        target,
        parse_sizes(real_size),
        parse_imbalance(imbalance),
        count,
        design,
        seed,
        device,
        out,
    )
    results = run_protocol(request, force=force, resume=resume, reporter=console.reporter, should_stop=should_stop)
    if out is not None:
        write_report(out, results, command_line=words)
    for text in dict.fromkeys(text for one in results for text in one.warnings):
        console.warn(text)
    document = document_of(results) | {"report": str(out / "report.html") if out else None}
    # A script that asks for "helps" must not be answered by a leak.
    verdicts = "\n".join(f"{one.verdict}{' (leak)' if one.leak.refused else ''}" for one in results)
    console.result(document, lambda: _show(console, results, out), quiet=verdicts)


def _show(console: Console, results: tuple[TableAugmentation, ...], out: Path | None) -> None:
    for result in results:
        _show_one(console, result)
    if out is not None:
        console.line(f"report: {out / 'report.html'}")


def _show_one(console: Console, result: TableAugmentation) -> None:
    from synthgen.downstream.tables.experiment import baselines
    from synthgen.downstream.tables.learners import LEARNERS
    from synthgen.downstream.tables.measures import TITLES
    from synthgen.downstream.tables.page import compared, spread

    for trained in result.trained:
        bases = baselines(trained.variants)
        rows = []
        for name, one in trained.variants.items():
            cells = [one.label, f"{one.rows:,}", spread(one.figures[result.measure])]
            for base in bases:
                found = compared(result, trained.learner, result.measure, name, base)
                gap = found.difference if found else None
                cells.append("" if gap is None else f"{gap.value:+.4f} ± {(gap.high - gap.low) / 2:.4f}")
            rows.append(cells)
        title = (
            f"{LEARNERS[trained.learner]}: {TITLES[result.measure]} of '{result.problem.target}', "
            f"{result.real_count:,} real rows, {result.test_count:,} test rows ({result.test})"
        )
        columns = ["trained on", "rows", TITLES[result.measure]]
        columns += [f"against {trained.variants[base].label}" for base in bases]
        console.table(title, columns, rows, right=tuple(range(1, len(columns))))
    styles = {"helps": "green" if result.leak.clean else "yellow", "hurts": "red"}
    console.line(result.sentence, "red" if result.leak.refused else styles.get(result.verdict, "bold"))
    for text in result.sentences():
        console.line(text)
    seeds = f"{len(result.design.seeds)} seed{'s' if len(result.design.seeds) > 1 else ''}"
    console.line(
        f"{seeds}; ± of a figure is the deviation between seeds, ± of a difference half of its 95 % interval. "
        f"Leak check: {result.leak.message}."
    )
