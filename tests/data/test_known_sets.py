from __future__ import annotations

import gzip
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from synthgen.data import known_sources, load_images, locations
from synthgen.data.idx import encode_idx
from synthgen.data.registry import EMBEDDED, KNOWN_SETS
from synthgen.errors import UsageError


def raw_idx(path: Path) -> np.ndarray:
    """IDX read from the description of the format."""
    content = gzip.decompress(path.read_bytes())
    dimensions = content[3]
    shape = np.frombuffer(content, ">u4", dimensions, 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions).reshape(shape)


def test_mnist_mini_is_embedded(nowhere):
    train, test = load_images("mnist-mini"), load_images("mnist-mini", split="test")
    assert (train.images.shape, test.images.shape) == ((10_000, 28, 28, 1), (2_000, 28, 28, 1))
    assert train.class_names == tuple("0123456789")
    assert (train.labels.dtype, train.images.dtype) == (np.int64, np.uint8)
    assert (train.name, train.split, train.licence) == ("mnist-mini", "train", "CC BY-SA 3.0")
    np.testing.assert_array_equal(train.images[..., 0], raw_idx(EMBEDDED / "mnist-mini" / "train-images-idx3-ubyte.gz"))


def test_mnist_mini_is_small_and_names_its_licence():
    files = list((EMBEDDED / "mnist-mini").iterdir())
    assert sum(path.stat().st_size for path in files) < 3_000_000
    licence = (EMBEDDED / "mnist-mini" / "LICENCE.md").read_text()
    assert all(text in licence for text in ("CC BY-SA 3.0", "LeCun", "Cortes", "Burges", "1998"))


@pytest.mark.parametrize(("split", "prefix", "count"), [("train", "train", 10_000), ("test", "t10k", 2_000)])
def test_mnist_mini_is_a_stratified_part_of_the_right_split(split, prefix, count, data_dir):
    full = data_dir / "mnist"
    if not full.is_dir():
        pytest.skip("needs the full MNIST")
    images, labels = (raw_idx(full / f"{prefix}-{kind}-ubyte.gz") for kind in ("images-idx3", "labels-idx1"))
    place = {image.tobytes(): number for number, image in enumerate(images)}
    mini = load_images("mnist-mini", split=split)
    rows = [place[image.tobytes()] for image in mini.images]
    assert rows == sorted(set(rows))  # every image once, in MNIST's order
    np.testing.assert_array_equal(mini.labels, labels[rows])
    expected = np.bincount(labels) * count / len(labels)
    assert np.abs(np.bincount(mini.labels) - expected).max() <= 1


def test_no_training_image_is_in_the_test():
    train, test = load_images("mnist-mini"), load_images("mnist-mini", split="test")
    assert not {image.tobytes() for image in train.images} & {image.tobytes() for image in test.images}


@pytest.mark.slow
def test_the_script_makes_the_same_bytes_again(data_dir, tmp_path):
    if not (data_dir / "mnist").is_dir():
        pytest.skip("needs the full MNIST")
    from synthgen.data.embedded.make_mnist_mini import make

    for path in make(tmp_path):
        # The choice of rows is ours; what zlib makes of them may differ between builds of zlib.
        assert gzip.decompress(path.read_bytes()) == gzip.decompress((EMBEDDED / "mnist-mini" / path.name).read_bytes())


@pytest.mark.parametrize("name", ["mnist", "fashion-mnist"])
def test_the_full_sets_load_from_the_data_folder(name, data_dir, monkeypatch, tmp_path):
    if not (data_dir / name).is_dir():
        pytest.skip(f"needs the full {name}")
    monkeypatch.setenv("SYNTHGEN_DATA_DIR", str(data_dir))
    train, test = load_images(name), load_images(name, split="test")
    known = KNOWN_SETS[name]
    assert (len(train), len(test)) == (known.counts["train"], known.counts["test"]) == (60_000, 10_000)
    assert train.shape == known.shape
    assert train.class_names == known.class_names
    assert np.bincount(test.labels).min() > 890
    both = load_images(name, split="all", limit=7_000)
    assert len(both) == 7_000


def put_mnist(folder: Path, value: int) -> None:
    """A small set in MNIST's layout, all pixels `value`."""
    folder.mkdir(parents=True)
    for prefix in ("train", "t10k"):
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(encode_idx(np.full((20, 28, 28), value, np.uint8)))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(
            encode_idx((np.arange(20) % 10).astype(np.uint8), compress=False)
        )


def test_the_order_of_the_places(nowhere, tmp_path, monkeypatch):
    """SYNTHGEN_DATA_DIR, then the cache, then the folder beside a checkout."""
    put_mnist(tmp_path / "beside" / "mnist", 3)
    monkeypatch.setattr(locations, "checkout_data", lambda: tmp_path / "beside")
    assert load_images("mnist").images[0, 0, 0, 0] == 3
    put_mnist(nowhere / "data" / "mnist", 2)
    assert load_images("mnist").images[0, 0, 0, 0] == 2
    put_mnist(tmp_path / "named" / "MNIST" / "raw", 1)  # torchvision's layout
    monkeypatch.setenv("SYNTHGEN_DATA_DIR", str(tmp_path / "named"))
    assert load_images("mnist").images[0, 0, 0, 0] == 1


def test_an_incomplete_folder_is_not_the_set(nowhere):
    put_mnist(nowhere / "data" / "mnist", 2)
    (nowhere / "data" / "mnist" / "t10k-labels-idx1-ubyte").unlink()
    assert KNOWN_SETS["mnist"].find() is None
    assert KNOWN_SETS["mnist"].status() == ("download", None)


def test_a_wrong_data_variable_is_said_so_and_the_embedded_set_works(nowhere, monkeypatch, tmp_path):
    monkeypatch.setenv("SYNTHGEN_DATA_DIR", str(tmp_path / "gone"))
    with pytest.raises(UsageError, match=r"SYNTHGEN_DATA_DIR names .*gone, which is not a folder"):
        load_images("mnist")
    assert len(load_images("mnist-mini", limit=5)) == 5


def test_the_cache_folder(monkeypatch):
    monkeypatch.setenv("SYNTHGEN_CACHE_DIR", "/a/b")
    assert locations.cache_root() == Path("/a/b")
    monkeypatch.delenv("SYNTHGEN_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    assert locations.cache_root() == Path("/x/synthgen")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert locations.cache_root() == Path.home() / ".cache" / "synthgen"


def test_the_folder_beside_a_checkout_needs_a_checkout(monkeypatch, tmp_path):
    installed = tmp_path / "lib" / "site-packages"
    (installed / "synthgen" / "data").mkdir(parents=True)
    (tmp_path / "lib" / "shared" / "data").mkdir(parents=True)
    monkeypatch.setattr(locations, "__file__", str(installed / "synthgen" / "data" / "locations.py"))
    assert locations.checkout_data() is None
    (installed / "pyproject.toml").touch()
    assert locations.checkout_data() == tmp_path / "lib" / "shared" / "data"


def test_known_sources():
    assert known_sources() == ["mnist-mini", "mnist", "fashion-mnist", "cifar10", "celeba", "imagenet"]


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("mnits", r"no data set, folder or file 'mnits' \(did you mean 'mnist'\?\)"),
        ("fashion_mnist", r"did you mean 'fashion-mnist'"),
        ("/nowhere/at/all", "no data set, folder or file '/nowhere/at/all'$"),
        ("mnist-mini:Smiling", "mnist-mini has no attributes"),
        ("celeba", "celeba is not on this machine; its owners hand it out on request"),
        ("imagenet", "imagenet is not on this machine"),
    ],
)
def test_what_is_not_there_is_named(source, message, nowhere):
    with pytest.raises(UsageError, match=message) as caught:
        load_images(source)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("one.png", b"\x89PNG", "is one image, not a set"),
        ("table.csv", b"a,b\n1,2\n", "is not a set of images"),
        ("batch.pkl", b"\x80\x04.", "is not a set of images"),
        ("empty", b"", "is not a set of images"),
    ],
)
def test_files_that_are_no_sets(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=message) as caught:
        load_images(tmp_path / name)
    assert caught.value.hint


def test_every_set_says_whose_it_is():
    for known in KNOWN_SETS.values():
        assert known.licence
        assert known.citation
        assert set(known.counts) == {"train", "test"}
        assert known.embedded or known.mirrors or known.by_hand
        assert all(re.fullmatch(r"[0-9a-f]{64}", file.sha256) for file in known.files)


def test_the_registry_needs_no_torch():
    code = "import sys, json, synthgen.data; print(json.dumps([m for m in ('torch', 'diffusers') if m in sys.modules]))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(found.stdout) == []
