from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from synthgen.data import load_images
from synthgen.data.inspection import inspect_images
from synthgen.errors import StoppedError, UsageError


def test_what_a_folder_is_made_of(tmp_path, picture):
    first = picture(tmp_path / "train" / "cat" / "1.png", 20, 30)
    picture(tmp_path / "train" / "cat" / "2.png", 20, 30)
    picture(tmp_path / "train" / "dog" / "3.png", 40, 44, "L")
    Image.fromarray(first).save(tmp_path / "train" / "dog" / "4.png")  # a duplicate, with another label
    (tmp_path / "test" / "cat").mkdir(parents=True)
    Image.fromarray(first).save(tmp_path / "test" / "cat" / "5.png")
    (tmp_path / "train" / "dog" / "bad.png").write_text("no image")
    whole = (tmp_path / "train" / "cat" / "2.png").read_bytes()
    (tmp_path / "test" / "cat" / "cut.png").write_bytes(whole[:100])
    (tmp_path / "notes.txt").write_text("hello")
    found = inspect_images(tmp_path)
    train, test = found.splits
    assert (found.count, train.count, test.count) == (5, 4, 1)
    assert (train.classes, test.classes) == ({"cat": 2, "dog": 2}, {"cat": 1, "dog": 0})
    assert found.sizes == (((20, 30), 5), ((40, 44), 1))  # by the headers: the cut file has one
    assert found.modes == {"RGB": 5, "L": 1}
    assert (found.duplicates, found.shared, found.ignored) == (1, 1, 1)
    assert [entry.split(":")[0] for entry in found.bad] == ["train/dog/bad.png", "test/cat/cut.png"]
    assert found.bytes == sum(path.stat().st_size for path in tmp_path.rglob("*.png"))
    for split in found.splits:
        assert split.fingerprint == load_images(tmp_path, split=split.name, max_bad=1).fingerprint
    assert found.shape == load_images(tmp_path, max_bad=1).shape == (16, 16, 3)


def test_arrays(tmp_path):
    images = np.zeros((5, 8, 6), np.uint8)
    images[3:] = 9
    np.savez(tmp_path / "x.npz", images=images)
    found = inspect_images(tmp_path / "x.npz")
    assert (found.count, found.duplicates, found.shared, found.bytes) == (5, 3, 0, 240)
    assert (found.sizes, found.modes, found.shape) == ((((8, 6), 5),), {"L": 5}, (8, 6, 1))
    assert found.splits[0].classes == {}


def test_the_preview_has_a_row_per_class(tmp_path):
    images = np.stack([np.full((8, 8), level, np.uint8) for level in [100] * 11 + [200] * 2])
    np.savez(tmp_path / "x.npz", images=images, labels=[0] * 11 + [1] * 2)
    preview = inspect_images(tmp_path / "x.npz").preview
    assert preview.shape == (2 * 9 + 1, 8 * 9 + 1, 1)
    centres = preview[5::9, 5::9, 0]
    assert centres.tolist() == [[100] * 8, [200] * 2 + [32] * 6]


def test_a_set_of_mnist_mini(nowhere):
    found = inspect_images("mnist-mini")
    assert (found.count, found.shape, found.duplicates, found.shared) == (12_000, (28, 28, 1), 0, 0)
    assert sum(found.splits[0].classes.values()) == 10_000


def test_nothing_readable_and_stopping(tmp_path, classes_folder):
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "a.png").write_text("x")
    with pytest.raises(UsageError, match=r"no readable image: a\.png"):
        inspect_images(tmp_path / "bad")
    with pytest.raises(StoppedError):
        inspect_images(classes_folder[0], should_stop=lambda: True)
