"""Parquet and WebDataset sets, read back by the libraries they are for."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthgen.data import load_images
from synthgen.errors import UsageError
from synthgen.generation.making import sample_to_shards
from synthgen.generation.model import Model, load
from synthgen.generation.plan import plan_samples
from synthgen.generation.writers import check_format

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(tiny_run: Path) -> Model:
    return load(tiny_run, device="cpu")


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    return tmp_path / "cache"


def write(model: Model, out: Path, format_: str) -> np.ndarray:
    sample_to_shards(model, str(out), plan_samples(model, 70, seed=1, format=format_, shards=3))
    return model.sample(70, seed=1)


def test_datasets_reads_parquet_with_its_classes(model: Model, tmp_path: Path, offline: Path) -> None:
    datasets = pytest.importorskip("datasets")
    pixels = write(model, tmp_path / "set", "parquet")
    files = sorted(str(path) for path in (tmp_path / "set" / "data").glob("*.parquet"))
    assert len(files) == 3
    found = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(offline))
    assert isinstance(found.features["image"], datasets.Image)
    assert found.features["label"].names == ["top", "bottom"]
    np.testing.assert_array_equal(np.stack([np.asarray(row["image"]) for row in found]), pixels[..., 0])
    assert found["label"][:4] == [0, 1, 0, 1]
    by_card = datasets.load_dataset(str(tmp_path / "set"), split="train", cache_dir=str(offline))  # as from the hub
    assert by_card.features == found.features and len(by_card) == 70
    assert [row["path"] for row in by_card.cast_column("image", datasets.Image(decode=False))["image"]][:2] == [
        "000000000.png",
        "000000001.png",
    ]


def test_datasets_reads_the_folder_of_pictures_by_its_card(model: Model, tmp_path: Path, offline: Path) -> None:
    datasets = pytest.importorskip("datasets")
    write(model, tmp_path / "set", "png")
    found = datasets.load_dataset(str(tmp_path / "set"), split="train", cache_dir=str(offline))
    assert len(found) == 70, "the overview picture is not among them"
    assert sorted(found.features["label"].names) == ["bottom", "top"]


def test_webdataset_reads_its_tar_files(model: Model, tmp_path: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    pixels = write(model, tmp_path / "set", "webdataset")
    pattern = str(tmp_path / "set" / "data" / "train-{00000..00002}-of-00003.tar")
    samples = list(webdataset.WebDataset(pattern, shardshuffle=False, empty_check=False))
    assert [sample["__key__"] for sample in samples] == [f"{k:09d}" for k in range(70)]
    decoded = [np.asarray(Image.open(io.BytesIO(sample["png"]))) for sample in samples]
    np.testing.assert_array_equal(np.stack(decoded), pixels[..., 0])
    assert [int(sample["cls"]) for sample in samples] == [k % 2 for k in range(70)]


@pytest.mark.parametrize("format_", ["parquet", "webdataset", "png"])
def test_every_other_command_reads_a_set_in_shards(model: Model, tmp_path: Path, format_: str) -> None:
    pixels = write(model, tmp_path / "set", format_)
    found = load_images(str(tmp_path / "set"))
    assert found.labels is not None and found.class_names == ("top", "bottom")
    order = np.argsort(np.arange(70) % 2, kind="stable") if format_ == "png" else np.arange(70)
    np.testing.assert_array_equal(found.images, pixels[order])
    np.testing.assert_array_equal(found.labels, order % 2)


def test_a_missing_library_names_its_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "pyarrow" else found(name))
    with pytest.raises(UsageError, match="pyarrow") as caught:
        check_format("parquet")
    assert 'pip install "synthgen[parquet]"' in str(caught.value.hint)
    check_format("webdataset")
