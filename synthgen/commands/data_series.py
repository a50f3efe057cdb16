"""`synthgen data inspect` on series: their sequences, times and channels, and the windows that training would see."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from synthgen.commands.resuming import stoppable
from synthgen.console import Console
from synthgen.errors import UsageError

if TYPE_CHECKING:
    from synthgen.data.series.inspection import ChannelFacts, SeriesInspection

_MOST_CHANNELS = 100
_MOST_REMARKS = 20
_MOST_CLASSES = 20
_PLAIN = "_.-~=+*#"
"""Heights where the terminal's letters have no blocks."""


def known_series() -> list[dict[str, Any]]:
    """The series known by name, and where they are on this machine."""
    from synthgen.data.series.known import KNOWN_SERIES

    found = []
    for known in KNOWN_SERIES.values():
        path = known.find()
        status = "here" if path else "by_hand" if known.file else "made"
        facts: dict[str, Any] = {
            "name": known.name,
            "title": known.title,
            "shape": known.shape,
            "licence": known.licence,
        }
        where = {"here": str(path), "by_hand": "by hand", "made": "made from a seed"}[status]
        found.append(facts | {"page": known.page, "status": status, "path": path and str(path), "where": where})
    return found


def inspect(console: Console, source: str, overrides: list[str]) -> None:
    """Describe the series at `source`; overrides: `KEY=VALUE` texts of --set."""
    console.loading("pandas")
    from synthgen.config.loading import load_config
    from synthgen.config.series import SeriesConfig
    from synthgen.data.series.inspection import inspect_series

    config = load_config(None, overrides, {"modality": "series", "data.source": source})
    if not isinstance(config, SeriesConfig):
        raise UsageError(f"{source} is a series, and the settings are not")
    with stoppable() as stop:
        found = inspect_series(source, config.data, reporter=console.reporter, should_stop=stop)
    console.result(_document(found), lambda: _show(console, found), quiet=found.steps)
    flags = "".join(f" --set {shlex.quote(text)}" for text in overrides)
    console.next(f"synthgen train --data {shlex.quote(source)}{flags}")


def _document(found: SeriesInspection) -> dict[str, Any]:
    document = asdict(found) | {"kind": "series", "count": found.sequences}
    document["lengths"] = dict(zip(("shortest", "median", "longest"), found.lengths, strict=True))
    document["span"] = None if found.span is None else {"first": found.span[0], "last": found.span[1]}
    return {"name": found.name, "kind": "series", "count": found.sequences} | document


def _show(console: Console, found: SeriesInspection) -> None:
    console.table(found.name, ("", ""), _rows(found))
    marks = _marks()
    shown = [_line(channel, marks) for channel in found.channels[:_MOST_CHANNELS]]
    columns = ("column", "kind", "missing", "values", "learned as", "lag 1", "repeats", "first steps")
    console.table(None, columns, shown, right=(2, 5, 6))
    if len(found.channels) > _MOST_CHANNELS:
        console.line(f"... and {len(found.channels) - _MOST_CHANNELS:,} more (--json lists them all)")
    remarks = [f"{channel.name} {warning}" for channel in found.channels for warning in channel.warnings]
    for text in remarks[:_MOST_REMARKS]:
        console.line(text)
    if len(remarks) > _MOST_REMARKS:
        console.line(f"... and {len(remarks) - _MOST_REMARKS:,} more remarks (--json lists them all)")


def _rows(found: SeriesInspection) -> list[tuple[str, str]]:
    shortest, median, longest = found.lengths
    lengths = f"{shortest:,}" if shortest == longest else f"{shortest:,} to {longest:,}, half of them up to {median:,g}"
    pieces = f" in {found.recordings:,} recording(s)" if found.recordings != found.sequences else ""
    learned = sum(channel.role == "channel" and channel.learned != "repeated" for channel in found.channels)
    channels = sum(channel.role == "channel" for channel in found.channels)
    rows = [
        ("form", found.form),
        ("sequences", f"{found.sequences:,}{pieces}, {found.steps:,} steps"),
        ("steps of each", lengths),
        ("channels", f"{channels:,}, of which {learned:,} are learned"),
    ]
    if found.roles["time"]:
        rows.append(("time", f"{found.roles['time']}, {found.interval} from step to step"))
    if found.span:
        rows.append(("from, to", f"{found.span[0]}, {found.span[1]}"))
    rows += [(name, column) for name, column in (("id", found.roles["id"]), ("label", found.roles["label"])) if column]
    if found.static:
        rows.append(("static", ", ".join(found.static)))
    if found.classes:
        some = list(found.classes.items())
        rest = f", and {len(some) - _MOST_CLASSES:,} more" if len(some) > _MOST_CLASSES else ""
        rows.append(("classes", ", ".join(f"{name} {count:,}" for name, count in some[:_MOST_CLASSES]) + rest))
    if found.left_out:
        rows.append(("left out", "; ".join(f"{name}: it {reason}" for name, reason in found.left_out.items())))
    rows.append(("windows", f"{found.window:,} steps, one every {found.stride:,}{_whole(found)}"))
    for part in found.parts:
        rows.append((part.name, f"{part.sequences:,} sequence(s), {part.steps:,} steps, {part.windows:,} windows"))
    if found.protocol == "leaky":
        rows.append(("protocol", "leaky: every part is everything, as the field does; to compare only"))
    if found.given:
        rows.append(("known of dates", ", ".join(found.given)))
    rows += [("licence", found.licence or "unknown"), ("fingerprint", found.fingerprint)]
    return rows


def _whole(found: SeriesInspection) -> str:
    """What makes sequences whole that are so few that parts of them are learned."""
    from synthgen.config.series import LONGEST_WHOLE

    longest = found.lengths[2]
    parts = found.recordings > 1 and found.window * 4 <= longest <= LONGEST_WHOLE
    return f"; --set data.window={longest} learns whole sequences" if parts else ""


def _line(channel: ChannelFacts, marks: str) -> tuple[str, ...]:
    from synthgen.data.series.inspection import sparkline

    static = channel.role == "static"
    gap = f", {channel.longest_gap:,} in a row" if channel.longest_gap > 1 else ""
    missing = "" if not channel.missing else f"{channel.missing:.1%}{gap}" if channel.missing >= 0.001 else "< 0.1%"
    return (
        channel.name,
        channel.kind + (", static" if static else ""),
        missing,
        channel.values,
        channel.learned,
        "" if channel.autocorrelation is None else f"{channel.autocorrelation:.3f}",
        "" if static or channel.kind == "constant" else f"{channel.repeats:.0%}",
        "" if static else sparkline(channel.preview, marks),
    )


def _marks() -> str:
    """Blocks of eight heights, or plain letters where stdout cannot show them."""
    blocks = "▁▂▃▄▅▆▇█"
    try:
        blocks.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _PLAIN
    return blocks
