"""Files of sequences: formats, resuming after a kill, shards, merging; with the bytes of an undisturbed run."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthgen.data.series.reading import read_series
from synthgen.data.series.sources import is_series
from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.merge import merge_samples
from synthgen.generation.series import contents
from synthgen.generation.series.model import SeriesModel, load_series_model
from synthgen.generation.series.plan import plan_from_dict
from synthgen.generation.series.work import SeriesRequest, series_work
from synthgen.generation.sharding import Part
from synthgen.generation.targets import manifest_path
from synthgen.generation.verify import verify_samples
from synthgen.stopping import ShouldStop

pytestmark = pytest.mark.usefixtures("one_thread")

SUFFIXES = ["csv", "tsv", "csv.gz", "parquet", "npz"]


@pytest.fixture(scope="module")
def model(series_run: Path) -> SeriesModel:
    return load_series_model(series_run, device="cpu")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "PIECE_CELLS", 1)


def stop_after(calls: int) -> ShouldStop:
    """A ShouldStop that asks at the n-th poll."""
    left = [calls]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    return stop


def wanted(suffix: str, **more: object) -> SeriesRequest:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    return SeriesRequest(format=suffix.split(".")[0], packed=suffix.endswith("gz"), **more)  # type: ignore[arg-type]


def test_a_file_holds_the_sequences_of_the_model(model: SeriesModel, tmp_path: Path, series_csv: Path) -> None:
    out = tmp_path / "new" / "made.csv"
    result = series_work(model, wanted("csv", count=50, seed=2)).to_file(out)
    assert result.count == 50 and sorted(path.name for path in out.parent.iterdir()) == [
        "made.csv",
        "made.csv.manifest.json",
    ]
    assert out.read_text().splitlines()[0] == series_csv.read_text().splitlines()[0]
    pd.testing.assert_frame_equal(
        pd.read_csv(out, parse_dates=["when"]).astype({"when": "datetime64[us]"}),
        model.sample_frame(50, seed=2).astype({"when": "datetime64[us]"}),
        check_dtype=False,
    )
    manifest = json.loads(manifest_path(out).read_text())
    assert manifest["finished"] and manifest["modality"] == "series" and manifest["count"] == 50
    assert (
        manifest["model"]["reading"]["test"] == model.config.data.test and "source" not in manifest["model"]["reading"]
    )
    assert manifest["plan"]["checkpoint_sha256"] == model.sha256 and manifest["plan"]["together"] == 16
    assert plan_from_dict(manifest["plan"]).to_dict() == manifest["plan"]
    back = read_series(out, schema=model.schema)
    assert len(back) == 50 and (back.lengths == 12).all()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_interrupted_file_ends_with_the_same_bytes(model: SeriesModel, tmp_path: Path, suffix: str) -> None:
    request = wanted(suffix, count=70, length=20)
    whole = series_work(model, request).to_file(tmp_path / f"made.{suffix}")
    out = tmp_path / "cut" / f"made.{suffix}"
    with pytest.raises(StoppedError, match="of 70 sequences; they are kept"):
        series_work(model, request).to_file(out, should_stop=lambda: any(out.parent.glob("*/piece-*")))
    assert not out.exists() and list(out.parent.glob("*/piece-*"))
    with pytest.raises(UsageError, match="length: 20 then, 21 now"):
        series_work(model, replace(request, length=21)).to_file(out, resume=True)
    resumed = series_work(model, request).to_file(out, resume=True)
    assert resumed.sha256 == whole.sha256 and out.read_bytes() == (tmp_path / f"made.{suffix}").read_bytes()
    assert sorted(path.name for path in out.parent.iterdir()) == [f"made.{suffix}", f"made.{suffix}.manifest.json"]
    assert series_work(model, request).to_file(out, resume=True).sha256 == whole.sha256
    assert verify_samples(out).whole


def test_a_signal_is_heard_between_the_windows_of_a_long_sequence(model: SeriesModel, tmp_path: Path) -> None:
    part = model.sample_frame(1, seed=1, length=300)
    part.loc[10:, "level"] = None
    part.to_csv(tmp_path / "part.csv", index=False)
    for asked in (wanted("csv", count=1, length=10**6), SeriesRequest(complete=tmp_path / "part.csv", format="csv")):
        work = series_work(model, asked)
        with pytest.raises(StoppedError, match="stopped after 0 of 1 sequences"):
            work.to_file(tmp_path / "made.csv", should_stop=stop_after(3), force=True)
        with pytest.raises(StoppedError, match="stopped after"):
            work.to_stream(io.StringIO(), should_stop=stop_after(3))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_shards_make_the_file_of_one_process(model: SeriesModel, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / "set"

    def part(index: int) -> None:
        who = Part(index, 3, "--shard")
        series_work(model, wanted(suffix, count=70, shards=3, part=who)).to_shards(str(out), who)

    part(2)
    part(0)
    assert verify_samples(out).missing == ["shard 1 of 3"]
    with pytest.raises(SynthgenError, match="1 of 3 shards are not whole"):
        merge_samples(out, tmp_path / f"early.{suffix}")
    part(1)
    report = verify_samples(out)
    assert report.whole and report.finished and report.count == 70 and is_series(out)
    assert (out / "data" / f"sequences-00002-of-00003.{suffix}").is_file()
    assert "70 synthetic sequence(s) of 3 channel(s)" in (out / "README.md").read_text()
    assert merge_samples(out, tmp_path / f"merged.{suffix}").count == 70
    assert verify_samples(tmp_path / f"merged.{suffix}").whole
    whole = series_work(model, wanted(suffix, count=70)).to_file(tmp_path / f"whole.{suffix}").file
    if suffix == "parquet":
        pd.testing.assert_frame_equal(pd.read_parquet(whole), pd.read_parquet(tmp_path / "merged.parquet"))
    elif suffix == "csv.gz":  # gzip members are cut at other places
        read = [gzip.decompress(path.read_bytes()) for path in (whole, tmp_path / f"merged.{suffix}")]
        assert read[0] == read[1]
    else:
        assert (tmp_path / f"merged.{suffix}").read_bytes() == whole.read_bytes()
    damaged = out / "data" / f"sequences-00001-of-00003.{suffix}"
    damaged.write_bytes(damaged.read_bytes()[:-5])
    assert verify_samples(out).damaged == [f"shard 1 of 3: data/{damaged.name} is damaged"]


def test_arrays_hold_values_lengths_classes_and_names(model: SeriesModel, tmp_path: Path) -> None:
    series_work(model, wanted("npz", count=40, labels=("up", "down"))).to_file(tmp_path / "made.npz")
    with np.load(tmp_path / "made.npz", allow_pickle=False) as made:
        arrays = {name: made[name] for name in made.files}
    assert np.array_equal(arrays["X"], model.sample(40, labels=["up", "down"]), equal_nan=True)
    assert arrays["lengths"].tolist() == [12] * 40 and arrays["y"].tolist() == ["up", "down"] * 20
    assert arrays["channel_names"].tolist() == ["level", "jumps", "state"]
    assert arrays["class_names"].tolist() == ["down", "up"] and arrays["static"].shape == (40, 1)
    assert arrays["levels_state"].tolist() == ["busy", "idle"] and arrays["start"].dtype.kind == "M"
    with zipfile.ZipFile(tmp_path / "made.npz") as archive:
        assert {info.date_time for info in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}
    back = read_series(tmp_path / "made.npz", schema=model.schema)
    assert len(back) == 40 and back.frame["mood"].iloc[0] == "up" and set(back.frame["state"]) <= {"busy", "idle"}


def test_completions_are_made_in_shards_and_resumed(model: SeriesModel, tmp_path: Path) -> None:
    part = model.sample_frame(9, seed=6)
    part.loc[part.groupby("sensor", sort=False).cumcount() > 5, ["level", "jumps", "state"]] = None
    part.to_csv(tmp_path / "part.csv", index=False)
    request = wanted("csv", complete=tmp_path / "part.csv", draws=5)
    whole = series_work(model, request).to_file(tmp_path / "whole.csv")
    assert whole.count == 9 and len(pd.read_csv(whole.file)) == 9 * 5 * 12
    with pytest.raises(StoppedError):
        series_work(model, request).to_file(tmp_path / "cut.csv", should_stop=stop_after(1))
    assert series_work(model, request).to_file(tmp_path / "cut.csv", resume=True).sha256 == whole.sha256
    cut = replace(request, shards=2, part=Part(0, 1, ""))
    assert series_work(model, cut).to_shards(str(tmp_path / "set")).finished
    merge_samples(tmp_path / "set", tmp_path / "merged.csv")
    assert (tmp_path / "merged.csv").read_bytes() == whole.file.read_bytes()


def test_streams_and_folders(model: SeriesModel, tmp_path: Path) -> None:
    stream, polls = io.StringIO(), []
    work = series_work(model, wanted("csv", count=40))
    work.to_stream(stream, should_stop=lambda: bool(polls.append(1)))
    result = series_work(model, wanted("csv", count=40)).to_file(tmp_path / "folder")
    assert result.file == tmp_path / "folder" / "series.csv" and result.file.read_text() == stream.getvalue()
    assert sorted(path.name for path in result.out.iterdir() if path.name[0] != ".") == [
        "README.md",
        "manifest.json",
        "series.csv",
    ]
    assert is_series(tmp_path / "folder") and verify_samples(tmp_path / "folder").whole and len(polls) == 6
    packed = series_work(model, wanted("csv.gz", count=40)).to_file(tmp_path / "made.csv.gz").file
    assert gzip.decompress(packed.read_bytes()).decode() == stream.getvalue()


def test_plans_that_are_none(model: SeriesModel) -> None:
    plan = series_work(model, wanted("csv", count=5)).plan.to_dict()
    for change in ({"count": 0}, {"format": "png"}, {"recipe": {"a": 1}}, {"together": "x"}, {"complete": {"a": 1}}):
        with pytest.raises(SynthgenError, match="cannot be read"):
            plan_from_dict({**plan, **change})
    with pytest.raises(UsageError, match="between 1 and 1 shards are possible"):
        series_work(model, wanted("csv", count=5, shards=2, part=Part(0, 2, "")))
    with pytest.raises(UsageError, match="series are not written as png"):
        series_work(model, wanted("png", count=5))
