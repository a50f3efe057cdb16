"""Training on captions and on class tokens: what a header says then, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import synthgen.data.captions
import synthgen.training.images
from synthgen.config.loading import load_config
from synthgen.errors import UsageError
from synthgen.evaluation.sampler_card_judge import _as_model
from synthgen.generation.model import Model, load
from synthgen.training.run import train
from tests.conftest import TINY

pytestmark = pytest.mark.usefixtures("one_thread")

CROSS = ["model.conditioning=cross-attention", "model.channels=[8]", "model.attention_head_dim=8"]


def trained(out: Path, source: Path, **more: Any) -> Model:
    given = {"data.source": str(source), "training.steps": 2, "sampling.card": "never", **more}
    found = load(train(load_config(None, [*TINY, *CROSS], given), out, device="cpu").checkpoint, device="cpu")
    assert isinstance(found, Model)
    return found


def test_the_header_says_words_and_captions(captioned_folder: Path, tmp_path: Path) -> None:
    model = trained(tmp_path / "run", captioned_folder)
    assert model.header["vocabulary"]["length"] == 7 and set(model.header["vocabulary"]) == {"words", "length"}
    assert len(model.class_names) == 5 and model.vocabulary is not None and len(model.vocabulary.words) == 9


def test_of_too_many_captions_the_commonest_are_remembered(
    captioned_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All are learned from; what is remembered has the same numbers, and what is not is no caption to a judge."""
    monkeypatch.setattr(synthgen.data.captions, "MOST_CAPTIONS", 3)
    monkeypatch.setattr(synthgen.training.images, "MOST_CAPTIONS", 3)
    source = {"data.limit": 249}  # one caption has an image less than the others
    model = trained(tmp_path / "run", captioned_folder, **source)
    data = synthgen.training.images.load_data(model.config)
    assert len(data.class_names) == 5 and data.class_names[:3] == model.class_names
    assert data.labels is not None and _as_model(data.labels, 3).max() == 3  # the null label
    assert data.fingerprint == model.header["data"]["fingerprint"]
    assert model.vocabulary is not None and len(model.vocabulary.words) == 9
    assert model.sample(2, prompts="a blue square").shape == (2, 8, 8, 3)


def test_without_captions_each_class_is_a_token(corners_npz: Path, tmp_path: Path) -> None:
    model = trained(tmp_path / "run", corners_npz)
    assert "vocabulary" not in model.header and model.class_names == ("top", "bottom")
    assert model.sample(2, labels="top", guidance_scale=2.0).shape == (2, 8, 8, 1)
    with pytest.raises(UsageError, match="did not learn from captions"):
        model.told("top")


def test_nothing_to_look_at(tmp_path: Path) -> None:
    np.savez(tmp_path / "plain.npz", images=np.random.default_rng(0).integers(0, 255, (40, 8, 8, 1), np.uint8))
    with pytest.raises(UsageError, match="has neither captions nor labels"):
        trained(tmp_path / "run", tmp_path / "plain.npz")


def test_captions_are_not_read_unless_asked_for(captioned_folder: Path, tmp_path: Path) -> None:
    given = {"data.source": str(captioned_folder), "training.steps": 1, "sampling.card": "never"}
    result = train(load_config(None, TINY, given), tmp_path / "run", device="cpu")
    model = load(result.checkpoint, device="cpu")
    assert isinstance(model, Model) and model.class_names == ("left", "right") and model.vocabulary is None
