"""What `summary.json` and `--json` say of the way out of noise and of neighbours."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.explain.images import journey, neighbours
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
