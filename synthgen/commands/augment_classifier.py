"""`synthgen augment-classifier`: does synthetic data help a classifier, or a model that predicts a column?"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthgen.commands.augment_series import augment_sequences
from synthgen.commands.augment_tables import augment_rows
from synthgen.commands.evaluate_frames import refuse
from synthgen.commands.options import (
    Color,
    ColorOption,
    DeviceOption,
    ForceOption,
    JsonOption,
    QuietOption,
    ResumeOption,
    SeedOption,
)
from synthgen.commands.resuming import resume_command, stoppable
from synthgen.console import Console, command_console
from synthgen.errors import UsageError
from synthgen.outputs import check_output

if TYPE_CHECKING:
    from synthgen.downstream.result import Augmentation

_AUGMENT, _STEPS, _BATCH = "shift=0.08,rotation=10,scale=0.1", 600, 256


def augment_classifier(
    real: Annotated[str, typer.Option("--real", metavar="SOURCE", help="Real labelled images or series, or a table.")],
    synthetic: Annotated[
        list[str] | None,
        typer.Option("--synthetic", metavar="SOURCE|RUN", help="Synthetic images, rows or series, or a run."),
    ] = None,
    train_generator: Annotated[
        str | None,
        typer.Option("--train-generator", metavar="PRESET|CONFIG", help="Train the generator on the real data."),
    ] = None,
    budget: Annotated[
        str | None, typer.Option("--budget", metavar="TIME", help="Time to train the generator: 90s, 15m.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a setting of the generator.")
    ] = None,
    test: Annotated[
        str | None,
        typer.Option("--test", metavar="SOURCE", help="Test data [default: the test split of --real, or a fifth]."),
    ] = None,
    target: Annotated[
        str | None, typer.Option("--target", metavar="COLUMN", help="Of a table: what is to be predicted [the last].")
    ] = None,
    real_size: Annotated[
        str | None, typer.Option("--real-size", metavar="N,...", help="Train on N real images or rows [default: all].")
    ] = None,
    ratio: Annotated[
        str | None, typer.Option("--ratio", metavar="R,...", help="Synthetic per real one [default: all].")
    ] = None,
    imbalance: Annotated[
        str | None,
        typer.Option("--imbalance", metavar="SHARE", help="Cut classes down: 0.1 (every second) or 3=0.1,7=0.05."),
    ] = None,
    filter_: Annotated[
        str, typer.Option("--filter", metavar="NAME", help="Drop samples first: confidence and/or nearest, or none.")
    ] = "none",
    classifier: Annotated[
        str | None,
        typer.Option(
            "--classifier",
            metavar="NAME",
            help="cnn [default], resnet, logistic, your module:factory. Tables: boosting,mlp. Series: rocket,cnn.",
        ),
    ] = None,
    augment: Annotated[
        str,
        typer.Option("--augment", metavar="CHANGES", help="Classical augmentation; add flip where it keeps meaning."),
    ] = _AUGMENT,
    count: Annotated[
        int | None,
        typer.Option("--count", "-n", min=2, metavar="N", help="Synthetic ones to use [all; of a run 10000]."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", min=1, max=100, metavar="N", help="Trainings per variant.")] = 5,
    steps: Annotated[int, typer.Option("--steps", min=1, metavar="N", help="Steps of every training.")] = _STEPS,
    batch_size: Annotated[int, typer.Option("--batch-size", min=2, metavar="N", help="Images in a step.")] = _BATCH,
    allow_leak: Annotated[
        bool, typer.Option("--allow-leak", help="Go on although the generator saw more than the classifier.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", metavar="DIR", help="Write report.html and keep the work here.")
    ] = None,
    seed: SeedOption = 0,
    max_bad: Annotated[int, typer.Option("--max-bad", min=0, metavar="N", help="Unreadable images to skip.")] = 0,
    device: DeviceOption = "auto",
    resume: ResumeOption = False,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Train classifiers on real, changed and synthetic images and mixtures of them; test all of them on real ones.

    Of a table: gradient boosting and an MLP that predict --target, on real rows, SMOTE's, synthetic ones and mixtures.
    Of series: ROCKET and a convolutional network that read the class of a sequence.

    Every classifier gets the same number of steps. The verdict (helps, no difference, hurts) is that of a paired 95 %
    interval over seeds and test images. A generator that saw more real images than the classifier is refused. The code
    that --classifier module:factory names is run with your rights: name only what you trust.
    """
    going_on = resume_command() if out is not None else None
    with command_console(json=json, quiet=quiet, color=color) as console, stoppable(going_on) as stop:
        if resume and out is None:
            raise UsageError("--resume needs --out: the folder to go on in")
        if out is not None:
            check_output(out, force=force, resume=resume)
        from synthgen.data.tables import is_table
        from synthgen.downstream.series.meaning import means_series

        common: dict[str, Any] = {
            "synthetic": synthetic or (),
            "train_generator": train_generator,
            "budget": budget,
            "overrides": set_ or (),
            "test": test,
            "real_size": real_size,
            "ratio": ratio,
            "imbalance": imbalance,
            "count": count,
            "seeds": seeds,
            "seed": seed,
            "allow_leak": allow_leak,
            "device": device,
            "out": out,
            "words": _words(),
            "resume": resume,
            "force": force,
            "should_stop": stop,
        }
        if means_series(real, synthetic or (), train_generator, set_ or ()):
            changed = {"--target": target is not None, "--filter": filter_ != "none", "--max-bad": max_bad != 0}
            refuse({flag: True for flag, given in changed.items() if given}, "series")
            augment_sequences(
                console,
                real,
                classifiers=classifier,
                augment=None if augment == _AUGMENT else augment,
                steps=None if steps == _STEPS else steps,
                batch_size=None if batch_size == _BATCH else batch_size,
                **common,
            )
            return
        if is_table(real):
            _refuse_images_only(filter_=filter_, augment=augment, steps=steps, batch_size=batch_size, max_bad=max_bad)
            augment_rows(console, real, target=target, learners=classifier, **common)
            return
        refuse({"--target": target}, "images")
        console.loading("torch")
        from synthgen.downstream.classifier import ClassifierRecipe
        from synthgen.downstream.filters import parse_filters
        from synthgen.downstream.page import document_of, write_report
        from synthgen.downstream.parsing import parse_imbalance, parse_ratios, parse_sizes
        from synthgen.downstream.protocol import Request, run_protocol
        from synthgen.downstream.result import Design
        from synthgen.downstream.transforms import parse_transforms

        design = Design(
            recipe=ClassifierRecipe(steps=steps, batch_size=batch_size),
            seeds=tuple(range(seed, seed + seeds)),
            classifier=classifier or "cnn",
            transforms=parse_transforms(augment),
            ratios=parse_ratios(ratio),
            filters=parse_filters(filter_),
            allow_leak=allow_leak,
        )
        request = Request(
            real,
            tuple(synthetic or ()),
            train_generator,
            budget,
            tuple(set_ or ()),
            test,
            parse_sizes(real_size),
            parse_imbalance(imbalance),
            count,
            design,
            seed,
            device,
            max_bad,
            out,
        )
        results = run_protocol(request, force=force, resume=resume, reporter=console.reporter, should_stop=stop)
        if out is not None:
            write_report(out, results, command_line=_words())
        for text in dict.fromkeys(text for one in results for text in one.warnings):
            console.warn(text)
        document = document_of(results) | {"report": str(out / "report.html") if out else None}
        # A script that asks for "helps" must not be answered by a leak.
        verdicts = "\n".join(f"{one.verdict}{' (leak)' if one.leak.refused else ''}" for one in results)
        console.result(document, lambda: _show(console, results, out), quiet=verdicts)


def _refuse_images_only(*, filter_: str, augment: str, steps: int, batch_size: int, max_bad: int) -> None:
    """Raise UsageError for a flag that says nothing about tables and was given."""
    changed = {
        "--filter": filter_ != "none",
        "--augment": augment != _AUGMENT,
        "--steps": steps != _STEPS,
        "--batch-size": batch_size != _BATCH,
        "--max-bad": max_bad != 0,
    }
    refuse({flag: True for flag, given in changed.items() if given}, "a table")


def _show(console: Console, results: tuple[Augmentation, ...], out: Path | None) -> None:
    for result in results:
        _show_one(console, result)
    if out is not None:
        console.line(f"report: {out / 'report.html'}")


def show_variants(console: Console, result: Augmentation, who: str = "") -> None:
    """The table of all variants. who: begins its title."""
    from synthgen.downstream.page_parts import against
    from synthgen.downstream.summary import baselines

    def gap(name: str, base: str) -> str:
        found = against(result, name, base)
        if found is None:
            return ""
        half = (found.difference.high - found.difference.low) / 2
        return f"{100 * found.difference.value:+.2f} ± {100 * half:.2f}"

    bases = baselines(result.variants)
    rows = []
    for name, one in result.variants.items():
        spread = "" if one.deviation is None else f" ± {100 * one.deviation:.2f}"
        rows.append(
            [one.label, f"{one.images:,}", f"{100 * one.mean:.2f}{spread}", *(gap(name, base) for base in bases)]
        )
    unit = result.unit
    title = f"{who}test accuracy in %, {result.real_count:,} real {unit}, {result.test_count:,} {unit} of {result.test}"
    columns = ["trained on", unit, "accuracy", *(f"against {result.variants[base].label}" for base in bases)]
    console.table(title, columns, rows, right=tuple(range(1, len(columns))))


def _show_one(console: Console, result: Augmentation) -> None:
    show_variants(console, result)
    bad = result.leak.refused
    styles = {"helps": "green" if result.leak.clean else "yellow", "hurts": "red"}
    console.line(result.sentence, "red" if bad else styles.get(result.verdict, "bold"))
    second, best = result.headline_classical, result.best
    lines = [second.sentence if second else None, best.sentence if best else None]
    lines += [one.sentence for one in result.comparisons if (one.name, one.against) == ("synthetic", "real")]
    lines += [one.sentence for one in result.comparisons if one.measure == "rare_recall"]
    lines += [result.filter.sentence if result.filter else None]
    for text in filter(None, lines):
        console.line(text)
    steps, batch = result.recipe.steps, result.recipe.batch_size
    seeds = f"{len(result.seeds)} seed{'s' if len(result.seeds) > 1 else ''}"
    console.line(
        f"{seeds}, {steps:,} steps of {batch} images each; ± of an accuracy is the deviation between "
        f"seeds, ± of a difference half of its 95 % interval. Leak check: {result.leak.message}."
    )


def _words() -> str:
    """The command line that makes the report again."""
    return shlex.join(["synthgen", *(word for word in sys.argv[1:] if word not in ("--resume", "--force"))])
