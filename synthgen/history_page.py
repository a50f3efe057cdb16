"""The page of one run, or of several side by side: facts, curves, settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from synthgen.evaluation.sampler_card import Card, learned
from synthgen.evaluation.sampler_card_text import COLUMNS, about_card, figures, remark
from synthgen.history import RunRecord, changed_settings, differences
from synthgen.html import Section, details, line_chart, page, paragraph, section, table, tiles

_LABELS = {"seconds": "training time (s)", "bytes": "file size (bytes)", "data": "learned from"}


def run_page(record: RunRecord, card: Card | None = None) -> str:
    """HTML of one run, with its sampler card where there is one."""
    facts = record.summary()
    loss = facts["loss"]
    head = [
        ("steps", _text(facts["steps"]), "finished" if facts["finished"] else "not finished"),
        ("loss", "–" if loss is None else f"{loss:.4g}", "mean of the last report"),
        ("parameters", f"{record.parameters / 1e6:.2f} M", f"{record.bytes / 1e6:.1f} MB on disk"),
    ]
    settings = [[key, _text(value)] for key, value in changed_settings(record).items()]
    header = {"training": record.training, "data": record.data, "versions": record.header.get("versions") or {}}
    rows = [
        [f"{group} {key}".replace("_", " "), _text(value)] for group, of in header.items() for key, value in of.items()
    ]
    return page(
        f"Run {record.name}",
        [
            section("Training", tiles(head), *_curves([record])),
            *([] if card is None else [_card(card)]),
            section("Settings that are not the defaults", table(["setting", "value"], settings)),
            section("Facts", details("all of them", table(["what", "value"], rows))),
        ],
        lead=f"A model of {record.modality}, learned from {facts['data']}.",
    )


def _card(card: Card) -> Section:
    """Quality over cost, a curve for each sampler, and the settings behind it."""
    curves: dict[str, tuple[list[float], list[float]]] = {}
    for one in card.complete:
        guided = f", guidance {one.sampling.guidance_scale:g}" if one.sampling.guidance_scale != 1.0 else ""
        name = one.sampling.sampler + (" at learned levels" if learned(one.sampling) else "") + guided
        calls, fids = curves.setdefault(name, ([], []))
        calls.append(one.calls)
        fids.append(one.fid)
    floor = ("other real images", card.floor) if card.floor else None
    chart = line_chart(
        curves, x_label="network calls per sample", y_label="FID (lower is better)", log_y=True, reference=floor
    )
    rows: list[list[str | int]] = [
        [one.name, one.calls, *figures(one, card), remark(one, card)] for one in card.settings
    ]
    facts = [paragraph(text) for text in about_card(card)]
    return section("Sampler card", chart, table([*COLUMNS, "remark"], rows), *facts)


def comparison_page(records: Sequence[RunRecord]) -> str:
    """HTML of several runs, in the order given."""
    names = [record.name for record in records]
    facts = [record.summary() for record in records]
    shown = ("modality", "data", "samples", "steps", "seconds", "loss", "finished", "parameters", "bytes")
    rows = [[_LABELS.get(key, key), *(_text(one[key]) for one in facts)] for key in shown]
    settings = [[key, *map(_text, values)] for key, values in differences(records).items()]
    return page(
        "Runs side by side",
        [
            section("Facts", table(["", *names], rows), *_curves(records)),
            section("Settings in which they differ", table(["setting", *names], settings)),
        ],
        lead=", ".join(names),
    )


def _curves(records: Sequence[RunRecord]) -> list[Any]:
    known = {key for record in records for row in record.metrics for key in row}
    wanted = [("loss", "loss")] + [(key, key.replace("_", " ")) for key in sorted(known) if key.endswith("_per_second")]
    charts = []
    for key, label in wanted:
        series = {record.name: record.curve(key) for record in records if record.curve(key)[0]}
        if series:
            charts.append(line_chart(series, x_label="step", y_label=label, log_y=key == "loss"))
    return charts


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.5g}" if isinstance(value, float) else str(value)
