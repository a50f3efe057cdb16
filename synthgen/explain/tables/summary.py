"""What `summary.json` and `--json` say of an explanation of rows."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen import __version__
from synthgen.explain.tables import audit, detector, likelihood, masking, neighbours
from synthgen.explain.tables.detector import reasons
from synthgen.explain.tables.sources import value_texts

if TYPE_CHECKING:
    from synthgen.explain.tables.run import TableExplanation

WORST = 10
"""Synthetic rows that the detector is surest of, listed."""


def summary_of(found: TableExplanation) -> dict[str, Any]:
    """JSON-ready; a figure that could not be had is null."""
    request, model = found.request, found.model
    parts: dict[str, Any] = {}
    if found.detection is not None:
        parts["detector"] = detector_part(found)
    if found.likelihood is not None:
        parts["likelihood"] = likelihood_part(found)
    if found.sharing is not None:
        parts["attribution"] = attribution_part(found)
    if found.neighbours is not None:
        parts["neighbours"] = neighbours_part(found)
    files = [*found.files, "index.html", "summary.json"]
    return {
        "kind": "explanation",
        "modality": "tables",
        "synthgen_version": __version__,
        "checkpoint": str(model.path),
        "checkpoint_sha256": model.sha256,
        "seed": request.seed,
        "rows": request.rows or "sampled",
        "row_count": len(found.asked.rows),
        "columns": list(found.columns),
        "methods": list(parts),
        "notes": found.notes,
        "files": sorted(files),
        **parts,
    }


def detector_part(found: TableExplanation) -> dict[str, Any]:
    """The detector's figures, columns by strength, worst rows."""
    one = found.detection
    assert one is not None and found.contest is not None
    order = np.argsort(-one.scores, kind="stable")
    columns = [
        {
            "column": one.names[place],
            "towards_truth": _number(one.scores[place]),
            "chance_95": _number(one.chance[place]),
            "p": _number(one.p[place]),
            "gives_away": bool(one.p[place] <= detector.LEVEL),
        }
        for place in order
    ]
    return {
        "question": detector.QUESTION,
        "sentence": one.sentence,
        "auc": _number(one.auc),
        "auc_interval": [_number(bound) for bound in one.interval],
        "auc_p": _number(one.auc_p),
        "real_rows": int((~found.contest.synthetic).sum()),
        "synthetic_rows": int(found.contest.synthetic.sum()),
        "refits": one.refits,
        "additivity_gap": _number(one.verdicts.gap),
        "found": list(one.found),
        "columns": columns,
        "pairs": [{"columns": [a, b], "towards_truth": _number(score)} for a, b, score in one.pairs],
        "worst_rows": worst_rows(found),
        "caveat": detector.CAVEAT,
    }


def worst_rows(found: TableExplanation) -> list[dict[str, Any]]:
    """The synthetic rows that the forest is surest of, and why."""
    one, rows = found.detection, found.contest
    assert one is not None and rows is not None
    chances = np.where(rows.synthetic, one.verdicts.probability, -1.0)
    worst = np.argsort(-chances, kind="stable")[:WORST]
    schema, frame = found.asked.crowd.schema, found.asked.crowd.frame
    listed = []
    for place in worst[chances[worst] > 0]:
        row = int(rows.origin[place])
        why = [
            {
                "column": name,
                "value": value_texts(frame[name].iloc[row : row + 1], schema[name])[0],
                "contribution": _number(value),
            }
            for name, value in reasons(one, int(place))
        ]
        listed.append({"row": row, "probability": _number(chances[place]), "reasons": why})
    return listed


def likelihood_part(found: TableExplanation) -> dict[str, Any]:
    """Per row: log-likelihood with its error, and the most surprising cells."""
    one = found.likelihood
    assert one is not None
    rows = []
    for row in range(len(one.total)):
        top = np.argsort(-one.surprise[row], kind="stable")[:3]
        cells = [
            {
                "column": found.columns[place],
                "value": found.text(found.columns[place], row),
                "bits": _number(one.surprise[row, place]),
            }
            for place in top
        ]
        rows.append(
            {
                "row": row,
                "log2_likelihood": _number(one.total[row]),
                "standard_error": _number(one.error[row]),
                "most_surprising": cells,
            }
        )
    return {
        "question": likelihood.QUESTION,
        "orders": one.draws,
        "chain_gap_bits": _number(found.likelihood_gap),
        "order_disagreement_bits": _number(float(np.median(one.spread))),
        "rows": rows,
        "caveat": likelihood.CAVEAT,
    }


def attribution_part(found: TableExplanation) -> dict[str, Any]:
    """Per row: the columns that speak for and against the target's value; over all rows: checks and verdict."""
    one = found.sharing
    assert one is not None
    rows = []
    for row in range(len(one.full)):
        order = np.argsort(-np.abs(one.shares[row]), kind="stable")[:5]
        cells = [
            {
                "column": found.columns[one.columns[place]],
                "value": found.text(found.columns[one.columns[place]], row),
                "share_bits": _number(one.shares[row, place]),
                "alone_bits": _number(one.alone[row, place]),
            }
            for place in order
        ]
        rows.append(
            {
                "row": row,
                "value": found.text(found.target, row),
                "probability_knowing_others": _number(2.0 ** one.full[row]),
                "probability_knowing_none": _number(2.0 ** one.empty[row]),
                "columns": cells,
            }
        )
    return {
        "question": masking.QUESTION.format(target=found.target),
        "target": found.target,
        "verdict": audit.verdict(found.checks),
        "checks": [check.to_dict() | {"value": _number(check.value)} for check in found.checks],
        "mean_absolute_share_bits": {
            found.columns[place]: _number(value)
            for place, value in zip(one.columns, np.abs(one.shares).mean(axis=0), strict=True)
        },
        "rows": rows,
        "caveat": masking.CAVEAT,
    }


def neighbours_part(found: TableExplanation) -> dict[str, Any]:
    """Per row: nearest training rows, how near that is among held-out rows, flag, membership score."""
    one, members = found.neighbours, found.members
    assert one is not None
    rows = [
        {
            "row": row,
            "nearest": [
                {"training_row": int(found.real.numbers[index]), "distance": _number(distance)}
                for index, distance in zip(one.index[row], one.distances[row], strict=True)
                if index >= 0
            ],
            "held_out_as_near": _number(one.shares[row]),
            "equal_to_a_training_row": bool(one.equal[row]),
            "flagged": bool(one.flagged[row]),
            "log_likelihood": None if members is None else _number(members.scores[row]),
            "likelier_than_held_out": None if members is None else _number(members.ranks[row]),
        }
        for row in range(len(one.shares))
    ]
    told: dict[str, Any] | None = None
    if members is not None:
        area = members.telling.auc
        told = {"auc": _number(area.value), "auc_interval": [_number(bound) for bound in area.interval or ()]}
        told |= {"sentence": members.sentence}
    return {
        "question": neighbours.QUESTION,
        "sentence": one.sentence,
        "held_out": found.real.holdout_name,
        "held_out_rows": len(one.new),
        "held_out_median_distance": _number(float(np.median(one.new))) if len(one.new) else None,
        "held_out_equal_share": _number(one.equal_share),
        "distance_columns": one.columns,
        "membership": told,
        "rows": rows,
        "caveat": neighbours.CAVEAT,
    }


def _number(value: float) -> float | None:
    """Six digits; NaN and infinity are null."""
    return float(f"{float(value):.6g}") if math.isfinite(value) else None
