"""The presets: each valid, short, and explained in its first line."""

from __future__ import annotations

from pathlib import Path

import pytest

from synthgen.config.loading import load_config
from synthgen.config.presets import preset_folder, preset_names, preset_summary, preset_text


def test_the_data_sets_of_the_field_have_one() -> None:
    wanted = {"mnist", "mnist-mini", "fashion-mnist", "cifar10", "celeba", "imagenet", "images"}
    assert wanted <= set(preset_names())


def test_a_checkout_finds_them_beside_the_package() -> None:
    assert preset_folder() == Path(__file__).resolve().parents[2] / "configs"


@pytest.mark.parametrize("name", preset_names())
def test_preset(name: str) -> None:
    config = load_config(name)
    if config.modality == "images":  # of tables the rows decide
        assert config.training.budget or config.training.steps or config.training.epochs
    assert 10 < len(preset_summary(name)) <= 64  # one line of `config list` at 80 columns
    assert len(preset_text(name).splitlines()) <= 40


@pytest.mark.parametrize("name", ["mnist", "mnist-mini", "fashion-mnist"])
def test_what_has_a_left_and_a_right_is_not_mirrored(name: str) -> None:
    augment = load_config(name).data.augment
    assert not (augment.horizontal_flip or augment.vertical_flip)


@pytest.mark.parametrize(("name", "side"), [("mnist", 28), ("cifar10", 32), ("celeba", 64), ("images", 32)])
def test_the_network_can_halve_the_images(name: str, side: int) -> None:
    """UNet2DModel halves the image once per level but the last."""
    levels = len(load_config(name).model.channels)
    assert side % 2 ** (levels - 1) == 0


def test_an_unknown_preset() -> None:
    with pytest.raises(KeyError):
        preset_text("../pyproject")
