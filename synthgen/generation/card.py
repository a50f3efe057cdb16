"""The data set card: a README beside the data that says how it was made, of what, and what may be done with it."""

from __future__ import annotations

import html
import json
import re
from pathlib import Path
from typing import Any

from synthgen.generation.manifest import Origin
from synthgen.generation.plan import SamplePlan

_SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
_SHORT = ("1K", "10K", "100K", "1M", "10M", "100M", "1B")
_LONGEST = 1000
"""Characters of a text that is shown."""
_PATHS = {"parquet": "data/*.parquet", "webdataset": "data/*.tar", "png": "*/*.png"}


def data_card(plan: SamplePlan, origin: Origin, counts: dict[str, int]) -> str:
    """Markdown with the front matter of the Hugging Face hub. counts: samples by class name."""
    data, training = origin.model["data"], origin.model["training"]
    # The name of a folder or file without the place, which is nobody's business.
    name = short(Path(str(data.get("name", ""))).name) or "data"
    licence = plain(data.get("licence") or "not stated")
    height, width, channels = origin.image
    colour = "grey" if channels == 1 else "RGB"
    return "\n".join(
        [
            *_front_matter(plan, origin, name),
            f"# Synthetic {plain(name)}",
            "",
            f"{plan.count:,} synthetic {colour} images, {height} x {width}, drawn from a diffusion model that was "
            f"trained on {number(data.get('count'))} images of {plain(name)}. No image in it is a "
            "photograph or a scan.",
            "",
            *table("How it was made", _making(plan, training)),
            *table("Data that the model was trained on", _source(data, name)),
            *_classes(counts),
            "## Limits",
            "",
            "- Synthetic images repeat the biases of the training data, and a model trained long on few images can "
            "repeat the images themselves: check before you share what was private.",
            "- A class is what the model was asked for, not what somebody saw in the image.",
            "",
            "## Licence",
            "",
            f"The training data: {licence}. The samples carry no licence of their own; whoever made them decides.",
            "",
            "`manifest.json` holds the plan and the hashes; `synthgen sample verify` checks them.",
            "",
        ]
    )


def _front_matter(plan: SamplePlan, origin: Origin, name: str) -> list[str]:
    """YAML; all texts are quoted, whatever they hold."""
    lines = ["---", f"pretty_name: {quoted('Synthetic ' + name)}", "license: other"]
    lines += [f"license_name: {quoted('see the card')}", "tags: [synthetic, diffusion, synthgen]"]
    if origin.class_names:
        lines.append("task_categories: [image-classification]")
    lines.append(f"size_categories: [{quoted(size_category(plan.count))}]")
    if plan.format in _PATHS:
        path = quoted(_PATHS[plan.format])
        lines += ["configs:", "- config_name: default", "  data_files:", "  - split: train", f"    path: {path}"]
    if plan.format == "parquet":
        lines += _features(plan, origin)
    return [*lines, "---", ""]


def _features(plan: SamplePlan, origin: Origin) -> list[str]:
    lines = ["dataset_info:", "  features:", "  - name: image", "    dtype: image"]
    if origin.class_names:
        lines += ["  - name: label", "    dtype:", "      class_label:", "        names:"]
        lines += [f"          '{index}': {quoted(name)}" for index, name in enumerate(origin.class_names)]
    return [*lines, "  splits:", "  - name: train", f"    num_examples: {plan.count}"]


def separator(suffix: str) -> list[str]:
    """What the front matter adds for tab-separated files: `datasets` looks for commas unless told."""
    return ['  sep: "\\t"'] if suffix.startswith(".tsv") else []


def size_category(count: int) -> str:
    """The range of the hub that a number of samples falls into."""
    index = next((i for i, size in enumerate(_SIZES) if count < size), len(_SIZES))
    if index == 0:
        return "n<1K"
    return f"{_SHORT[index - 1]}<n<{_SHORT[index]}" if index < len(_SIZES) else "n>1B"


def table(title: str, rows: list[tuple[str, object]]) -> list[str]:
    """A section with a table of names and values; empty values are left out."""
    cells = [
        (plain(name), value if isinstance(value, _Code) else plain(value)) for name, value in rows if value is not None
    ]
    lines = [f"| {name} | {value} |" for name, value in cells if value]
    return [f"## {title}", "", "| | |", "|---|---|", *lines, ""]


def _making(plan: SamplePlan, training: dict[str, Any]) -> list[tuple[str, object]]:
    recipe = plan.recipe
    return [
        ("checkpoint", code(f"sha256:{plan.checkpoint_sha256}")),
        ("training steps", number(training.get("steps"))),
        ("sampler", f"{recipe.sampler}, {recipe.steps} steps"),
        ("guidance scale", recipe.guidance_scale),
        ("guided by", code(f"sha256:{recipe.autoguidance}") if recipe.autoguidance else None),
        ("seed", plan.seed),
        ("sample k", "a function of the checkpoint, the recipe, the seed and k alone"),
        ("precision", plan.precision),
        ("device", f"{plan.device}, {plan.numerics.get('processor', '')}"),
        ("versions", ", ".join(f"{name} {number}" for name, number in plan.versions.items())),
    ]


def _source(data: dict[str, Any], name: str) -> list[tuple[str, object]]:
    return [
        ("data set", name),
        ("split", data.get("split", "")),
        ("images", number(data.get("count"))),
        ("licence", data.get("licence") or "not stated"),
        ("fingerprint", code(str(data.get("fingerprint", "")))),
    ]


def _classes(counts: dict[str, int]) -> list[str]:
    if not counts:
        return ["## Classes", "", "None: the model is unconditional.", ""]
    shown = list(counts.items())[:100]
    rows: list[tuple[str, object]] = [(name, f"{count:,}") for name, count in shown]
    rest = [f"... and {len(counts) - len(shown)} more, in `manifest.json`.", ""] if len(counts) > len(shown) else []
    return [*table("Classes", rows), *rest]


class _Code(str):
    """Markdown that was made here."""


def code(text: str) -> _Code:
    """Hashes and the like in a code span."""
    kept = "".join(letter for letter in text[:_LONGEST] if letter.isascii() and (letter.isalnum() or letter in ":.-_"))
    return _Code(f"`{kept}`" if kept else "")


def number(value: object) -> str:
    """A count with separators; a question mark for what is none."""
    return f"{value:,}" if isinstance(value, int) else "?"


def short(text: str) -> str:
    """One line of what can be printed."""
    words = "".join(letter if letter.isprintable() else " " for letter in text).split()
    return " ".join(words)[:_LONGEST]


def plain(value: object) -> str:
    """Any text as Markdown that shows it and does nothing else: no HTML, no links, images or code, no new cells.

    Names come from a checkpoint or a manifest, which may be anybody's.
    """
    text = html.escape(short(str(value)), quote=False)
    return re.sub(r"([\\`*\[\]|])", r"\\\1", text)


def quoted(text: str) -> str:
    """A text in double quotes as YAML 1.2 reads it (JSON writes one character beyond U+FFFF as two)."""
    letters = (json.dumps(letter)[1:-1] if letter <= "\uffff" else f"\\U{ord(letter):08x}" for letter in text)
    return f'"{"".join(letters)}"'
