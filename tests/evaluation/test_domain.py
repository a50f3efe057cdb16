"""Domain features: bundled, trained on demand, given as a file, and usable by torch-fidelity itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch_fidelity
from torch.utils.data import Dataset

from synthgen.data import load_images
from synthgen.data.dataset import ImageData
from synthgen.downstream.classifier import classify, save_classifier
from synthgen.errors import SynthgenError, UsageError
from synthgen.evaluation import metrics
from synthgen.evaluation.domain import (
    REGISTERED_NAME,
    TOTAL_VARIANCE,
    WEIGHTS,
    domain_extractor,
    extractor_from_file,
    train_extractor,
)
from synthgen.evaluation.extractors import Extractor
from synthgen.evaluation.images import evaluate_images
from synthgen.evaluation.neighbourhoods import overlap, radii
from synthgen.models.classifier import build_classifier
from synthgen.reporting import NullReporter
from tests.evaluation.conftest import NAMES, QUICK, blobs

pytestmark = pytest.mark.usefixtures("one_thread")


class _Listener(NullReporter):
    def __init__(self) -> None:
        self.said: list[str] = []

    def info(self, message: str) -> None:
        self.said.append(message)


def test_an_rgb_set_gets_an_extractor_on_demand_and_keeps_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path))
    real, listener = blobs(300, seed=3), _Listener()
    first = domain_extractor(real, recipe=QUICK, device="cpu", reporter=listener)
    assert len(listener.said) == 1 and "300 images of blobs-3" in listener.said[0]
    assert first.class_names == NAMES and first.channels == 3
    again = domain_extractor(real, recipe=QUICK, device="cpu", reporter=listener)
    assert len(listener.said) == 1  # nothing was trained
    other = blobs(60, seed=4)
    np.testing.assert_array_equal(first.extract(other.images).features, again.extract(other.images).features)
    read = first.extract(other.images).logits
    assert read is not None and np.mean(read.argmax(1) == other.labels) > 0.98
    domain_extractor(blobs(300, seed=4), recipe=QUICK, device="cpu", reporter=listener)
    assert len(listener.said) == 2  # other images, another extractor


def test_an_extractor_on_demand_never_sees_the_images_of_the_floor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr("synthgen.evaluation.domain.RECIPE", QUICK)
    monkeypatch.setitem(domain_extractor.__kwdefaults__, "recipe", QUICK)
    found = evaluate_images(blobs(200, seed=3), blobs(50, seed=5), metrics=["fid"], device="cpu")
    assert found.extractor["data"]["count"] == found.real.used == 100


def test_images_without_labels_are_learned_by_their_rotation(tmp_path: Path) -> None:
    """Arrows: a bar at the upper edge of wide images. The extractor tells noise from arrows, and reads no classes."""
    random = np.random.default_rng(0)

    def arrows(count: int) -> ImageData:
        images = random.integers(0, 60, (count, 12, 16, 1), dtype=np.uint8)
        images[:, :3, 3:13] = random.integers(150, 256, (count, 1, 1, 1))
        return ImageData(images, None, (), "arrows")

    path = tmp_path / "arrows.safetensors"
    card = train_extractor(arrows(200), path, recipe=QUICK, device="cpu")
    extractor = extractor_from_file(path, device="cpu")
    assert card["task"] == "rotation"
    assert extractor.class_names == () and extractor.logits_layer is None
    real = arrows(200)
    noise = ImageData(random.integers(0, 60, (100, 12, 16, 1), dtype=np.uint8), None, (), "noise")
    good = evaluate_images(real, arrows(100), features=extractor).metrics["fid"]
    bad = evaluate_images(real, noise, features=extractor)
    assert good.floor is not None and good.value < 5 * good.floor
    assert bad.metrics["fid"].value > 20 * good.value
    assert "is" not in bad.metrics and any(note.startswith("is:") for note in bad.notes)


def test_the_variance_of_the_training_images_is_the_unit(extractor: Extractor) -> None:
    features = extractor.extract(blobs(600, seed=99).images).features
    assert features.var(axis=0, dtype=np.float64).sum() == pytest.approx(TOTAL_VARIANCE, rel=1e-3)
    assert features.shape == (600, 64)


class _Pictures(Dataset[torch.Tensor]):
    """As torch-fidelity wants them: uint8 (3, H, W), one by one."""

    def __init__(self, data: ImageData) -> None:
        self.data = data

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> torch.Tensor:
        return torch.from_numpy(self.data.images[index]).permute(2, 0, 1)


def test_torch_fidelity_itself_gives_the_same_figures(
    tmp_path: Path, extractor: Extractor, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its own pipeline from images to figures, with our file as its feature extractor."""
    path = tmp_path / "x.safetensors"
    train_extractor(blobs(600, seed=99), path, recipe=QUICK, device="cpu")
    first, second = blobs(150, seed=1), blobs(150, seed=2, noise=120)
    theirs = torch_fidelity.calculate_metrics(
        input1=_Pictures(second),
        input2=_Pictures(first),
        fid=True,
        prc=True,
        isc=True,
        feature_extractor=REGISTERED_NAME,
        feature_extractor_weights_path=path,
        cuda=False,
        save_cpu_ram=True,
        verbose=False,
        rng_seed=0,
    )
    a, b = (extractor.extract(data.images) for data in (first, second))
    assert b.logits is not None
    found = overlap(a.features, b.features, radii(a.features, (3, 5)), radii(b.features, (3,))[0])
    assert metrics.frechet_distance(a.features, b.features) == pytest.approx(
        theirs["frechet_inception_distance"], rel=1e-3
    )
    assert found.inside.mean() == pytest.approx(theirs["precision"], abs=0.02)
    assert found.reached.mean() == pytest.approx(theirs["recall"], abs=0.02)
    assert metrics.inception_score(b.logits).value == pytest.approx(theirs["inception_score_mean"], rel=1e-3)
    assert capfd.readouterr() == ("", "")  # and ours says nothing on its own


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_bundled_extractors_are_small_and_say_where_they_come_from(name: str) -> None:
    path = WEIGHTS / f"{name}.safetensors"
    assert path.stat().st_size < 1_000_000
    card = extractor_from_file(path, device="cpu").card
    assert card["data"]["name"] == name and card["data"]["count"] == 60_000
    assert card["test_count"] == 10_000
    log = (WEIGHTS / "README.md").read_text(encoding="utf-8")
    assert f"| {name} | 60,000 |" in log and f"{100 * card['test_accuracy']:.2f} %" in log


def test_the_bundled_judge_reads_real_digits() -> None:
    test = load_images("mnist-mini", split="test", limit=500)
    extractor = domain_extractor(test, device="cpu")
    assert extractor.name == "domain-mnist"
    read = extractor.extract(test.images).logits
    assert read is not None and np.mean(read.argmax(1) == test.labels) > 0.98


def test_the_log_of_the_bundled_accuracy_is_true(data_dir: Path) -> None:
    """On a part of the real test images, within its sampling error."""
    for name in ("mnist", "fashion-mnist"):
        test = load_images(name, split="test", limit=1000)
        extractor = domain_extractor(test, device="cpu")
        read = extractor.extract(test.images).logits
        assert read is not None
        claimed = extractor.card["test_accuracy"]
        margin = 4 * np.sqrt(claimed * (1 - claimed) / 1000)
        assert abs(np.mean(read.argmax(1) == test.labels) - claimed) < margin


def test_digits_of_another_size_do_not_get_the_bundled_extractor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", str(tmp_path))
    small = load_images("mnist-mini", image_size=16, limit=100)
    found = domain_extractor(small, recipe=replace(QUICK, steps=2), device="cpu")
    assert found.name != "domain-mnist" and found.card["data"]["count"] == 100


def test_files_that_are_no_extractors_are_refused(tmp_path: Path) -> None:
    plain = tmp_path / "plain.safetensors"
    save_classifier(plain, build_classifier(1, 2), ("a", "b"), {})
    with pytest.raises(SynthgenError, match="not a feature extractor"):
        extractor_from_file(plain)
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(plain.read_bytes()[:-100])
    with pytest.raises(SynthgenError, match="damaged"):
        extractor_from_file(cut)
    with pytest.raises(UsageError, match="no checkpoint"):
        extractor_from_file(tmp_path / "none.safetensors")


def test_images_that_cannot_be_learned_from_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"6 x 6 pixels are too small for domain features"):
        train_extractor(blobs(20, size=6), tmp_path / "x.safetensors", recipe=QUICK)
    blank = ImageData(np.zeros((20, 8, 8, 1), np.uint8), np.arange(20) % 2, ("a", "b"), "blank")
    with pytest.raises(UsageError, match="all look the same"):
        train_extractor(blank, tmp_path / "x.safetensors", recipe=replace(QUICK, steps=2), device="cpu")


def test_features_do_not_depend_on_the_batch(extractor: Extractor) -> None:
    images = blobs(100, seed=5).images
    whole = extractor.extract(images).features
    parts = replace(extractor, batch_size=7).extract(images).features
    np.testing.assert_allclose(whole, parts, rtol=1e-4, atol=1e-4)
    direct = classify(extractor.module.model, images).features * extractor.module.scale
    np.testing.assert_allclose(whole, direct, rtol=1e-4, atol=1e-4)
