"""Which cells of a training window the network is shown, so that one model completes, continues, takes conditions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from synthgen.data.series.codec import Part

LABEL_DROPOUT = 0.1
"""Share of windows whose class is hidden, for guidance (Ho, Salimans 2022)."""


def draw_known(
    parts: Sequence[Part],
    window: int,
    size: int,
    share: float,
    generator: torch.Generator,
    device: torch.device,
) -> torch.Tensor:
    """Known cells of `size` windows, bool (size, window, D), all drawn from `generator`.

    parts: of the codec; D their dimensions. share: of the windows that know some of their channels' cells, in equal
    parts the first steps (a forecast), scattered cells, all but a span of some channels (a gap), and whole channels.
    Calendars are always known, the class in nine of ten windows, a static covariate in `share` of them.
    """

    def uniform(*shape: int) -> torch.Tensor:
        return torch.rand(size, *shape, generator=generator, device=device)

    some, pattern, place, share_known, first, second, often, bits = uniform(8).unbind(1)
    steps = torch.arange(window, device=device)
    count = len(parts)
    start, stop = (window * torch.minimum(first, second), window * torch.maximum(first, second))
    inside = (steps >= start[:, None].floor()) & (steps < stop[:, None].ceil())
    patterns = (
        (steps < 1 + (place * (window - 1))[:, None].floor())[..., None].expand(size, window, count),
        uniform(window, count) < share_known[:, None, None],
        ~(inside[..., None] & (uniform(1, count) < often.clamp(min=1 / count)[:, None, None])),
        (uniform(1, count) < share_known[:, None, None]).expand(size, window, count),
    )
    chosen = (pattern * len(patterns)).long().clamp(max=len(patterns) - 1)
    cells = torch.stack(patterns)[chosen, torch.arange(size, device=device)] & (some < share)[:, None, None]
    whole = uniform(1, count).expand(size, window, count)
    # Half of the windows that know something know of every cell whether it is missing, as a completion does.
    told = ((some < share) & (bits < 0.5))[:, None]
    known = torch.zeros(size, window, _dimensions(parts), dtype=torch.bool, device=device)
    for index, part in enumerate(parts):
        shown = cells[..., index]
        if part.role == "calendar":
            shown = torch.ones_like(shown)
        elif part.role in ("label", "static"):
            shown = whole[..., index] < (1 - LABEL_DROPOUT if part.role == "label" else share)
        known[..., part.start : part.stop] = shown[..., None]
        if part.missing is not None:
            known[..., part.missing] |= shown | told  # a bit may belong to several parts
    return known


def _dimensions(parts: Sequence[Part]) -> int:
    return max(max(part.stop, 0 if part.missing is None else part.missing + 1) for part in parts)
