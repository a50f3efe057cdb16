from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthgen.data import load_images
from synthgen.errors import UsageError

SMILING = [1, -1, 1, 1, -1, -1]
PARTS = [0, 0, 0, 1, 2, 2]


@pytest.fixture
def celeba(tmp_path: Path) -> Path:
    """Six faces of 178 x 218 with the owners' lists; face k is all grey level 10 k."""
    root = tmp_path / "celeba"
    (root / "img_align_celeba").mkdir(parents=True)
    names = [f"{number + 1:06d}.jpg" for number in range(6)]
    for number, name in enumerate(names):
        Image.new("RGB", (178, 218), (10 * number,) * 3).save(root / "img_align_celeba" / name, quality=95)
    rows = "".join(f"{name} -1 {value:2d}\n" for name, value in zip(names, SMILING, strict=True))
    (root / "list_attr_celeba.txt").write_text(f"6\nBald Smiling \n{rows}")
    rows = "".join(f"{name} {part}\n" for name, part in zip(names, PARTS, strict=True))
    (root / "list_eval_partition.txt").write_text(rows)
    return root


def levels(data) -> list[int]:
    return [round(float(image.mean()) / 10) for image in data.images]


def test_partitions(celeba):
    train, test, both = (load_images(celeba, split=split) for split in ("train", "test", "all"))
    assert (levels(train), levels(test), levels(both)) == ([0, 1, 2], [4, 5], [0, 1, 2, 3, 4, 5])
    assert train.labels is None
    assert train.shape == (64, 64, 3)


def test_an_attribute_as_the_label(celeba, nowhere, monkeypatch):
    monkeypatch.setenv("SYNTHGEN_DATA_DIR", str(celeba.parent))
    for source in (f"{celeba}:Smiling", "celeba:Smiling"):
        data = load_images(source, image_size=16)
        assert data.class_names == ("not Smiling", "Smiling")
        assert data.labels.tolist() == [1, 0, 1]
        assert data.name == "celeba:Smiling"
    assert load_images("celeba:Smiling", classes=["smiling"]).labels.tolist() == [0, 0]


def test_the_zip_and_the_owners_folders(celeba):
    plain = load_images(f"{celeba}:Smiling")
    with zipfile.ZipFile(celeba / "img_align_celeba.zip", "w") as archive:
        for file in sorted((celeba / "img_align_celeba").iterdir()):
            archive.write(file, f"img_align_celeba/{file.name}")
            file.unlink()
    (celeba / "img_align_celeba").rmdir()
    for name, place in (("list_attr_celeba.txt", "Anno"), ("list_eval_partition.txt", "Eval")):
        (celeba / place).mkdir()
        (celeba / name).rename(celeba / place / name)
    assert load_images(f"{celeba}:Smiling").fingerprint == plain.fingerprint


def test_without_partitions_all_faces_are_training_data(celeba):
    (celeba / "list_eval_partition.txt").unlink()
    assert (len(load_images(celeba)), load_images(celeba).split) == (6, "all")


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("list_attr_celeba.txt", "6\nBald Frowning\n" + "x 1 1\n" * 6, r"no attribute 'Smiling'"),
        ("list_attr_celeba.txt", "7\nBald Smiling\n" + "x 1 1\n" * 6, "6 rows where its first line promises 7"),
        ("list_attr_celeba.txt", "1\nBald Smiling\n000001.jpg 1 2\n", "txt:3: expected a file name and 2 values"),
        ("list_attr_celeba.txt", "1\nBald Smiling\n000001.jpg 1 1\n", "no row for 000002.jpg"),
        ("list_attr_celeba.txt", "", "does not begin with a count"),
        ("list_eval_partition.txt", "000001.jpg 3\n", "txt:1: expected a file name and 0, 1 or 2"),
        ("list_eval_partition.txt", "000001.jpg 0\n000009.jpg 0\n", "lacks 1 of the 2 faces.*such as 000009.jpg"),
    ],
    ids=range(7),
)
def test_damaged_lists_are_named(celeba, name, text, message):
    (celeba / name).write_text(text)
    with pytest.raises(UsageError, match=message):
        load_images(f"{celeba}:Smiling")


def test_a_misspelt_attribute(celeba):
    with pytest.raises(UsageError, match=r"no attribute 'smiling' \(did you mean 'Smiling'\?\)"):
        load_images(f"{celeba}:smiling")


def test_faces_are_cropped_at_the_centre(celeba):
    image = np.zeros((218, 178, 3), np.uint8)
    image[20:198] = 255  # the middle square is white, what lies above and below is black
    Image.fromarray(image).save(celeba / "img_align_celeba" / "000001.jpg", quality=95)
    data = load_images(celeba, image_size=32)
    assert data.images[0, 1:-1].min() > 200
