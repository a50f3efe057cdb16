"""The form of the U-Net that samples are drawn with, against the network that learned."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from synthgen.config.schema import ModelConfig
from synthgen.models.images import ImageNetwork, build_network
from synthgen.models.inference import inference_form

CPU = torch.device("cpu")
CASES = [
    ({"channels": (16, 32), "patch_size": 2}, (28, 28, 1), 10),
    ({"channels": (16, 24, 32), "attention_resolutions": (4, 16), "attention_head_dim": 8}, (16, 24, 3), 0),
    ({"channels": (128, 256), "norm_groups": 8, "dropout": 0.5}, (8, 8, 1), 3),  # 16 channels in a group, and 32
]


def networks(case: tuple[dict[str, object], tuple[int, int, int], int]) -> tuple[ImageNetwork, list[torch.Tensor]]:
    settings, shape, classes = case
    torch.manual_seed(0)
    network = build_network(ModelConfig.model_validate(settings), shape, classes).eval()
    nn.init.normal_(network.unet.conv_out.weight, std=0.1)  # else all answers are zero
    labels = torch.tensor([0, 1, classes]) if classes else None
    return network, [torch.randn(3, shape[2], *shape[:2]), torch.tensor([-1.5, 0.0, 0.3]), labels]


@pytest.mark.parametrize("case", CASES)
def test_fp32_equals_the_network(case: tuple[dict[str, object], tuple[int, int, int], int]) -> None:
    network, given = networks(case)
    form = inference_form(network, torch.float32, CPU)
    assert form is not None
    with torch.inference_mode():
        torch.testing.assert_close(form(*given), network(*given), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("case", CASES)
def test_bf16_is_as_close_to_fp32_as_autocast(case: tuple[dict[str, object], tuple[int, int, int], int]) -> None:
    """bf16 has 8 bits; what counts is that the form loses no more of them than the network under autocast."""
    network, given = networks(case)
    form = inference_form(network, torch.bfloat16, CPU)
    assert form is not None
    with torch.inference_mode():
        exact = network(*given)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            usual = network(*given).float()
        found = form(*given)
    assert found.dtype == torch.float32 and found.is_contiguous()
    wrong = (found - exact).square().mean().sqrt()
    assert 0 < wrong < 1.5 * (usual - exact).square().mean().sqrt() < 0.05 * exact.std()


def test_the_network_itself_is_left_alone() -> None:
    network, given = networks(CASES[0])
    before = {name: value.clone() for name, value in network.state_dict().items()}
    names = [name for name, _ in network.named_modules()]
    form = inference_form(network.train(), torch.bfloat16, CPU)
    assert form is not None and not form.training and network.training
    assert [name for name, _ in network.named_modules()] == names
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name]) and value.dtype == torch.float32 and value.requires_grad is False
    with torch.no_grad():
        network.unet.conv_in.weight.zero_()  # training goes on: the form keeps its own weights
        assert not torch.equal(form(*given), inference_form(network, torch.bfloat16, CPU)(*given))  # type: ignore[misc]


def test_what_is_not_known_is_not_touched() -> None:
    class Other(ImageNetwork):
        pass

    network, _ = networks(CASES[0])
    assert inference_form(Other(network.unet), torch.float32, CPU) is None
    assert inference_form(network.unet, torch.float32, CPU) is None
    assert inference_form(network, torch.float32, torch.device("mps")) is None
    handle = network.unet.mid_block.register_forward_hook(lambda *_: None)
    assert inference_form(network, torch.float32, CPU) is None
    handle.remove()
    assert inference_form(network, torch.float32, CPU) is not None
