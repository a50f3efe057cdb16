"""The known cells of training: what their law promises, whatever the generator draws."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch

from synthgen.training.series_known import draw_known


@dataclass(frozen=True)
class Span:
    """The face of `synthgen.data.series.codec.Part` that the masks look at."""

    name: str
    role: str
    start: int
    stop: int
    missing: int | None = None


PARTS = (
    Span("a", "channel", 0, 1, missing=7),
    Span("b", "channel", 1, 4),
    Span("site", "static", 4, 5),
    Span("class", "label", 5, 7),
    Span("hour", "calendar", 8, 10),
)


def drawn(share: float, size: int = 4000, window: int = 12, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return draw_known(PARTS, window, size, share, generator, torch.device("cpu"))


def test_shape_and_what_is_always_known() -> None:
    known = drawn(0.3)
    assert known.shape == (4000, 12, 10)
    assert known.dtype == torch.bool
    assert known[..., 8:].all(), "calendars"
    for start, stop in ((1, 4), (5, 7)):
        assert (known[..., start:stop] == known[..., start : start + 1]).all(), "one-hot vectors are known whole"
    assert (known[..., 4:7] == known[:, :1, 4:7]).all(), "what is constant in time is known at all steps or at none"


def test_shares() -> None:
    known = drawn(0.3)
    some = known[..., :4].flatten(1).any(1).float().mean()
    assert some == pytest.approx(0.3, abs=0.04)
    assert known[:, 0, 5].float().mean() == pytest.approx(0.9, abs=0.02)
    assert known[:, 0, 4].float().mean() == pytest.approx(0.3, abs=0.03)
    assert not drawn(0.0)[..., :4].any()
    assert not drawn(0.0)[..., 7].any(), "nobody says whether a cell is missing where nothing is known"


def test_every_pattern_comes() -> None:
    known = drawn(1.0)[..., 0:2]
    steps = known.all(2)
    prefix = torch.tensor([bool(row[0]) and not bool((row[1:] & ~row[:-1]).any()) and not row.all() for row in steps])
    assert 0.2 < prefix.float().mean() < 0.5, "forecasts"
    channels = (known == known[:, :1]).flatten(1).all(1)
    assert 0.2 < channels.float().mean() < 0.5, "whole channels"
    assert (~known).flatten(1).any(1).float().mean() > 0.7, "something is left to learn"


def test_the_missing_bit_is_known_wherever_its_cell_is() -> None:
    known = drawn(1.0)
    assert known[..., 7][known[..., 0]].all()
    told = known[..., 7].all(1) & ~known[..., 0].all(1)
    assert 0.2 < told.float().mean() < 0.7, "and elsewhere in half of the windows"


def test_a_part_of_a_batch_is_cut_from_the_whole() -> None:
    assert torch.equal(drawn(0.5, seed=3), drawn(0.5, seed=3))
    assert not torch.equal(drawn(0.5, seed=3), drawn(0.5, seed=4))


def test_windows_of_one_step() -> None:
    assert drawn(1.0, size=50, window=1).shape == (50, 1, 10)
