"""Our U-Net against diffusers' own: the same weights from a seed, by the same names, the same output to the bit."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from synthgen.config.schema import ModelConfig
from synthgen.models.images import build_network, unet_arguments
from synthgen.models.unet import time_features

CASES = [
    ({"channels": (32, 64, 64)}, (28, 28, 1), 10),
    (
        {"channels": (16, 32), "attention_resolutions": (7, 14), "attention_head_dim": 8, "layers_per_block": 2},
        (14, 14, 3),
        0,
    ),
    (
        {"channels": (16, 24, 32), "attention_resolutions": (4,), "attention_head_dim": 8, "norm_groups": 4},
        (16, 24, 3),
        5,
    ),
    ({"channels": (16,), "dropout": 0.5}, (8, 8, 1), 3),
]


@pytest.mark.parametrize(("settings", "shape", "classes"), CASES)
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_equal_to_diffusers(
    settings: dict[str, object], shape: tuple[int, int, int], classes: int, precision: torch.dtype
) -> None:
    from diffusers import UNet2DModel

    config = ModelConfig.model_validate(settings)
    torch.manual_seed(0)
    theirs = UNet2DModel(**unet_arguments(config, shape, classes)).eval()
    torch.manual_seed(0)
    ours = build_network(config, shape, classes).unet.eval()
    torch.nn.init.zeros_(theirs.conv_out.weight)
    torch.nn.init.zeros_(theirs.conv_out.bias)
    assert [name for name, _ in ours.named_parameters()] == [name for name, _ in theirs.named_parameters()]
    for name, weight in theirs.state_dict().items():
        assert torch.equal(weight, ours.state_dict()[name]), name
    torch.nn.init.normal_(theirs.conv_out.weight)  # else both answer zero
    ours.load_state_dict(theirs.state_dict())
    x, time = torch.randn(4, shape[2], shape[0], shape[1]), torch.tensor([-1.5, 0.0, 0.3, 700.0])
    labels = torch.tensor([0, 1, 2, classes]) if classes else None
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == torch.bfloat16):
        expected = theirs(x, time, class_labels=labels, return_dict=False)[0]
        torch.testing.assert_close(ours(x, time, labels), expected, rtol=1e-6, atol=1e-6)


def test_gradients_are_those_of_diffusers() -> None:
    from diffusers import UNet2DModel

    config = ModelConfig.model_validate(CASES[2][0])
    torch.manual_seed(0)
    theirs = UNet2DModel(**unet_arguments(config, *CASES[2][1:])).train()
    ours = build_network(config, *CASES[2][1:]).unet.train()
    ours.load_state_dict(theirs.state_dict())
    x, time, labels = torch.randn(2, 3, 16, 24), torch.tensor([0.1, 0.9]), torch.tensor([0, 5])
    theirs(x, time, class_labels=labels, return_dict=False)[0].square().sum().backward()
    ours(x, time, labels).square().sum().backward()
    for (name, a), b in zip(theirs.named_parameters(), ours.parameters(), strict=True):
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4, msg=name)


def test_time_features_are_cosines_then_sines() -> None:
    found = time_features(torch.tensor([0.0, 2.0]), 4)
    torch.testing.assert_close(found[0], torch.tensor([1.0, 1.0, 0.0, 0.0]))
    expected = torch.tensor([2.0, 0.02])
    torch.testing.assert_close(found[1], torch.cat([expected.cos(), expected.sin()]))


def test_sampling_does_not_import_diffusers() -> None:
    script = (
        "import sys; from synthgen.config.schema import ModelConfig; from synthgen.models.images import build_network\n"
        "import synthgen.generation.model, synthgen.training.run\n"
        "build_network(ModelConfig(channels=(8,)), (8, 8, 1), 2); sys.exit('diffusers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", script]).returncode == 0
