"""`synthgen data`: the data sets that are known by name, a look into any data set, and the prepared cache."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthgen.commands.data_series import inspect as inspect_series
from synthgen.commands.data_series import known_series
from synthgen.commands.data_tables import inspect as inspect_tables
from synthgen.commands.options import Color, ColorOption, ForceOption, JsonOption, QuietOption, SetOption
from synthgen.commands.resuming import stoppable
from synthgen.console import Console, command_console
from synthgen.errors import UsageError
from synthgen.outputs import check_output

if TYPE_CHECKING:
    from synthgen.data.captions import CaptionFacts
    from synthgen.data.images import Preparation
    from synthgen.data.inspection import Inspection
    from synthgen.data.registry import KnownSet

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="List, inspect and prepare data sets.")

SourceArgument = Annotated[
    str,
    typer.Argument(
        metavar="SOURCE", help="A name, a folder, .zip or .npz of images, IDX, parquet, tar, a table, or series."
    ),
]
SizeOption = Annotated[
    str | None, typer.Option("--image-size", metavar="N|HxW", help="Pixels [default: the images' own, up to 64].")
]
ChannelsOption = Annotated[
    int | None, typer.Option("--channels", metavar="1|3", help="1 grey, 3 RGB [default: as the images are].")
]


@app.command("list")
def list_sets(json: JsonOption = False, quiet: QuietOption = False, color: ColorOption = Color.auto) -> None:
    """Name the known data sets and where they are."""
    with command_console(json=json, quiet=quiet, color=color) as console:
        from synthgen.data.registry import KNOWN_SETS

        series = known_series()
        sets = [_facts_of(known) for known in KNOWN_SETS.values()]

        def human() -> None:
            columns = ("name", "images", "size", "classes", "licence", "where")
            rows = [
                (
                    entry["name"],
                    " + ".join(f"{count:,}" for count in entry["images"].values()),
                    "x".join(map(str, entry["shape"])) if entry["shape"] else "various",
                    len(entry["classes"]) or "",
                    entry["licence"],
                    entry["where"],
                )
                for entry in sets
            ]
            console.table(None, columns, rows, right=(1, 2, 3))
            shown = [(one["name"], one["title"], one["shape"], one["licence"], one["where"]) for one in series]
            console.table(None, ("series", "what", "steps x channels", "licence", "where"), shown)

        names = [*KNOWN_SETS, *(one["name"] for one in series)]
        console.result({"sets": sets, "series": series}, human, quiet="\n".join(names))
        console.next("synthgen data inspect mnist-mini")


@app.command("inspect")
def inspect(
    source: SourceArgument,
    image_size: SizeOption = None,
    channels: ChannelsOption = None,
    preview: Annotated[
        Path | None, typer.Option("--preview", metavar="FILE", help="Save the preview picture as PNG.")
    ] = None,
    set_: SetOption = None,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Say what a data set holds.

    Reads all of it: sizes, modes, classes, unreadable files, duplicates, and a picture of a few images of each class;
    of a table, the columns, what they mean and how they are learned (--set data.columns.NAME.kind=... changes it);
    of series, sequences, times, channels and windows (--set data.window=24 takes a table for a recording).
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        from synthgen.config.modalities import wants_series
        from synthgen.data.series.sources import is_series
        from synthgen.data.tables import is_table

        told = any(text.startswith("modality=") for text in set_ or ())
        if wants_series(set_ or ()) or (is_series(source) and not told):
            if image_size or channels or preview:
                raise UsageError(f"{source} is a series: --image-size, --channels and --preview are for images")
            return inspect_series(console, source, set_ or [])

        if is_table(source):
            if image_size or channels or preview:
                raise UsageError(f"{source} is a table: --image-size, --channels and --preview are for images")
            return inspect_tables(console, source, set_ or [])
        if set_:
            raise UsageError(
                f"--set is for tables and series, and {source} is neither", "Images have --image-size and --channels."
            )
        size = _parse_size(image_size)
        if preview is not None:
            check_output(preview, force=force)
        from synthgen.data.inspection import inspect_images

        with stoppable() as stop:
            found = inspect_images(
                source, image_size=size, channels=channels, reporter=console.reporter, should_stop=stop
            )
        console.result(_document(found), lambda: _show(console, found), quiet=found.count)
        if preview is not None:
            _save_preview(found, preview)
        console.preview(found.preview, "a few of each class" if found.class_names else "the first images", preview)
        if found.bad:
            console.warn(f"{len(found.bad):,} unreadable file(s): training needs --set data.max_bad={len(found.bad)}")
        else:
            usable = found.captions is not None and not found.captions.problem
            more = " --set model.conditioning=cross-attention" if usable else ""
            console.next(f"synthgen train --data {source}{more}")


@app.command("prepare")
def prepare(
    source: SourceArgument,
    out: Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="The folder to make.")],
    image_size: SizeOption = None,
    channels: ChannelsOption = None,
    max_bad: Annotated[
        int, typer.Option("--max-bad", min=0, metavar="N", help="Unreadable files to leave out before giving up.")
    ] = 0,
    force: ForceOption = False,
    json: JsonOption = False,
    quiet: QuietOption = False,
    color: ColorOption = Color.auto,
) -> None:
    """Decode a data set once, at its training size.

    The folder it makes is mapped instead of read, for sets that do not fit in memory. Interrupted, the same command
    goes on where it stopped.
    """
    with command_console(json=json, quiet=quiet, color=color) as console:
        size = _parse_size(image_size)
        check_output(out, force=force)
        from synthgen.data.images import prepare as prepare_core

        with stoppable() as stop:
            made = prepare_core(
                source,
                out,
                image_size=size,
                channels=channels,
                max_bad=max_bad,
                force=force,
                reporter=console.reporter,
                should_stop=stop,
            )
        console.result(_prepared_document(made), lambda: _show_prepared(console, made), quiet=out)
        console.next(f"synthgen train --data {out}")


def _parse_size(text: str | None) -> int | tuple[int, int] | None:
    """`64` or `48x64` (height x width); raises UsageError on anything else."""
    if text is None:
        return None
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdigit() and 4 <= int(side) <= 1024 for side in sides):
        raise UsageError(
            f"--image-size '{text}' is no size", "Write 64, or 48x64 for height x width; 4 to 1024 pixels."
        )
    return int(sides[0]) if len(sides) == 1 else (int(sides[0]), int(sides[1]))


def _facts_of(known: KnownSet) -> dict[str, Any]:
    status, path = known.status()
    where = {"embedded": "embedded", "here": str(path), "download": "would be downloaded", "by_hand": "by hand"}[status]
    return {
        "name": known.name,
        "title": known.title,
        "images": dict(known.counts),
        "shape": known.shape,
        "classes": list(known.class_names),
        "licence": known.licence,
        "citation": known.citation,
        "status": status,
        "path": path and str(path),
        "where": where,
    }


def _document(found: Inspection) -> dict[str, Any]:
    return {
        "name": found.name,
        "count": found.count,
        "splits": [
            {
                "name": split.name,
                "count": split.count,
                "classes": split.classes,
                "fingerprint": split.fingerprint,
                "duplicates": split.duplicates,
            }
            for split in found.splits
        ],
        "class_names": found.class_names,
        "captions": None if found.captions is None else asdict(found.captions),
        "sizes": [{"height": size[0], "width": size[1], "count": count} for size, count in found.sizes[:100]],
        "distinct_sizes": len(found.sizes),
        "modes": found.modes,
        "loaded_shape": found.shape,
        "bytes": found.bytes,
        "duplicates": found.duplicates,
        "shared_between_splits": found.shared,
        "ignored_files": found.ignored,
        "unreadable": found.bad,
        "licence": found.licence,
    }


def _save_preview(found: Inspection, path: Path) -> None:
    from synthgen.outputs import atomic_write
    from synthgen.rendering import png_bytes

    atomic_write(path, png_bytes(found.preview, scale=max(1, 448 // found.preview.shape[1])))


def _show(console: Console, found: Inspection) -> None:
    height, width, channels = found.shape
    sizes = ", ".join(f"{size[0]}x{size[1]} ({count:,})" for size, count in found.sizes[:4])
    more = f" and {len(found.sizes) - 4:,} more sizes" if len(found.sizes) > 4 else ""
    rows = [
        ("images", f"{found.count:,}" + _split_text([(split.name, f"{split.count:,}") for split in found.splits])),
        ("size, height x width", sizes + more),
        ("mode", ", ".join(f"{mode} ({count:,})" for mode, count in found.modes.items())),
        ("loaded as", f"{height}x{width}, {'grey' if channels == 1 else 'RGB'}"),
        ("bytes", f"{found.bytes:,}"),
        ("unreadable", f"{len(found.bad):,}"),
        (
            "duplicates",
            f"{found.duplicates:,}" + (f", {found.shared:,} shared by train and test" if found.shared else ""),
        ),
        ("other files", f"{found.ignored:,}"),
        *([("captions", _captions_text(found.captions))] if found.captions else []),
        ("licence", found.licence or "unknown"),
        *((f"fingerprint {split.name}", split.fingerprint) for split in found.splits),
    ]
    console.table(found.name, ("", ""), rows)
    if found.class_names:
        columns = ("class", *(split.name for split in found.splits))
        counts = [(name, *(f"{split.classes[name]:,}" for split in found.splits)) for name in found.class_names]
        console.table(None, columns, counts[:50], right=range(1, len(columns)))
        if len(counts) > 50:
            console.line(f"... and {len(counts) - 50:,} more classes (--json lists them all)")
    if found.note:
        console.line(found.note)
    for bad in found.bad[:20]:
        console.line(f"unreadable: {bad}", "red")
    if len(found.bad) > 20:
        console.line(f"... and {len(found.bad) - 20:,} more (--json lists them all)", "red")


def _captions_text(captions: CaptionFacts) -> str:
    if captions.problem:
        return f"cannot be learned from: {captions.problem}"
    words = f"{captions.words:,} words ({', '.join(captions.common[:8])}{', ...' if captions.words > 8 else ''})"
    return f"{captions.distinct:,} different, of {words}, {captions.longest} at most in one"


def _split_text(parts: list[tuple[str, str]]) -> str:
    return f" ({', '.join(f'{name} {text}' for name, text in parts)})" if len(parts) > 1 else ""


def _prepared_document(made: Preparation) -> dict[str, Any]:
    return {
        "path": str(made.path),
        "shape": made.shape,
        "splits": made.splits,
        "class_names": made.class_names,
        "fingerprint": made.fingerprint,
        "skipped": made.skipped,
        "bytes": made.size_bytes,
    }


def _show_prepared(console: Console, made: Preparation) -> None:
    height, width, channels = made.shape
    count = sum(made.splits.values())
    splits = _split_text([(name, f"{number:,}") for name, number in made.splits.items()])
    console.line(f"prepared {count:,} images{splits} in {made.path}", "bold")
    console.line(f"  {height}x{width}, {'grey' if channels == 1 else 'RGB'}, {made.size_bytes / 1e6:,.1f} MB")
    if made.skipped:
        console.line(f"  {len(made.skipped):,} unreadable file(s) left out")
