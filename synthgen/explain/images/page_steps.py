"""The trajectory as a piece of a page: samples under one step slider, and the curve of their distances."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from synthgen.explain.pictures import (
    MAX_FRAMES,
    columns_of,
    displayed,
    sigma_text,
    tile,
    tile_size,
)
from synthgen.explain.trajectory import CAVEAT, TrajectoryArrays, TrajectorySummary
from synthgen.html import (
    Markup,
    data_island,
    details,
    escape,
    figure,
    group,
    line_chart,
    notice,
    paragraph,
    picture,
    table,
)

LARGEST_TILE = 128
"""Pixels of an image's longer side in the page; larger ones are reduced, to keep the page small."""

_CURVE_CAPTION = (
    "How far each guess still is from the final image: root mean square over the pixels, in percent of the pixel range."
)

STYLE = """
.steps{position:sticky;top:0;background:var(--panel);padding:8px 0;
z-index:1;border-bottom:1px solid var(--line)}
.steps .row{display:flex;gap:12px;align-items:center}
.steps output{display:block;font-variant-numeric:tabular-nums;color:var(--soft);
font-size:.93rem;min-height:1.6em}
.films{display:grid;grid-template-columns:repeat(auto-fill,minmax(96px,1fr));gap:14px 12px;margin:14px 0;
align-items:end}
.film b{display:block;margin-bottom:4px;overflow-wrap:anywhere}.film small{color:var(--soft);display:block}
.reel{overflow:hidden;width:100%;border-radius:4px;margin-bottom:3px;background:#000}
.reel img{max-width:none;border-radius:0;will-change:transform}
"""

SCRIPT = """
(function(){var island=document.getElementById("trajectory-data");if(!island)return;
var data=JSON.parse(island.textContent),slider=document.getElementById("trajectory-step"),
told=document.getElementById("trajectory-told"),play=document.getElementById("trajectory-play"),timer=null,
reels=document.querySelectorAll(".reel img");
function show(){var i=+slider.value,share=-100*i/data.told.length;told.textContent=data.told[i];
reels.forEach(function(reel){reel.style.transform="translateX("+share+"%)"})}
function stop(){clearInterval(timer);timer=null;play.textContent="play"}
slider.addEventListener("input",function(){stop();show()});
play.addEventListener("click",function(){if(timer){stop();return}
if(+slider.value===data.told.length-1)slider.value=0;show();play.textContent="pause";
timer=setInterval(function(){slider.value=+slider.value+1;show();
if(+slider.value===data.told.length-1)stop()},350)});show()})();
"""


def trajectory_piece(trajectory: TrajectoryArrays, summary: TrajectorySummary, names: Sequence[str]) -> Markup:
    """The samples under one step slider, the curve of their distances, and what this does not say.

    Needs `STYLE` and `SCRIPT` on the page; one such piece per page.
    """
    steps = columns_of(summary.steps, MAX_FRAMES)
    told = [_told(summary, step) for step in steps] + ["final image"]
    start = steps.index(min(steps, key=lambda step: abs(step - summary.median_half_step)))
    control = Markup(
        '<div class="steps"><div class="row"><button type="button" id="trajectory-play">play</button>'
        f'<input type="range" id="trajectory-step" min="0" max="{len(told) - 1}" value="{start}" '
        'aria-label="denoising step"></div>'
        f'<output id="trajectory-told" for="trajectory-step">{escape(told[start])}</output></div>'
    )
    films = "".join(_films(trajectory, summary, names, steps, start))
    half = summary.median_half_step
    finding = (
        f"Half of the way from the first guess to the final image is done, for the median sample, at step "
        f"{half + 1} of {summary.steps}, where the noise level is {sigma_text(summary.sigmas[half])}."
    )
    return group(
        paragraph(
            "Above: what the sampler holds (x_t). Below: what the model takes the clean image to be "
            "(x0_hat). Move the slider from pure noise, at left, to the final image."
        ),
        control,
        Markup(f'<div class="films">{films}</div>'),
        data_island("trajectory-data", {"told": told}),
        paragraph(finding),
        figure(_distances(summary), _CURVE_CAPTION),
        notice(f"What this does not say: {CAVEAT}", "warn"),
        details("every sample in numbers", _numbers(summary, names, trajectory.keys)),
    )


def _told(summary: TrajectorySummary, step: int) -> str:
    distance = 50.0 * float(np.median(summary.rms_to_final[step]))
    done = int((summary.half_steps <= step).sum())
    count = len(summary.half_steps)
    return (
        f"step {step + 1} of {summary.steps} · noise level {sigma_text(summary.sigmas[step])} · the guess is "
        f"{distance:.1f} % from the final image (median) · {done} of {count} half done"
    )


def _films(
    trajectory: TrajectoryArrays,
    summary: TrajectorySummary,
    names: Sequence[str],
    steps: list[int],
    start: int,
) -> list[str]:
    """One card per sample with two strips that slide behind a window of one tile."""
    final = displayed(trajectory.x)[-1:]
    held = np.concatenate([displayed(trajectory.x)[steps], final])
    guessed = np.concatenate([displayed(trajectory.x0)[steps], final])
    width = 100 * len(held)
    style = f'style="width:{width}%;transform:translateX({-100 * start / len(held):.4f}%)"'
    cards = []
    for index, name in enumerate(names):
        reels = []
        for strip, what in ((held, "x_t"), (guessed, "x0_hat")):
            film = np.concatenate([small(one) for one in strip[:, index]], axis=1)
            image = picture(film, f"{what} of {name}")
            reels.append(f'<div class="reel">{image.replace("<img ", f"<img {style} ", 1)}</div>')
        remark = f"<small>half at step {summary.half_steps[index] + 1}</small>"
        cards.append(f'<div class="film"><b>{escape(name)}</b>{"".join(reels)}{remark}</div>')
    return cards


def small(image: np.ndarray) -> np.ndarray:
    """The image itself, or reduced to 128 pixels."""
    height, width = image.shape[:2]
    if max(height, width) <= LARGEST_TILE:
        return image
    reduced = np.asarray(tile(image, tile_size(height, width, LARGEST_TILE)))
    return reduced if image.shape[-1] == 3 else reduced[..., :1]


def _distances(summary: TrajectorySummary) -> Markup:
    """Distance over step: each sample, or the median and the quartiles of more than five."""
    percent = 50.0 * summary.rms_to_final
    steps = [float(step + 1) for step in range(summary.steps)]
    if percent.shape[1] == 1:
        curves = {"the sample": percent[:, 0]}
    else:
        curves = {
            "median": np.median(percent, axis=1),
            "nearest sample": percent.min(axis=1),
            "farthest sample": percent.max(axis=1),
        }
    series = {name: (steps, [float(value) for value in values]) for name, values in curves.items()}
    return line_chart(series, x_label="step", y_label="% of the pixel range", zero=True)


def _numbers(summary: TrajectorySummary, names: Sequence[str], keys: np.ndarray) -> Markup:
    rows: list[list[Any]] = []
    for index, name in enumerate(names):
        half = int(summary.half_steps[index])
        first = 50.0 * float(summary.rms_to_final[0, index])
        rows.append([int(keys[index]), name, half + 1, sigma_text(summary.sigmas[half]), f"{first:.1f} %"])
    return table(["sample", "class", "half done at step", "noise level there", "first guess off by"], rows)


__all__ = ["SCRIPT", "STYLE", "small", "trajectory_piece"]
