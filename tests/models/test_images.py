"""The image network: what it accepts, and what it says when it does not fit."""

from __future__ import annotations

import pytest
import torch

from synthgen.config.schema import ModelConfig
from synthgen.errors import UsageError
from synthgen.models.images import build_network

SMALL = ModelConfig(channels=(8, 16), norm_groups=4)


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 12, 3), (30, 20, 3)])
@pytest.mark.parametrize("classes", [0, 3])
def test_output_is_shaped_like_the_input(shape: tuple[int, int, int], classes: int) -> None:
    network = build_network(SMALL, shape, classes)
    x = torch.randn(2, shape[2], shape[0], shape[1])
    labels = torch.tensor([0, classes]) if classes else None  # the last label is the null class
    output = network(x, torch.tensor([0.1, 0.5]), labels)
    assert output.shape == x.shape
    assert float(output.detach().abs().max()) == 0.0, "a fresh network answers zero"


def test_the_class_and_the_time_matter() -> None:
    torch.manual_seed(0)
    network = build_network(SMALL, (8, 8, 1), 2)
    torch.nn.init.normal_(network.unet.conv_out.weight)  # type: ignore[arg-type, union-attr]
    x, time = torch.randn(1, 1, 8, 8).repeat(2, 1, 1, 1), torch.tensor([0.1, 0.1])
    same = network(x, time, torch.tensor([1, 1]))
    torch.testing.assert_close(same[0], same[1])
    assert not torch.allclose(*network(x, time, torch.tensor([0, 1])))
    assert not torch.allclose(*network(x, torch.tensor([0.1, 0.9]), torch.tensor([1, 1])))


def test_a_size_that_does_not_halve_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(UsageError, match="divisible by 4") as caught:
        build_network(ModelConfig(channels=(8, 8, 8)), (30, 28, 1), 0)
    assert "[32, 28]" in (caught.value.hint or "")


def attending(**changes: object) -> ModelConfig:
    settings = {"channels": (8, 16), "norm_groups": 4, "attention_head_dim": 8, "attention_resolutions": (4,)}
    return ModelConfig.model_validate({**settings, **changes})


def test_attention_sits_where_it_was_asked_for() -> None:
    network = build_network(attending(), (8, 8, 1), 0)
    assert [block.attends for block in network.unet.down_blocks] == [False, True]  # type: ignore[union-attr]
    assert network(torch.randn(1, 1, 8, 8), torch.tensor([0.5]), None).shape == (1, 1, 8, 8)


def test_attention_that_cannot_be_is_refused() -> None:
    with pytest.raises(UsageError, match=r"resolutions are \[8, 4\]"):
        build_network(attending(attention_resolutions=(7,)), (8, 8, 1), 0)
    with pytest.raises(UsageError, match="does not divide the 16 channels"):  # diffusers would build zero heads
        build_network(attending(attention_head_dim=32), (8, 8, 1), 0)


@pytest.mark.parametrize("shape", [(8, 8, 1), (8, 16, 3)])
def test_patches_are_pixels_of_more_channels(shape: tuple[int, int, int]) -> None:
    torch.manual_seed(0)
    network = build_network(SMALL.model_copy(update={"patch_size": 2}), shape, 2)
    torch.nn.init.normal_(network.unet.conv_out.weight)  # type: ignore[arg-type, union-attr]
    height, width, channels = shape
    x, time, labels = torch.randn(3, channels, height, width), torch.tensor([0.1, 0.5, 0.9]), torch.tensor([0, 1, 2])
    squares = x.reshape(3, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
    answer = network.unet(squares.reshape(3, 4 * channels, height // 2, width // 2), time, labels)  # type: ignore[operator]
    back = answer.reshape(3, channels, 2, 2, height // 2, width // 2).permute(0, 1, 4, 2, 5, 3).reshape(x.shape)
    torch.testing.assert_close(network(x, time, labels), back)


def test_sides_must_hold_whole_patches() -> None:
    with pytest.raises(UsageError, match="2 resolutions of 2-pixel patches: each side must be divisible by 4"):
        build_network(SMALL.model_copy(update={"patch_size": 2}), (10, 8, 1), 0)
