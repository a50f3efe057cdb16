"""What a model card says of quality: the result of `synthgen evaluate`, and the sampler card in the checkpoint."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from synthgen.errors import UsageError
from synthgen.evaluation.sampler_card import parse_card
from synthgen.evaluation.sampler_card_text import COLUMNS, about_card, figures, remark
from synthgen.generation.card import plain, quoted

KIND = "synthgen-evaluation"
_MOST_BYTES = 64 * 2**20


def read_metrics(path: Path) -> dict[str, Any]:
    """The document that `synthgen evaluate --json` printed. Raises UsageError for anything else."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"{path.stat().st_size:,} bytes")
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.get("kind") != KIND or not isinstance(document["metrics"], dict):
            raise ValueError(f"no document of kind '{KIND}'")
        for metric in document["metrics"].values():
            if not math.isfinite(float(metric["value"])):
                raise ValueError("a figure that is no number")
    except OSError as error:
        raise UsageError(f"--metrics: {path} cannot be read ({error.strerror or error})") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(
            f"--metrics: {path} is not the result of one evaluation ({error})",
            "make one with `synthgen evaluate --real DATA --fake RUN --json > evaluation.json`",
        ) from error
    return document


def quality(header: dict[str, Any], metrics: dict[str, Any] | None) -> list[str]:
    """The lines below the heading. header: of the checkpoint."""
    lines = [*_measured(metrics)] if metrics else []
    card = parse_card(header, "the checkpoint")
    if card is not None:
        rows = [[one.name, str(one.calls), *figures(one, card), remark(one, card)] for one in card.settings]
        lines += ["", *_grid([*COLUMNS, ""], rows), "", *(f"- {plain(text)}" for text in about_card(card))]
    return lines or ["Not measured when this was exported. `synthgen evaluate` measures it."]


def model_index(name: str, dataset: str, metrics: dict[str, Any]) -> list[str]:
    """The figures as the hub's front matter has them."""
    entries = [
        line
        for key, metric in metrics["metrics"].items()
        for line in (
            f"    - type: {quoted(key)}",
            f"      name: {quoted(str(metric.get('title', key)))}",
            f"      value: {float(metric['value']):.6g}",
        )
    ]
    if not entries:
        return []
    head = ["model-index:", f"- name: {quoted(name)}", "  results:", "  - task: {type: unconditional-image-generation}"]
    return [*head, f"    dataset: {{name: {quoted(dataset)}, type: {quoted(dataset)}}}", "    metrics:", *entries]


def _measured(document: dict[str, Any]) -> list[str]:
    rows = []
    for key, metric in document["metrics"].items():
        share, floor = bool(metric.get("share")), metric.get("floor")
        interval = metric.get("interval")
        between = f" ({_text(interval[0], share)} to {_text(interval[1], share)})" if _is_pair(interval) else ""
        value = _text(float(metric["value"]), share) + between
        rows.append([str(metric.get("title", key)), value, "–" if floor is None else _text(float(floor), share)])
    against = document.get("real")
    name = against.get("name") if isinstance(against, dict) else None
    about = f"{document.get('n', '?')} samples, seed {document.get('seed', '?')}"
    real = plain(Path(str(name or "the real data")).name)
    lines = [f"By `synthgen evaluate`: {plain(about)}, against {real}. The floor is what other real data score.", ""]
    lines += _grid(["measure", "value (95 %)", "floor"], rows)
    warnings = document.get("warnings")
    remarks = [f"- {plain(text)}" for text in (warnings if isinstance(warnings, list) else [])]
    return [*lines, *(["", *remarks] if remarks else [])]


def _is_pair(interval: object) -> bool:
    return isinstance(interval, list) and len(interval) == 2 and all(isinstance(end, (int, float)) for end in interval)


def _text(value: float, share: bool) -> str:
    return f"{100 * value:.1f} %" if share else f"{value:.4g}"


def _grid(heads: list[str], rows: list[list[str]]) -> list[str]:
    lines = [f"| {' | '.join(plain(cell) for cell in row)} |" for row in (heads, *rows)]
    return [lines[0], f"|{'---|' * len(heads)}", *lines[1:]]
