"""What a sampler card says to people and to programs, the same in the terminal and on the page."""

from __future__ import annotations

import math
from typing import Any

from synthgen.evaluation.sampler_card import FACTORS, Card, Setting, choose, front


def card_document(found: Card) -> dict[str, Any]:
    """The card as JSON, with what follows from it: the front, and the setting of each quality."""
    place = {id(one): index for index, one in enumerate(found.settings)}
    return {
        **found.model_dump(mode="json"),
        "front": [place[id(one)] for one in front(found.complete)],
        "choices": {quality: place[id(one)] for quality, one in found.choices().items()},
    }


def about_card(found: Card) -> list[str]:
    """What a card's figures are, in sentences; the same in the terminal and on the page."""
    against = (
        f"{found.reference_count:,} images of {found.data} that training never saw"
        if found.against == "held-out"
        else f"{found.reference_count:,} training images of {found.data} (this model held none out: a model that "
        "learned its images by heart would look good)"
    )
    floor = "" if found.floor is None else f"; other real images score {found.floor:.3g}"
    repeats = f", mean over {found.repeats} seeds" if found.repeats > 1 else ""
    lines = [
        f"FID of {found.count:,} samples by the features {found.features} against {against}{repeats}{floor}",
        f"cost: seconds per image, in units of one network call of it ({found.milliseconds:.2f} ms on "
        f"{found.device}, {found.processor}, {found.precision})",
        f"fast: the cheapest within {FACTORS['fast']:g} times the lowest FID; balanced: within "
        f"{FACTORS['balanced']:g} times; best: the cheapest whose FID cannot be told from the lowest",
    ]
    return [*lines, *_on_guidance(found)]


COLUMNS = ("sampler card", "calls", "FID", "class agreement", "cost")


def figures(one: Setting, found: Card) -> list[str]:
    """FID with its error, class agreement and cost of a setting, as texts."""
    fid = f"{one.fid:.3g}"
    if one.error > 0 and one in found.complete:  # two digits of the error, and as many of the value
        digits = max(0, 1 - math.floor(math.log10(one.error)))
        fid = f"{one.fid:,.{digits}f} ± {one.error:,.{digits}f}"
    agreement = "–" if one.agreement is None else f"{100 * one.agreement:.2f} %"
    return [fid, agreement, "–" if one.cost is None else f"{one.cost:.1f}"]


def remark(one: Setting, found: Card) -> str:
    """What a setting is chosen for, or why not."""
    if one not in found.complete:
        return f"given up at {one.count:,} samples"
    chosen = [quality for quality, setting in found.choices().items() if setting == one]
    return ", ".join(chosen) or ("on the front" if one in front(found.complete) else "")


def about_choice(found: Card, quality: str) -> str:
    """What a quality means by a card, and why, in one sentence."""
    chosen, lowest = choose(found.complete, quality), min(one.fid for one in found.complete)
    reasons = {
        "fast": f"the cheapest within {FACTORS['fast']:g} times the lowest, {lowest:.3g}",
        "balanced": f"the cheapest within {FACTORS['balanced']:g} times the lowest, {lowest:.3g}",
        "best": f"the cheapest that cannot be told from the lowest, {lowest:.3g}",
    }
    calls = f"{chosen.calls} network call{'' if chosen.calls == 1 else 's'} a sample"
    return f"quality {quality}: {chosen.name}, {calls}; FID {chosen.fid:.3g}, {reasons[quality]}"


def _on_guidance(found: Card) -> list[str]:
    """Whether guidance helped; where it could be and was not tried, how to."""
    guided = [one for one in found.settings if one.sampling.guidance_scale != 1.0]
    plain = [one for one in found.complete if one.sampling.guidance_scale == 1.0]
    by_class = any(one.agreement is not None and one.sampling.sampler != "consistency" for one in plain)
    if not guided and by_class:
        return ["guidance was not tried: `synthgen runs card RUN --guidance 1,1.5` says whether it helps"]
    if not guided or not plain:
        return []
    lowest = min(plain, key=lambda one: one.fid)
    complete = [one for one in guided if one in found.complete]
    helped = [one for one in complete if one.fid + one.error < lowest.fid - lowest.error]
    if not helped:
        return [f"guidance was tried and does not lower the FID of {lowest.fid:.3g} that {lowest.name} has without it"]
    best = min(helped, key=lambda one: one.fid)
    return [f"guidance helps: {best.name} has FID {best.fid:.3g}, the best without it {lowest.fid:.3g} ({lowest.name})"]
