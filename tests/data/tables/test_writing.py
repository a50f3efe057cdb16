"""What is written is what was read: byte for byte in text, type for type in pandas and Parquet."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthgen.data.tables.reading import read_table, table_from_frame
from synthgen.data.tables.schema import TableSchema
from synthgen.data.tables.writing import format_rows, restore, to_arrow
from tests.data.tables.tables import mixed, read


@pytest.mark.parametrize("name", ["adult_train", "beijing", "abalone", "california", "insurance"])
def test_known_tables_are_written_byte_for_byte(data_dir: Path, name: str) -> None:
    path = data_dir / "tables" / f"{name}.csv"
    if not path.is_file():
        pytest.skip(f"no {path.name} there")
    text = path.read_bytes().decode()
    if text.split("\n", 1)[0].endswith(",split"):  # which is never learned
        text = "".join(line.rpartition(",")[0] + "\n" for line in text.splitlines())
    data = read_table(path)
    assert format_rows(data.frame, data.schema, header=True) == text


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,x\n2,y\n2,x\n",
        "a;b\r\n1,5;x\r\n2,5;y\r\n2,5;x\r\n",
        "a\tb\n1.50\tx\n2.25\ty\n2.25\tx\n",
        "a,b\n1e-07,x\n2.0,y\n0.001,x\n",
        "a,b\n0.0000001,x\n2,y\n0.001,x\n",
        "a,b\n-11.0,x\n0.0,y\n1e+16,x\n",
        '"a","b"\n1,"x"\n2,"y"\nNA,NA\n2,"x"\n',
        '"a","b"\n"1","x"\n"","y"\n"2","x"\n',
        'a,b\n1,"x, ""y"""\n2,"z\nz"\n2,"z\nz"\n',
        "a, b\n1, x\n2, ?\n2, x\n",
        " a,b\n 1,x\n ?,y\n 2,x\n",
        ",b\n7,x\n7,y\n8,x\n",
        "a,b\n1,\n2,x\n2,x\n",
        "a,b\nNA,x\n2,y\n2,x\n",
        "a,b\nyes,x\nno,y\n?,x\n",
        "a,b\nTRUE,x\nFALSE,y\nTRUE,x\n",
        "a,b\n31.12.1969,x\n01.02.2000,y\n,x\n",
        "a,b\n1/2/1969,x\n12/31/2000,y\n2/3/2000,x\n",
        "a,b\n2020-07-01T12:00:00Z,x\n1950-01-01T00:00:00Z,y\n,x\n",
        "a,b\n2020-07-01 12:00:00+02:00,x\n1950-01-01 00:00:00+02:00,y\n,x\n",
        "a,b\n2020-07-01 12:00:00.250,x\n1950-01-01 00:00:00.125,y\n,x\n",
        "a,b\n0930,x\n0001,y\n0001,x\n",
        "a,b\n09:30,x\n23:59,y\n00:00,x\n",
        "a,b\n05-Jan-20,x\n17-Dec-21,y\n17-Dec-21,x\n",
        'a\n1\n""\n2\n',
        "größe,日本\n1.5,x\n2.5,ß\n2.5,x\n",
        "\ufeffa,b\n1,x\n2,y\n2,x\n",
        "id,b\n" + "".join(f"{i},x{i % 2}\n" for i in range(1, 30)),
        "same,gone,b\nx,,1\nx,,2\nx,,2\n",
    ],
)
def test_text_comes_back(tmp_path: Path, text: str) -> None:
    data = read(tmp_path, text)
    assert format_rows(data.frame, data.schema, header=True) == text
    again = TableSchema.from_dict(data.schema.to_dict())
    pieces = [format_rows(data.frame.iloc[i : i + 1], again, header=i == 0) for i in range(len(data))]
    assert "".join(pieces) == text


CELLS = st.one_of(
    st.sampled_from(["", "NA", "1", "2.50", "-3", "0.1", "1e5", "yes", "no", "2010-01-02", "a", "A", "0012"]),
    st.text(alphabet=st.sampled_from('ab ",\n;|=ü'), max_size=4),
)


@given(st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12))
def test_writing_and_reading_again_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]]
) -> None:
    import csv

    path = tmp_path_factory.mktemp("written") / "data.csv"
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([("x", "y"), *rows])
    config = {"columns": {name: {"kind": "category"} for name in "xy"}} if len(rows) % 2 else {}
    first = read(path.parent, path.read_bytes(), **config)
    text = format_rows(first.frame, first.schema, header=True)
    again = read_table((path.write_text(text, encoding="utf-8", newline=""), path)[1], schema=first.schema)
    assert again.frame.equals(first.frame)
    assert again.fingerprint == first.fingerprint


def test_formulas_are_escaped_in_texts_only(tmp_path: Path) -> None:
    data = read(tmp_path, 'n,t,=h\n-1.5,=SUM(A1),-5\n2,@x,+z\n-1.5,-x,"\ty"\n2,plain,-5\n2,@x,+z\n')
    assert format_rows(data.frame, data.schema, header=True, escape_formulas=True) == (
        "n,t,'=h\n-1.5,'=SUM(A1),-5\n2,'@x,'+z\n-1.5,'-x,y\n2,plain,-5\n2,'@x,'+z\n"
    )
    assert "'" not in format_rows(data.frame, data.schema, header=True)


def pandas_frame() -> pd.DataFrame:
    frame = mixed(60)
    frame["zoned"] = frame["when"].dt.tz_localize("Europe/Berlin", ambiguous=True, nonexistent="shift_forward")
    frame["label"] = pd.Categorical(frame["city"].fillna("Oslo"), categories=["Rome", "Oslo", "Paris", "Łódź", "Bern"],
                                    ordered=True)  # fmt: skip
    frame["level"] = pd.Categorical(np.arange(60) % 3)
    frame["short"] = (np.arange(60) % 50).astype(np.int8)
    frame["single"] = np.linspace(0, 1, 60, dtype=np.float32)
    frame["flag"] = np.arange(60) % 2 == 0
    frame["same"] = 7
    frame["nothing"] = np.nan
    frame["No"] = np.arange(60)
    frame["code"] = [f"{i % 40:05d}" for i in range(60)]
    frame["numbers as texts"] = [f"{i / 8:.3f}" for i in range(60)]
    frame["text"] = pd.array(["a", "b", None] * 20, dtype="string")
    frame["objects"] = pd.Series([1, None, 2] * 20, dtype=object)
    return frame


def test_dtypes_of_pandas_come_back() -> None:
    frame = pandas_frame()
    data = table_from_frame(frame)
    back = restore(data.frame, data.schema)
    pd.testing.assert_frame_equal(back, frame)


def test_labels_that_are_no_texts_come_back() -> None:
    frame = pd.DataFrame({0: [1.5, 2.5, 2.5], 7: ["a", "b", "a"]})
    data = table_from_frame(frame)
    pd.testing.assert_frame_equal(restore(data.frame, data.schema), frame)


def test_types_of_parquet_come_back(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    from decimal import Decimal

    frame = pandas_frame().drop(columns=["objects"])
    table = pyarrow.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    table = table.append_column(
        "date", pyarrow.array([18_000 + i % 9 for i in range(60)], pyarrow.int32()).cast("date32")
    )
    table = table.append_column(
        "price", pyarrow.array([Decimal(i % 7) / 4 for i in range(60)], pyarrow.decimal128(9, 2))
    )
    table = table.append_column("big", pyarrow.array(["x", "y"] * 30, pyarrow.large_string()))
    path = tmp_path / "a.parquet"
    from pyarrow import parquet

    parquet.write_table(table, path)
    stored = parquet.read_table(path)
    data = read_table(path)
    back = to_arrow(data.frame, data.schema)
    assert back.schema.remove_metadata().equals(stored.schema.remove_metadata())
    for name in stored.column_names:
        assert back.column(name).to_pylist() == stored.column(name).to_pylist(), name
    assert restore(data.frame, data.schema).shape == frame.assign(date=0, price=0, big=0).shape


def test_text_files_come_back_as_pandas_reads_them(tmp_path: Path) -> None:
    text = "n,k,m,t,b,w,c\n1.5,1,1,x,True,yes,7\n2.5,2,,y,False,no,7\n2.5,2,2,x,True,yes,7\n"
    data = read(tmp_path, text)
    back = restore(data.frame, data.schema)
    expected = pd.read_csv(tmp_path / "data.csv")
    expected["m"] = expected["m"].astype("Int64")  # whole beside a missing one
    pd.testing.assert_frame_equal(back, expected)
    pytest.importorskip("pyarrow")
    assert to_arrow(data.frame, data.schema).column_names == list(expected)
