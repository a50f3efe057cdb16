"""The verbs as Python calls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import synthgen
from synthgen.errors import UsageError
from tests.conftest import TINY

pytestmark = pytest.mark.usefixtures("one_thread")


def test_train_sample_and_load_agree(corners_npz: Path, tmp_path: Path) -> None:
    import yaml

    settings = {key: yaml.safe_load(value) for key, value in (text.split("=") for text in TINY)}
    settings["training.learning_rate"] = 0.005
    model = synthgen.train(corners_npz, tmp_path / "run", steps=3, settings=settings)
    images = model.sample(10, labels="top", seed=4)
    np.testing.assert_array_equal(images, synthgen.load(tmp_path / "run").sample(10, labels="top", seed=4))
    result = synthgen.sample(model, tmp_path / "out", 10, labels=["top"], seed=4)
    np.testing.assert_array_equal(synthgen.load_images(str(result.out)).images, images)
    with pytest.raises(UsageError, match="exists already"):
        synthgen.train(corners_npz, tmp_path / "run", steps=3, settings=settings)


def test_explain_and_export(tiny_run: Path, tmp_path: Path) -> None:
    model = synthgen.load(tiny_run)
    explanation = synthgen.api.explain(model, tmp_path / "why", samples=2, methods=["trajectory"])
    assert (explanation.folder / "index.html").is_file()
    exported = synthgen.api.export(tiny_run, tmp_path / "exported", format="safetensors")
    assert exported.max_difference == 0


def test_evaluate_and_augment(tiny_run: Path, corners_npz: Path) -> None:
    figures = synthgen.evaluate(corners_npz, synthgen.load(tiny_run), count=64, metrics=["fid", "agreement"])
    assert figures.metrics["agreement"].value > 0.9, "a really trained model draws the class that was asked for"
    assert figures.metrics["fid"].floor is not None
    helped = synthgen.augment_classifier(
        corners_npz, tiny_run, count=64, seeds=[0], steps=100, batch_size=32, allow_leak=True
    )
    assert set(helped.variants) >= {"real", "synthetic"}
    assert helped.variants["synthetic"].mean > 0.9


def test_every_call_takes_a_model_of_a_table(table_run: Path, table_csv: Path, tmp_path: Path) -> None:
    model = synthgen.load(table_run)
    figures = synthgen.evaluate(table_csv, model, count=200, metrics=["shape"])
    assert figures.metrics["shape"].value < 0.15
    helped = synthgen.augment_classifier(
        table_csv, model, target="income", count=200, seeds=[0], classifier="boosting", allow_leak=True
    )
    assert [trained.learner for trained in helped.trained] == ["boosting"]
    assert {"real", "synthetic"} <= set(helped.trained[0].variants)
    made = [synthgen.api.sample_shards(model, tmp_path / "set", 300, shards=3, part=(i, 3)) for i in range(3)]
    assert made[-1].finished and sum(part.count for part in made) == 300
    with pytest.raises(UsageError, match="filter: for images only"):
        synthgen.augment_classifier(table_csv, model, filter="nearest")
    with pytest.raises(UsageError, match="sampler: only a model of images"):
        synthgen.api.sample_shards(model, tmp_path / "other", 10, sampler="ddim")


def test_images_have_no_target(corners_npz: Path, tiny_run: Path) -> None:
    with pytest.raises(UsageError, match="target: for tables only"):
        synthgen.augment_classifier(corners_npz, tiny_run, target="income")
