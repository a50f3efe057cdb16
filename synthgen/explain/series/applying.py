"""The methods for series: what computes each, holds it to its checks, and adds it to the explanation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from synthgen.explain import audit
from synthgen.explain.commitment import Commitment, commitment
from synthgen.explain.series import sharing, sources
from synthgen.explain.series.attention import attention
from synthgen.explain.series.audit import judged, learned
from synthgen.explain.series.context import LEAST_REAL, Context
from synthgen.explain.series.evidence import Reference, class_evidence, reference, surprise
from synthgen.explain.series.giveaway import LEAST_WINDOWS, give_away
from synthgen.explain.series.maps import Map
from synthgen.explain.series.methods import NEEDS_DATA, NEEDS_SAMPLES
from synthgen.explain.series.neighbours import neighbours
from synthgen.explain.series.trajectory import Trajectory, draw, settling

if TYPE_CHECKING:
    from synthgen.explain.series.run import SeriesExplanation

_FEW_DRAWS = 2
"""Draws for maps of models with shuffled weights."""


def impossible(found: SeriesExplanation, method: str) -> str | None:
    """Why a method cannot be had, or None."""
    context = found.context
    if method in NEEDS_SAMPLES and context.trajectory is None:
        return "given series were not drawn by the model"
    if method not in NEEDS_DATA:
        return None
    if context.real.train is None:
        return context.real.why
    assert context.separate is not None
    if method == "detector" and min(len(context.separate), context.count) < LEAST_WINDOWS:
        few = min(len(context.separate), context.count)
        return f"{few} training windows that share no step are too few ({LEAST_WINDOWS} needed)"
    if method == "shap" and context.judge is None:
        return (
            f"{len(context.separate)} training windows that share no step are too few for a judge ({LEAST_REAL} needed)"
        )
    return None


def _usual(context: Context) -> Reference:
    """What errors are usual: of real windows, else of the model's own."""
    scene, name = context.ordinary
    return reference(context.probe, scene, f"{len(scene)} {name}", reporter=context.reporter)


def _evidence(found: SeriesExplanation) -> None:
    context = found.context
    usual = None if context.classes else _usual(context)

    def made(probe: Any, draws: int | None = None) -> Map:
        more: dict[str, Any] = {} if draws is None else {"draws": draws}
        if usual is None:
            return class_evidence(probe, context.scene, context.rivals, context.classes, **more)
        return surprise(probe, context.scene, usual, **more)

    _audited(found, made(context.probe), lambda probe: made(probe, _FEW_DRAWS).values)


def _attention(found: SeriesExplanation) -> None:
    one, found.attention = attention(found.context.probe, found.context.scene)
    _audited(found, one, lambda probe: attention(probe, found.context.scene, _FEW_DRAWS)[0].values)


def _audited(found: SeriesExplanation, one: Map, again: Callable[[Any], np.ndarray]) -> None:
    """The map with its checks. again: the map by another probe, whose model has shuffled weights."""
    context, channels = found.context, found.context.layout.channels
    valid = context.scene.valid
    shuffled = []
    for number in range(audit.SHUFFLES):
        other = audit.shuffled(context.model.denoiser, number)
        shuffled.append(again(context.probe.with_denoiser(other))[..., :channels])
    checks = [learned(context.probe, *context.ordinary)]
    if context.classes and context.judge is not None:
        checks.append(context.judge.check)
    checks += audit.deletion(context.deleter(one.values), context.unit, classes=bool(context.classes))
    checks.append(audit.weights(one.values[..., :channels], shuffled, valid))
    if one.halves is not None:
        checks.append(audit.stability(one.halves[..., :channels], valid))
    found.maps[one.name] = judged(one, checks)


def _shap(found: SeriesExplanation) -> None:
    context = found.context
    assert context.judge is not None
    segments, layout = context.segments, context.layout
    shares = sharing.share_out(
        context.probe, context.scene, segments, context.opinions, seed=context.seed, reporter=context.reporter
    )
    cells = sharing.over_cells(shares.values, context.scene, segments, len(layout.names), layout.channels)
    halves = sharing.over_cells(shares.halves[:, 0], context.scene, segments, len(layout.names), layout.channels)
    asked = "the class against the rival" if context.classes else "`synthetic` against `real`"
    names = _sides(context)
    totals = shares.full[0] - shares.empty[0]
    question = (
        f"What does each span of each channel add to the log-odds that a judge gives {asked}? Spans that are hidden "
        "are not blanked but drawn anew by the model, which knows the rest. Shares add up to what the judge says of "
        "the window, minus what it says of windows drawn as a whole."
    )
    one = Map("shap", question, "log-odds", cells[0], totals, halves, names, sharing.CAVEAT)
    rough = [segments.sums(half) for half in cells[1:]]
    pieces = segments.sums(cells[0])
    there = segments.sums(np.repeat(context.scene.valid[..., None], layout.channels, axis=2).astype(float)) > 0
    unit = "of the judge's log-odds" + (" of the class" if context.classes else " of `synthetic`")
    checks = [context.judge.check, learned(context.probe, *context.ordinary), audit.additivity(shares.gap)]
    checks += audit.deletion(context.judge_deleter(one.values), unit, classes=bool(context.classes))
    checks.append(audit.weights(pieces[..., None], [half[..., None] for half in rough], there, "the judge"))
    checks.append(audit.stability(shares.halves[:, 0][..., None], there))
    found.shares = shares
    found.maps["shap"] = judged(one, checks)


def _sides(context: Context) -> tuple[tuple[str, str], ...]:
    if not context.classes:
        return tuple(("synthetic", "real") for _ in range(len(context.scene)))
    assert context.scene.labels is not None
    names = (*context.classes, "no class")
    return tuple((names[a], names[b]) for a, b in zip(context.scene.labels, context.rivals, strict=True))


def _trajectory(found: SeriesExplanation) -> None:
    context = found.context
    assert context.trajectory is not None
    found.settling = settling(context.trajectory, context.scene, context.layout, context.segments)
    if context.classes and context.judge is not None and len(context.classes) > 1:
        found.commitment = _commitment(context, context.trajectory)


def _commitment(context: Context, made: Trajectory) -> Commitment:
    """When the class is decided: the model is told the rival from step k on, for every k."""
    scene, layout, steps = context.scene, context.layout, context.recipe.steps
    other = scene.named(layout, context.rivals)

    def drawn(rows: np.ndarray, since: np.ndarray) -> np.ndarray:
        result = draw(
            context.model.denoiser,
            scene.select(rows),
            context.recipe,
            context.seed,
            context.model.device,
            changed=other.select(rows),
            since=since,
            should_stop=context.should_stop,
        )
        return np.asarray(result.x[-1])

    def margins(x: np.ndarray, rows: np.ndarray) -> np.ndarray:
        seen = sources.with_result(context.model, scene.select(rows), x)
        return np.asarray(context.opinions(seen, rows)[:, 0])

    first = np.array([int(np.flatnonzero(made.starts == step)[0]) for step in range(steps)])
    return commitment(drawn, margins, made.x0[first], len(scene), steps)


def _detector(found: SeriesExplanation) -> None:
    context = found.context
    assert context.separate is not None
    found.giveaway = give_away(
        context.separate,
        context.crowd,
        context.count,
        seed=context.seed,
        reporter=context.reporter,
        should_stop=context.should_stop,
    )


def _neighbours(found: SeriesExplanation) -> None:
    context = found.context
    assert context.train is not None
    held = None
    if context.real.holdout is not None and context.real.holdout.steps:
        held = sources.separate(context.model, context.real.holdout)
    mine = sources.as_windows(context.model, context.scene.values, context.scene.lengths, context.scene.labels)
    found.neighbours = neighbours(mine, context.train, held, seed=context.seed, should_stop=context.should_stop)


METHODS: dict[str, Callable[[SeriesExplanation], None]] = {
    "evidence": _evidence,
    "attention": _attention,
    "trajectory": _trajectory,
    "shap": _shap,
    "detector": _detector,
    "neighbours": _neighbours,
}
"""Name -> what computes it and adds it to the explanation."""
