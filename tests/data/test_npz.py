from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from synthgen.data import load_images
from synthgen.errors import UsageError

GENERATOR = np.random.default_rng(0)
GREY = GENERATOR.integers(0, 256, (6, 8, 10), dtype=np.uint8)
RGB = GENERATOR.integers(0, 256, (6, 8, 10, 3), dtype=np.uint8)


def save(folder: Path, **arrays: object) -> Path:
    path = folder / "data.npz"
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize("images", ["images", "x", "arr_0", "data"])
@pytest.mark.parametrize("labels", ["labels", "y", "arr_1"])
def test_the_usual_names(tmp_path, images, labels):
    data = load_images(save(tmp_path, **{images: RGB, labels: np.array([4, 4, 9, 9, 4, 30])}))
    np.testing.assert_array_equal(data.images, RGB)
    assert data.class_names == ("4", "9", "30")
    assert data.labels.tolist() == [0, 0, 1, 1, 0, 2]
    assert data.labels.dtype == np.int64


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (GREY, GREY[..., None]),
        (GREY[..., None], GREY[..., None]),
        (GREY[:, None], GREY[..., None]),
        (RGB, RGB),
        (RGB.transpose(0, 3, 1, 2), RGB),
        (np.asfortranarray(RGB), RGB),
        (GREY / 255.0, GREY[..., None]),
        ((RGB / 255.0).astype(np.float32), RGB),
        (GREY.astype(np.int64), GREY[..., None]),
        (GREY.astype(">u2"), GREY[..., None]),
        (GREY > 127, ((GREY > 127) * np.uint8(255))[..., None]),
        (np.concatenate([RGB, np.full((6, 8, 10, 1), 255, np.uint8)], axis=-1), RGB),
    ],
    ids=range(12),
)
def test_layouts_and_types(tmp_path, stored, expected):
    data = load_images(save(tmp_path, images=stored))
    np.testing.assert_array_equal(data.images, expected)
    assert data.labels is None
    assert data.images.flags.c_contiguous


def test_class_names_name_the_labels(tmp_path):
    data = load_images(save(tmp_path, images=GREY, labels=[2, 0, 2, 2, 0, 0], class_names=["a", "b", "c"]))
    assert (data.class_names, data.labels.tolist()) == (("a", "b", "c"), [2, 0, 2, 2, 0, 0])


def test_labels_may_be_texts(tmp_path):
    data = load_images(save(tmp_path, images=GREY, labels=["dog", "cat", "dog", "dog", "cat", "ant"]))
    assert data.class_names == ("ant", "cat", "dog")
    assert [data.class_names[label] for label in data.labels] == ["dog", "cat", "dog", "dog", "cat", "ant"]


def test_the_layout_of_keras_and_of_medmnist(tmp_path):
    keras = save(tmp_path, x_train=GREY, y_train=[0, 1, 5, 1, 0, 0], x_test=GREY[:2], y_test=[7, 1])
    train, test = load_images(keras), load_images(keras, split="test")
    assert (len(train), len(test), len(load_images(keras, split="all"))) == (6, 2, 8)
    assert train.class_names == test.class_names == ("0", "1", "5", "7")
    assert test.labels.tolist() == [3, 1]
    medmnist = save(
        tmp_path,
        train_images=GREY,
        train_labels=GREY[:, :1, 0] % 2,
        val_images=GREY[:1],
        test_images=GREY[:2],
        test_labels=GREY[:2, :1, 0] % 2,
    )
    assert load_images(medmnist, split="test").labels.shape == (2,)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": GREY.astype(float)}, r"float64 images must lie between 0 and 1"),
        ({"images": GREY / 127.5 - 1}, r"holds values from -1 to .*between 0 and 1"),
        ({"images": np.where(GREY[0, 0, 0] == GREY, np.nan, GREY / 255)}, "NaN"),
        ({"images": GREY.astype(np.int32) * 2}, "between 0 and 255"),
        ({"images": GREY.astype(complex)}, "complex128"),
        ({"images": GREY.reshape(6, -1)}, r"shape \(6, 80\)"),
        ({"images": GREY[:0]}, "no images"),
        ({"images": np.zeros((2, 5, 5, 2), np.uint8)}, "1, 3 or 4 channels"),
        ({"pictures": GREY}, r"no images: its arrays are pictures"),
        ({"images": GREY, "labels": [1, 2]}, "2 labels for 6 images"),
        ({"images": GREY, "labels": np.zeros((6, 10))}, r"labels has shape \(6, 10\)"),
        ({"images": GREY, "labels": np.zeros(6)}, "float64; labels are whole numbers"),
        ({"images": GREY, "labels": [0, 1, 2, 0, 0, 0], "class_names": ["a", "b"]}, "labels from 0 to 2.*2 class"),
        ({"images": GREY, "labels": [0, -1, 1, 0, 0, 0], "class_names": ["a", "b"]}, "labels from -1"),
        ({"images": GREY, "labels": [0] * 6, "class_names": ["a", "a"]}, "names a class twice"),
        ({"images": GREY, "labels": ["x"] * 6, "class_names": ["a", "b"]}, "label 'x'"),
        ({"x_train": GREY, "y_train": [0] * 6, "x_test": GREY}, "labels for one split only"),
        ({"images": np.array([None, "a"], object)}, "Python objects"),
        ({"images": GREY, "labels": np.array([{}] * 6, object)}, "Python objects"),
    ],
    ids=range(19),
)
def test_what_is_wrong_is_named(tmp_path, arrays, message):
    path = save(tmp_path, **arrays)
    with pytest.raises(UsageError, match=message) as caught:
        load_images(path)
    assert str(path) in caught.value.message


class _Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('a pickle was run')",))


def test_a_pickle_is_never_run(tmp_path):
    path = tmp_path / "data.npz"
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", header.getvalue() + pickle.dumps(_Bomb()))
    with pytest.raises(UsageError, match="Python objects"):
        load_images(path)


def npy(shape: tuple[int, ...], content: bytes) -> bytes:
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
    return header.getvalue() + content


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (npy((10**6, 512, 512, 3), b""), "more than the limit"),
        (npy((1000, 100, 100, 3), b"\0" * 100), "truncated: 100 of 30,000,000"),
        (b"not an array", "not an array"),
        (b"\x93NUMPY\x09\x00rest", "not an array|version"),
    ],
    ids=range(4),
)
def test_headers_that_lie_cost_nothing(tmp_path, member, message):
    path = tmp_path / "data.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", member)
    with pytest.raises(UsageError, match=message):
        load_images(path)


def test_what_is_no_npz(tmp_path):
    path = tmp_path / "data.npz"
    path.write_bytes(b"PK but not really")
    with pytest.raises(UsageError, match=r"data\.npz is not a readable \.npz"):
        load_images(path)
    whole = save(tmp_path, images=RGB).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=r"data\.npz is not a readable \.npz"):
        load_images(path)
    flipped = bytearray(whole)
    flipped[len(whole) // 3] ^= 0xFF
    path.write_bytes(flipped)
    with pytest.raises(UsageError, match=r"data\.npz"):
        load_images(path)


def test_large_arrays_are_made_smaller_like_files_are(tmp_path, recorder):
    large = GENERATOR.integers(0, 256, (3, 100, 80), dtype=np.uint8)
    data = load_images(save(tmp_path, images=large), reporter=recorder)
    assert data.shape == (64, 64, 1)
    assert "100 x 80" in recorder.infos[0]
    assert load_images(save(tmp_path, images=large), image_size=(25, 20), channels=3).shape == (25, 20, 3)


def test_an_npy_file_is_mapped(tmp_path):
    path = tmp_path / "images.npy"
    np.save(path, RGB)
    data = load_images(path)
    np.testing.assert_array_equal(data.images, RGB)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UsageError, match="is damaged"):
        load_images(path)


def test_a_folder_with_one_npz_is_that_npz(tmp_path):
    save(tmp_path, images=RGB)
    (tmp_path / "notes.txt").write_text("hello")
    assert len(load_images(tmp_path)) == 6
    np.savez(tmp_path / "more.npz", images=RGB)
    with pytest.raises(UsageError, match=r"2 \.npz files: data.npz, more.npz"):
        load_images(tmp_path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("images.npy", "w") as member:
        head = {"descr": "|u1", "fortran_order": False, "shape": (2 * 2**20, 32, 32)}  # 2 GiB
        np.lib.format.write_array_header_1_0(member, head)
        member.write(bytes(2**20))
    with pytest.raises(UsageError, match=r"decompression bomb: .* bytes that claim to be 2,147,483,648"):
        load_images(str(path))
