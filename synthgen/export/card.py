"""The model card: a README that tells a stranger what an exported model is, where it came from and how to use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from synthgen.config.modalities import UNITS
from synthgen.export.quality import model_index, quality
from synthgen.generation.card import code, plain, quoted, table

MODEL_CARD_LICENCE = "The weights carry no licence of their own; whoever trained them decides."


def model_card(
    header: dict[str, Any],
    recipe: Any,
    usage: str,
    *,
    library: str,
    limits: tuple[str, ...] = (),
    metrics: dict[str, Any] | None = None,
) -> str:
    """Markdown with the front matter of the Hugging Face hub.

    header: of the checkpoint. recipe: of its modality. usage: Markdown that shows how to sample. library: `diffusers`
    or another. limits: sentences on what this export cannot do. metrics: see `synthgen.export.quality.read_metrics`.
    """
    licence = plain(header["data"].get("licence") or "not stated")
    parts = [
        *_head(header, library, metrics),
        "## Use",
        "",
        usage.strip(),
        "",
        *table("Data", _data_rows(header)),
        *table("Network and training", _training_rows(header)),
        *table("Sampler", _recipe_rows(recipe)),
        "## Quality",
        "",
        *quality(header, metrics),
        "",
        "## Intended use",
        "",
        _INTENDED[modality(header)],
        "",
        "## Limits",
        "",
        *(f"- {sentence}" for sentence in (*limits, *_limits(header))),
        "",
        "## Licence",
        "",
        f"Data: {licence}. {MODEL_CARD_LICENCE}",
        "",
    ]
    return "\n".join(parts)


def modality(header: dict[str, Any]) -> str:
    """images, tables or series."""
    return str(header.get("modality", "images"))


def _head(header: dict[str, Any], library: str, metrics: dict[str, Any] | None) -> list[str]:
    name = _data_name(header)
    hub_name = _ON_THE_HUB.get(name)
    kind = "A class-conditional" if header.get("class_names") else "An unconditional"
    kind = "A text-conditional" if header.get("vocabulary") else kind
    return [
        "---",
        f"library_name: {library}",
        *(["pipeline_tag: unconditional-image-generation"] if modality(header) == "images" else []),
        "tags: [diffusion, synthetic-data, synthgen]",
        "license: other",
        f"license_name: {quoted('see the card')}",
        *([f"datasets: [{hub_name}]"] if hub_name else []),
        *(model_index(name, hub_name or name, metrics) if metrics and modality(header) == "images" else []),
        "---",
        "",
        f"# {kind if modality(header) == 'images' else 'A'} diffusion model of {plain(_data_name(header))}",
        "",
        f"Draws {draws(header)}. Trained with synthgen {plain(header['versions'].get('synthgen', ''))}.",
        "",
    ]


def draws(header: dict[str, Any]) -> str:
    """What a sample of the model is, in a few words."""
    codec = header["codec"]
    if modality(header) == "images":
        colour = "grey" if codec["channels"] == 1 else "RGB"
        return f"{codec['height']} x {codec['width']} {colour} images"
    columns = (header["schema"].get("table") or header["schema"])["columns"]
    if modality(header) == "tables":
        return f"rows of {len(columns)} columns"
    return f"sequences of {len(columns)} columns, learned in windows of {header['config']['data']['window']} steps"


def _data_name(header: dict[str, Any]) -> str:
    """The name of the data set, or of its folder or file without the place, which is nobody's business."""
    return Path(header["data"]["name"]).name


_ON_THE_HUB = {
    "mnist": "ylecun/mnist",
    "mnist-mini": "ylecun/mnist",
    "fashion-mnist": "zalando-datasets/fashion_mnist",
    "cifar10": "uoft-cs/cifar10",
}
"""Data sets by what the hub calls them."""

_INTENDED = {
    "images": "Synthetic images like those it was trained on: for teaching, tests of programs, and studies of "
    "generative models; as training data only where it was measured to help. Not for passing samples off as "
    "photographs or scans of anything.",
    "tables": "Rows like those it was trained on: for tests of programs, teaching and sharing where the rows "
    "themselves cannot go, after their privacy was measured. Not for decisions about people.",
    "series": "Sequences like those it was trained on: for tests of programs, teaching, completion and forecasts with "
    "their intervals checked on later data. Not for decisions that nobody checks.",
}

_LIMITS = {
    "images": (
        "Synthetic images repeat the biases of the training data, and a model trained long on few images can repeat "
        "the images themselves: check before you share what was private.",
        "It knows only the data above, at this size; it is no general image generator.",
    ),
    "tables": (
        "Synthetic rows repeat the biases of the training data, and a model trained long on few rows can repeat the "
        "rows themselves: check before you share what was private.",
        "What was rare in the data is rarer here, and a column's meaning is not known to the model.",
    ),
    "series": (
        "Synthetic sequences repeat the biases of the training data, and a model trained long on few of them can "
        "repeat them: check before you share what was private.",
        "It knows the past that it was trained on; its forecasts know nothing of what has changed since.",
    ),
}
_REPEATED = (
    "The same seed gives the same {} on one device and one version of the software, and {} that agree to within "
    "rounding elsewhere."
)


def _limits(header: dict[str, Any]) -> tuple[str, ...]:
    unit = UNITS[modality(header)]
    return (*_LIMITS[modality(header)], _REPEATED.format(unit, unit))


def _data_rows(header: dict[str, Any]) -> list[tuple[str, object]]:
    data, names = header["data"], header.get("class_names") or header["codec"].get("classes") or []
    shown = ", ".join(names[:20]) + (f", ... ({len(names)} in all)" if len(names) > 20 else "")
    unit = "sequences" if modality(header) == "series" else UNITS[modality(header)]
    return [
        ("data set", _data_name(header)),
        ("split", data["split"]),
        (unit, f"{data['count']:,}"),
        ("classes", shown),
        ("fingerprint", code(data["fingerprint"])),
    ]


def _training_rows(header: dict[str, Any]) -> list[tuple[str, object]]:
    config, training = header["config"], header["training"]
    model, diffusion, unit = config["model"], config["diffusion"], UNITS[modality(header)]
    networks = {"tables": "residual perceptron, {width} wide", "series": "transformer, {width} wide"}
    unet = "UNet2DConditionModel" if model.get("conditioning") == "cross-attention" else "UNet2DModel"
    network = networks.get(modality(header), unet + ", channels {channels}").format(
        width=model.get("width"), channels=list(model.get("channels", ()))
    )
    patches = f", patches of {model['patch_size']} x {model['patch_size']}" if model.get("patch_size", 1) > 1 else ""
    loss, sigma = training["loss"], header.get("sigma_data")
    return [
        ("network", network + patches),
        ("process", diffusion.get("process")),
        ("noise schedule", diffusion.get("schedule")),
        ("prediction", diffusion.get("prediction")),
        ("sigma of the data", None if sigma is None else f"{sigma:.4f}"),
        ("steps", f"{training['steps']:,}"),
        (f"{unit} seen", f"{training[f'{unit}_seen']:,}"),
        ("time", f"{training['seconds']:,.0f} s on {training['device']}, {training['precision']}"),
        ("loss", None if loss is None else f"{loss:.4f}"),
        ("finished", None if training["finished"] else "no: stopped before its end"),
        ("weights", f"exponential moving average{_stored(header)}"),
    ]


def _stored(header: dict[str, Any]) -> str:
    """What the weights were rounded to, if they were."""
    weights = header.get("weights")
    return f", stored in {weights['dtype']}" if isinstance(weights, dict) else ""


def _recipe_rows(recipe: Any) -> list[tuple[str, object]]:
    sampler = getattr(recipe, "sampler", None)
    return [
        ("sampler", sampler),
        ("steps", "one for each column" if recipe.steps is None else recipe.steps),
        ("eta", recipe.eta if sampler == "ddim" else None),
        ("guidance scale", getattr(recipe, "guidance_scale", None)),
        ("temperature", getattr(recipe, "temperature", None)),
    ]
