"""The page of an explanation of series: findings first, then curves with their maps, then each method in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synthgen import __version__
from synthgen.explain.charts import detection_chart
from synthgen.explain.series import giveaway, neighbours
from synthgen.explain.series.drawing import STYLE, strip
from synthgen.explain.series.maps import Map
from synthgen.explain.series.page_steps import SCRIPT as STEP_SCRIPT
from synthgen.explain.series.page_steps import attention_piece, trajectory_piece
from synthgen.explain.series.probe import levels
from synthgen.html import (
    Markup,
    command,
    details,
    escape,
    figure,
    group,
    line_chart,
    notice,
    page,
    paragraph,
    section,
    table,
    tiles,
)

if TYPE_CHECKING:
    from synthgen.explain.series.run import SeriesExplanation

MOST_CHANNELS = 6
MOST_WINDOWS = 16
"""Windows and channels drawn; the arrays hold all."""

_MOST_BARS = 14
_TITLES = {
    "evidence": ("What speaks for the class", "How surprising each part is"),
    "attention": ("Where the network looks", "Where the network looks"),
    "shap": ("What the judge goes by", "What makes the judge say synthetic"),
}

SCRIPT = """
(function(){var box=document.getElementById("windows");if(!box)return;
var buttons=document.querySelectorAll(".pick button");
function choose(button){buttons.forEach(function(one){one.setAttribute("aria-pressed",one===button)});
box.setAttribute("data-shown",button.dataset.number);
document.getElementById("told").textContent=button.dataset.told}
buttons.forEach(function(button){button.addEventListener("click",function(){choose(button)})});
if(buttons.length)choose(buttons[0])})();
"""


def write_page(found: SeriesExplanation) -> str:
    """The whole document, self-contained."""
    request, context = found.request, found.context
    place = 0 if context.classes else 1
    parts = [section("In short", *_short(found)), section("The windows", *_windows(found))]
    for name, one in found.maps.items():
        extra = [attention_piece(found)] if name == "attention" and found.attention is not None else []
        parts.append(section(_TITLES[name][place], *_map(found, one), *extra, _caveat(one.caveat)))
    if found.settling is not None:
        parts.append(section("How they came out of noise", trajectory_piece(found)))
    if found.giveaway is not None:
        parts.append(section("What gives drawn windows away", _detector(found)))
    if found.neighbours is not None:
        parts.append(section("Whom they resemble", _neighbours(found)))
    if request.invocation:
        parts.append(section("Do it again", command(request.invocation)))
    count = f"{len(found.names)} window" + ("" if len(found.names) == 1 else "s")
    if request.rows:
        lead = f"{count} of {request.rows}, asked of {context.model.path}, seed {request.seed}."
    else:
        lead = (
            f"{count} of {context.model.path}, drawn with {context.recipe.sampler} in {context.recipe.steps} steps, "
            f"seed {request.seed}. Sample k is the k-th that the sample command makes with the same settings, counted "
            "from 0."
        )
    footer = f"synthgen {__version__} · checkpoint sha256 {context.model.sha256[:16]} · this page needs no network"
    return page(
        "Why these series", parts, lead=lead, footer=footer, style=STYLE + _shown(), script=SCRIPT + STEP_SCRIPT
    )


def _shown() -> str:
    """Only the bars of the chosen map are seen."""
    return "".join(f'[data-shown="{n}"] g.map.m{n}{{display:inline}}' for n in range(3))


def _caveat(text: str) -> Markup:
    return notice(f"What this does not say: {text}", "warn")


def _short(found: SeriesExplanation) -> list[Markup]:
    lines = []
    for name, one in found.maps.items():
        good = one.verdict.startswith("Believe")
        lines.append(notice(f"{name.capitalize()}: {one.verdict}", "good" if good else "warn"))
    cards: list[tuple[str, str | float, str]] = []
    if (judge := found.context.__dict__.get("judge")) is not None:
        cards.append(("the judge is right", f"{100 * judge.accuracy:.0f} %", f"{100 * judge.chance:.0f} % is chance"))
    if found.commitment is not None and found.commitment.quartiles is not None:
        steps = found.context.recipe.steps
        cards.append(("the class is decided at", f"step {found.commitment.quartiles[1]:.0f}", f"of {steps}, median"))
    if found.giveaway is not None:
        cards.append(("detector's AUC", f"{found.giveaway.detection.auc:.3f}", "0.5 is guessing"))
        lines.append(notice(found.giveaway.sentence, "warn" if found.giveaway.found else "good"))
    if (near := found.neighbours) is not None:
        cards.append(("too near to training windows", f"{int(near.flagged.sum())}", f"of {len(near.flagged)}"))
        flagged = near.flagged.any() or not near.sentence.startswith("None")
        lines.append(notice(near.sentence, "warn" if flagged else "good"))
    return [*([tiles(cards)] if cards else []), *lines, *(notice(text, "info") for text in found.notes)]


def shown_channels(found: SeriesExplanation) -> list[int]:
    """Which channels of the layout are drawn: all, or those with the strongest maps."""
    layout = found.context.layout
    strength = np.zeros(layout.channels)
    for one in found.maps.values():
        values = np.abs(one.values[..., : layout.channels]).sum(axis=(0, 1))
        strength += values / (values.max() or 1.0)
    order = np.argsort(-strength, kind="stable")[:MOST_CHANNELS]
    return sorted(int(one) for one in order)


def _windows(found: SeriesExplanation) -> list[Markup]:
    """A card per window: its curves, with the chosen map under them."""
    context, layout = found.context, found.context.layout
    chosen = shown_channels(found)
    largest = {name: float(np.abs(one.values).max()) for name, one in found.maps.items() if name != "attention"}
    cards = []
    for row, name in enumerate(found.names[:MOST_WINDOWS]):
        strips = []
        for part in chosen:
            maps = {}
            for kind, one in found.maps.items():
                values = one.values[row, :, part]
                if kind == "attention":  # bars show what a step gets beyond its even share, and what it lacks
                    values, top = values - 1.0, max(0.5, float(np.abs(one.values - 1.0)[context.scene.valid].max()))
                else:
                    top = largest[kind]
                maps[kind] = (values, top)
            place = context.model.schema.channels.index(layout.names[part])
            length = int(context.scene.lengths[row])
            strips.append(strip(layout.names[part], context.scene.values[row, :, place], length, maps))
        totals = [
            f"{kind} {one.totals[row]:+.3g} {one.unit}" + (f" against {one.names[row][1]}" if context.classes else "")
            for kind, one in found.maps.items()
            if kind != "attention"
        ]
        small = f"<small>{escape(' · '.join(totals))}</small>" if totals else ""
        cards.append(f'<div class="window"><b>{escape(name)}</b>{small}{"".join(strips)}</div>')
    left = layout.channels - len(chosen)
    more = [paragraph(f"{left} more channels are in the arrays; the strongest are drawn.")] if left else []
    hidden = len(found.names) - MOST_WINDOWS
    more += [paragraph(f"{hidden} more windows are in the arrays.")] if hidden > 0 else []
    box = Markup(f'<div class="windows" id="windows" data-shown="0">{"".join(cards)}</div>')
    return [_pick(found), box, *more]


def _pick(found: SeriesExplanation) -> Markup:
    """Buttons that choose the map, with what its colours mean."""
    if not found.maps:
        return Markup("")
    buttons = "".join(
        f'<button type="button" data-number="{number}" data-told="{escape(_legend(found, one))}" '
        f'aria-pressed="{"true" if number == 0 else "false"}">{escape(name)}</button>'
        for number, (name, one) in enumerate(found.maps.items())
    )
    first = next(iter(found.maps.values()))
    key = (
        '<p><span class="swatch" style="background:var(--c1)"></span>positive'
        '<span class="swatch" style="background:var(--c0)"></span>negative: '
        f'<span id="told">{escape(_legend(found, first))}</span></p>'
    )
    return Markup(f'<div class="pick">{buttons}</div>{key}')


def _legend(found: SeriesExplanation, one: Map) -> str:
    verdict = one.verdict[:1].lower() + one.verdict[1:]
    if one.name == "attention":
        return f"steps that get more, or less, than an even share of the network's attention. Verdict: {verdict}"
    classes = bool(found.context.classes)
    sides = ("the class", "the rival") if classes else ("synthetic", "real")
    if one.name == "evidence" and not classes:
        return f"more, or less, surprising to the model than real windows are at this step. Verdict: {verdict}"
    return f"speaks for {sides[0]}, or for {sides[1]}; one scale for all windows. Verdict: {verdict}"


def _map(found: SeriesExplanation, one: Map) -> list[Markup]:
    segments, layout = found.context.segments, found.context.layout
    good = one.verdict.startswith("Believe")
    parts = [paragraph(one.question), notice(one.verdict, "good" if good else "warn")]
    parts.append(table(["check", "finding"], [[check.name, check.sentence] for check in one.checks]))
    if one.name != "attention":
        pieces = segments.sums(one.values[..., : layout.channels]).mean(axis=0)
        order = np.argsort(-np.abs(pieces), kind="stable")[:_MOST_BARS]
        rows: list[list[str | float]] = [[segments.name(int(place)), f"{pieces[place]:+.3g}"] for place in order]
        parts.append(details("the strongest pieces, mean of all windows", table(["piece", one.unit], rows)))
    if "by_noise_level" in one.details:
        profile = one.details["by_noise_level"].mean(axis=1)
        curve = {"mean of all windows": (levels(len(profile)).tolist(), profile.tolist())}
        chart = line_chart(curve, x_label="noise level (sigma)", y_label=one.unit, log_x=True, reference=("0", 0.0))
        parts.append(details("at which noise levels it lies", figure(chart, "The levels add up to the total.")))
    return parts


def _detector(found: SeriesExplanation) -> Markup:
    one = found.giveaway
    assert one is not None
    detection = one.detection
    order = np.argsort(-detection.scores, kind="stable")[:_MOST_BARS]
    chart = detection_chart(detection, "property", _MOST_BARS)
    rows = [
        [
            detection.names[place],
            f"{100 * detection.scores[place]:+.2f}",
            f"{100 * detection.chance[place]:+.2f}",
            f"{detection.p[place]:.3f}",
        ]
        for place in order
    ]
    parts = one.by_part()
    where = [[name, f"{100 * score:+.2f}"] for kind in ("channels", "spans") for name, score in parts[kind].items()]
    count = int((~one.synthetic).sum())
    return group(
        paragraph(giveaway.QUESTION),
        notice(one.sentence, "warn" if one.found else "good"),
        figure(chart, "Percentage points towards the truth; the tick is what chance reaches in 1 of 20 cases."),
        details("in figures", table(["property", "towards the truth, pp", "95 % of chance, pp", "p"], rows)),
        details("channels and spans", table(["part", "towards the truth, pp"], where[:60])),
        *_worst(found),
        paragraph(
            f"Checked: {count} drawn windows and as many real ones that share no step; contributions add up to the "
            f"forest's probability within {detection.verdicts.gap:.1g}; forests trained on permuted labels "
            f"{detection.refits} times."
        ),
        _caveat(giveaway.CAVEAT),
    )


def _worst(found: SeriesExplanation) -> list[Markup]:
    """The drawn windows that the forest is surest of, with their reasons."""
    one, context = found.giveaway, found.context
    assert one is not None
    cards = []
    channels = list(context.model.schema.channels)
    for sample, chance, why in one.worst(4):
        named = [feature.channel for name, _, _ in why for feature in one.features if feature.name == name]
        first = next((part for name in named for part in name.split(" × ") if part in channels), channels[0])
        values = context.crowd.values[sample, :, channels.index(first)]
        length = int(context.crowd.lengths[sample])
        because = "; ".join(f"{name} = {value:.3g} (+{100 * share:.0f} pp)" for name, value, share in why)
        cards.append(
            f'<div class="window"><b>sample {sample}: {100 * chance:.0f} % '
            f"synthetic</b><small>{escape(because)}</small>"
            f"{strip(first, values, length, {})}</div>"
        )
    box = Markup(f'<div class="windows">{"".join(cards)}</div>')
    return [details("the drawn windows that the forest is surest of", box)] if cards else []


def _neighbours(found: SeriesExplanation) -> Markup:
    one, train, scene = found.neighbours, found.context.train, found.context.scene
    assert one is not None and train is not None
    rows, cards = [], []
    layout, schema = found.context.layout, found.context.model.schema
    for row, name in enumerate(found.names[:MOST_WINDOWS]):
        share = "–" if np.isnan(one.shares[row]) else f"{100 * one.shares[row]:.1f} %"
        index = int(one.index[row, 0])
        place = f"sequence {int(train.sequence[index])}, from step {int(train.start[index])}"
        flag = "too near" if one.flagged[row] else "no"
        rows.append([name, place, f"{one.distances[row, 0]:.3f}", share, flag])
        strips = []
        for part in shown_channels(found)[:3]:
            channel = schema.channels.index(layout.names[part])
            other = train.values[index, : int(train.lengths[index]), channel]
            length = int(scene.lengths[row])
            strips.append(strip(layout.names[part], scene.values[row, :, channel], length, {}, other=other))
        cards.append(f'<div class="window"><b>{escape(name)}</b>{"".join(strips)}</div>')
    heads = ["window", "nearest training window", "distance", "new windows as near", "flag"]
    box = Markup(f'<div class="windows">{"".join(cards)}</div>')
    return group(
        paragraph(neighbours.QUESTION),
        notice(one.sentence, "warn" if one.flagged.any() or not one.sentence.startswith("None") else "good"),
        table(heads, rows),
        details("each window over its nearest training window (dashed)", box),
        paragraph(f"{one.compared:,} training windows were looked at."),
        _caveat(neighbours.CAVEAT),
    )
