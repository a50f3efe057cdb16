"""Diffusion over windows of series: what is known stays, what does not exist does not matter."""

from __future__ import annotations

from typing import Any, NamedTuple

import pytest
import torch

from synthgen.config.series import SeriesConfig
from synthgen.diffusion.series import SeriesDenoiser, build_series_denoiser
from tests.diffusion.series_parts import Codec, Part

PARTS = (
    Part("load", "channel", 0, 1, missing=1),
    Part("state", "channel", 2, 5),
    Part("site", "static", 5, 6),
    Part("class", "label", 6, 8),
    Part("hour", "calendar", 8, 10),
)


def build(
    window: int = 6, parts: tuple[Part, ...] = PARTS, precision: torch.dtype = torch.float32, **model: Any
) -> SeriesDenoiser:
    torch.manual_seed(0)
    config = SeriesConfig.model_validate({"model": {"width": 16, "blocks": 2, "heads": 2} | model})
    denoiser = build_series_denoiser(config, Codec(window, parts), precision)  # type: ignore[arg-type]
    with torch.no_grad():  # a fresh network answers 0 whatever it sees
        for weight in denoiser.parameters():
            weight.normal_(std=0.2)
    return denoiser.eval()


class Batch(NamedTuple):
    x0: torch.Tensor
    valid: torch.Tensor
    known: torch.Tensor
    uniform: torch.Tensor
    noise: torch.Tensor


def batch(denoiser: SeriesDenoiser, rows: int = 3, lengths: tuple[int, ...] | None = None) -> Batch:
    net = denoiser.network
    shape = (rows, net.window, net.dimensions)
    x0, noise = torch.randn(shape), torch.randn(shape)
    valid = torch.ones(shape[:2], dtype=torch.bool)
    for row, length in enumerate(lengths or ()):
        valid[row, length:] = False
    return Batch(x0, valid, torch.rand(shape) < 0.3, torch.rand(rows), noise)


def test_steps_that_do_not_exist_change_nothing() -> None:
    for window in (6, 300):
        denoiser = build(window)
        one = batch(denoiser, lengths=(window, 4, 1))
        other = one._replace(
            x0=torch.where(one.valid[..., None], one.x0, torch.full_like(one.x0, torch.nan)),
            known=one.known ^ ~one.valid[..., None],
        )
        assert torch.equal(denoiser.loss(*one), denoiser.loss(*other))
        outs = []
        for part in (one, other):
            noise = torch.where(part.valid[..., None], part.noise, torch.randn_like(part.noise))
            outs.append(denoiser.sample(noise, given=part.x0, known=part.known, valid=part.valid, steps=3))
        assert torch.allclose(outs[0], outs[1], atol=1e-6)
        assert not outs[0][~one.valid].any()


def test_a_shorter_sequence_is_the_same_in_any_company() -> None:
    denoiser = build()
    one = batch(denoiser, lengths=(6, 4, 3))
    together = denoiser.sample(one.noise, given=one.x0, known=one.known, valid=one.valid, steps=3)
    alone = denoiser.sample(one.noise[1:2], given=one.x0[1:2], known=one.known[1:2], valid=one.valid[1:2], steps=3)
    assert torch.allclose(together[1:2], alone, atol=1e-5)


@pytest.mark.parametrize("sampler", ["heun", "dpm++2m", "ddpm"])
def test_known_cells_are_kept_to_the_bit(sampler: str) -> None:
    denoiser = build()
    one = batch(denoiser)
    out = denoiser.sample(
        one.noise,
        given=one.x0,
        known=one.known,
        valid=one.valid,
        sampler=sampler,
        steps=4,
        fresh=lambda draw: torch.randn(one.noise.shape, generator=torch.Generator().manual_seed(draw)),
    )
    assert torch.equal(out[one.known], one.x0[one.known])
    assert torch.isfinite(out).all()


def test_only_the_values_of_known_cells_are_looked_at() -> None:
    denoiser = build()
    one = batch(denoiser)
    given = torch.where(one.known, one.x0, torch.full_like(one.x0, torch.nan))
    facts = {"known": one.known, "valid": one.valid, "steps": 3}
    first = denoiser.sample(one.noise, given=given, **facts)  # type: ignore[arg-type]
    assert torch.isfinite(first).all()
    noise = torch.where(one.known, torch.randn_like(one.noise), one.noise)
    assert torch.equal(first, denoiser.sample(noise, given=given, **facts))  # type: ignore[arg-type]
    changed = torch.where(one.known, one.x0 + 1, one.x0)
    unknown = ~one.known & ~denoiser.network.conditions
    second = denoiser.sample(one.noise, given=changed, **facts)  # type: ignore[arg-type]
    assert (first - second)[unknown].abs().max() > 1e-3


def test_the_loss_counts_unknown_cells_that_exist() -> None:
    """Against the definition: mean over those cells of weight (x0_hat - x0)^2 with EDM's weight for sigma_data 1."""
    denoiser = build()
    one = batch(denoiser, lengths=(6, 4, 2))
    alpha, sigma, time = denoiser.schedule.draw(one.uniform)
    x = one.x0 + sigma[:, None, None] * one.noise
    clean = denoiser.denoise(x, alpha, sigma, time, given=one.x0, known=one.known, valid=one.valid)
    counted = one.valid[..., None] & ~one.known
    counted[..., 6:] = False
    loss = denoiser.loss(*one)
    for row in range(3):
        weight = (sigma[row] ** 2 + 1) / sigma[row] ** 2
        expected = (weight * (clean - one.x0).square())[row][counted[row]].mean()
        assert torch.allclose(loss[row], expected, rtol=1e-4)
    nothing = one._replace(known=torch.ones_like(one.known))
    assert not denoiser.loss(*nothing).any()


def test_beyond_the_linear_estimate_of_gaussian_data_nothing_is_left() -> None:
    """A fresh network started from the data has the loss 1 at every noise level, however smooth the channels are."""
    torch.manual_seed(0)
    config = SeriesConfig.model_validate({"model": {"width": 16, "blocks": 1, "heads": 2}})
    parts = (Part("smooth", "channel", 0, 1), Part("rough", "channel", 1, 2))
    denoiser = build_series_denoiser(config, Codec(8, parts), torch.float32)  # type: ignore[arg-type]
    level, tilt = torch.randn(4000, 1), 0.02 * torch.randn(4000, 1)
    x0 = torch.stack([level + tilt * torch.arange(8), torch.randn(4000, 8)], -1)
    exists = torch.ones(4000, 8, dtype=torch.bool)
    denoiser.network.start_from(lambda index: (x0[index], exists[index]), 4000)
    known = torch.zeros_like(x0, dtype=torch.bool)
    for share in (0.05, 0.3, 0.6, 0.9):
        loss = denoiser.loss(x0, exists, known, torch.full((4000,), share), torch.randn_like(x0))
        assert float(loss.detach().mean()) == pytest.approx(1.0, abs=0.05)


def walks(count: int) -> torch.Tensor:
    """(count, 8, 2) of two random walks, of which the second follows the first."""
    first, second = torch.randn(2, count, 8).cumsum(-1)
    return torch.stack([first, 0.8 * first + 0.3 * second], -1)


def test_what_is_drawn_next_to_known_numbers_goes_on_from_them() -> None:
    """Random walks of which the first five steps are known: draws have the mean and covariance of Gaussian regression,
    so that no jump tells where they set in."""
    torch.manual_seed(0)
    config = SeriesConfig.model_validate({"model": {"width": 16, "blocks": 1, "heads": 2}})
    parts = (Part("first", "channel", 0, 1), Part("second", "channel", 1, 2))
    denoiser = build_series_denoiser(config, Codec(8, parts), torch.float32)  # type: ignore[arg-type]
    x0 = walks(20_000)
    exists = torch.ones(x0.shape[:2], dtype=torch.bool)
    denoiser.network.start_from(lambda index: (x0[index], exists[index]), len(x0))
    denoiser.network.shares.told.zero_()
    given = x0[:1].expand(2000, -1, -1)
    known = torch.zeros(2000, 8, 2, dtype=torch.bool)
    known[:, :5] = True
    facts = {"given": given, "known": known, "valid": exists[:2000], "sampler": "dpm++2m", "steps": 24}
    drawn = denoiser.sample(torch.randn(2000, 8, 2), **facts)  # type: ignore[arg-type]
    covariance = torch.cov(x0.flatten(1).T)
    gain = torch.linalg.solve(covariance[:10, :10], covariance[:10, 10:])
    mean = x0.mean(0).flatten()[10:] + (x0[0].flatten()[:10] - x0.mean(0).flatten()[:10]) @ gain
    left = covariance[10:, 10:] - covariance[10:, :10] @ gain
    found = drawn[:, 5:].flatten(1)
    assert torch.allclose(found.mean(0), mean, atol=0.1)
    assert torch.allclose(torch.cov(found.T), left, rtol=0.1, atol=0.1)
    jump = (drawn[:, 5] - drawn[:, 4]).std(0)
    assert torch.allclose(jump, (x0[:, 5] - x0[:, 4]).std(0), rtol=0.1)


def test_windows_that_know_no_numbers_are_the_same_beside_others_that_do() -> None:
    denoiser = build()
    denoiser.network.shares.told.fill_(0.3)
    one = batch(denoiser)
    known = one.known.clone()
    known[0, :, :5] = False
    none = known & ~denoiser.numbers
    facts = {"given": one.x0, "valid": one.valid, "steps": 3}
    first = denoiser.sample(one.noise, known=known, **facts)  # type: ignore[arg-type]
    assert torch.equal(first[0], denoiser.sample(one.noise, known=none, **facts)[0])  # type: ignore[arg-type]


def test_a_fresh_network_answers_the_best_guess_without_structure() -> None:
    """With sigma_data 1: x / (1 + sigma^2), the posterior mean of unit normal data; the loss of normal data is 1."""
    torch.manual_seed(0)
    config = SeriesConfig.model_validate({"model": {"width": 16, "blocks": 1, "heads": 2}})
    denoiser = build_series_denoiser(config, Codec(50, PARTS), torch.float32)  # type: ignore[arg-type]
    one = batch(denoiser, rows=64)
    alpha, sigma, time = denoiser.schedule.draw(one.uniform)
    none = torch.zeros_like(one.known)
    clean = denoiser.denoise(one.noise, alpha, sigma, time, given=one.x0, known=none, valid=one.valid)
    free = ~denoiser.network.conditions
    assert torch.allclose(clean[..., free], (one.noise / (1 + sigma**2)[:, None, None])[..., free], atol=1e-6)
    loss = denoiser.loss(*one._replace(known=none))
    assert float(loss.detach().mean()) == pytest.approx(1.0, abs=0.05)


def test_labels_and_calendar_are_never_seen_unless_known() -> None:
    denoiser = build()
    one = batch(denoiser)
    known = torch.zeros_like(one.known)
    facts = {"given": one.x0, "valid": one.valid, "steps": 2}
    first = denoiser.sample(one.noise, known=known, **facts)  # type: ignore[arg-type]
    noise = one.noise.clone()
    noise[..., 6:] += 1
    assert torch.equal(first, denoiser.sample(noise, known=known, **facts))  # type: ignore[arg-type]
    assert not first[..., 6:].any()
    known[..., 6:8] = True
    assert not torch.equal(first[..., :6], denoiser.sample(noise, known=known, **facts)[..., :6])  # type: ignore[arg-type]


def test_guidance_is_a_step_from_the_answer_without_the_label() -> None:
    denoiser = build()
    one = batch(denoiser)
    alpha, sigma, time = denoiser.schedule.draw(one.uniform)
    known = torch.zeros_like(one.known)
    blind = known.clone()
    known[..., 6:8] = True

    def answer(told: torch.Tensor, scale: float) -> torch.Tensor:
        return denoiser.denoise(
            one.noise, alpha, sigma, time, given=one.x0, known=told, valid=one.valid, guidance_scale=scale
        )[..., :6]

    expected = answer(blind, 1.0) + 2.5 * (answer(known, 1.0) - answer(blind, 1.0))
    assert torch.allclose(answer(known, 2.5), expected, atol=1e-5)


def test_a_window_of_one_step_and_a_channel_of_one_dimension() -> None:
    for window, width in ((1, 1), (1, 3), (5, 1)):
        denoiser = build(window, (Part("only", "channel", 0, width),))
        one = batch(denoiser, rows=2)
        denoiser.loss(*one).sum().backward()
        assert all(torch.isfinite(weight.grad).all() for weight in denoiser.parameters() if weight.grad is not None)
        assert denoiser.sample(one.noise, given=one.x0, known=one.known, valid=one.valid).shape == (2, window, width)


def test_bf16_is_close_to_fp32() -> None:
    exact, short = build(), build(precision=torch.bfloat16)
    short.load_state_dict(exact.state_dict())
    one = batch(exact)
    assert torch.allclose(exact.loss(*one), short.loss(*one), rtol=0.1)
    assert short.loss(*one).dtype == torch.float32


def test_a_layout_takes_no_memory_and_weights_are_floats() -> None:
    config = SeriesConfig.model_validate({"model": {"width": 2048, "blocks": 32, "heads": 32}})
    with torch.device("meta"):
        layout = build_series_denoiser(config, Codec(4096, PARTS), torch.float32)  # type: ignore[arg-type]
    assert all(weight.is_meta and weight.is_floating_point() for weight in layout.state_dict().values())


def test_a_solver_that_adds_noise_says_where_from() -> None:
    denoiser = build()
    one = batch(denoiser)
    with pytest.raises(ValueError, match="fresh"):
        denoiser.sample(one.noise, given=one.x0, known=one.known, valid=one.valid, sampler="ddpm", steps=3)


def test_it_learns_a_law() -> None:
    """Two channels with correlation .8 along time: after seconds of training, samples have it too."""
    torch.manual_seed(0)
    parts = (Part("a", "channel", 0, 1), Part("b", "channel", 1, 2))
    config = SeriesConfig.model_validate({"model": {"width": 16, "blocks": 1, "heads": 2}})
    denoiser = build_series_denoiser(config, Codec(4, parts), torch.float32)  # type: ignore[arg-type]
    optimizer = torch.optim.AdamW(denoiser.parameters(), 4e-3)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 600)

    def draw(rows: int) -> torch.Tensor:
        level, other = torch.randn(rows, 1), torch.randn(rows, 1)
        return torch.stack([level.expand(-1, 4), (0.8 * level + 0.6 * other).expand(-1, 4)], -1)

    everything = torch.ones(256, 4, dtype=torch.bool)
    for _ in range(600):
        known = torch.zeros(256, 4, 2, dtype=torch.bool)
        known[:64, :, 0] = True
        loss = denoiser.loss(draw(256), everything, known, torch.rand(256), torch.randn(256, 4, 2)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        falling.step()
    valid = torch.ones(2000, 4, dtype=torch.bool)
    given, known = draw(2000), torch.zeros(2000, 4, 2, dtype=torch.bool)
    free = denoiser.sample(torch.randn(2000, 4, 2), given=given, known=known, valid=valid)
    assert float(torch.corrcoef(free[:, 1].T)[0, 1]) == pytest.approx(0.8, abs=0.1)
    assert free.std(0).mean() == pytest.approx(1.0, abs=0.15)
    known[..., 0] = True
    told = denoiser.sample(torch.randn(2000, 4, 2), given=given, known=known, valid=valid)
    rest = told[:, 1, 1] - 0.8 * given[:, 1, 0]
    assert float(rest.std()) == pytest.approx(0.6, abs=0.12)
    assert abs(float(torch.corrcoef(torch.stack([rest, given[:, 1, 0]]))[0, 1])) < 0.2
