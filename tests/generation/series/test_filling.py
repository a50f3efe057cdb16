"""Windows that move over a sequence: where they stand, what they are told, what is kept of them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from synthgen.data.series.codec import Part
from synthgen.generation.series.engine import noise_number
from synthgen.generation.series.filling import Canvas, fill, snap, steps_needed

PARTS = (
    Part("x", "channel", 0, 1, 5),
    Part("kind", "channel", 1, 3),
    Part("site", "static", 3, 4),
    Part("hour", "calendar", 4, 5),
)


class Recorder:
    """An engine that draws the number of the piece, and notes what it was told."""

    window = 8
    denoiser = SimpleNamespace(parts=PARTS)

    def __init__(self) -> None:
        self.told: list[dict[str, torch.Tensor]] = []

    def windows(self, keys: np.ndarray, draws: np.ndarray, piece: int, seed: int, **given: torch.Tensor) -> Any:
        self.told.append(given)
        drawn = torch.full(given["given"].shape, float(piece + 1))
        drawn[..., 5] = -1.0
        return torch.where(given["known"], given["given"], drawn)


def canvas(length: int, known: torch.Tensor | None = None, *, recorded: bool = False) -> Canvas:
    size = max(length, 8) if recorded else steps_needed(length, 8)
    given = torch.zeros(1, size, 6)
    cells = torch.zeros(1, size, 6, dtype=torch.bool)
    cells[..., 4] = True
    if known is not None:
        cells[0, :length, :3] = known[:, None]
        given[0, :length, :3] = torch.where(known, 100.0 + torch.arange(length), 0.0)[:, None]
        cells[0, :, 5] = True
        given[0, :, 5] = -1.0
    exists = torch.ones(1, size, dtype=torch.bool)
    one = np.zeros(1, np.int64)
    return Canvas(given, cells, np.array([length]), exists, one, one, recorded)


@pytest.mark.parametrize(("length", "windows"), [(3, 1), (8, 1), (9, 2), (12, 2), (13, 3), (30, 7)])
def test_a_free_sequence_goes_on_by_half_windows(length: int, windows: int) -> None:
    engine, board = Recorder(), canvas(length)
    fill(engine, board, 0)  # type: ignore[arg-type]
    assert len(engine.told) == windows
    values = board.given[0, :length, 0].tolist()
    assert values == [1.0] * min(length, 8) + [2.0 + (step - 8) // 4 for step in range(8, length)]
    for told in engine.told[1:]:
        assert told["known"][0, :4, :4].all() and not told["known"][0, 4:, :3].any()
    assert (board.given[0, :, 3] == 1.0).all()  # the covariate of the first window, everywhere


def test_what_is_known_is_told_and_left_alone() -> None:
    known = torch.ones(40, dtype=torch.bool)
    known[20:22] = False
    engine, board = Recorder(), canvas(40, known, recorded=True)
    before = board.given.clone()
    board.known[..., 3] = True
    fill(engine, board, 0)  # type: ignore[arg-type]
    assert len(engine.told) == 1  # all else is known
    told = engine.told[0]
    assert told["given"][0, :4, 0].tolist() == [116.0, 117.0, 118.0, 119.0]  # the gap begins in the middle
    assert board.given[0, 20:22, 0].tolist() == [1.0, 1.0]
    assert torch.equal(board.given[0, known, :3], before[0, known, :3])


def test_a_gap_is_drawn_again_where_more_is_known_behind() -> None:
    known = torch.zeros(24, dtype=torch.bool)
    known[:2] = known[12:] = True
    engine, board = Recorder(), canvas(24, known, recorded=True)
    board.known[..., 3] = True
    fill(engine, board, 0)  # type: ignore[arg-type]
    assert board.given[0, 2:12, 0].tolist() == [1.0] * 6 + [2.0] * 2 + [3.0] * 2  # three quarters, then by two
    assert [int(told["known"][0, :, 0].sum()) for told in engine.told] == [2, 4, 6]


def test_a_forecast_sees_as_much_as_a_window_holds() -> None:
    known = torch.arange(24) < 21
    engine, board = Recorder(), canvas(24, known, recorded=True)
    board.known[..., 3] = True
    fill(engine, board, 0)  # type: ignore[arg-type]
    assert len(engine.told) == 1 and int(engine.told[0]["known"][0, :, 0].sum()) == 5
    assert board.given[0, 21:, 0].tolist() == [1.0] * 3


def test_categories_and_missing_bits_are_told_as_they_were_learned() -> None:
    x = torch.tensor([[[0.3, 0.2, 0.4, 0.1, 0.9, 0.2]]])
    assert snap(x, PARTS)[0, 0].tolist() == pytest.approx([0.3, -1.0, 1.0, 0.1, 0.9, 1.0])


def test_no_two_noises_of_a_sequence_share_a_number() -> None:
    draws = np.array([0, 1, 2, 65_534])
    seen = [
        int(one) for piece in (0, 1, 999_999) for fresh in (0, 1, 10_000) for one in noise_number(draws, piece, fresh)
    ]
    assert len(set(seen)) == len(seen) == 36 and seen[0] == 0
    with pytest.raises(ValueError, match="only 65536"):
        noise_number(draws, 0, 65_536)
