"""What `summary.json` and `--json` say of an explanation of series."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen import __version__
from synthgen.explain.series import attention, giveaway, neighbours, trajectory
from synthgen.explain.series.maps import Map
from synthgen.explain.series.probe import levels
from synthgen.explain.tables.detector import LEVEL

if TYPE_CHECKING:
    from synthgen.explain.series.run import SeriesExplanation

WORST = 10
"""Drawn windows that the detector is surest of, listed."""

_TOP = 5
_PROPERTIES = 30


def summary_of(found: SeriesExplanation) -> dict[str, Any]:
    """JSON-ready; a figure that could not be had is null."""
    context, request = found.context, found.request
    parts: dict[str, Any] = {name: map_part(found, one) for name, one in found.maps.items()}
    if found.attention is not None:
        parts["attention"] |= attention_part(found)
    if found.settling is not None:
        parts["trajectory"] = trajectory_part(found)
    if found.shares is not None:
        parts["shap"] |= {
            "additivity_gap": number(found.shares.gap),
            "opinion": numbers(found.shares.full[0]),
            "opinion_of_windows_drawn_anew": numbers(found.shares.empty[0]),
        }
    if found.giveaway is not None:
        parts["detector"] = detector_part(found)
    if found.neighbours is not None:
        parts["neighbours"] = neighbours_part(found)
    return {
        "kind": "explanation",
        "modality": "series",
        "synthgen_version": __version__,
        "checkpoint": str(context.model.path),
        "checkpoint_sha256": context.model.sha256,
        "seed": request.seed,
        "sampler": context.recipe.sampler,
        "sampler_steps": context.recipe.steps,
        "guidance_scale": context.recipe.guidance_scale,
        "rows": request.rows or "sampled",
        "samples": samples(found),
        "channels": list(context.layout.names[: context.layout.channels]),
        "static": list(context.layout.names[context.layout.channels :]),
        "window": int(context.scene.x0.shape[1]),
        "methods": list(found.methods),
        "notes": found.notes,
        "files": sorted([*found.files, "index.html", "summary.json"]),
        **{name: parts[name] for name in found.methods},
    }


def samples(found: SeriesExplanation) -> list[dict[str, Any]]:
    """Each window: its number, class and length."""
    scene, classes = found.context.scene, found.context.classes
    labels = [None] * len(scene) if scene.labels is None else [classes[label] for label in scene.labels]
    lengths = scene.lengths.tolist()
    return [
        {"sample": key, "class_name": label, "length": length}
        for key, label, length in zip(scene.keys.tolist(), labels, lengths, strict=True)
    ]


def map_part(found: SeriesExplanation, one: Map) -> dict[str, Any]:
    """A map: totals, its strongest pieces, checks and verdict."""
    context = found.context
    segments, layout = context.segments, context.layout
    pieces = segments.sums(one.values[..., : layout.channels])
    rows = []
    for row, (name, pair) in enumerate(zip(found.names, one.names, strict=True)):
        order = np.argsort(-np.abs(pieces[row]), kind="stable")[:_TOP]
        strongest = [{"piece": segments.name(int(place)), "value": number(pieces[row, place])} for place in order]
        told = {"window": name, "for": pair[0], "against": pair[1], "total": number(one.totals[row])}
        rows.append({**told, "strongest": strongest})
    part: dict[str, Any] = {
        "question": one.question,
        "unit": one.unit,
        "verdict": one.verdict,
        "checks": [check.to_dict() | {"value": number(check.value)} for check in one.checks],
        "windows": rows,
        "caveat": one.caveat,
    }
    if "sum_gap" in one.details:
        part["sum_gap"] = number(one.details["sum_gap"])
    if "by_noise_level" in one.details:
        profile = one.details["by_noise_level"]
        part["by_noise_level"] = [
            {"sigma": number(sigma), "mean": number(row.mean())}
            for sigma, row in zip(levels(len(profile)), profile, strict=True)
        ]
    if "as_surprising" in one.details:
        part["share_of_real_windows_as_surprising"] = numbers(one.details["as_surprising"])
    return part


def attention_part(found: SeriesExplanation) -> dict[str, Any]:
    """Entropies by noise level and block."""
    one = found.attention
    assert one is not None
    entropy = [
        {"sigma": sigma, "block": block + 1, "head": head + 1, "entropy": number(value)}
        for sigma, blocks in zip(attention.SIGMAS, one.entropy, strict=True)
        for block, heads in enumerate(blocks)
        for head, value in enumerate(heads)
    ]
    return {"steps_per_token": one.patch, "entropy": entropy}


def trajectory_part(found: SeriesExplanation) -> dict[str, Any]:
    """When things are decided; steps and rows count from 1."""
    one, context, made = found.settling, found.context, found.context.trajectory
    assert one is not None and made is not None
    middle = np.where((one.pieces >= 0).any(axis=0), np.array([_median(column) for column in one.pieces.T]), -1)
    part: dict[str, Any] = {
        "rows": len(made.x0),
        "sigmas": numbers(made.sigmas),
        "half_rows": (one.whole + 1).tolist(),
        "median_rms_to_final": numbers(np.median(one.rms, axis=1)),
        "pieces": [
            {"piece": context.segments.name(place), "median_half_row": int(value) + 1}
            for place, value in enumerate(middle)
            if value >= 0
        ],
        "caveat": trajectory.CAVEAT,
    }
    if (switch := found.commitment) is not None:
        part["commitment"] = {
            "steps": context.recipe.steps,
            "of_their_class": int(switch.right.sum()),
            "committed": switch.committed.tolist(),
            "quartiles": None if switch.quartiles is None else list(switch.quartiles),
            "read_in_guess": switch.read.tolist(),
            "sentence": commitment_sentence(found),
        }
    return part


def commitment_sentence(found: SeriesExplanation) -> str:
    """When the class is decided, in words."""
    one, steps = found.commitment, found.context.recipe.steps
    assert one is not None
    count, right = len(one.right), int(one.right.sum())
    if one.quartiles is None:
        return "For the judge, no window is of its class even when the model is told nothing else."
    low, median, high = one.quartiles
    of = "" if right == count else f" Of {count} windows, the {right} that the judge holds to be of their class."
    if median == 0:
        return (
            "Most windows come out as their class even when the model is told the rival from the start: it is their "
            f"noise that decides, not what the model is told.{of}"
        )
    read = float(np.median(one.read[one.right]))
    return (
        f"Told the rival from some step on, a window keeps its class when {median:.0f} of {steps} steps came before "
        f"(median; quartiles {low:.0f} and {high:.0f}). Reading the guesses would say: from step {read + 1:.0f} on.{of}"
    )


def _median(values: np.ndarray) -> float:
    there = values[values >= 0]
    return float(np.sort(there)[(len(there) - 1) // 2]) if len(there) else -1.0


def detector_part(found: SeriesExplanation) -> dict[str, Any]:
    """The forest's figures, the properties by strength, the channels and spans, the worst windows."""
    one = found.giveaway
    assert one is not None
    detection = one.detection
    order = np.argsort(-detection.scores, kind="stable")[:_PROPERTIES]
    properties = [
        {
            "property": detection.names[place],
            "towards_truth": number(detection.scores[place]),
            "chance_95": number(detection.chance[place]),
            "p": number(detection.p[place]),
            "gives_away": bool(detection.p[place] <= LEVEL),
        }
        for place in order
    ]
    worst = [
        {
            "sample": sample,
            "probability": number(chance),
            "reasons": [
                {"property": name, "value": number(value), "contribution": number(share)} for name, value, share in why
            ],
        }
        for sample, chance, why in one.worst(WORST)
    ]
    parts = {kind: {name: number(score) for name, score in scores.items()} for kind, scores in one.by_part().items()}
    return {
        "question": giveaway.QUESTION,
        "sentence": one.sentence,
        "auc": number(detection.auc),
        "auc_interval": numbers(np.array(detection.interval)),
        "auc_p": number(detection.auc_p),
        "windows_of_each_side": int((~one.synthetic).sum()),
        "refits": detection.refits,
        "additivity_gap": number(detection.verdicts.gap),
        "found": list(detection.found),
        "properties": properties,
        **parts,
        "worst_windows": worst,
        "caveat": giveaway.CAVEAT,
    }


def neighbours_part(found: SeriesExplanation) -> dict[str, Any]:
    """Per window: nearest training windows, how near that is among new real ones, flag."""
    one, train = found.neighbours, found.context.train
    assert one is not None and train is not None
    rows = [
        {
            "window": name,
            "nearest": [
                {
                    "sequence": int(train.sequence[index]),
                    "start": int(train.start[index]),
                    "distance": number(distance),
                }
                for index, distance in zip(one.index[row], one.distances[row], strict=True)
            ],
            "new_as_near": number(one.shares[row]),
            "flagged": bool(one.flagged[row]),
        }
        for row, name in enumerate(found.names)
    ]
    return {
        "question": neighbours.QUESTION,
        "sentence": one.sentence,
        "training_windows": one.compared,
        "compared_with": one.name or None,
        "new_windows": len(one.new),
        "new_median_distance": number(float(np.median(one.new))) if len(one.new) else None,
        "windows": rows,
        "caveat": neighbours.CAVEAT,
    }


def number(value: Any) -> float | None:
    """Six digits; NaN and infinity are null."""
    return float(f"{float(value):.6g}") if math.isfinite(float(value)) else None


def numbers(values: Any) -> list[float | None]:
    return [number(value) for value in np.asarray(values).ravel()]
