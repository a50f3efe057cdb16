"""WebDataset shards: what is read, by which labels; what is refused; nothing is ever unpacked."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import numpy as np
import pytest

from synthgen.data import load_images
from synthgen.errors import UsageError
from tests.data.test_parquet import IMAGES, png


def write(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def samples(start: int, stop: int, kind: str = "cls") -> dict[str, bytes]:
    found = {}
    for k in range(start, stop):
        found[f"{k:04d}.png"] = png(IMAGES[k])
        if kind == "cls":
            found[f"{k:04d}.cls"] = str(k % 3).encode()
        elif kind == "json":
            found[f"{k:04d}.json"] = json.dumps({"label": "abc"[k % 3], "caption": "x"}).encode()
    return found


@pytest.mark.parametrize(("kind", "names"), [("cls", ("0", "1", "2")), ("json", ("a", "b", "c"))])
def test_images_and_labels_in_the_order_of_the_members(tmp_path: Path, kind: str, names: tuple[str, ...]) -> None:
    before = sorted(tmp_path.rglob("*"))
    data = load_images(write(tmp_path / "a.tar", samples(0, 10, kind)))
    np.testing.assert_array_equal(data.images, IMAGES)
    assert data.labels is not None and data.labels.tolist() == [k % 3 for k in range(10)]
    assert data.class_names == names
    assert sorted(tmp_path.rglob("*")) == [*before, tmp_path / "a.tar"]


def test_without_labels_and_with_other_members(tmp_path: Path) -> None:
    members = {**samples(0, 4, "none"), "0000.txt": b"a caption", ".hidden.png": b"x", "readme": b"y"}
    assert load_images(write(tmp_path / "a.tar", members)).labels is None


def test_shards_with_splits_and_the_same_keys(tmp_path: Path) -> None:
    for name, start, stop in (("train-000000", 0, 4), ("train-000001", 4, 8), ("test-000000", 8, 10)):
        renamed = {f"{int(key[:4]) - start:04d}{key[4:]}": data for key, data in samples(start, stop).items()}
        write(tmp_path / f"{name}.tar", renamed)
    train = load_images(tmp_path)
    np.testing.assert_array_equal(train.images, IMAGES[:8])
    assert train.labels is not None and train.labels.tolist() == [k % 3 for k in range(8)]
    np.testing.assert_array_equal(load_images(tmp_path, split="test").images, IMAGES[8:])


def test_what_samples_write_is_read_back_by_class(tmp_path: Path, tiny_run: Path) -> None:
    from synthgen import api

    api.sample_shards(tiny_run, tmp_path / "out", 40, shards=2, format="webdataset", device="cpu")
    api.sample(tiny_run, tmp_path / "npz", 40, format="npz", device="cpu")
    read, expected = load_images(tmp_path / "out"), load_images(tmp_path / "npz")
    np.testing.assert_array_equal(read.images, expected.images)
    assert read.class_names == expected.class_names == ("top", "bottom")
    assert read.labels is not None and read.labels.tolist() == expected.labels.tolist()


def test_a_folder_of_images_may_hold_an_archive(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for k in range(3):
        (tmp_path / "a" / f"{k}.png").write_bytes(png(IMAGES[k]))
    write(tmp_path / "backup.tar", samples(0, 2))
    assert len(load_images(tmp_path)) == 3


def test_links_and_names_that_lead_out_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "secret.png").write_bytes(png(IMAGES[0]))
    path = tmp_path / "sub" / "a.tar"
    path.parent.mkdir()
    with tarfile.open(path, "w") as tar:
        link = tarfile.TarInfo("0000.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.png")
        tar.addfile(link)
        info = tarfile.TarInfo("../../0001.png")
        info.size = len(png(IMAGES[1]))
        tar.addfile(info, io.BytesIO(png(IMAGES[1])))
    data = load_images(path)
    np.testing.assert_array_equal(data.images, IMAGES[1:2])
    assert sorted(p.name for p in tmp_path.rglob("*")) == ["a.tar", "secret.png", "sub"]


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({"a.txt": b"x"}, "holds no images"),
        ({**samples(0, 2), "0002.png": png(IMAGES[2])}, r"1 image\(s\) without a label among 3"),
        ({"a.png": png(IMAGES[0]), "a.json": b"{"}, "the .json of a.png cannot be read"),
        ({"a.png": png(IMAGES[0]), "a.json": b'{"label": [1]}'}, r"has the label \[1\]"),
        ({"a.png": png(IMAGES[0]), "a.jpg": b"x"}, "the sample a has two images"),
        ({"a.png": png(IMAGES[0]), "a.cls": b"1" * (2**20 + 1)}, "that is no label"),
        ({"a.png": png(IMAGES[0]), "a.cls": b"1", "b.png": png(IMAGES[0]), "b.cls": b"x"}, "numbers and .* texts"),
        ({"a.png": b"no image"}, "a.png"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, members: dict[str, bytes], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        load_images(write(tmp_path / "a.tar", members))


def test_damage_is_named_and_never_taken_for_the_end(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", samples(0, 10, "none"))
    whole = bytearray(path.read_bytes())
    path.write_bytes(whole[: 512 * 3 + 100])
    with pytest.raises(UsageError, match=r"a.tar is (cut off|damaged|not a readable)"):
        load_images(path)
    broken = bytearray(whole)
    broken[1024 + 148 : 1024 + 156] = b"99999999"  # the checksum of the second member's header
    path.write_bytes(broken)
    with pytest.raises(UsageError, match=r"a.tar is damaged at byte"):
        load_images(path)
    path.write_bytes(b"no tar at all" * 100)
    with pytest.raises(UsageError, match=r"a.tar is not a readable tar file"):
        load_images(path)
