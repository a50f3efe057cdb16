"""Samples as folders for `datasets`: what it loads is what was sampled; damage is named; no place of this machine."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import yaml

import synthgen
from synthgen.errors import SynthgenError, UsageError
from synthgen.export.data import export_data
from synthgen.generation.model import load
from synthgen.generation.verify import verify_samples


@pytest.fixture
def loaded(tmp_path, monkeypatch):
    """The train split of a folder, by `datasets`, offline."""
    datasets = pytest.importorskip("datasets", reason="the library that reads them is not installed")
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)

    def read(folder):
        return datasets.load_dataset(str(folder), split="train", cache_dir=str(tmp_path / "hf"))

    return read


@pytest.mark.parametrize("format_", ["png", "npz", "webdataset"])
def test_images_of_every_format_become_parquet(format_, make_model, tmp_path, loaded):
    pytest.importorskip("pyarrow", reason='needs pip install "synthgen[parquet]"')
    model = make_model("edm", "edm")
    if format_ == "webdataset":
        synthgen.api.sample_shards(model, tmp_path / "set", 40, shards=2, format=format_, seed=3)
    else:
        synthgen.sample(model, tmp_path / "set", 40, format=format_, seed=3)
    result = export_data(tmp_path / "set", tmp_path / "out")
    assert (result.modality, result.count, result.checkpoint_sha256) == ("images", 40, model.sha256)
    assert verify_samples(tmp_path / "out").whole
    rows = loaded(tmp_path / "out")
    images = np.stack([np.asarray(row["image"]) for row in rows])[..., None]
    np.testing.assert_array_equal(images, model.sample(40, seed=3))
    assert rows.features["label"].names == ["top", "bottom"]
    assert rows["label"][:4] == [0, 1, 0, 1]
    card = (tmp_path / "out" / "README.md").read_text()
    assert yaml.safe_load(card.split("---\n")[1])["dataset_info"]["features"][0]["dtype"] == "image"
    assert model.sha256 in card
    document = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert (document["plan"]["seed"], document["plan"]["checkpoint_sha256"]) == (3, model.sha256)
    assert str(tmp_path.parent.parent) not in json.dumps(document)


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.parquet"])
def test_rows_stay_the_file_that_they_are(name, table_run, tmp_path, loaded):
    model = load(table_run, device="cpu")
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow", reason='needs pip install "synthgen[parquet]"')
    synthgen.sample(model, tmp_path / name, 50, seed=1)
    result = export_data(tmp_path / name, tmp_path / "out")
    suffix = name.rpartition(".")[2]
    assert result.files == ("README.md", "manifest.json", f"table.{suffix}")
    assert (tmp_path / "out" / f"table.{suffix}").read_bytes() == (tmp_path / name).read_bytes()
    assert verify_samples(tmp_path / "out").whole
    assert str(tmp_path.parent.parent) not in (tmp_path / "out" / "manifest.json").read_text()
    if suffix != "parquet":  # one reading of each by the library is enough
        rows = loaded(tmp_path / "out").to_pandas()
        assert list(rows.columns) == list(model.sample(1).columns)
        assert len(rows) == 50


def test_shards_of_rows_become_one_file(table_run, tmp_path):
    model = load(table_run, device="cpu")
    synthgen.api.sample_shards(model, tmp_path / "set", 150, shards=2, seed=1)
    export_data(tmp_path / "set", tmp_path / "out")
    synthgen.sample(model, tmp_path / "one.csv", 150, seed=1)
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "out" / "table.csv"), pd.read_csv(tmp_path / "one.csv"))


def test_sequences(series_run, tmp_path):
    model = load(series_run, device="cpu")
    synthgen.sample(model, tmp_path / "seq.csv", 3)
    result = export_data(tmp_path / "seq.csv", tmp_path / "out")
    assert (result.modality, result.files) == ("series", ("README.md", "manifest.json", "series.csv"))
    synthgen.sample(model, tmp_path / "seq.npz", 3)
    with pytest.raises(UsageError, match="does not read sequences in npz"):
        export_data(tmp_path / "seq.npz", tmp_path / "other")


def test_what_is_no_whole_set(make_model, tmp_path):
    with pytest.raises(UsageError, match="no set of samples"):
        export_data(tmp_path, tmp_path / "out")
    (tmp_path / "mine.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match="has no manifest"):
        export_data(tmp_path / "mine.csv", tmp_path / "out")
    pytest.importorskip("pyarrow", reason='needs pip install "synthgen[parquet]"')
    synthgen.sample(make_model("edm", "edm"), tmp_path / "set", 4)
    next(path for path in (tmp_path / "set").glob("*/*.png")).unlink()
    with pytest.raises(SynthgenError, match="is not what its manifest says"):
        export_data(tmp_path / "set", tmp_path / "out")
    assert not (tmp_path / "out").exists()
