"""What an explanation of images leaves in its folder: pictures, arrays, numbers, the page."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
from safetensors.numpy import save

from synthgen import __version__
from synthgen.explain.images.probe import RATIOS
from synthgen.explain.images.sources import decoded
from synthgen.explain.images.summary import (
    augmentation_part,
    detector_part,
    influence_part,
    journey_part,
    neighbours_part,
)
from synthgen.explain.pictures import columns_of, displayed, frames, gif_bytes, map_strip, overlay, strip
from synthgen.explain.trajectory import CAVEAT
from synthgen.rendering import grid, png_bytes

if TYPE_CHECKING:
    from synthgen.explain.images.run import Explanation
    from synthgen.generation.model import Trajectory


def write_files(found: Explanation) -> None:
    """Fill `found.files` and `found.summary`."""
    from synthgen.explain.images.page import write_page

    context = found.context
    if found.steps is not None:
        _trajectory(found)
    images = decoded(context.x0)
    for name, one in found.attributions.items():
        against = [f"{a} against {b}" for a, b in zip(one.labels, one.rivals, strict=True)]
        found.files[f"{name}.png"] = png_bytes(map_strip(images, one.maps, against))
        arrays = {"values": one.values} | ({"scalars": one.scalars} if np.isfinite(one.scalars).all() else {})
        if f"{name}-by-noise" in found.arrays:
            arrays["by_noise"] = found.arrays[f"{name}-by-noise"]
        found.files[f"{name}.safetensors"] = _saved(found, arrays)
    if found.looks is not None:
        looks = {f"weights.{name}": one for name, one in zip(found.looks.names, found.looks.maps, strict=True)}
        looks["clusters"] = found.looks.clusters
        found.files["attention-weights.safetensors"] = _saved(found, looks)
    if (change := found.change) is not None:
        change_arrays = {"images": change.images, "maps": change.maps, "log_odds": change.odds}
        found.files["augmentation.safetensors"] = _saved(found, change_arrays)
        shown = map_strip(change.images, change.difference, change.names)
        found.files["augmentation.png"] = png_bytes(shown)
    if (influence := found.influence) is not None:
        scored = {"training_images": influence.index, "scores": influence.scores}
        found.files["influence.safetensors"] = _saved(found, scored)
    found.files["images.safetensors"] = _saved(found, {"x0": context.x0, "keys": context.keys})
    found.summary = _summary(found)
    found.files["index.html"] = write_page(found).encode()
    found.files["summary.json"] = (json.dumps(found.summary, indent=2) + "\n").encode()


def overview(trajectory: Trajectory) -> np.ndarray:
    """A picture small enough for a terminal: the guesses for three samples over six steps."""
    steps = columns_of(len(trajectory.x0), 6)
    shown = displayed(trajectory.x0)[steps, :3]
    return grid(np.concatenate(list(shown.swapaxes(0, 1))), len(steps))


def map_overview(found: Explanation, name: str) -> np.ndarray:
    """A picture small enough for a terminal: up to eight images, and below them the same under the map `name`."""
    maps = found.attributions[name].maps[:8]
    images = decoded(found.context.x0[:8])
    colored = images if images.shape[-1] == 3 else np.repeat(images, 3, axis=-1)
    both = np.stack([overlay(image, one) for image, one in zip(colored, maps, strict=True)])
    return grid(np.concatenate([colored, both]), len(images))


def _saved(found: Explanation, arrays: dict[str, np.ndarray]) -> bytes:
    facts = {
        "seed": found.request.seed,
        "checkpoint_sha256": found.context.model.sha256,
        "units": "encoded, [-1, 1]",
    }
    told = {"synthgen": json.dumps(facts)}  # one entry: safetensors writes several in any order
    return save({name: np.ascontiguousarray(one) for name, one in arrays.items()}, told)


def _trajectory(found: Explanation) -> None:
    made, names = found.context.trajectory, found.context.names
    assert made is not None
    arrays = {"x": made.x, "x0_hat": made.x0, "sigmas": made.sigmas, "keys": made.keys}
    if made.labels is not None:
        arrays["labels"] = made.labels
    if (journey := found.journey) is not None:
        arrays["middle_block_paths"] = journey.paths
        if journey.energy is not None:
            arrays["guidance_energy"] = journey.energy
        if journey.commitment is not None:
            arrays |= {
                "switch_margins": journey.commitment.margins,
                "committed": journey.commitment.committed,
                "switch_labels": journey.labels,
            }
        if journey.survival is not None:
            arrays |= {"survival": journey.survival, "survival_sigmas": np.array(RATIOS)}
    found.files["trajectory.png"] = png_bytes(strip(made.x, made.x0, made.sigmas, names))
    found.files["trajectory.gif"] = gif_bytes(frames(made.x, made.x0, made.sigmas, names))
    found.files["trajectory.safetensors"] = _saved(found, arrays)


def _summary(found: Explanation) -> dict[str, Any]:
    context, request = found.context, found.request
    labels = [None] * len(context.names) if context.labels is None else context.labels.tolist()
    samples = [
        {"sample": int(key), "label": label, "class_name": None if label is None else context.classes[label]}
        | ({} if context.trajectory is not None else {"name": name})
        for key, label, name in zip(context.keys, labels, context.names, strict=True)
    ]
    parts: dict[str, Any] = {}
    if found.steps is not None:
        parts["trajectory"] = found.steps.to_dict() | journey_part(found) | {"caveat": CAVEAT}
    parts |= {name: one.to_dict() | _losses(found, name) for name, one in found.attributions.items()}
    if found.neighbours is not None:
        parts["neighbours"] = neighbours_part(found)
    if found.influence is not None:
        parts["influence"] = influence_part(found)
    if found.giveaway is not None:
        parts["detector"] = detector_part(found)
    if found.change is not None:
        parts["augmentation"] = augmentation_part(found)
    if found.looks is not None:
        parts["attention"]["entropy"] = {
            name: np.round(one, 4).tolist() for name, one in zip(found.looks.names, found.looks.entropy, strict=True)
        }
    return {
        "kind": "explanation",
        "modality": "images",
        "synthgen_version": __version__,
        "checkpoint": str(context.model.path),
        "checkpoint_sha256": context.model.sha256,
        "seed": request.seed,
        "sampler": context.recipe.sampler,
        "sampler_steps": context.recipe.steps,
        "guidance_scale": context.recipe.guidance_scale,
        "images": list(request.images) or ("sampled" if context.trajectory is not None else "given"),
        "samples": samples,
        "methods": list(found.methods),
        "maps": list(found.attributions),
        "notes": found.notes,
        "files": sorted([*found.files, "index.html", "summary.json"]),
        **parts,
    }


def _losses(found: Explanation, name: str) -> dict[str, Any]:
    """What drawing pixels anew cost, in figures."""
    if name not in found.losses:
        return {}
    one = found.losses[name]
    shares = {"this map": one.ours, "random": one.random.mean(axis=0), **one.others}
    return {
        "deletion": {
            "unit": found.context.target.unit,
            "losses_at_20_and_35_percent": {key: [round(float(v), 4) for v in value] for key, value in shares.items()},
            "standard_error_over_draws": round(one.error, 4),
        }
    }
