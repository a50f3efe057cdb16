"""What `summary.json` and `--json` say beside the maps: of the way out of noise, and of the data."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.explain.images import augmentation, giveaway, journey, neighbours
from synthgen.explain.images.probe import RATIOS

if TYPE_CHECKING:
    from synthgen.explain.images.run import Explanation


def journey_part(found: Explanation) -> dict[str, Any]:
    """Guidance energy, commitment of all and by class, survival."""
    one = found.journey
    assert one is not None
    part: dict[str, Any] = {"middle_block_variance": [round(float(share), 4) for share in one.explained]}
    if one.energy is not None:
        part["guidance_energy"] = [float(f"{value:.6g}") for value in one.energy.mean(axis=1)]
    if one.commitment is not None:
        classes = found.context.classes
        quartiles = one.commitment.quartiles
        part["commitment"] = {
            "sentence": commitment_sentence(found),
            "samples": len(one.labels),
            "quartiles": None if quartiles is None else list(quartiles),
            "by_class": {
                classes[label]: None if (of := one.commitment.quartiles_of(one.labels == label)) is None else list(of)
                for label in np.unique(one.labels)
            },
            "keep_their_class": [round(float(value), 4) for value in (one.commitment.margins > 0).mean(axis=1)],
            "caveat": journey.CAVEAT,
        }
    if one.survival is not None:
        part["survival"] = [
            {"sigma": float(f"{ratio:.3g}"), "share": round(float(row.mean()), 4)}
            for ratio, row in zip(RATIOS, one.survival, strict=True)
        ]
    return part


def commitment_sentence(found: Explanation) -> str:
    """When the class is decided, in words."""
    one = found.journey
    assert one is not None and one.commitment is not None
    done, steps = one.commitment, found.context.recipe.steps
    right = int(done.right.sum())
    if done.quartiles is None:
        return "No sample is of the class that was asked for: when it is decided cannot be said."
    low, middle, high = done.quartiles
    if middle > 0:
        text = f"told another class from step {middle:.0f} of {steps} on, the median sample keeps its class"
    else:
        text = f"whatever class it is told in its {steps} steps, the median sample keeps its own"
    seen = int(np.sort(done.read[done.right])[(right - 1) // 2])
    read = f"the judge reads it in the guess of step {seen + 1} already" if seen < steps else "no guess shows it before"
    return (
        f"{text[0].upper()}{text[1:]} (quartiles {low:.0f} to {high:.0f}; {right} of {len(done.right)} samples that "
        f"are of their class); {read}."
    )


def neighbours_part(found: Explanation) -> dict[str, Any]:
    """Per image: the nearest training images, how near that is among new ones, flag."""
    one = found.neighbours
    assert one is not None
    rows = [
        {
            "image": name,
            "nearest": one.index[row].tolist(),
            "distances": [float(f"{value:.6g}") for value in one.distances[row]],
            "nearest_in_pixels": int(one.twins[row]),
            "ratio": float(f"{one.ratios[row]:.6g}"),
            "new_as_near": None if np.isnan(one.shares[row]) else float(f"{one.shares[row]:.6g}"),
            "flagged": bool(one.flagged[row]),
        }
        for row, name in enumerate(found.context.names)
    ]
    return {
        "question": neighbours.QUESTION,
        "sentence": one.sentence,
        "training_images": one.compared,
        "held_out_images": one.held_out,
        "images": rows,
        "caveat": neighbours.CAVEAT,
    }


def influence_part(found: Explanation) -> dict[str, Any]:
    """Per image: the training images that make up its gradient, flag."""
    one = found.influence
    assert one is not None
    rows = [
        {
            "image": name,
            "training_images": one.index[row].tolist(),
            "scores": [float(f"{value:.6g}") for value in one.scores[row]],
            "new_as_large": None if np.isnan(one.shares[row]) else float(f"{one.shares[row]:.6g}"),
            "flagged": bool(one.flagged[row]),
        }
        for row, name in enumerate(found.context.names)
    ]
    return {
        "experimental": True,
        "question": one.question,
        "sentence": one.sentence,
        "compared": one.compared,
        "training_images": one.whole,
        "held_out_images": one.held_out,
        "copies_found": one.found,
        "copies": one.copies,
        "same_class": None if np.isnan(one.same_class) else round(one.same_class, 4),
        "images": rows,
        "caveat": one.caveat,
    }


def detector_part(found: Explanation) -> dict[str, Any]:
    """Properties that give synthetic images away, beside chance."""
    one = found.giveaway
    assert one is not None
    detection = one.detection
    order = np.argsort(-detection.scores, kind="stable")
    sides = [one.values[~one.synthetic], one.values[one.synthetic]]
    properties = [
        {
            "property": detection.names[place],
            "towards_truth": float(f"{detection.scores[place]:.6g}"),
            "chance_95": float(f"{detection.chance[place]:.6g}"),
            "p": float(f"{detection.p[place]:.6g}"),
            "mean_real": float(f"{sides[0][:, place].mean():.6g}"),
            "mean_synthetic": float(f"{sides[1][:, place].mean():.6g}"),
        }
        for place in order
    ]
    return {
        "question": giveaway.QUESTION,
        "sentence": one.sentence,
        "auc": float(f"{detection.auc:.6g}"),
        "auc_interval": [float(f"{value:.6g}") for value in detection.interval],
        "auc_p": float(f"{detection.auc_p:.6g}"),
        "images_of_each_side": int(one.synthetic.sum()),
        "real_ones_are": one.seen,
        "refits": detection.refits,
        "additivity_gap": float(f"{detection.verdicts.gap:.3g}"),
        "found": list(detection.found),
        "properties": properties,
        "caveat": giveaway.CAVEAT,
    }


def augmentation_part(found: Explanation) -> dict[str, Any]:
    """What synthetic images changed in a classifier."""
    one = found.change
    assert one is not None
    return {
        "question": one.question,
        "sentence": one.sentence,
        "real_images": one.real,
        "synthetic_images": one.fake,
        "held_out_images": one.tested,
        "accuracy": {
            "real": np.round(one.accuracy[0], 4).tolist(),
            "real and synthetic": np.round(one.accuracy[1], 4).tolist(),
        },
        "right_only_with_synthetic": one.helped,
        "right_only_without": one.harmed,
        "maps_moved": round(one.moved, 4),
        "maps_moved_by_chance": round(one.chance, 4),
        "additivity_gap": float(f"{one.gap:.3g}"),
        "shown": [
            {"class_name": name, "log_odds": [float(f"{value:.4g}") for value in one.odds[:, row]]}
            for row, name in enumerate(one.names)
        ],
        "caveat": augmentation.CAVEAT,
    }
