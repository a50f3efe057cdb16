"""The arrays of an explanation of series, for other programs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save

if TYPE_CHECKING:
    from synthgen.explain.series.run import SeriesExplanation


def arrays_of(found: SeriesExplanation) -> dict[str, bytes]:
    """`explanation.safetensors` (windows and maps), `attention.safetensors`, `trajectory.safetensors`."""
    context = found.context
    scene = context.scene
    arrays = {"values": scene.values, "x0": scene.x0, "lengths": scene.lengths, "keys": scene.keys}
    if scene.labels is not None:
        arrays["labels"] = scene.labels
    for name, one in found.maps.items():
        arrays |= {name: one.values, f"{name}_total": one.totals}
    if found.shares is not None:
        arrays |= {"shap_pieces": found.shares.values[0], "piece_edges": context.segments.edges}
    if found.settling is not None:
        arrays |= {"half_row_of_pieces": found.settling.pieces, "rms_to_final": found.settling.rms}
    if found.commitment is not None:
        arrays |= {"switch_margins": found.commitment.margins, "committed": found.commitment.committed}
    if found.neighbours is not None:
        arrays |= {"neighbours": found.neighbours.index, "distances": found.neighbours.distances}
    if found.giveaway is not None:
        told = found.giveaway
        arrays |= {"properties": told.values, "contributions": told.detection.verdicts.contributions}
    files = {"explanation.safetensors": _saved(found, arrays)}
    if found.attention is not None:
        maps = {"maps": found.attention.maps, "entropy": found.attention.entropy}
        files["attention.safetensors"] = _saved(found, maps)
    if context.trajectory is not None and found.settling is not None:
        made = context.trajectory
        files["trajectory.safetensors"] = _saved(found, {"x": made.x, "x0_hat": made.x0, "sigmas": made.sigmas})
    return files


def _saved(found: SeriesExplanation, arrays: dict[str, np.ndarray]) -> bytes:
    context = found.context
    facts = {
        "seed": found.request.seed,
        "checkpoint_sha256": context.model.sha256,
        "parts": list(context.layout.names),
        "channels": list(context.model.schema.channels),
    }
    told = {"synthgen": json.dumps(facts)}  # one entry: safetensors writes several in any order
    return save({name: np.ascontiguousarray(one) for name, one in arrays.items()}, told)
