"""The `synthgen` command: the commands are registered here, and nothing else happens here.

Nothing heavy may be imported by this module or by `synthgen.commands`: `synthgen --help` answers at once.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from synthgen import __version__
from synthgen.commands import (
    augment_classifier,
    config,
    dashboard,
    data,
    doctor,
    evaluate,
    explain,
    export,
    quickstart,
    runs,
    sample,
    sample_verbs,
    serve,
    train,
)

app = typer.Typer(
    name="synthgen",
    epilog="Start here: synthgen quickstart",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"synthgen {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Train diffusion models on your data, generate synthetic data, prove what it is worth, explain it."""


# The main job in its order, then what serves it. The short texts fit a line of `synthgen --help`.
app.command(short_help="Try everything on digits that come with the package.")(quickstart.quickstart)
app.command(short_help="Train a model on a data set or a folder of images.")(train.train)
app.command(
    short_help="Draw any number of images from a model.",
    cls=sample_verbs.SampleCommand,
    epilog="Sets of samples: synthgen sample verify DIR, synthgen sample merge DIR",
)(sample.sample)
app.command(short_help="Measure how close synthetic images are to real ones.")(evaluate.evaluate)
app.command(short_help="Find out whether synthetic images help a classifier.")(augment_classifier.augment_classifier)
app.command(short_help="Show how samples came to be.")(explain.explain)
app.command(short_help="Write a model or samples for other programs.")(export.export)
app.command(short_help="Serve a model over HTTP.")(serve.serve)
app.command(short_help="Show a run in the browser.")(dashboard.dashboard)
app.add_typer(runs.app, name="runs")
app.add_typer(data.app, name="data")
app.add_typer(config.app, name="config")
app.command(short_help="Check this machine: versions, devices, speed, data.")(doctor.doctor)


def main() -> None:
    """Entry point of the console script: run the command line, exit with its code."""
    from synthgen.console.boundary import run

    sys.exit(run(app, sys.argv[1:]))


if __name__ == "__main__":
    main()
