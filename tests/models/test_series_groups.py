"""Groups of independent parts: taken apart and put together, nothing passes between them."""

from __future__ import annotations

import torch

from synthgen.config.series import SeriesConfig
from synthgen.data.series.parts import Part
from synthgen.diffusion.series import SeriesDenoiser
from synthgen.models.series import SeriesNetwork
from synthgen.models.series_groups import Groups

PARTS = (
    Part("a", "channel", 0, 1, missing=6, group=1),
    Part("b", "channel", 1, 4, group=0),
    Part("c", "channel", 4, 5, missing=6, group=1),
    Part("d", "channel", 5, 6, group=2),
)


def test_apart_and_together() -> None:
    groups = Groups(PARTS, 7)
    assert (groups.count, groups.width) == (3, 3)
    cells = torch.arange(2 * 5 * 2 * 7, dtype=torch.float32).view(2, 5, 2, 7) + 1
    apart = groups.apart(cells)
    assert apart.shape == (6, 5, 6)
    assert torch.equal(apart[4], torch.cat([cells[1, :, 0][:, [0, 4, 6]], cells[1, :, 1][:, [0, 4, 6]]], -1))
    assert torch.equal(apart[2, :, :3], torch.nn.functional.pad(cells[0, :, 0, 5:6], (0, 2)))
    assert torch.equal(groups.together(apart[..., :3]), cells[:, :, 0])
    assert groups.of_dimensions is not None
    assert groups.of_dimensions.tolist() == [1, 0, 0, 0, 1, 2, 1]


def test_one_group_is_what_it_was() -> None:
    groups = Groups([Part("a", "channel", 0, 2), Part("b", "channel", 2, 3)], 3)
    cells = torch.randn(2, 5, 4, 3)
    assert torch.equal(groups.apart(cells), cells.flatten(2))
    assert torch.equal(groups.together(cells[:, :, 0]), cells[:, :, 0])
    assert groups.of_dimensions is None


def build() -> SeriesDenoiser:
    torch.manual_seed(0)
    config = SeriesConfig.model_validate({"model": {"width": 16, "blocks": 2, "heads": 2}})
    network = SeriesNetwork(config.model, 8, PARTS)
    with torch.no_grad():
        for weight in network.parameters():
            weight.normal_(std=0.2)
    x = torch.randn(500, 8, 7).cumsum(1)
    network.start_from(lambda index: (x[index], torch.ones(len(index), 8, dtype=torch.bool)), 500)
    return SeriesDenoiser(network, PARTS, noise_mean=-1.0, noise_std=1.4).eval()


def test_nothing_passes_between_groups() -> None:
    denoiser = build()
    noise, valid = torch.randn(3, 8, 7), torch.ones(3, 8, dtype=torch.bool)
    given, known = torch.randn(3, 8, 7), torch.rand(3, 8, 7) < 0.3
    first = denoiser.sample(noise, given=given, known=known, valid=valid, steps=4)
    own = torch.tensor([0, 4, 6])
    noise[..., own] += 1
    given[..., own] -= 1
    second = denoiser.sample(noise, given=given, known=known, valid=valid, steps=4)
    other = torch.tensor([1, 2, 3, 5])
    assert torch.allclose(first[..., other], second[..., other], atol=1e-5)
    assert (first - second)[..., own].abs().max() > 0.1


def test_within_a_group_everything_counts() -> None:
    denoiser = build()
    noise, valid = torch.randn(1, 8, 7), torch.ones(1, 8, dtype=torch.bool)
    nothing = {"given": torch.zeros(1, 8, 7), "known": torch.zeros(1, 8, 7, dtype=torch.bool), "valid": valid}
    first = denoiser.sample(noise, steps=4, **nothing)  # type: ignore[arg-type]
    noise[0, 7, 0] += 1
    second = denoiser.sample(noise, steps=4, **nothing)  # type: ignore[arg-type]
    assert (first - second)[0, 0, 4].abs() > 1e-5


def test_steps_that_do_not_exist_change_nothing_in_any_group() -> None:
    denoiser = build()
    noise, valid = torch.randn(2, 8, 7), torch.ones(2, 8, dtype=torch.bool)
    valid[1, 4:] = False
    nothing = {"given": torch.zeros(2, 8, 7), "known": torch.zeros(2, 8, 7, dtype=torch.bool), "valid": valid}
    first = denoiser.sample(noise, steps=3, **nothing)  # type: ignore[arg-type]
    noise[1, 4:] = 9.0
    second = denoiser.sample(noise, steps=3, **nothing)  # type: ignore[arg-type]
    assert torch.allclose(first, second, atol=1e-5)
    assert not first[1, 4:].any()
