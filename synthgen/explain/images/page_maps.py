"""Maps as pieces of a page: images with the chosen map beside or over them, the audit, where the network looks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from synthgen.explain.audit import SHARES, shares_text
from synthgen.explain.images.page_steps import small
from synthgen.explain.images.sources import decoded
from synthgen.explain.pictures import sigma_text, signed_colors
from synthgen.html import Markup, bar_chart, details, escape, figure, group, notice, paragraph, picture, table

if TYPE_CHECKING:
    from synthgen.explain.attribution import Attribution
    from synthgen.explain.images.run import Explanation

MOST_IMAGES = 32
"""Images that are drawn; the arrays hold all."""

TITLES = {
    "evidence": "What speaks for the class",
    "information": "Where the classes differ",
    "gradcam-up": "Grad-CAM of the evidence, last block on the way up",
    "gradcam-middle": "Grad-CAM of the evidence, middle block",
    "gradcam-down": "Grad-CAM of the evidence, first block on the way down",
    "judge": "Grad-CAM of a judge on the finished image",
    "judge-integrated": "Integrated gradients of a judge",
    "attention": "Where the network looks, not why",
    "attention-to-tokens": "Where it looks at what it was told, not why",
    "shap-judge": "SHAP: what the judge goes by",
    "shap-evidence": "SHAP: what the evidence rests on",
}

STYLE = """
.pick{display:flex;flex-wrap:wrap;gap:6px;align-items:center;margin:6px 0}
.pick button[aria-pressed=true]{background:var(--c0);border-color:var(--c0);color:var(--bg)}
.pick label{display:flex;gap:8px;align-items:center;font-size:.9rem}.pick input{width:130px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(132px,1fr));gap:16px 12px;margin:14px 0}
.card b{display:block;margin-bottom:4px;overflow-wrap:anywhere}.card small{color:var(--soft);display:block}
.card small[hidden]{display:none}
.stack{position:relative;border:1px solid var(--line);border-radius:4px;overflow:hidden}
.stack img{width:100%;display:block;border-radius:0}.stack img.map{position:absolute;inset:0;height:100%;
visibility:hidden}
.swatch{display:inline-block;width:12px;height:12px;border-radius:2px;vertical-align:-1px;margin:0 6px 0 0}
.swatch~.swatch{margin-left:14px}
"""

SCRIPT = """
(function(){var box=document.getElementById("cards");if(!box)return;
var maps=document.querySelectorAll("[data-pick]"),modes=document.querySelectorAll("[data-mode]"),
strength=document.getElementById("strength"),told=document.getElementById("map-told"),map="0",mode="overlay";
function press(all,one){all.forEach(function(b){b.setAttribute("aria-pressed",b===one)})}
function show(){box.querySelectorAll("img.map").forEach(function(one){var on=mode!=="image"&&one.dataset.map===map;
one.style.visibility=on?"visible":"hidden";one.style.opacity=mode==="map"?1:strength.value/100});
box.querySelectorAll("small[data-map]").forEach(function(one){one.hidden=one.dataset.map!==map})}
maps.forEach(function(b){b.addEventListener("click",function(){map=b.dataset.pick;told.textContent=b.dataset.told;
press(maps,b);show()})});
modes.forEach(function(b){b.addEventListener("click",function(){mode=b.dataset.mode;press(modes,b);show()})});
strength.addEventListener("input",show);show()})();
"""


def cards(found: Explanation) -> Markup:
    """The images with the chosen map over them, beside them or not at all. Needs `STYLE` and `SCRIPT`."""
    shown = decoded(found.context.x0)[:MOST_IMAGES]
    maps = list(found.attributions.items())
    parts = []
    for row, image in enumerate(shown):
        layers = [picture(small(image), found.context.names[row])]
        lines = []
        for number, (name, one) in enumerate(maps):
            colored = picture(small(signed_colors(one.maps[row])), f"{name} of {found.context.names[row]}")
            layers.append(Markup(colored.replace("<img ", f'<img class="map" data-map="{number}" ', 1)))
            total = f": {one.scalars[row]:+.3g}" if np.isfinite(one.scalars[row]) else ""
            lines.append(
                f'<small data-map="{number}"{" hidden" if number else ""}>{escape(_against(one, row))}{total}</small>'
            )
        parts.append(
            f'<div class="card"><b>{escape(found.context.names[row])}</b><div class="stack">{"".join(layers)}</div>'
            f"{''.join(lines)}</div>"
        )
    box = Markup(f'<div class="cards" id="cards">{"".join(parts)}</div>')
    hidden = len(found.context.names) - len(shown)
    more = [paragraph(f"{hidden} more images are in the arrays.")] if hidden > 0 else []
    return group(_pickers(found), box, *more)


def _against(one: Attribution, row: int) -> str:
    return f"{one.labels[row]} against {one.rivals[row]}"


def _pickers(found: Explanation) -> Markup:
    """Buttons for the map and for how it is shown, with what its colours mean."""
    buttons = []
    for number, (name, one) in enumerate(found.attributions.items()):
        told = f"{TITLES[name]}. Verdict: {one.verdict[:1].lower()}{one.verdict[1:]}"
        pressed = "false" if number else "true"
        buttons.append(
            f'<button type="button" data-pick="{number}" data-told="{escape(told)}" aria-pressed="{pressed}">'
            f"{escape(name)}</button>"
        )
    first = next(iter(found.attributions.items()))
    modes = "".join(
        f'<button type="button" data-mode="{mode}" aria-pressed="{"true" if mode == "overlay" else "false"}">{text}'
        "</button>"
        for mode, text in (("image", "original"), ("map", "map"), ("overlay", "overlay"))
    )
    return Markup(
        f'<div class="pick">{"".join(buttons)}</div><div class="pick">{modes}<label>strength '
        '<input type="range" id="strength" min="10" max="100" value="60"></label></div>'
        '<p><span class="swatch" style="background:#c2570c"></span>speaks for the class (or: much)'
        '<span class="swatch" style="background:#2563c9"></span>speaks against it. Each map has its own scale, white '
        f'is zero. <span id="map-told">{escape(TITLES[first[0]])}. Verdict: '
        f"{escape(first[1].verdict[:1].lower() + first[1].verdict[1:])}</span></p>"
    )


def audit_table(found: Explanation) -> Markup:
    """All maps beside brightness, edges and chance: what drawing their top pixels anew costs."""
    if not found.losses:
        return Markup("")
    heads = ["map", *(f"top {100 * share:.0f} %" for share in SHARES), "p against random", "verdict"]
    rows = [
        [
            name,
            *(f"{value + 0.0:.2f}" for value in one.ours.round(2)),
            f"{one.p:.3f}",
            found.attributions[name].verdict.split(":")[0],
        ]
        for name, one in found.losses.items()
    ]
    first = next(iter(found.losses.values()))
    plain = [
        [name, *(f"{value:.2f}" for value in values), None, "to be beaten"] for name, values in first.others.items()
    ]
    chance = np.mean([one.random.mean(axis=0) for one in found.losses.values()], axis=0)
    rows += [*plain, ["random", *(f"{value:.2f}" for value in chance), None, "to be beaten"]]  # type: ignore[list-item]
    names, values = [row[0] for row in rows], [(float(row[1]) + float(row[2])) / 2 for row in rows]
    caption = f"What drawing the top pixels anew costs, mean of {shares_text()}, {found.context.target.unit}."
    return group(
        paragraph(
            "The pixels that a map ranks highest are drawn anew by the model itself, which sees all others and is told "
            f"no class. A good map costs more {found.context.target.unit} than brightness, edges and random choices do."
        ),
        table(heads, rows),
        figure(bar_chart([str(name) for name in names], values, digits=2, title=caption), caption),
    )


def one_map(found: Explanation, one: Attribution) -> list[Markup]:
    """The question, the verdict, every check, and what the map does not say."""
    good = one.verdict.startswith("Believe")
    parts = [paragraph(one.question), notice(one.verdict, "good" if good else "warn")]
    parts.append(table(["check", "finding"], [[check.name, check.sentence] for check in one.checks]))
    if "by_noise_level" in one.details:
        rows = [[sigma_text(level["sigma"]), f"{level['mean']:+.3g}"] for level in one.details["by_noise_level"]]
        parts.append(details("at which noise levels it lies", table(["noise level", one.unit], rows)))
    used = [
        f"{one.details[key]} {words}"
        for key, words in (
            ("noise_levels", "noise levels"),
            ("draws_per_level", "noises of each"),
            ("orders", "orders of the squares"),
        )
        if key in one.details
    ]
    if used:
        parts.append(paragraph(f"Computed from {', '.join(used)}."))
    return [*parts, notice(f"What this does not say: {one.caveat}", "warn")]
