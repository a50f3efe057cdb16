"""What people hand over by mistake, and the one clear sentence that each gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthgen.data.dataset import ImageData
from synthgen.errors import UsageError
from synthgen.evaluation.comparing import evaluate_sources
from synthgen.evaluation.extractors import Extractor
from tests.evaluation.conftest import blobs

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def real_file(tmp_path: Path) -> Path:
    return save(tmp_path / "real.npz", blobs(60))


def save(path: Path, data: ImageData) -> Path:
    assert data.labels is not None
    np.savez(path, images=data.images, labels=data.labels, class_names=np.array(data.class_names))
    return path


def folder(path: Path, images: Sequence[np.ndarray]) -> Path:
    path.mkdir()
    for number, image in enumerate(images):
        Image.fromarray(image).save(path / f"{number:03d}.png")
    return path


def test_mixed_sizes_are_refused_and_not_resized_in_silence(real_file: Path, tmp_path: Path) -> None:
    images = [*blobs(9, seed=5).images, *blobs(3, seed=6, size=20).images]
    with pytest.raises(UsageError, match="different sizes, 12 x 12 to 20 x 20 pixels") as error:
        evaluate_sources(str(real_file), [str(folder(tmp_path / "mixed", images))])
    assert "data prepare" in str(error.value.hint)


def test_one_image(real_file: Path, tmp_path: Path) -> None:
    one = folder(tmp_path / "one", blobs(1, seed=5).images)
    with pytest.raises(UsageError, match="1 images a side are too few to compare: 1 fake"):
        evaluate_sources(str(real_file), [str(one)])
    with pytest.raises(UsageError, match="is one image, not a set of images"):
        evaluate_sources(str(real_file), [str(one / "000.png")])
    with pytest.raises(UsageError, match="0 images a side are too few"):
        evaluate_sources(str(one), [str(save(tmp_path / "fake.npz", blobs(20, seed=5)))])


def test_pixels_that_are_not_numbers(real_file: Path, tmp_path: Path) -> None:
    images = blobs(20, seed=5).images.astype(np.float32) / 255
    images[3, 4, 5, 0] = np.nan
    np.savez(tmp_path / "nan.npz", images=images)
    with pytest.raises(UsageError, match=r"nan.npz.* not finite \(NaN or infinity\)"):
        evaluate_sources(str(real_file), [str(tmp_path / "nan.npz")])


def test_labels_that_are_missing(real_file: Path, tmp_path: Path, extractor: Extractor) -> None:
    fake = blobs(20, seed=5)
    np.savez(tmp_path / "bare.npz", images=fake.images)
    with pytest.raises(UsageError, match="cannot compute agreement: the fake images have no labels"):
        evaluate_sources(str(real_file), [str(tmp_path / "bare.npz")], metrics=["agreement"], features=extractor)
    np.savez(tmp_path / "few.npz", images=fake.images, labels=np.zeros(19, np.int64))
    with pytest.raises(UsageError, match="19 labels for 20 images"):
        evaluate_sources(str(real_file), [str(tmp_path / "few.npz")])


def test_an_empty_class_is_named_and_has_no_figures(real_file: Path, tmp_path: Path, extractor: Extractor) -> None:
    """The names say three classes, and the images are of two."""
    fake = blobs(60, seed=5)
    assert fake.labels is not None
    part = fake.select(np.flatnonzero(fake.labels != 1))
    found = evaluate_sources(
        str(real_file), [str(save(tmp_path / "part.npz", part))], features=extractor, metrics=["fid", "classes"]
    ).results[0]
    (green,) = [one for one in found.classes if one.name == "green"]
    assert (green.n, green.fid, green.agreement) == (0, None, None)
    assert any("lack 1 of the 3 real classes (green)" in text for text in found.warnings)


def test_an_empty_folder_and_an_empty_class_folder(real_file: Path, tmp_path: Path) -> None:
    (tmp_path / "empty" / "cats").mkdir(parents=True)
    with pytest.raises(UsageError, match="empty"):
        evaluate_sources(str(real_file), [str(tmp_path / "empty")])
