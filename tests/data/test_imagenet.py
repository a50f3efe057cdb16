from __future__ import annotations

import pytest
from PIL import Image

from synthgen.data import load_images
from synthgen.errors import UsageError

SYNSETS = ("n01440764", "n02012849", "n03126707")


def photo(path, level=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (100, 80), (level,) * 3).save(path, "JPEG")


@pytest.fixture
def ilsvrc(tmp_path):
    """Two training photos of each of three synsets, one validation photo of each, in folders by synset."""
    for number, synset in enumerate(SYNSETS):
        for index in range(2):
            photo(tmp_path / "train" / synset / f"{synset}_{index}.JPEG", 40 * number)
        photo(tmp_path / "val" / synset / f"ILSVRC2012_val_0000000{number}.JPEG", 40 * number)
    return tmp_path


def test_folders_by_synset(ilsvrc):
    train, test = load_images(ilsvrc), load_images(ilsvrc, split="test")
    assert train.class_names == test.class_names == SYNSETS
    assert (train.labels.tolist(), test.labels.tolist()) == ([0, 0, 1, 1, 2, 2], [0, 1, 2])
    assert (train.name, train.shape) == ("imagenet", (64, 64, 3))


def test_names_come_from_the_mapping_and_stay_apart(ilsvrc):
    lines = ["n01440764 tench, Tinca tinca", "n02012849 crane", "n03126707 crane", "n09999999 something else"]
    (ilsvrc / "LOC_synset_mapping.txt").write_text("\n".join(lines) + "\n")
    assert load_images(ilsvrc).class_names == ("tench", "crane (n02012849)", "crane (n03126707)")
    assert load_images(ilsvrc, classes=["Tench"]).labels.tolist() == [0, 0]


def test_the_layout_of_the_kaggle_download(ilsvrc):
    data = ilsvrc / "ILSVRC" / "Data" / "CLS-LOC"
    data.mkdir(parents=True)
    (ilsvrc / "train").rename(data / "train")
    rows = ["ImageId,PredictionString"]
    for number, synset in reversed(list(enumerate(SYNSETS))):
        name = f"ILSVRC2012_val_0000000{number}"
        (data / "val").mkdir(exist_ok=True)
        (ilsvrc / "val" / synset / f"{name}.JPEG").rename(data / "val" / f"{name}.JPEG")
        rows.append(f"{name},{synset} 1 2 3 4 ")
    solution = ilsvrc / "LOC_val_solution.csv"
    solution.write_text("\n".join(rows) + "\n")
    (ilsvrc / "LOC_synset_mapping.txt").write_text("n01440764 tench, Tinca tinca\n")
    train, test, both = (load_images(ilsvrc, split=split) for split in ("train", "test", "all"))
    assert train.class_names == ("tench", "n02012849", "n03126707")
    assert (len(train), test.labels.tolist(), len(both)) == (6, [0, 1, 2], 9)
    assert [round(float(image.mean()) / 40) for image in test.images] == [0, 1, 2]
    solution.write_text("ImageId,PredictionString\nILSVRC2012_val_00000000,dog 1 2 3 4\n")
    with pytest.raises(UsageError, match=r"LOC_val_solution.csv:2: expected ImageId"):
        load_images(ilsvrc, split="test")
    solution.write_text("ImageId,PredictionString\nILSVRC2012_val_00000000,n07777777 1 2 3 4\n")
    with pytest.raises(UsageError, match="images of n07777777, which train/ lacks"):
        load_images(ilsvrc, split="test")


def test_archives_must_be_unpacked_first(tmp_path, nowhere, monkeypatch):
    root = tmp_path / "data" / "imagenet"
    root.mkdir(parents=True)
    (root / "ILSVRC2012_img_train.tar").touch()
    (root / "LOC_synset_mapping.txt").touch()
    monkeypatch.setenv("SYNTHGEN_DATA_DIR", str(root.parent))
    with pytest.raises(UsageError, match=r"holds ILSVRC2012_img_train.tar, which must be unpacked"):
        load_images("imagenet")
