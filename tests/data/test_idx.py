from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest

from synthgen.data import load_images
from synthgen.data.idx import encode_idx, read_idx
from synthgen.errors import UsageError

IMAGES = np.arange(4 * 4 * 6, dtype=np.uint8).reshape(4, 4, 6)
LABELS = np.array([3, 1, 3, 7], np.uint8)


def raw(array: np.ndarray, kind: int = 8) -> bytes:
    """An IDX file, written from the description of the format."""
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def put(folder: Path, name: str, content: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    return path


def test_reads_plain_and_gzipped_whatever_the_name(tmp_path):
    for content in (raw(IMAGES), gzip.compress(raw(IMAGES))):
        path = tmp_path / "file"
        path.write_bytes(content)
        np.testing.assert_array_equal(read_idx(path), IMAGES)


def test_what_is_written_is_the_format_and_the_same_each_time(tmp_path):
    assert encode_idx(IMAGES, compress=False) == raw(IMAGES)
    assert gzip.decompress(encode_idx(IMAGES)) == raw(IMAGES)
    assert encode_idx(IMAGES) == encode_idx(IMAGES)
    with pytest.raises(ValueError, match="uint8"):
        encode_idx(IMAGES.astype(np.int64))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (raw(IMAGES)[:-1], "truncated: its header promises 96 bytes, it holds 95"),
        (raw(IMAGES)[:10], "truncated inside its header"),
        (raw(IMAGES) + b"x", "more than the 96 bytes"),
        (b"\x89PNG1234", "not an IDX file.* 89 50 4e 47"),
        (b"", r"not an IDX file.*\(none\)"),
        (raw(IMAGES, kind=0x0D), "IDX type 0x0d"),
        (bytes([0, 0, 8, 3]) + struct.pack(">3I", 2**31, 2**10, 2**10), "claims .* more than the limit"),
        (bytes([0, 0, 8, 3]) + struct.pack(">3I", 10**6, 28, 28), "truncated.*784,000,000"),
        (gzip.compress(raw(IMAGES), mtime=0)[:-12], "is damaged: Compressed file ended"),
        (gzip.compress(raw(IMAGES), mtime=0)[:-8] + bytes(8), "is damaged: CRC check failed"),
    ],
    ids=range(10),
)
def test_damage_is_named(tmp_path, content, message):
    path = tmp_path / "broken-images-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        read_idx(path)
    assert str(path) in caught.value.message


@pytest.mark.parametrize("prefix", ["", "emnist-digits-", "my."])
@pytest.mark.parametrize("pattern", ["{}-idx{}-ubyte", "{}.idx{}-ubyte.gz", "{}-idx{}.gz"])
def test_a_pair_is_found_by_name(tmp_path, prefix, pattern):
    images = put(tmp_path, prefix + pattern.format("images", 3), raw(IMAGES))
    labels = put(tmp_path, prefix + pattern.format("labels", 1), raw(LABELS))
    for source in (tmp_path, images, labels):
        data = load_images(source)
        np.testing.assert_array_equal(data.images[..., 0], IMAGES)
        assert [data.class_names[label] for label in data.labels] == ["3", "1", "3", "7"]
        assert data.class_names == ("1", "3", "7")


def test_splits_count_in_the_same_classes(tmp_path):
    put(tmp_path, "train-images-idx3-ubyte.gz", raw(IMAGES))
    put(tmp_path, "train-labels-idx1-ubyte.gz", raw(LABELS))
    put(tmp_path, "t10k-images-idx3-ubyte", raw(IMAGES[:1]))
    put(tmp_path, "t10k-labels-idx1-ubyte", raw(np.array([5], np.uint8)))
    train, test, both = (load_images(tmp_path, split=split) for split in ("train", "test", "all"))
    assert train.class_names == test.class_names == both.class_names == ("1", "3", "5", "7")
    assert (len(train), len(test), len(both)) == (4, 1, 5)
    assert test.class_names[test.labels[0]] == "5"
    assert (train.split, test.split, both.split) == ("train", "test", "all")


def test_images_without_labels_are_unlabelled(tmp_path):
    data = load_images(put(tmp_path, "images-idx3-ubyte", raw(IMAGES)))
    assert (data.labels, data.class_names, data.split) == (None, (), "all")


def test_four_dimensions_are_colour(tmp_path):
    colours = np.arange(2 * 4 * 4 * 3, dtype=np.uint8).reshape(2, 4, 4, 3)
    data = load_images(put(tmp_path, "images-idx4-ubyte", raw(colours)))
    np.testing.assert_array_equal(data.images, colours)


def test_a_file_that_was_named_is_wanted_whatever_its_split(tmp_path):
    path = put(tmp_path, "t10k-images-idx3-ubyte", raw(IMAGES))
    assert load_images(path).split == "test"
    train = put(tmp_path / "other", "train-images-idx3-ubyte", raw(IMAGES))
    with pytest.raises(UsageError, match="no test split"):
        load_images(train, split="test")


def test_labels_that_do_not_belong_are_refused(tmp_path):
    put(tmp_path, "images-idx3-ubyte", raw(IMAGES))
    put(tmp_path, "labels-idx1-ubyte", raw(LABELS[:3]))
    with pytest.raises(UsageError, match=r"labels-idx1-ubyte does not belong to images-idx3-ubyte.*4 images"):
        load_images(tmp_path)


def test_several_sets_in_one_folder_ask_which(tmp_path):
    put(tmp_path, "letters-train-images-idx3-ubyte", raw(IMAGES))
    put(tmp_path, "digits-train-images-idx3-ubyte", raw(IMAGES))
    with pytest.raises(UsageError, match="several sets"):
        load_images(tmp_path)


def test_labels_alone_say_what_is_missing(tmp_path):
    with pytest.raises(UsageError, match="images are not beside it"):
        load_images(put(tmp_path, "labels-idx1-ubyte", raw(LABELS)))


def test_the_arrays_may_be_written_to(tmp_path):
    data = load_images(put(tmp_path, "images-idx3-ubyte", raw(IMAGES)))
    assert data.images.flags.writeable  # torch warns of arrays that may not


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "images-idx3-ubyte.gz"
    path.write_bytes(gzip.compress(struct.pack(">BBBB3I", 0, 0, 8, 3, 2 * 2**20, 32, 32) + bytes(2**20)))
    with pytest.raises(UsageError, match="decompression bomb"):
        load_images(str(path))
