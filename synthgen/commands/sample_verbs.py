"""`synthgen sample verify` and `synthgen sample merge`: sets of samples after they are made.

`synthgen sample RUN` stays a plain command; the two verbs are recognised before its argument.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperCommand

from synthgen.commands.options import Color, ColorOption, ForceOption, JsonOption, QuietOption, ResumeOption
from synthgen.commands.resuming import resume_command, stoppable
from synthgen.commands.sample_choices import Format
from synthgen.console import Console, command_console
from synthgen.errors import SynthgenError

if TYPE_CHECKING:
    from synthgen.generation.verify import VerifyReport

SetArgument = Annotated[
    str, typer.Argument(metavar="DIR", help="What `synthgen sample` wrote: a folder, a URL, a file of rows.")
]

verbs = typer.Typer(rich_markup_mode=None, add_completion=False)
_SHOWN = 20


@verbs.command("verify", short_help="Check every hash of a set of samples.")
def verify(
    folder: SetArgument, json: JsonOption = False, quiet: QuietOption = False, color: ColorOption = Color.auto
) -> None:
    """Compute every hash of a set of samples anew, and name what is missing, damaged or extra.

    Exit code 0 when everything is as the manifest says, else 1.
    """
    with command_console(json=json, quiet=quiet, color=color) as console, stoppable() as stop:
        console.loading("torch")
        from synthgen.generation.verify import verify_samples

        report = verify_samples(folder, reporter=console.reporter, should_stop=stop)
        _show_report(console, report)
        if not report.whole:
            problems = len(report.missing) + len(report.damaged) + len(report.extra)
            again = "run the same `synthgen sample` command again: it makes only what is missing or damaged"
            if report.kind == "files":
                again = "make it again: the same `synthgen sample` command with --force"
            hint = again if report.missing or report.damaged else "move the extra files elsewhere"
            raise SynthgenError(f"{report.out} is not whole: {problems:,} problem(s)", hint)
        if not report.finished:
            console.next(f"synthgen sample merge {report.out}")


def _show_report(console: Console, report: VerifyReport) -> None:
    kinds = {"missing": report.missing, "damaged": report.damaged, "extra": report.extra}
    document = {
        "out": report.out,
        "whole": report.whole,
        "finished": report.finished,
        "count": report.count,
        report.kind: report.parts,
        **kinds,
    }

    def human() -> None:
        for kind, found in kinds.items():
            for text in found[:_SHOWN]:
                console.line(f"{kind}: {text}", "red")
            if len(found) > _SHOWN:
                console.line(f"{kind}: and {len(found) - _SHOWN:,} more", "red")
        if report.whole:
            parts = "1 file" if report.kind == "files" else f"{report.parts:,} {report.kind}"
            console.line(f"{report.out} is whole: {report.count:,} samples in {parts}", "green")

    console.result(document, human, quiet="whole" if report.whole else "not whole")


@verbs.command("merge", short_help="Make one set of shards, in any format.")
def merge(
    folder: SetArgument,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="DIR", help="Write a new set here [default: describe in place]."),
    ] = None,
    format_: Annotated[Format | None, typer.Option("--format", help="Of the new set [default: the same].")] = None,
    resume: ResumeOption = False,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Check the shards of a set and make them one.

    Without --out the shards stay, and the manifest and the card of the whole are written beside them. With --out
    every sample is written anew: png, npz and idx as one process would have written them, byte for byte.
    """
    with command_console(json=json, quiet=quiet, color=color) as console, stoppable(resume_command()) as stop:
        console.loading("torch")
        from synthgen.generation.merge import merge_samples

        result = merge_samples(
            folder,
            out,
            format=format_.value if format_ else None,
            force=force,
            resume=resume,
            reporter=console.reporter,
            should_stop=stop,
        )
        document = {
            "out": result.out,
            "format": result.format,
            "count": result.count,
            "counts": result.counts,
            "shards": result.shards,
        }
        text = f"{result.count:,} samples in {result.out}, {result.format}"
        console.result(document, lambda: console.line(text, "bold"), quiet=result.out)
        console.next(f"synthgen sample verify {result.out}")


class SampleCommand(TyperCommand):
    """`sample`, whose first word may be a verb; a run of that name is given as a path (`runs/verify`)."""

    @property
    def verbs(self) -> dict[str, Any]:
        """The verbs by name; completions and tests ask."""
        return dict(typer.main.get_command(verbs).commands)  # type: ignore[attr-defined]

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        verb = self.verbs.get(args[0]) if args else None
        if verb is None:
            return super().make_context(info_name, args, parent, **extra)
        return verb.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
