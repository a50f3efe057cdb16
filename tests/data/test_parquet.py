"""Parquet in the layout of Hugging Face: what is read, in which order and by which names; what is refused."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from synthgen.data import load_images
from synthgen.data.parquet import ParquetStore
from synthgen.errors import SynthgenError, UsageError

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")

IMAGES = np.random.default_rng(0).integers(0, 256, (10, 8, 8, 1), dtype=np.uint8)


def png(image: np.ndarray) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(stream, "png")
    return stream.getvalue()


def write(
    path: Path,
    images: Sequence[np.ndarray] | np.ndarray = IMAGES,
    labels: Sequence[Any] | None = None,
    names: Sequence[str] = (),
    *,
    column: str = "image",
    plain: bool = False,
    rows: int = 3,
) -> Path:
    encoded = [png(image) for image in images]
    cells = encoded if plain else [{"bytes": data, "path": None} for data in encoded]
    columns: dict[str, Any] = {column: cells}
    if labels is not None:
        columns["label"] = list(labels)
    table = pa.table(columns)
    if names:
        features = {column: {"_type": "Image"}, "label": {"names": list(names), "_type": "ClassLabel"}}
        table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=rows)
    return path


@pytest.mark.parametrize("plain", [False, True])
def test_images_labels_and_names_in_the_order_of_the_rows(tmp_path: Path, plain: bool) -> None:
    labels = [2, 0, 1, 2, 0, 1, 2, 0, 1, 2]
    path = write(tmp_path / "a.parquet", labels=labels, names=["ant", "bee", "cat"], plain=plain)
    data = load_images(path)
    np.testing.assert_array_equal(data.images, IMAGES)
    assert data.labels is not None and data.labels.tolist() == labels
    assert data.class_names == ("ant", "bee", "cat")


def test_labels_as_texts_as_bare_numbers_and_not_at_all(tmp_path: Path) -> None:
    texts = load_images(write(tmp_path / "t.parquet", labels=list("bacbacbacb")))
    assert texts.class_names == ("a", "b", "c")
    assert texts.labels is not None and texts.labels.tolist() == [1, 0, 2] * 3 + [1]
    numbers = load_images(write(tmp_path / "n.parquet", labels=[10, 2, 10, 2, 2, 2, 2, 2, 2, 2]))
    assert numbers.class_names == ("2", "10")
    assert numbers.labels is not None and numbers.labels.tolist()[:3] == [1, 0, 1]
    assert load_images(write(tmp_path / "none.parquet")).labels is None
    assert load_images(write(tmp_path / "hidden.parquet", labels=[-1] * 10)).labels is None


def test_a_folder_of_shards_with_splits(tmp_path: Path) -> None:
    for start, name in ((0, "train-00000-of-00002"), (4, "train-00001-of-00002"), (8, "test-00000-of-00001")):
        write(
            tmp_path / "data" / f"{name}.parquet",
            IMAGES[start : start + (4 if start < 8 else 2)],
            labels=[0, 1] * (2 if start < 8 else 1),
            names=["x", "y"],
        )
    np.testing.assert_array_equal(load_images(tmp_path).images, IMAGES[:8])
    test = load_images(tmp_path, split="test")
    np.testing.assert_array_equal(test.images, IMAGES[8:])
    assert test.split == "test"
    np.testing.assert_array_equal(load_images(tmp_path / "data" / "test-00000-of-00001.parquet").images, IMAGES[8:])


def test_colour_and_sizes_are_settled_as_for_files(tmp_path: Path) -> None:
    colour = np.random.default_rng(1).integers(0, 256, (6, 8, 8, 3), dtype=np.uint8)
    path = write(tmp_path / "c.parquet", colour, column="img")
    np.testing.assert_array_equal(load_images(path).images, colour)
    assert load_images(path, image_size=4, channels=1).images.shape == (6, 4, 4, 1)


def test_what_samples_write_is_read_back_by_class(tmp_path: Path, tiny_run: Path) -> None:
    from synthgen import api

    api.sample_shards(tiny_run, tmp_path / "out", 40, shards=2, format="parquet", device="cpu")
    api.sample(tiny_run, tmp_path / "npz", 40, format="npz", device="cpu")
    read, expected = load_images(tmp_path / "out"), load_images(tmp_path / "npz")
    np.testing.assert_array_equal(read.images, expected.images)
    assert read.class_names == expected.class_names == ("top", "bottom")
    assert read.labels is not None and read.labels.tolist() == expected.labels.tolist()


def test_a_path_in_the_file_is_never_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(IMAGES[0]))
    rows = [{"bytes": png(IMAGES[1]), "path": None}, {"bytes": None, "path": str(secret)}]
    image = pa.struct({"bytes": pa.binary(), "path": pa.string()})
    pq.write_table(pa.table({"image": pa.array(rows, image)}), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match="row 1: the row holds no bytes"):
        load_images(tmp_path / "a.parquet")
    assert len(load_images(tmp_path / "a.parquet", max_bad=1)) == 1


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"text": ["a"]}, r"no column of images: its columns are text \(string\)"),
        ({"image": ["a.png"]}, "no column of images"),
        ({"image": [b"x"], "label": [0.5]}, "label is of type double"),
        ({"image": [b"x"]}, "not an image|cannot identify|no image"),
        ({"image": pa.array([], pa.binary())}, "have no rows"),
    ],
)
def test_other_layouts_are_refused(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    pq.write_table(pa.table(columns), tmp_path / "a.parquet")
    with pytest.raises(UsageError, match=said):
        load_images(tmp_path / "a.parquet")


def test_labels_that_are_missing_or_without_a_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has 1 image\(s\) without a label among 10"):
        load_images(write(tmp_path / "a.parquet", labels=[0, None, *[1] * 8]))
    with pytest.raises(UsageError, match="labels from 0 to 7, but there are 2 class names"):
        load_images(write(tmp_path / "b.parquet", labels=[0, 7, *[1] * 8], names=["x", "y"]))


def test_damage_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UsageError, match=r"a.parquet is not a readable Parquet file"):
        load_images(path)
    path.write_bytes(b"no parquet")
    with pytest.raises(UsageError, match=r"a.parquet is not a readable Parquet file"):
        load_images(path)


def test_without_the_extra_its_line_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path / "a.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(SynthgenError) as error:
        load_images(path)
    assert error.value.hint == 'pip install "synthgen[parquet]"'


def test_a_value_that_a_dictionary_repeats_is_held_once(tmp_path: Path) -> None:
    """A few hundred bytes can say "these 8 MiB, 100 times": as one array of binaries they would take 800."""
    value, count = bytes(8 * 2**20), 100
    table = pa.table({"image": [{"bytes": value, "path": None}] * count, "label": ["x" * 2**20] * count})
    path = tmp_path / "a.parquet"
    pq.write_table(table, path, compression="zstd", dictionary_pagesize_limit=2**30)
    del table
    assert path.stat().st_size < 2000
    before = pa.total_allocated_bytes()
    store = ParquetStore(path, [path])
    assert len(store.open(store.names()[7]).read()) == len(value)
    assert pa.total_allocated_bytes() - before < 64 * 2**20
    assert len({id(label) for label in store.labels}) == 1


def test_more_rows_than_bytes_are_a_bomb(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": pa.nulls(100_000, pa.binary())}), path, compression="zstd")
    with pytest.raises(UsageError, match="100,000 images"):
        load_images(path)


@pytest.mark.parametrize("large", [False, True])
def test_a_dictionary_that_was_given_up_halfway_is_read(tmp_path: Path, large: bool) -> None:
    """What pyarrow writes once a dictionary is full: a part of the column as numbers, the rest as it is."""
    kind = pa.large_binary() if large else pa.binary()
    cells = pa.array([{"bytes": png(image)} for image in IMAGES], pa.struct([("bytes", kind)]))
    labels = ["b", "a"] * 5
    path = tmp_path / "a.parquet"
    pq.write_table(pa.table({"image": cells, "label": labels}), path, dictionary_pagesize_limit=1, write_batch_size=2)
    data = load_images(path)
    np.testing.assert_array_equal(data.images, IMAGES)
    assert data.labels is not None and [data.class_names[label] for label in data.labels] == labels
