"""`synthgen runs card`: measure which sampler settings of a model reach which quality; and how a card is shown."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthgen.commands.options import (
    Color,
    ColorOption,
    DeviceOption,
    JsonOption,
    QuietOption,
    RunArgument,
    SeedOption,
)
from synthgen.commands.resuming import stoppable
from synthgen.console import Console, command_console
from synthgen.errors import UsageError

if TYPE_CHECKING:
    from synthgen.evaluation.sampler_card import Card


def card(
    run: RunArgument,
    count: Annotated[int, typer.Option("--count", "-n", min=100, metavar="N", help="Samples of each setting.")] = 2000,
    repeats: Annotated[int, typer.Option("--repeats", min=1, metavar="N", help="Seeds, for error bars.")] = 3,
    samplers: Annotated[
        str | None, typer.Option("--samplers", metavar="LIST", help="Such as dpm++2m,heun [default: the usual ones].")
    ] = None,
    steps: Annotated[
        str | None, typer.Option("--steps", metavar="LIST", help="Such as 5,8,12 [default: the usual ones].")
    ] = None,
    guidance: Annotated[
        str | None, typer.Option("--guidance", metavar="LIST", help="Scales to try as well, such as 1,1.5,2.")
    ] = None,
    data: Annotated[
        str | None, typer.Option("--data", metavar="SOURCE", help="Where the training data lies now, if it moved.")
    ] = None,
    seed: SeedOption = 0,
    device: DeviceOption = "auto",
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Measure which sampler and steps reach which quality, and keep that in the checkpoint for `sample --quality`.

    Samples are held against images that training never saw (data.validation), never against a test set.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        names = _words(samplers)
        numbers = _numbers("--steps", steps, int)
        scales = _numbers("--guidance", guidance, float)
        console.loading("torch")
        from synthgen.evaluation.sampler_card_making import CardWish, make_card
        from synthgen.evaluation.sampler_card_text import card_document

        wish = CardWish(names, numbers, scales, count, repeats, seed, data)
        with stoppable() as stop:
            path, found = make_card(run, wish, device=device, reporter=console.reporter, should_stop=stop)
        console.result(
            {"checkpoint": str(path), "sampler_card": card_document(found)},
            lambda: show_card(console, found),
            quiet=path,
        )
        console.next(shlex.join(["synthgen", "sample", run, "--quality", "fast", "--count", "1000"]))


def show_card(console: Console, found: Card) -> None:
    """The card as a table with its choices, and the facts that it must be read with."""
    from synthgen.evaluation.sampler_card_text import COLUMNS, about_card, figures, remark

    rows = [[one.name, one.calls, *figures(one, found), remark(one, found)] for one in found.settings]
    console.table(None, [*COLUMNS, ""], rows, right=(1, 2, 3, 4))
    for text in about_card(found):
        console.line(text)


def _words(text: str | None) -> tuple[str, ...]:
    return tuple(word.strip() for word in (text or "").split(",") if word.strip())


def _numbers(option: str, text: str | None, kind: type[int] | type[float]) -> tuple[Any, ...]:
    try:
        return tuple(kind(word) for word in _words(text))
    except ValueError as error:
        raise UsageError(f"{option} is a list of numbers such as 5,8,12, not '{text}'") from error
