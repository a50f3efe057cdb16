"""The models that come with the package: small, whole, cards in them, and usable by their names alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from synthgen.checkpoints import read_header
from synthgen.generation.model import Model, load
from synthgen.runs import bundled_models

MODELS = bundled_models()
LARGEST = 8_000_000


def test_both_digits_and_clothes_are_there_with_their_few_step_versions() -> None:
    assert {"mnist", "mnist-fast", "fashion-mnist", "fashion-mnist-fast"} <= MODELS.keys()


@pytest.mark.parametrize("name", MODELS)
def test_a_bundled_model_is_small_and_says_what_it_is(name: str) -> None:
    assert MODELS[name].stat().st_size < LARGEST
    header = read_header(MODELS[name])
    assert header["data"]["name"] in ("mnist", "fashion-mnist")
    assert header["data"]["held_out"] > 0, "what the card was measured by was held out"
    assert header["sampler_card"]["settings"] if "settings" in header["sampler_card"] else header["sampler_card"]
    text = str(header)
    assert "/tmp" not in text, "no place of the machine that trained it"
    assert str(Path.home()) not in text


@pytest.mark.parametrize("name", MODELS)
def test_a_bundled_model_draws_its_classes(name: str, cli: Any, tmp_path: Path) -> None:
    """The mean of each class correlates with what samples of that class look like: labels are not mixed up."""
    model = load(f"bundled:{name}", device="cpu")
    assert isinstance(model, Model)
    assert model.codec.to_dict() == {"height": 28, "width": 28, "channels": 1}
    first, second = (model.sample(60, seed=seed).reshape(6, 10, -1).astype(float).mean(0) for seed in (0, 1))
    centred = [part - part.mean(0) for part in (first, second)]
    likeness = np.array([[np.corrcoef(a, b)[0, 1] for b in centred[1]] for a in centred[0]])
    assert (likeness.argmax(1) == np.arange(10)).mean() >= 0.9


def test_the_name_is_enough_on_the_command_line(cli: Any, tmp_path: Path) -> None:
    result = cli("sample", "bundled:mnist-fast", "--count", "20", "--out", str(tmp_path / "out"), "--json")
    assert result.returncode == 0, result.stderr
    assert len(list((tmp_path / "out").rglob("*.png"))) >= 20
