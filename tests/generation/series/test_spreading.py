"""Completions as far apart as known cells demand, on Gaussian recordings, whose law the linear estimate knows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from synthgen.config.series import SeriesConfig
from synthgen.data.series.scaling import Scaler
from synthgen.diffusion.series import SeriesDenoiser, build_series_denoiser
from synthgen.generation.series.engine import SeriesEngine, SeriesRecipe
from synthgen.generation.series.filling import Canvas, fill
from synthgen.generation.series.spreading import DRAWS, LEAST, MOST, factor_of, measure_spread, to_hide
from tests.diffusion.series_parts import Codec, Part

pytestmark = pytest.mark.usefixtures("one_thread")

WINDOW = 12
TWO = torch.ones(2, dtype=torch.bool)
PARTS = (Part("a", "channel", 0, 1), Part("b", "channel", 1, 2))
AS_THEY_ARE = SimpleNamespace(scaler=Scaler("standard", 0.0, 1.0, -10.0, 10.0))
CODEC: Any = SimpleNamespace(codings={"a": AS_THEY_ARE, "b": AS_THEY_ARE})


def recording(steps: int, loud: tuple[float, float], seed: int) -> torch.Tensor:
    """float32 (steps, 2), two slow channels, of which the second follows the first; their movements `loud` times."""
    random = np.random.default_rng(seed)
    found, last = np.empty((steps, 2)), np.zeros(2)
    for step in range(steps):
        first, second = random.normal(size=2)
        last = 0.9 * last + np.array([0.4 * first, 0.3 * first + 0.3 * second])
        found[step] = last
    return torch.from_numpy(found * loud).float()


@pytest.fixture(scope="module")
def denoiser() -> SeriesDenoiser:
    """The linear estimate of quiet recordings: a network that has learned nothing adds nothing to it."""
    config = SeriesConfig.model_validate({"model": {"width": 16, "blocks": 1, "heads": 2}})
    made = build_series_denoiser(config, Codec(WINDOW, PARTS), torch.float32).eval()  # type: ignore[arg-type]
    windows = recording(20_000, (1.0, 1.0), 0).unfold(0, WINDOW, 1).transpose(1, 2)
    exists = torch.ones(windows.shape[:2], dtype=torch.bool)
    made.network.start_from(lambda index: (windows[index], exists[index]), len(windows))
    made.network.shares.told.zero_()
    return made


def engine_of(denoiser: SeriesDenoiser, steps: int = 10) -> SeriesEngine:
    return SeriesEngine(denoiser, WINDOW, 2, SeriesRecipe(steps=steps), torch.device("cpu"))


def canvas_of(truth: torch.Tensor, known: torch.Tensor, draws: int) -> Canvas:
    steps = len(truth)
    shape, keys = (draws, steps, 2), np.zeros(draws, np.int64)
    exists = torch.ones(shape[:2], dtype=torch.bool)
    given = truth.masked_fill(~known, 0.0)  # nothing may look at what is unknown
    return Canvas(
        given.expand(shape).clone(), known.expand(shape).clone(), np.full(draws, steps), exists, keys,
        np.arange(draws), recorded=True,
    )  # fmt: skip


def test_draws_are_spread_around_what_was_to_be_expected(denoiser: SeriesDenoiser) -> None:
    truth = recording(WINDOW, (1.0, 1.0), 1)
    known = torch.rand(WINDOW, 2, generator=torch.Generator().manual_seed(0)) < 0.5
    shape = (200, WINDOW, 2)
    asked: dict[str, Any] = {
        "given": truth.expand(shape),
        "known": known.expand(shape),
        "valid": torch.ones(shape[:2]).bool(),
    }
    noise = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    once, again, wide = (
        denoiser.sample(noise, **asked, sampler="dpm++2m", steps=24, spread=spread)
        for spread in (None, torch.ones(shape), torch.tensor([3.0, 1.0]).expand(shape))
    )
    torch.testing.assert_close(once, again)
    assert torch.equal(wide[:, known], truth.expand(shape)[:, known])
    assert torch.equal(wide[..., 1], again[..., 1])
    free = ~known[:, 0]
    torch.testing.assert_close(wide[:, free, 0].mean(0), once[:, free, 0].mean(0), atol=0.1, rtol=0.0)
    ratio = wide[:, free, 0].std(0) / once[:, free, 0].std(0)
    assert ((ratio > 2.85) & (ratio < 3.05)).all()


def test_a_recording_that_moves_more_than_was_learned_is_completed_less_surely(denoiser: SeriesDenoiser) -> None:
    """80 % intervals hold 80 % of the gaps, of a loud channel too."""
    truth = recording(600, (1.0, 3.0), 2)
    gone = torch.rand(600, 2, generator=torch.Generator().manual_seed(3)) < 0.2
    engine = engine_of(denoiser)
    spread = measure_spread(engine, CODEC, canvas_of(truth, ~gone, DRAWS), seed=0)
    assert spread is not None and spread.shape == (600, 2)
    held = {}
    for name, own in (("before", None), ("after", spread.expand(20, -1, -1))):
        canvas = canvas_of(truth, ~gone, 20)
        canvas.spread = own
        fill(engine, canvas, seed=0)
        low, high = np.quantile(canvas.given.numpy(), [0.1, 0.9], axis=0, method="weibull")
        inside = (low <= truth.numpy()) & (truth.numpy() <= high)
        held[name] = [float(inside[:, place][gone[:, place].numpy()].mean()) for place in range(2)]
    assert held["before"][1] < 0.65  # the loud one
    assert all(0.72 < share < 0.88 for share in held["after"])


def test_what_is_behind_the_end_and_what_is_short_stays_as_it_is(denoiser: SeriesDenoiser) -> None:
    truth = recording(420, (1.0, 1.0), 4)
    known = torch.rand(420, 2, generator=torch.Generator().manual_seed(5)) < 0.8
    known[400:] = False
    spread = measure_spread(engine_of(denoiser, 2), CODEC, canvas_of(truth, known, DRAWS), seed=0)
    last = int(known.any(1).nonzero()[-1])
    assert spread is not None
    assert (spread[last + 1 :] == 1).all() and (spread[: last + 1] == spread[0]).all() and (spread[0] != 1).any()
    longer = known.clone()
    longer[300:] = False  # a forecast is not drawn for it
    canvas = canvas_of(truth, longer, DRAWS)
    assert measure_spread(engine_of(denoiser, 2), CODEC, canvas, seed=0) is not None
    assert not canvas.known[:, int(longer.any(1).nonzero()[-1]) + WINDOW :].any()
    known[:400] = True  # a forecast of what has no gaps
    assert not to_hide(known, TWO).any()
    assert measure_spread(engine_of(denoiser), CODEC, canvas_of(truth, known, DRAWS), seed=0) is None
    known[:400] = torch.rand(400, 2, generator=torch.Generator().manual_seed(5)) < 0.8
    short = canvas_of(truth[:60], known[:60], DRAWS)
    assert measure_spread(engine_of(denoiser), CODEC, short, seed=0) is None


def test_hidden_cells_are_known_numbers_in_the_pattern_of_the_gaps() -> None:
    known = torch.ones(1000, 3, dtype=torch.bool)
    known[100:110, :2] = False  # one gap of two channels
    hidden = to_hide(known, torch.tensor([True, True, False]))
    assert not (hidden & ~known).any() and not hidden[:, 2].any()
    assert torch.equal(hidden[:, 0], hidden[:, 1])
    edges = hidden[:, 0].int().diff().abs().sum()
    assert hidden[:, 0].sum() == 80 and edges == 16  # eight copies of it
    many = torch.rand(4000, 3, generator=torch.Generator().manual_seed(0)) < 0.8
    hidden = to_hide(many, torch.ones(3, dtype=torch.bool))
    assert 0.2 < hidden.sum() / (~many).sum() < 0.3 and not (hidden & ~many).any()
    joint = torch.ones(4000, 2, dtype=torch.bool)
    joint[torch.arange(4000) % 40 < 10] = False  # gaps of ten steps of both channels
    hidden = to_hide(joint, torch.ones(2, dtype=torch.bool))
    assert torch.equal(hidden[:, 0], hidden[:, 1]) and 100 <= hidden[:, 0].sum() <= 500
    assert not to_hide(torch.ones(50, 2, dtype=torch.bool), torch.ones(2, dtype=torch.bool)).any()


@pytest.mark.parametrize(("scale", "place"), [(1.0, 0.0), (2.0, 0.0), (0.8, 0.0), (1.0, 1.0)])
def test_true_values_are_as_often_among_the_draws_as_another_draw(scale: float, place: float) -> None:
    """place: to which values are written, a deviation wide: much of what draws differ by is not to be seen."""

    def written(values: np.ndarray) -> np.ndarray:
        return np.rint(values / place) * place if place else values

    random = np.random.default_rng(0)
    drawn, truth = random.normal(size=(DRAWS, 40_000)), written(random.normal(size=40_000) * scale)
    factor = factor_of(drawn, truth - place / 2, truth + place / 2)
    spread = written(drawn.mean(0) + factor * (drawn - drawn.mean(0)))
    inside = (spread.min(0) - 1e-9 <= truth) & (truth <= spread.max(0) + 1e-9)
    assert abs(inside.mean() - 7 / 9) < 0.01
    if scale == 1.0:
        assert abs(factor - 1) < 0.03 if place == 0 else factor < 0.8


def test_factors_have_ends() -> None:
    drawn = np.random.default_rng(0).normal(size=(DRAWS, 100))
    far, near = np.full(100, 1e3), np.zeros(100)
    assert (factor_of(drawn, far, far), factor_of(drawn, near - 9, near + 9)) == (MOST, LEAST)


def test_half_of_the_place_to_which_values_are_rounded() -> None:
    assert Scaler("standard", 0.0, 1.0, 0.0, 1.0).half == 0.0
    assert Scaler("standard", 0.0, 1.0, 0.0, 1.0, decimals=1).half == pytest.approx(0.05)
    assert Scaler("standard", 0.0, 1.0, 0.0, 1.0, decimals=0, whole=True).half == 0.5
