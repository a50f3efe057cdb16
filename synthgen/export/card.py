"""The model card: a README that tells a stranger what an exported model is, where it came from and how to use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthgen.generation.card import code, plain, table
from synthgen.generation.engine import Recipe

MODEL_CARD_LICENCE = "The weights carry no licence of their own; whoever trained them decides."


def model_card(
    header: dict[str, Any], recipe: Recipe, usage: str, *, library: str, limits: tuple[str, ...] = ()
) -> str:
    """Markdown with the front matter of the Hugging Face hub.

    header: of the checkpoint. usage: Markdown that shows how to sample. library: `diffusers` or `synthgen`.
    limits: sentences on what this export cannot do.
    """
    licence = plain(header["data"].get("licence") or "not stated")
    parts = [
        *_head(header, library),
        "## Use",
        "",
        usage.strip(),
        "",
        *table("Data", _data_rows(header)),
        *table("Network and training", _training_rows(header)),
        *table("Sampler", _recipe_rows(recipe)),
        "## Quality",
        "",
        *_quality(header.get("sampler_card")),
        "",
        "## Limits",
        "",
        *(f"- {sentence}" for sentence in (*limits, *_LIMITS)),
        "",
        "## Licence",
        "",
        f"Data: {licence}. {MODEL_CARD_LICENCE}",
        "",
    ]
    return "\n".join(parts)


def _head(header: dict[str, Any], library: str) -> list[str]:
    codec = header["codec"]
    kind = "A class-conditional" if header["class_names"] else "An unconditional"
    colour = "grey" if codec["channels"] == 1 else "RGB"
    return [
        "---",
        f"library_name: {library}",
        "pipeline_tag: unconditional-image-generation",
        "tags: [diffusion, synthetic-data, synthgen]",
        "license: other",
        "---",
        "",
        f"# {kind} diffusion model of {plain(_data_name(header))}",
        "",
        f"Draws {codec['height']} x {codec['width']} {colour} images. Trained with "
        f"synthgen {plain(header['versions'].get('synthgen', ''))}.",
        "",
    ]


def _data_name(header: dict[str, Any]) -> str:
    """The name of the data set, or of its folder or file without the place, which is nobody's business."""
    return Path(header["data"]["name"]).name


_LIMITS = (
    "Synthetic images repeat the biases of the training data, and a model trained long on few images can repeat "
    "the images themselves: check before you share what was private.",
    "It knows only the data above, at this size; it is no general image generator.",
    "The same seed gives the same images on one device and one version of the software, and images that agree to "
    "within rounding elsewhere.",
)


def _data_rows(header: dict[str, Any]) -> list[tuple[str, object]]:
    data, names = header["data"], header["class_names"]
    shown = ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    return [
        ("data set", _data_name(header)),
        ("split", data["split"]),
        ("images", f"{data['count']:,}"),
        ("classes", shown),
        ("fingerprint", code(data["fingerprint"])),
    ]


def _training_rows(header: dict[str, Any]) -> list[tuple[str, object]]:
    config, training = header["config"], header["training"]
    loss = training["loss"]
    return [
        ("network", f"UNet2DModel, channels {list(config['model']['channels'])}"),
        ("noise schedule", config["diffusion"]["schedule"]),
        ("prediction", config["diffusion"]["prediction"]),
        ("sigma of the data", f"{header['sigma_data']:.4f}"),
        ("steps", f"{training['steps']:,}"),
        ("images seen", f"{training['images_seen']:,}"),
        ("time", f"{training['seconds']:,.0f} s on {training['device']}, {training['precision']}"),
        ("loss", None if loss is None else f"{loss:.4f}"),
        ("finished", None if training["finished"] else "no: stopped before its end"),
        ("weights", "exponential moving average"),
    ]


def _recipe_rows(recipe: Recipe) -> list[tuple[str, object]]:
    return [
        ("sampler", recipe.sampler),
        ("steps", recipe.steps),
        ("eta", recipe.eta if recipe.sampler == "ddim" else None),
        ("guidance scale", recipe.guidance_scale),
    ]


def _quality(card: Any) -> list[str]:
    """The measurements in the checkpoint's sampler card, if it has any."""
    if not isinstance(card, dict) or not card:
        return ["Not measured when this was exported. `synthgen evaluate` measures it."]
    return ["| | |", "|---|---|", *(f"| {plain(name)} | {plain(value)} |" for name, value in card.items())]
