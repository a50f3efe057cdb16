"""Files of rows: formats, resuming, forcing, hashes, folders, streams; with the bytes of an undisturbed run."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest

from synthgen.errors import StoppedError, SynthgenError, UsageError
from synthgen.generation import onefile as files
from synthgen.generation.tables import writing
from synthgen.generation.tables.model import TableModel, load_table_model
from synthgen.generation.tables.plan import plan_from_dict
from synthgen.generation.tables.work import TableRequest, table_work
from synthgen.generation.targets import manifest_path
from synthgen.generation.verify import verify_samples
from synthgen.stopping import ShouldStop

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def model(table_run: Path) -> TableModel:
    return load_table_model(table_run, device="cpu")


@pytest.fixture(autouse=True)
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "PIECE", 128)


def stop_after(calls: int) -> ShouldStop:
    """A ShouldStop that asks at the n-th poll."""
    left = [calls]

    def stop() -> bool:
        left[0] -= 1
        return left[0] < 0

    return stop


def test_a_file_holds_the_rows_of_the_model(model: TableModel, tmp_path: Path, table_csv: Path) -> None:
    out = tmp_path / "new" / "rows.csv"
    result = table_work(model, TableRequest(count=300, seed=2)).to_file(out)
    assert (
        result.file == out
        and result.count == 300
        and sorted(p.name for p in out.parent.iterdir())
        == [
            "rows.csv",
            "rows.csv.manifest.json",
        ]
    )
    pd.testing.assert_frame_equal(
        pd.read_csv(out, parse_dates=["joined"]).astype({"joined": "datetime64[us]"}),
        model.sample(300, seed=2).astype({"joined": "datetime64[us]"}),
        check_dtype=False,
    )
    assert out.read_text().splitlines()[0] == table_csv.read_text().splitlines()[0]
    manifest = json.loads(manifest_path(out).read_text())
    assert manifest["finished"] and manifest["modality"] == "tables" and manifest["count"] == 300
    (file,) = manifest["files"]
    assert file == {"name": "rows.csv", "bytes": out.stat().st_size, "sha256": result.sha256}
    assert hashlib.sha256(out.read_bytes()).hexdigest() == result.sha256
    assert manifest["plan"]["checkpoint_sha256"] == model.sha256 and manifest["plan"]["seed"] == 2
    plan = plan_from_dict(manifest["plan"])
    assert plan.to_dict() == manifest["plan"]


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv", "rows.csv.gz", "rows.parquet"])
def test_an_interrupted_file_ends_with_the_same_bytes(model: TableModel, tmp_path: Path, name: str) -> None:
    if name.endswith("parquet"):
        pytest.importorskip("pyarrow")
    request = TableRequest(count=700, format=name.split(".")[1], packed=name.endswith("gz"))
    whole = table_work(model, request).to_file(tmp_path / name)
    out = tmp_path / "cut" / name
    with pytest.raises(StoppedError, match="of 700 rows; they are kept"):
        table_work(model, request).to_file(out, should_stop=stop_after(5))
    assert not out.exists() and len(list(out.parent.glob("*/piece-*"))) >= 2
    with pytest.raises(UsageError, match="was begun already and not finished"):
        table_work(model, request).to_file(out)
    with pytest.raises(UsageError, match="seed: 0 then, 1 now"):
        table_work(model, replace(request, seed=1)).to_file(out, resume=True)
    resumed = table_work(model, request).to_file(out, resume=True)
    assert resumed.sha256 == whole.sha256 and out.read_bytes() == (tmp_path / name).read_bytes()
    assert sorted(path.name for path in out.parent.iterdir()) == [name, f"{name}.manifest.json"]
    assert table_work(model, request).to_file(out, resume=True).sha256 == whole.sha256


def test_a_kill_between_the_manifest_and_the_file_is_resumed(
    model: TableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work, out = table_work(model, TableRequest(count=200)), tmp_path / "rows.csv"

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            work.to_file(out)
    assert not out.exists()
    assert work.to_file(out, resume=True).count == 200 and verify_samples(out).whole


def test_what_is_there_is_not_replaced_unasked(model: TableModel, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    out.write_text("mine")
    work = table_work(model, TableRequest(count=70))
    for resume in (False, True):
        with pytest.raises(UsageError, match="exists already"):
            work.to_file(out, resume=resume)
    assert out.read_text() == "mine"
    assert work.to_file(out, force=True).count == 70
    with pytest.raises(StoppedError):
        table_work(model, TableRequest(count=700)).to_file(out, force=True, should_stop=stop_after(3))
    assert len(pd.read_csv(out)) == 70, "the old file stays until the new one is whole"
    assert len(pd.read_csv(table_work(model, TableRequest(count=80)).to_file(out, force=True).file)) == 80


def test_somebody_elses_folder_of_that_name_stays(model: TableModel, tmp_path: Path) -> None:
    (tmp_path / ".rows.csv.partial").mkdir()
    (tmp_path / ".rows.csv.partial" / "thesis.txt").touch()
    with pytest.raises(UsageError, match="was not made by synthgen"):
        table_work(model, TableRequest(count=70)).to_file(tmp_path / "rows.csv", force=True)
    assert (tmp_path / ".rows.csv.partial" / "thesis.txt").exists()


def test_a_folder_holds_table_manifest_and_card(model: TableModel, tmp_path: Path) -> None:
    from synthgen.data.tables.reading import read_table

    out = tmp_path / "set"
    table_work(model, TableRequest(count=70, where=["income=>50K"])).to_file(out)
    assert sorted(path.name for path in out.iterdir() if path.name[0] != ".") == [
        "README.md",
        "manifest.json",
        "table.csv",
    ]
    card = (out / "README.md").read_text()
    assert "70 synthetic rows of 10 columns" in card and "income=&gt;50K" in card and 'path: "table.csv"' in card
    assert len(read_table(out, schema=model.schema)) == 70
    assert verify_samples(out).whole
    with pytest.raises(UsageError, match="exists already"):
        table_work(model, TableRequest(count=70)).to_file(out)
    table_work(model, TableRequest(count=75)).to_file(out, force=True)
    assert len(read_table(out, schema=model.schema)) == 75


def test_verify_names_what_is_wrong(model: TableModel, tmp_path: Path) -> None:
    out = tmp_path / "rows.csv"
    table_work(model, TableRequest(count=70)).to_file(out)
    assert verify_samples(out).whole
    data = out.read_bytes()
    out.write_bytes(data.replace(b"Rome", b"Bonn", 1))
    assert verify_samples(out).damaged == ["rows.csv is not what was written"]
    manifest = manifest_path(out)
    text = manifest.read_text()
    for altered in (text.replace('"rows.csv"', '"../rows.csv"'), text.replace('"files"', '"filez"'), "{}", "\x00"):
        manifest.write_text(altered)
        try:
            assert not verify_samples(out).whole
        except SynthgenError as error:
            assert "manifest" in error.message
    manifest.unlink()
    with pytest.raises(UsageError, match="has no manifest"):
        verify_samples(out)


def test_a_stream_is_the_file(model: TableModel, tmp_path: Path) -> None:
    request = TableRequest(count=150)
    stream = io.StringIO()
    table_work(model, request).to_stream(stream)
    assert stream.getvalue().encode() == table_work(model, request).to_file(tmp_path / "a.csv").file.read_bytes()
    with pytest.raises(StoppedError, match="stopped after 64 of 150 rows"):
        table_work(model, request).to_stream(io.StringIO(), should_stop=lambda: True)


def test_formats_say_the_same(model: TableModel, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frames = []
    for name in ("a.csv", "a.tsv", "a.parquet", "a.csv.gz"):
        request = TableRequest(count=200, format=name.split(".")[1], packed=name.endswith("gz"))
        path = table_work(model, request).to_file(tmp_path / name).file
        if name == "a.parquet":
            frames.append(pd.read_parquet(path))
        else:
            frames.append(pd.read_csv(path, sep="\t" if "tsv" in name else ","))
    texts = [frame.astype(object).where(frame.notna(), "").astype(str) for frame in frames]
    for frame in texts[1:]:
        columns = ["id", "age", "income", "city", "planet"]
        pd.testing.assert_frame_equal(frame[columns], texts[0][columns])
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()) == (tmp_path / "a.csv").read_bytes()


def test_parquet_needs_its_package(model: TableModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="pyarrow") as caught:
        table_work(model, TableRequest(count=5, format="parquet"))
    assert 'pip install "synthgen[parquet]"' in str(caught.value.hint)


def test_a_disk_too_small_is_told_at_the_first_piece(
    model: TableModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Usage:
        free = 70 * 2**20

    monkeypatch.setattr(files.shutil, "disk_usage", lambda path: Usage)
    with pytest.raises(SynthgenError, match=r"100,000 rows need about 1[0-9] MB"):
        table_work(model, TableRequest(count=10**5)).to_file(tmp_path / "rows.csv")
