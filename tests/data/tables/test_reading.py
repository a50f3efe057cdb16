"""What a table file may look like: read, or refused in one sentence that names line and column."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from synthgen.config.tables import TableDataConfig
from synthgen.data.tables import is_table
from synthgen.data.tables.reading import read_table, table_from_frame
from synthgen.errors import StoppedError, SynthgenError, UsageError
from tests.data.tables.tables import column, kinds, mixed, read, write

PLAIN = "name,size\nann,1.5\nbob,2.5\nann,2.5\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", PLAIN),
        ("a.csv", PLAIN.replace("\n", "\r\n")),
        ("a.csv", b"\xef\xbb\xbf" + PLAIN.encode()),
        ("a.tsv", PLAIN.replace(",", "\t")),
        ("a.csv", PLAIN.replace(",", ";")),
        ("a.csv", PLAIN.replace(",", "|")),
        ("a.txt", PLAIN.replace(",", "\t")),
        ("a.csv.gz", gzip.compress(PLAIN.encode(), mtime=0)),
        ("a.csv", 'name,size\n"ann",1.5\n"bob",2.5\n"ann",2.5'),
        ("a.csv", "\n" + PLAIN.replace("bob", "\n\nbob").replace("\n\n\n", "\n\n")),
        ("a.csv", "name, size\nann, 1.5\nbob, 2.5\nann, 2.5\n"),
    ],
)
def test_separators_and_endings(tmp_path: Path, name: str, text: str | bytes) -> None:
    data = read(tmp_path, text, name)
    assert data.frame["name"].tolist() == ["ann", "bob", "ann"]
    assert data.frame["size"].tolist() == [1.5, 2.5, 2.5]


def test_quotes_hold_separators_quotes_and_lines(tmp_path: Path) -> None:
    data = read(tmp_path, 'a,b\n"x, ""y""\nz",1\n"x, ""y""\nz",2\nplain,2\n')
    assert data.frame["a"].tolist() == ['x, "y"\nz', 'x, "y"\nz', "plain"]


def test_a_separator_can_be_named(tmp_path: Path) -> None:
    assert kinds(read(tmp_path, "a:b\n1:x\n2:y\n2:x\n", separator=":")) == {"a": "integer", "b": "category"}
    assert kinds(read(tmp_path, "a\tb\n1\tx\n2\ty\n2\tx\n", separator="tab")) == {"a": "integer", "b": "category"}
    with pytest.raises(UsageError, match=r"data\.separator '::' is not one character"):
        read(tmp_path, PLAIN, separator="::")


def test_names_of_columns(tmp_path: Path) -> None:
    data = read(tmp_path, "größe,,日本\n1.5,7,x\n2.5,7,y\n2.5,8,y\n")
    assert data.schema.names == ("größe", "unnamed_2", "日本")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n", "has no rows below its line of column names"),
        ("a,b,a\n1,2,3\n", "line 1: the columns 1 and 3 are both called 'a'"),
        ("a,b\n1,2\n3\n", "line 3: 1 cell where the first line names 2 columns: nothing for 'b'"),
        ("a,b\n1,2\n3,4,five\n", "line 3: 3 cells where the first line names 2 columns: after 'b' comes 'five'"),
        ('a,b\n"x\ny",2\n3\n', "line 4: 1 cell"),
        ('a,b\n1,"2\n3,4\n', 'line 2: a quote (") is opened there and not closed'),
        ('a,b\n1,"2"3\n', "line 2: "),
        (b"a,b\n1,2\ncaf\xe9,3\n", "line 3: byte 11 is 0xe9, which is not UTF-8"),
        ("a,b\n1,2\n".encode("utf-16"), "is written in UTF-16"),
        (b"a,b\n1,\x00\n", "holds bytes of value 0"),
        (column(["1"] * 30 + ["1,000"]).replace("1,000", '"1,000"'), "thousands separators ('1,000' in line 32)"),
        (column(["2010-01-01 10:00:00+01:00", "2010-01-01 10:00:00"] * 9), "with a zone and dates without one"),
    ],
)
def test_faults_name_their_place(tmp_path: Path, text: str | bytes, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert message in caught.value.message
    assert "data.csv" in caught.value.message


def test_a_fault_late_in_a_file_has_its_line(tmp_path: Path) -> None:
    rows = "".join(f"{i % 7},{i % 5}\n" for i in range(60_000))
    with pytest.raises(UsageError, match="line 60,002: 1 cell"):
        read(tmp_path, "a,b\n" + rows + "9\n")
    with pytest.raises(UsageError, match=r"line 60,002: byte .* is 0xff"):
        read(tmp_path, ("a,b\n" + rows).encode() + b"\xff,1\n")


def test_files_that_are_not_there_or_no_tables(tmp_path: Path) -> None:
    write(tmp_path / "sales.csv", PLAIN)
    with pytest.raises(UsageError, match=r"there is no table .*did you mean 'sales.csv'"):
        read_table(tmp_path / "sale.csv")
    with pytest.raises(UsageError, match="is not a table"):
        read_table(write(tmp_path / "a.pdf", "x"))
    with pytest.raises(UsageError, match="not a readable gzip file"):
        read_table(write(tmp_path / "a.csv.gz", "no gzip"))
    with pytest.raises(UsageError, match="not a readable gzip file"):
        read_table(write(tmp_path / "b.csv.gz", gzip.compress(PLAIN.encode() * 1000)[:-20]))
    (tmp_path / "many").mkdir()
    with pytest.raises(UsageError, match="does not hold exactly one table"):
        read_table(tmp_path / "many")


def test_hostile_files_are_refused_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthgen.data.tables.text.MAX_LINE", 2**16)
    with pytest.raises(UsageError, match=r"line 2 has more than 65,536 characters"):
        read(tmp_path, "a,b\n" + "x" * 2**17 + ",1\n")
    monkeypatch.setattr("synthgen.data.tables.text.MAX_COLUMNS", 50)
    with pytest.raises(UsageError, match="60 columns are more than the limit of 50"):
        read(tmp_path, ",".join(f"c{i}" for i in range(60)) + "\n" + ",".join("1" * 60) + "\n")
    monkeypatch.setattr("synthgen.data.tables.text.MAX_ROWS", 100)
    with pytest.raises(UsageError, match="more than 100 rows"):
        read(tmp_path, "a,b\n" + "1,2\n" * 101)


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("synthgen.data.arrays._BOMB_BYTES", 2**20)
    with pytest.raises(UsageError, match="decompression bomb"):
        read(tmp_path, gzip.compress(b"a,b\n" + (b"1" * 1000 + b",2\n") * 20_000, 9), "a.csv.gz")


def test_stopping(tmp_path: Path) -> None:
    with pytest.raises(StoppedError):
        read_table(write(tmp_path / "a.csv", PLAIN), should_stop=lambda: True)


def test_the_column_split_is_honoured_and_never_learned(tmp_path: Path) -> None:
    text = "x,split\n" + "".join(f"{i}.5,{part}\n" for i, part in enumerate(["train"] * 6 + ["val"] * 2 + ["Test"] * 3))
    path = write(tmp_path / "a.csv", text)
    assert {split: len(read_table(path, split=split)) for split in ("all", "train", "val", "test")} == {
        "all": 11,
        "train": 6,
        "val": 2,
        "test": 3,
    }
    assert read_table(path, split="test").schema.names == ("x",)
    kept = TableDataConfig.model_validate({"columns": {"split": {"kind": "category"}}})
    assert read_table(path, kept).schema.names == ("x", "split")
    plain = write(tmp_path / "b.csv", PLAIN)
    assert len(read_table(plain, split="train")) == 3
    with pytest.raises(UsageError, match="has no split test"):
        read_table(plain, split="test")
    with pytest.raises(UsageError, match="there is no split 'tset'"):
        read_table(plain, split="tset")


def test_limit_takes_rows_evenly(tmp_path: Path) -> None:
    data = read(tmp_path, "x,y\n" + "".join(f"{i}.5,a{i % 2}\n" for i in range(100)), limit=4)
    assert data.frame["x"].tolist() == [12.5, 37.5, 62.5, 87.5]


def test_reading_in_the_terms_of_another_table(tmp_path: Path) -> None:
    real = read(tmp_path, "id,n,city\n" + "".join(f"{i},{i % 5},c{i % 3}\n" for i in range(1, 30)))
    other = read_table(write(tmp_path / "b.csv", "city,extra,n,id\nnew,1,12.0,5\n,2,,6\n"), schema=real.schema)
    assert list(other.frame.columns) == ["id", "n", "city"]
    assert other.frame["n"].tolist() == [12, pd.NA]
    assert other.frame["city"].tolist() == ["new", None]
    with pytest.raises(UsageError, match=r"has no column 'city' \(did you mean 'cities'"):
        read_table(write(tmp_path / "c.csv", "id,n,cities\n1,2,x\n"), schema=real.schema)
    with pytest.raises(UsageError, match="line 3, column 'n': 'many' is not a whole number"):
        read_table(write(tmp_path / "d.csv", "id,n,city\n1,2,x\n1,many,x\n"), schema=real.schema)


def test_is_table(tmp_path: Path) -> None:
    assert is_table("anything.csv") and is_table("x.TSV.gz") and is_table("adult")
    assert not is_table("mnist") and not is_table(tmp_path) and not is_table("x.parquet")
    folder = tmp_path / "sampled"
    folder.mkdir()
    write(folder / "rows.csv", PLAIN)
    write(folder / "manifest.json", "{}")
    assert is_table(folder) and len(read_table(folder)) == 3
    write(folder / "0001.png", "")
    assert not is_table(folder)


def test_parquet_keeps_types(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = mixed()
    frame["zoned"] = frame["when"].dt.tz_localize("Europe/Berlin", ambiguous=True, nonexistent="shift_forward")
    frame["label"] = pd.Categorical(frame["city"].fillna("Oslo"))
    frame["code"] = [f"{i % 40:05d}" for i in range(len(frame))]
    frame.to_parquet(tmp_path / "a.parquet")
    assert is_table(tmp_path / "a.parquet")
    data = read_table(tmp_path / "a.parquet")
    assert kinds(data) == {
        "amount": "number",
        "count": "integer",
        "city": "category",
        "member": "boolean",
        "when": "datetime",
        "exact": "number",
        "zoned": "datetime",
        "label": "category",
        "code": "category",
    }
    assert data.frame["count"].equals(frame["count"])
    assert data.frame["amount"].equals(frame["amount"])
    assert (data.frame["zoned"].dropna() == frame["zoned"].dt.tz_convert("UTC").dt.tz_localize(None).dropna()).all()
    assert table_from_frame(frame).fingerprint == data.fingerprint


def test_parquet_that_cannot_be_learned(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.parquet"
    pd.DataFrame({"a": [1.0, 2.0], "b": [[1], [2, 3]]}).to_parquet(path)
    with pytest.raises(UsageError, match="column 'b' is of type list"):
        read_table(path)
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(UsageError, match="not a readable Parquet file"):
        read_table(path)
    pd.DataFrame({"a": []}).to_parquet(path)
    with pytest.raises(UsageError, match="has no rows"):
        read_table(path)


def test_parquet_without_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(SynthgenError) as caught:
        read_table(write(tmp_path / "a.parquet", "PAR1"))
    assert 'pip install "synthgen[parquet]"' in str(caught.value.hint)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([1, 2, 2], "integer"),
        ([1.0, 2.5, None], "number"),
        (pd.array([1, None, 2], dtype="Int32"), "integer"),
        (np.array([1, 2, 2], np.uint8), "integer"),
        (np.array([1.5, 2, 2], np.float32), "number"),
        ([True, False, True], "boolean"),
        (["a", None, "a"], "category"),
        (pd.Categorical(["b", "a", "b"], categories=["b", "a", "c"], ordered=True), "category"),
        (pd.Categorical([3, 1, 3]), "integer"),
        (pd.to_datetime(["2020-01-01", "2020-01-02", None]), "datetime"),
        (pd.to_datetime(["2020-01-01", "2020-01-02", None]).tz_localize("Asia/Tokyo"), "datetime"),
        ([pd.Timestamp("2020-01-01").date(), None, pd.Timestamp("2021-01-01").date()], "datetime"),
        (pd.Series([1, None, 3], dtype=object), "integer"),
        ([None, None, None], "constant"),
        (["x", "x", "x"], "constant"),
        ([7, 7, 7], "constant"),
    ],
)
def test_types_of_pandas(values: object, kind: str) -> None:
    frame = pd.DataFrame({"x": values, 5: [0.5, 1.5, 2.5]})
    data = table_from_frame(frame)
    assert kinds(data) == {"x": kind, "5": "number"}
    assert data.frame["x"].isna().tolist() == frame["x"].isna().tolist()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([1, "a", 2.5], "column 'x', row 1: a value of type str among objects of type int"),
        ([[1], [2], [3]], "column 'x', row 0: a value of type list"),
        (pd.to_timedelta([1, 2, 3], unit="s"), "column 'x' is of type timedelta64"),
        ([1 + 2j, 1j, 2j], "column 'x' is of type complex128"),
        ([1.0, np.inf, 2.0], "column 'x' holds inf in row 1"),
    ],
)
def test_types_that_are_refused(values: object, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        table_from_frame(pd.DataFrame({"x": values}))
    assert message in caught.value.message


def test_frames_without_rows_or_with_levels() -> None:
    with pytest.raises(UsageError, match="has no rows"):
        table_from_frame(pd.DataFrame({"a": []}))
    with pytest.raises(UsageError, match="both called 'a'"):
        table_from_frame(pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(UsageError, match="several levels"):
        table_from_frame(pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_tuples([("a", "b"), ("a", "c")])))
