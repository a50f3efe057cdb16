"""Rows in shards: made by anybody, verified, merged to the bytes that one process writes."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation.merge import merge_samples
from synthgen.generation.sharding import Part
from synthgen.generation.tables import writing
from synthgen.generation.tables.model import TableModel, load_table_model
from synthgen.generation.tables.work import TableRequest, table_work
from synthgen.generation.verify import verify_samples

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(table_run: Path) -> TableModel:
    return load_table_model(table_run, device="cpu")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PIECE", 128)


def request(count: int = 500, part: Part | None = None, **more: object) -> TableRequest:
    return TableRequest(count=count, shards=3, part=part or Part(0, 1, ""), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_shards_make_the_table_of_one_process(model: TableModel, tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    out = tmp_path / "set"
    for index in (2, 0):
        part = Part(index, 3, "--shard")
        result = table_work(model, request(part=part, format=suffix)).to_shards(str(out), part)
    assert result.made == [0] and result.missing == 1
    assert verify_samples(out).missing == ["shard 1 of 3"]
    with pytest.raises(SynthgenError, match="1 of 3 shards are not whole"):
        merge_samples(out, tmp_path / f"early.{suffix}")
    part = Part(1, 3, "--shard")
    assert table_work(model, request(part=part, format=suffix)).to_shards(str(out), part).finished
    report = verify_samples(out)
    assert report.whole and report.finished and report.count == 500
    assert (out / "data" / f"rows-00002-of-00003.{suffix}").is_file() and "500 synthetic rows" in (
        out / "README.md"
    ).read_text()
    merged = merge_samples(out, tmp_path / f"merged.{suffix}")
    assert merged.count == 500 and verify_samples(tmp_path / f"merged.{suffix}").whole
    whole = table_work(model, TableRequest(count=500, format=suffix)).to_file(tmp_path / f"whole.{suffix}").file
    if suffix == "parquet":
        frames = [pd.read_parquet(tmp_path / f"{name}.parquet") for name in ("merged", "whole")]
        pd.testing.assert_frame_equal(*frames)
    else:
        assert (tmp_path / f"merged.{suffix}").read_bytes() == whole.read_bytes()


def test_damaged_and_foreign_shards(model: TableModel, tmp_path: Path) -> None:
    out = tmp_path / "set"
    work = table_work(model, request())
    assert work.to_shards(str(out)).made == [0, 1, 2]
    assert work.to_shards(str(out)).kept == 3
    shard = out / "data" / "rows-00001-of-00003.csv"
    shard.write_bytes(shard.read_bytes()[:-5])
    (out / "data" / "mine.csv").touch()
    report = verify_samples(out)
    assert report.damaged == ["shard 1 of 3: data/rows-00001-of-00003.csv is damaged"] and report.extra == [
        "data/mine.csv"
    ]
    with pytest.raises(SynthgenError, match=r"shard 1: data/rows-00001-of-00003.csv is damaged"):
        merge_samples(out, tmp_path / "merged.csv")
    assert not (tmp_path / "merged.csv").exists()
    assert work.to_shards(str(out)).made == [1]
    with pytest.raises(UsageError, match="begun with another plan"):
        table_work(model, request(seed=5)).to_shards(str(out))
    for place, message in (
        (out / "x.csv", "lies in"),
        (tmp_path / "x.parquet", "merged as they were written"),
        (tmp_path / "folder", "would be a folder"),
    ):
        with pytest.raises(UsageError, match=message):
            merge_samples(out, place)
    (tmp_path / "there.csv").touch()
    with pytest.raises(UsageError, match="exists already"):
        merge_samples(out, tmp_path / "there.csv")


def test_conditions_completion_and_stops_in_shards(model: TableModel, tmp_path: Path) -> None:
    (tmp_path / "part.csv").write_text("age,income\n" + "70,\n,>50K\n" * 100)
    more = TableRequest(complete=tmp_path / "part.csv", shards=2, part=Part(0, 1, ""))
    assert table_work(model, more).to_shards(str(tmp_path / "filled")).finished
    merge_samples(tmp_path / "filled", tmp_path / "filled.csv")
    filled = pd.read_csv(tmp_path / "filled.csv")
    assert (filled["age"][::2] == 70).all() and (filled["income"][1::2] == ">50K").all() and len(filled) == 200
    stopping = table_work(model, request(where=["income=>50K"]))
    with pytest.raises(StoppedError, match="stopped after 0 of 3 shards"):
        stopping.to_shards(str(tmp_path / "rich"), should_stop=lambda: True)
    assert stopping.to_shards(str(tmp_path / "rich")).made == [0, 1, 2]


def test_a_name_with_a_line_end_is_one_record() -> None:
    from synthgen.generation.tables.joining import below

    assert below(b'a,"b\nc"\r\n1,2\r\n') == b"1,2\r\n"
    assert below(b'a,"b""\n"\n1,2\n') == b"1,2\n"
    assert below(b"a\n") == b"" and below(b"a\r1\r") == b"1\r"
