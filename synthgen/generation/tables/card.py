"""The card of a table of samples: a README beside the data that says how it was made, of what, and with what limits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthgen.generation.card import code, number, plain, quoted, separator, short, size_category, table
from synthgen.generation.tables.manifest import TableOrigin
from synthgen.generation.tables.plan import TablePlan

_SHOWN = 100


def table_card(plan: TablePlan, origin: TableOrigin) -> str:
    """Markdown with the front matter of the Hugging Face hub."""
    data, training = origin.model["data"], origin.model["training"]
    # The name of a file without the place, which is nobody's business.
    name = short(Path(str(data.get("name", ""))).name) or "data"
    licence = plain(data.get("licence") or "not stated")
    return "\n".join(
        [
            *_front_matter(plan, name),
            f"# Synthetic {plain(name)}",
            "",
            f"{plan.count:,} synthetic rows of {len(origin.names):,} columns, drawn from a diffusion model that was "
            f"trained on {number(data.get('count'))} rows of {plain(name)}. {_what(plan)}",
            "",
            *table("How it was made", _making(plan, training)),
            *table("Data that the model was trained on", _source(data, name)),
            *_columns(origin),
            "## Limits",
            "",
            "- Synthetic rows repeat the biases of the training data. A value in them can be one that a real row has, "
            "and a model trained long on few rows can repeat whole rows: measure it before you share what was private "
            "(`synthgen evaluate`).",
            "- Identifiers are made up; a match with a real one is chance.",
            *_limits(plan),
            "",
            "## Licence",
            "",
            f"The training data: {licence}. The rows carry no licence of their own; whoever made them decides.",
            "",
            "`manifest.json` holds the plan and the hashes; `synthgen sample verify` checks them.",
            "",
        ]
    )


def _what(plan: TablePlan) -> str:
    if plan.complete is None:
        return "No row in it was collected from anybody."
    return "Cells that were known are those of the file that was completed; all others were made by the model."


def _front_matter(plan: TablePlan, name: str) -> list[str]:
    """YAML; all texts are quoted, whatever they hold."""
    path = "data/*" if plan.shards is not None else f"table{plan.suffix}"
    lines = ["---", f"pretty_name: {quoted('Synthetic ' + name)}", "license: other"]
    lines += [f"license_name: {quoted('see the card')}", "tags: [synthetic, diffusion, tabular, synthgen]"]
    lines += [f"size_categories: [{quoted(size_category(plan.count))}]"]
    lines += ["configs:", "- config_name: default", "  data_files:", "  - split: train", f"    path: {quoted(path)}"]
    return [*lines, *separator(plan.suffix), "---", ""]


def _making(plan: TablePlan, training: dict[str, Any]) -> list[tuple[str, object]]:
    recipe, completed = plan.recipe, plan.complete
    return [
        ("checkpoint", code(f"sha256:{plan.checkpoint_sha256}")),
        ("training steps", number(training.get("steps"))),
        ("network evaluations per row", "one per column" if recipe.steps is None else recipe.steps),
        ("temperature", recipe.temperature),
        ("conditions", "; ".join(plan.where) or "none"),
        ("balanced over", plan.balance or ""),
        ("completed file", code(f"sha256:{completed.sha256}") if completed else ""),
        ("completions of each row", completed.draws if completed else ""),
        ("seed", plan.seed),
        ("row k", "a function of the checkpoint, the recipe, the seed, what was given and k alone"),
        ("precision", plan.precision),
        ("device", f"{plan.device}, {plan.numerics.get('processor', '')}"),
        ("versions", ", ".join(f"{name} {version}" for name, version in plan.versions.items())),
    ]


def _source(data: dict[str, Any], name: str) -> list[tuple[str, object]]:
    return [
        ("data set", name),
        ("split", data.get("split", "")),
        ("rows", number(data.get("count"))),
        ("licence", data.get("licence") or "not stated"),
        ("fingerprint", code(str(data.get("fingerprint", "")))),
    ]


def _columns(origin: TableOrigin) -> list[str]:
    columns = origin.schema["columns"]
    rows: list[tuple[str, object]] = [(str(one["name"]), str(one["kind"])) for one in columns[:_SHOWN]]
    more = len(columns) - _SHOWN
    return [*table("Columns", rows), *([f"... and {more:,} more, in `manifest.json`.", ""] if more > 0 else [])]


def _limits(plan: TablePlan) -> list[str]:
    if plan.balance:
        return [f"- The shares of {plain(plan.balance)} are even by design, not those of the data."]
    if plan.where:
        return ["- The rows are those that keep the conditions above: their shares are not those of the data."]
    return []
