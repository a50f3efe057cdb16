from __future__ import annotations

import io
import pickle
import tarfile
from pathlib import Path

import numpy as np
import pytest

from synthgen.data import load_images
from synthgen.errors import UsageError

NAMES = ["data_batch_1.bin", "data_batch_2.bin", "test_batch.bin"]


def batch(seed: int, count: int = 4) -> tuple[bytes, np.ndarray, np.ndarray]:
    """(the file, images, labels), record by record as the owners' page describes them."""
    generator = np.random.default_rng(seed)
    images = generator.integers(0, 256, (count, 32, 32, 3), dtype=np.uint8)
    labels = generator.integers(0, 10, count)
    content = b""
    for image, label in zip(images, labels, strict=True):
        red, green, blue = (image[:, :, channel].tobytes() for channel in range(3))
        content += bytes([label]) + red + green + blue
    return content, images, labels


def folder(root: Path) -> Path:
    place = root / "cifar-10-batches-bin"
    place.mkdir(parents=True)
    for seed, name in enumerate(NAMES):
        (place / name).write_bytes(batch(seed)[0])
    (place / "batches.meta.txt").write_text("airplane\n")
    return place


def archive(root: Path) -> Path:
    path = root / "cifar-10-binary.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        for seed, name in enumerate(NAMES):
            content = batch(seed)[0]
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        link = tarfile.TarInfo("cifar-10-batches-bin/data_batch_9.bin")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(link)
    return path


@pytest.mark.parametrize("place", ["folder", "above", "archive", "beside", "named"])
def test_the_binary_version_wherever_it_lies(tmp_path, nowhere, monkeypatch, place):
    if place in ("folder", "above"):
        found = folder(tmp_path / "c")
        source = found if place == "folder" else found.parent
    elif place == "named":
        folder(tmp_path / "data")
        monkeypatch.setenv("SYNTHGEN_DATA_DIR", str(tmp_path / "data"))
        source = "cifar10"
    else:
        (tmp_path / "c").mkdir()
        found = archive(tmp_path / "c")
        source = found if place == "archive" else found.parent
    train, test = load_images(source), load_images(source, split="test")
    np.testing.assert_array_equal(train.images, np.concatenate([batch(0)[1], batch(1)[1]]))
    np.testing.assert_array_equal(train.labels, np.concatenate([batch(0)[2], batch(1)[2]]))
    np.testing.assert_array_equal(test.images, batch(2)[1])
    assert train.class_names[:2] + train.class_names[-1:] == ("airplane", "automobile", "truck")
    assert train.name == "cifar10"


@pytest.mark.parametrize("name", ["data_batch_1", "cifar-10-python.tar.gz"])
def test_the_python_version_is_refused_by_name(tmp_path, name):
    (tmp_path / name).write_bytes(pickle.dumps({"data": 1}))
    for source in (tmp_path, tmp_path / name) if name.endswith("gz") else (tmp_path,):
        with pytest.raises(UsageError, match="made of pickles") as caught:
            load_images(source)
        assert "cifar-10-binary.tar.gz" in caught.value.hint


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (batch(0)[0][:-1], "data_batch_1.bin is damaged: 12,291 bytes are no whole number of records of 3,073"),
        (b"", "data_batch_1.bin is damaged"),
        (b"\x0a" + batch(0)[0][1:], "holds the label 10"),
    ],
    ids=range(3),
)
def test_damage_is_named(tmp_path, content, message):
    (tmp_path / "data_batch_1.bin").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        load_images(tmp_path)


def test_a_damaged_archive_is_named(tmp_path):
    path = archive(tmp_path)
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(UsageError, match=r"cifar-10-binary\.tar\.gz is damaged"):
        load_images(path)


def test_only_the_test_batch(tmp_path):
    (tmp_path / "test_batch.bin").write_bytes(batch(0)[0])
    assert len(load_images(tmp_path, split="test")) == 4
    with pytest.raises(UsageError, match="no train split"):
        load_images(tmp_path)
