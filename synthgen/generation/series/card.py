"""The card of a set of sequences: a README beside the data that says how it was made, of what, and with what limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthgen.generation.card import code, number, plain, quoted, separator, short, size_category, table
from synthgen.generation.series.plan import SeriesPlan
from synthgen.generation.tables.manifest import TableOrigin

_SHOWN = 100


def series_card(plan: SeriesPlan, origin: TableOrigin) -> str:
    """Markdown with the front matter of the Hugging Face hub."""
    data, training = origin.model["data"], origin.model["training"]
    # The name of a file without the place, which is nobody's business.
    name = short(Path(str(data.get("name", ""))).name) or "data"
    licence = plain(data.get("licence") or "not stated")
    channels = origin.schema.get("channels") or ()
    return "\n".join(
        [
            *_front_matter(plan, name),
            f"# Synthetic {plain(name)}",
            "",
            f"{plan.count:,} {'completed' if plan.complete else 'synthetic'} sequence(s) of {len(channels):,} "
            f"channel(s), drawn from a diffusion model that was trained on {number(data.get('count'))} sequence(s) of "
            f"{plain(name)}. {_what(plan)}",
            "",
            *table("How it was made", _making(plan, training)),
            *table("Data that the model was trained on", _source(data, name)),
            *_columns(origin),
            "## Limits",
            "",
            "- Synthetic sequences repeat the biases of the training data, and a model trained long on few of them can "
            "repeat whole stretches: measure it before you share what was private (`synthgen evaluate`).",
            "- Names of sequences are made up; a match with a real one is chance. Times are those that were asked for, "
            "or begin where training sequences do.",
            *_limits(plan),
            "",
            "## Licence",
            "",
            f"The training data: {licence}. The sequences carry no licence of their own; whoever made them decides.",
            "",
            "`manifest.json` holds the plan and the hashes; `synthgen sample verify` checks them.",
            "",
        ]
    )


def _what(plan: SeriesPlan) -> str:
    if plan.complete is None:
        return "No step of them was recorded by anybody."
    return "Cells that were known are those of the file that was completed; all others were made by the model."


def _front_matter(plan: SeriesPlan, name: str) -> list[str]:
    """YAML; all texts are quoted, whatever they hold."""
    path = "data/*" if plan.shards is not None else f"series{plan.suffix}"
    lines = ["---", f"pretty_name: {quoted('Synthetic ' + name)}", "license: other"]
    lines += [f"license_name: {quoted('see the card')}", "tags: [synthetic, diffusion, time-series, synthgen]"]
    lines += [f"size_categories: [{quoted(size_category(plan.count))}]"]
    lines += ["configs:", "- config_name: default", "  data_files:", "  - split: train", f"    path: {quoted(path)}"]
    return [*lines, *separator(plan.suffix), "---", ""]


def _making(plan: SeriesPlan, training: dict[str, Any]) -> list[tuple[str, object]]:
    recipe, completed = plan.recipe, plan.complete
    rows: list[tuple[str, object]] = [
        ("checkpoint", code(f"sha256:{plan.checkpoint_sha256}")),
        ("training steps", number(training.get("steps"))),
        ("sampler", f"{recipe.sampler}, {recipe.steps} steps"),
        ("guidance scale", recipe.guidance_scale),
        ("classes", ", ".join(plan.labels) or "as in the data"),
        ("conditions", "; ".join(plan.where) or "none"),
        ("steps of each sequence", "as in the data" if plan.length is None else number(plan.length)),
        ("first time", plan.start or "as in the data"),
    ]
    if completed is not None:
        rows = [row for row in rows if row[0] not in ("classes", "conditions", "first time")]
        rows += [("completed file", code(f"sha256:{completed.sha256}")), ("completions of each", completed.draws)]
        if completed.quantiles:
            rows.append(("quantiles of these", ", ".join(f"{one:g}" for one in completed.quantiles)))
    return [
        *rows,
        ("seed", plan.seed),
        ("sequence k", "a function of the checkpoint, the recipe, the seed, what was given and k alone"),
        ("precision", plan.precision),
        ("device", f"{plan.device}, {plan.numerics.get('processor', '')}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in plan.versions.items())),
    ]


def _source(data: dict[str, Any], name: str) -> list[tuple[str, object]]:
    return [
        ("data set", name),
        ("split", data.get("split", "")),
        ("sequences", number(data.get("count"))),
        ("windows", number(data.get("windows"))),
        ("licence", data.get("licence") or "not stated"),
        ("fingerprint", code(str(data.get("fingerprint", "")))),
    ]


def _columns(origin: TableOrigin) -> list[str]:
    rows: list[tuple[str, object]] = [(str(one["name"]), str(one["kind"])) for one in origin.columns[:_SHOWN]]
    more = len(origin.columns) - _SHOWN
    return [*table("Columns", rows), *([f"... and {more:,} more, in `manifest.json`.", ""] if more > 0 else [])]


def _limits(plan: SeriesPlan) -> list[str]:
    if plan.labels:
        return ["- The shares of the classes are those that were asked for, not those of the data."]
    if plan.where:
        return ["- The sequences keep the conditions above: their shares are not those of the data."]
    return []
